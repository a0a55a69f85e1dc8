"""What can go wrong on the way from labelled photos to matched pairs.

Nothing enters; the exception classes of the package leave.

    ExpectedError                     a user can put it right: one line, exit code 2
    ├── FairFaceError                 the labelled photos
    │   ├── FairFaceNotFound          the folder or a label table is not there
    │   ├── LabelColumnError          a label table lacks a column, or has no rows
    │   └── LabelVocabularyError      a label outside the closed vocabulary
    ├── PhotoError                    one photo; becomes a row with a reason, never stops a run
    │   ├── PhotoMissing              a photo of the label table, or a saved real half, is not there
    │   ├── PhotoUnreadable           not an image, or damaged
    │   ├── PhotoTooLarge             more pixels than the limit (a decompression bomb)
    │   ├── PhotoTooSmall             fewer pixels than anything can be measured on
    │   ├── NoFaceFound               the face detector finds no face
    │   ├── FaceCutOff                too much of the crop lies outside the photo
    │   ├── HalvesDiffer              two images given as a pair are of different sizes
    │   ├── NoLandmarks               a fake needs the face's landmarks, and none are known
    │   ├── FaceTurned                the face is turned too far for this kind of fake
    │   ├── FaceCovered               something else than skin covers the face
    │   ├── FaceTooSmall              the face is too small in its photo for this kind of fake
    │   ├── NoDonor                   nobody else of the same age, gender and race fits
    │   └── FakeImplausible           a fake was made, and it is broken
    ├── VoicesError                   clips of voices and trials
    │   ├── ClipsNotFound             no such folder or table, or no clips in it
    │   ├── ClipTableError            a table of clips or trials that cannot be read as one
    │   └── TooFewSpeakers            nobody left to compare with
    ├── ClipError                     one clip; becomes a row with a reason, never stops a run
    │   ├── ClipMissing               a clip of the table is not there
    │   ├── ClipUnreadable            not audio, or damaged
    │   ├── ClipTooLarge              more samples, channels or bytes than the limits
    │   ├── ClipEmpty                 audio without a sample
    │   ├── ClipSilent                nothing to hear
    │   ├── ClipDistorted             cut off at full scale for too much of its length
    │   └── ClipTooShort              shorter than the window that a verifier listens to
    ├── SynthesiserNotFound           espeak-ng, which renders voices, is not installed, or fails
    ├── PairsError                    the pairs dataset
    │   ├── PairsNotFound             no manifest, or no provenance, where one is expected
    │   ├── ManifestSchemaError       a manifest whose columns or values break the contract
    │   ├── OutputHoldsAnotherRun     the output folder belongs to a different run
    │   └── OutputInUse               another process is writing to the output folder
    ├── UnreadableFile                a file someone gave that is damaged, too large, or not what it should be
    ├── StorageError                  the disk is full, or the folder went away
    ├── PlaceError                    an address that cannot be used, or a store that does not answer
    ├── SourceLost                    the photos' folder went away, or nothing can be read for now
    ├── CheckpointFormatError         a generator's weights are not a pSp checkpoint, or are damaged
    ├── GeneratorCodeError            a user's own generator fails, or changes size or type
    ├── AutoencoderError              a folder of an autoencoder that cannot be used
    ├── ReferenceNotFound             upstream's own pSp code is not checked out
    ├── SelectionError                asked for a choice of photos that makes no sense
    ├── SettingError                  a setting outside its range, or one this generator cannot follow
    ├── MissingExtra                  an optional package is not installed
    └── EngineError                   the engine is not installed, or its workers keep dying

Why: a photo that fails is a finding, not an accident, so photo errors carry a `reason` code
that goes into the manifest word for word.
"""


class ExpectedError(Exception):
    """Something a user can put right; its message says what, the value, where and the next step."""


class MissingExtra(ExpectedError):
    """An optional package is not installed."""

    def __init__(self, purpose: str, packages: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs {packages}, not installed here; in the checkout: pip install -e '.[{extra}]'"
        )


class FairFaceError(ExpectedError):
    """The labelled photos are not as they should be."""


class FairFaceNotFound(FairFaceError):
    """The folder, or a label table in it, is not there."""


class LabelColumnError(FairFaceError):
    """A label table lacks a column, repeats a photo, or has no rows."""


class LabelVocabularyError(FairFaceError):
    """A label lies outside the closed vocabulary and is not a known damage."""


class PhotoError(ExpectedError):
    """One photo failed; `reason` is the code that goes into the manifest's `status`."""

    reason = "photo failed"


class PhotoMissing(PhotoError):
    """The label table names a photo that is not there, or a dataset lacks a real half."""

    reason = "missing photo"


