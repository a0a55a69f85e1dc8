"""What a pickle of weights may name, looked at before torch reads it.

Enters: a file of `torch.save`. Leaves: nothing, or `GrowingPickle`.

Why this is needed beside `weights_only=True`: of the few names that torch allows, two make memory from a
number or grow what they are given, so that a file of a kilobyte asks for all there is. No weights need them.
"""

import io
import pickletools
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

_GROW: Final = {"bytearray", "encode"}
_OTHER_CALLS: Final = {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"}
"""Ways of naming something that torch.save does not write, and torch does not read."""
_LEGACY_PICKLES: Final = 5
"""Before its storages a file of the old form has: a magic number, a version, the system, the values, keys."""
_MAX_BYTES: Final = 64 << 20
"""Of a pickle: as much as `detectors.isolation.zip_archives` allows, which loads nothing of this package."""


class GrowingPickle(Exception):
    """It names what makes memory out of nothing; the message lacks the path."""


def refuse_growing(path: Path) -> None:
    """Look through the pickles of a file.

    Raises:
        GrowingPickle: one names `bytearray` or `encode`, or something in a way that torch.save does not.
        OSError, ValueError, zipfile.BadZipFile: damaged, as torch will say too.
    """
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":  # as torch tells one form from the other
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    if entry.filename.lower().endswith(".pkl"):
                        if entry.file_size > _MAX_BYTES:
                            raise GrowingPickle("its table of values is over 64 MiB; refused unopened")
                        _look_through(io.BytesIO(archive.read(entry)))
            return
        file.seek(0)
        for _ in range(_LEGACY_PICKLES):
            if file.peek(1):
                _look_through(file)


def _look_through(file: BinaryIO) -> None:
    """Read one pickle to its end."""
    for code, value, _ in pickletools.genops(file):
        name = str(value).rpartition(" ")[2] if code.name == "GLOBAL" else ""
        if code.name in _OTHER_CALLS:
            raise GrowingPickle("calls something in a way that torch.save does not; nothing in it was run")
        if name.rpartition(".")[2] in _GROW:
            raise GrowingPickle(f"names {name}, which no weights need; refused, nothing in it was run")
