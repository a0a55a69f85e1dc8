"""Everything `audit` can say no to, as one tree.

    ExpectedError                 of `pipelines.errors`, the base of every package's errors
    ├── ConfigError               an option with an impossible value
    ├── ScoreFileError            a score file that cannot be opened or parsed
    ├── ScoreTableError           a table whose content cannot be audited
    │   ├── MissingColumnError    a column that is not there
    │   ├── UnclearTableError     columns, words or numbers that cannot be guessed
    │   ├── LabelError            labels that are not two classes
    │   ├── ScoreValueError       scores that are not finite numbers
    │   ├── DuplicateImageError   one image_id on two rows
    │   ├── PairError             a pair that is not one real and one fake of one person
    │   ├── UnitError             images that are not independent, or a unit that is none
    │   ├── WeightError           weights that are none
    │   └── GroupError            attributes that cannot be audited
    ├── ResultFormatError         an audit.json or comparison.json that cannot be read
    ├── RunFolderError            a run folder that holds another run, or none
    ├── SbomError                 a list of installed packages that cannot be made
    ├── SignatureError            a run that cannot be signed, or a signature that cannot be looked at
    ├── ComparisonError           runs that cannot be compared
    └── MitigationError           a cure that cannot be looked for

Every message says what, the value, where, and the next step. The command line prints one line and exits 2.
"""

from pipelines.errors import ExpectedError as ExpectedError


class ConfigError(ExpectedError):
    """An option has an impossible value."""


class ScoreFileError(ExpectedError):
    """A score file cannot be opened or parsed."""


class ScoreTableError(ExpectedError):
    """The content of a score table cannot be audited."""


class MissingColumnError(ScoreTableError):
    """A named column is not in the table."""


class UnclearTableError(ScoreTableError):
    """What columns, words or numbers of a file mean cannot be guessed; all of it is named at once."""


class LabelError(ScoreTableError):
    """The label column does not hold two classes."""


class ScoreValueError(ScoreTableError):
    """The score column holds something that is not a finite number."""


class DuplicateImageError(ScoreTableError):
    """One image_id stands on two rows."""


class PairError(ScoreTableError):
    """A pair_id does not name one real and one fake image of one cell."""


class UnitError(ScoreTableError):
    """Images share something that makes them dependent, or the column named for it cannot be used."""


class WeightError(ScoreTableError):
    """The weights are negative, missing or all 0."""


class GroupError(ScoreTableError):
    """The attributes cannot be audited."""


class ResultFormatError(ExpectedError, ValueError):
    """A result file is not one of ours, or of a version this program cannot read.

    A ValueError too, so that pydantic reports it among the faults of a file.
    """


class SbomError(ExpectedError):
    """The list of installed packages cannot be made."""


class SignatureError(ExpectedError):
    """A run cannot be signed, or its signature cannot be looked at."""


class RunFolderError(ExpectedError):
    """A run folder holds another run, or none."""


class ComparisonError(ExpectedError):
    """The given runs cannot be compared."""


class MitigationError(ExpectedError):
    """A cure cannot be looked for: a table too small to split, or an impossible option."""