class PhotoUnreadable(PhotoError):
    """Not an image, or a damaged one."""

    reason = "unreadable image"


class PhotoTooLarge(PhotoError):
    """More pixels than the limit."""

    reason = "image too large"


class PhotoTooSmall(PhotoError):
    """Fewer pixels than anything can be measured on."""

    reason = "image too small"


class NoFaceFound(PhotoError):
    """The face detector finds no face in the photo."""

    reason = "no face found"


class FaceCutOff(PhotoError):
    """Too much of the generator's crop lies outside the photo and would have to be invented."""

    reason = "face cut off by the photo's edge"


class CheckpointFormatError(ExpectedError):
    """A file of weights is not a pSp checkpoint, is damaged, or holds code."""


class HalvesDiffer(PhotoError):
    """Two images given as a pair are of different sizes."""

    reason = "halves differ in size"


class NoLandmarks(PhotoError):
    """A fake needs the face's landmarks, and none are known."""

    reason = "no landmarks"


class FaceTurned(PhotoError):
    """The face is turned too far for this kind of fake."""

    reason = "face turned too far"


class FaceCovered(PhotoError):
    """Something else than skin covers too much of the face for this kind of fake."""

    reason = "face covered"


class FaceTooSmall(PhotoError):
    """The face is too small in its photo for this kind of fake."""

    reason = "face too small"


class NoDonor(PhotoError):
    """Nobody else of the same age, gender and race stands as this face does."""

    reason = "no donor"


class FakeImplausible(PhotoError):
    """A fake was made, and it would give itself away: its edge cannot be hidden, or its face is blurred."""

    reason = "fake implausible"


class GeneratorCodeError(ExpectedError):
    """A user's own generator cannot be loaded, raised, or changed size or type."""


class AutoencoderError(ExpectedError):
    """A folder of a latent-diffusion autoencoder lacks a file, is another class, holds code or cannot run."""


class ReferenceNotFound(ExpectedError):
    """Upstream's own pSp code, wanted for a comparison, is not checked out."""


class VoicesError(ExpectedError):
    """Clips of voices, or trials of them, are not as they should be."""


class ClipsNotFound(VoicesError):
    """No such folder or table of clips, or no clip in it."""


class ClipTableError(VoicesError):
    """A table of clips, speakers or trials lacks a column, or contradicts itself."""


class TooFewSpeakers(VoicesError):
    """Fewer speakers than trials need."""


class ClipError(ExpectedError):
    """One clip failed; `reason` is the code that goes into the table's `status`."""

    reason = "clip failed"


class ClipMissing(ClipError):
    """The table names a clip that is not there."""

    reason = "missing clip"


class ClipUnreadable(ClipError):
    """Not audio, or damaged."""

    reason = "not audio"


class ClipTooLarge(ClipError):
    """More samples, channels or bytes than the limits."""

    reason = "clip too large"


class ClipEmpty(ClipError):
    """Audio without a sample."""

    reason = "empty clip"


class ClipSilent(ClipError):
    """Nothing to hear."""

    reason = "silent clip"


class ClipDistorted(ClipError):
    """Cut off at full scale for too much of its length."""

    reason = "clipped sound"


class ClipTooShort(ClipError):
    """Shorter than the window that a verifier listens to."""

    reason = "clip too short"


class SynthesiserNotFound(ExpectedError):
    """The program that renders voices is not installed, or fails."""


class PairsError(ExpectedError):
    """The pairs dataset is not as it should be."""


class PairsNotFound(PairsError):
    """No manifest, or no provenance, where a pairs dataset is expected."""


class ManifestSchemaError(PairsError):
    """A manifest's columns or values break the contract."""


class OutputHoldsAnotherRun(PairsError):
    """The output folder holds a run with other parameters, or files of something else."""


class OutputInUse(PairsError):
    """Another process is writing to the output folder."""


class UnreadableFile(ExpectedError, ValueError):
    """A file someone gave cannot be read within the limits.

    A ValueError too: each package says in its own words what such a file means there.
    """


class StorageError(ExpectedError):
    """The output could not be written: disk full, folder gone, or not allowed."""


class PlaceError(ExpectedError):
    """An address (s3:// and the like) cannot be used: not answering, not allowed, gone, or no address."""


class SourceLost(ExpectedError):
    """The photos' folder went away in the middle of a run, or the machine cannot read for now."""


class SelectionError(ExpectedError):
    """The choice of photos asked for makes no sense."""


class SettingError(ExpectedError):
    """A setting lies outside its range, or this generator cannot follow it."""


class EngineError(ExpectedError):
    """The engine is not installed, not reachable, or its workers keep dying."""
