"""Everything that can go wrong with a detector, a data set or a checkpoint and is not a bug.

    ExpectedError                 of `pipelines.errors`, the base of every package's errors
    ├── DeviceNotFound            a graphics processor that is not there
    ├── ClusterError              a Ray cluster whose workers cannot do what is asked of them
    ├── DetectorError
    │   ├── DetectorNotFound      no such file
    │   ├── CheckpointFormatError not a checkpoint of ours, truncated, or carrying code
    │   ├── CheckpointTooLarge    larger than any network here (a decompression bomb)
    │   ├── ForeignDetectorError  a foreign file or factory that cannot be loaded or called
    │   │   ├── DetectorDied      its isolated process ended, or said what cannot be
    │   │   └── DetectorTooSlow   it gave no answer in time
    │   ├── IsolationUnavailable  this system cannot isolate a foreign model, and it was not trusted
    │   ├── NoScoreError          it answers NaN or infinity for the one image asked about
    │   ├── NotTrusted            a file whose SHA-256 is another one than the user trusts
    │   ├── SidecarError          a NAME.toml or option that says something impossible
    │   └── UnknownArchitecture   no such name in the zoo
    ├── DataError
    │   ├── DatasetNotFound       no such folder or table
    │   ├── DatasetLayoutError    a folder or table we cannot read as labelled images
    │   ├── EmptyDataset          nothing left to train on or to score
    │   └── SplitError            fractions or origins that cannot be split
    ├── ExplanationError          an unknown method, or images that cannot be explained
    ├── TrainingError             settings that cannot be trained with
    └── OutputExists              the target already holds something else

Every message says what, the value, where, and what to do next, in one line: the command line prints it and
exits with 2.
"""

from pipelines.errors import ExpectedError as ExpectedError


class DeviceNotFound(ExpectedError):
    """A graphics processor that is not there."""


class ClusterError(ExpectedError):
    """A Ray cluster whose workers cannot do what is asked of them."""


class DetectorError(ExpectedError):
    """A detector that cannot be had or used."""


class DetectorNotFound(DetectorError):
    """No such detector file."""


class CheckpointFormatError(DetectorError):
    """A file that is not a checkpoint of ours, is truncated, or carries code."""


class CheckpointTooLarge(DetectorError):
    """A file that unpacks to more than any network here weighs."""


class ForeignDetectorError(DetectorError):
    """Somebody else's detector that cannot be loaded or called."""


class DetectorDied(ForeignDetectorError):
    """The isolated process of a foreign model ended, or said what cannot be."""


class DetectorTooSlow(ForeignDetectorError):
    """A foreign model gave no answer in time."""


class IsolationUnavailable(DetectorError):
    """This system cannot isolate a foreign model, and the file was not trusted."""


class NoScoreError(DetectorError):
    """A detector that answers NaN or infinity for the one image it was asked about."""


class NotTrusted(DetectorError):
    """A file whose SHA-256 is another one than the user trusts."""


class SidecarError(DetectorError):
    """A sidecar file or option that says something impossible."""


class UnknownArchitecture(DetectorError):
    """No network of that name in the zoo."""


class DataError(ExpectedError):
    """Images or labels that cannot be used."""


class DatasetNotFound(DataError):
    """No such folder or table."""


class DatasetLayoutError(DataError):
    """A folder or table that cannot be read as labelled images."""


class EmptyDataset(DataError):
    """Nothing is left to train on or to score."""


class SplitError(DataError):
    """Fractions or origins that cannot be split."""


class ExplanationError(ExpectedError):
    """An unknown method of explaining, or nothing to explain."""


class TrainingError(ExpectedError):
    """Settings nobody can train with."""


class OutputExists(ExpectedError):
    """The target already holds something else."""
