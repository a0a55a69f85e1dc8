"""Look into a zip archive of torch before anything unpacks it.

Enters: a path. Leaves: what kind of archive it is, or `Refused`. Only the table of contents is read, with
the standard library, so this may run in the program's own process.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 4 << 30
"""The largest network of the zoo weighs 0.6 GiB; 4 GiB leaves room for timm's giants."""
MAX_PICKLE_BYTES = 64 << 20
"""The pickle of a checkpoint holds names and provenance only; a million source names fit."""
MAX_CODE_BYTES = 64 << 20
"""TorchScript and torch.export compress their code; this much is plenty."""


class Refused(Exception):
    """The file holds what no plain network needs; nothing of it was run. The message lacks the path."""


class TooLarge(Refused):
    """It unpacks to more than any network here weighs."""


def is_torchscript(path: Path) -> bool:
    """Whether a zip archive holds TorchScript; torch ignores the case of names in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.lower() for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return any("/code/" in name or name.endswith("/constants.pkl") for name in names)


def check_size(path: Path, max_unpacked: int = 0) -> None:
    """Refuse a file whose table of contents promises more than the file holds.

    Args:
        path: A zip archive.
        max_unpacked: Bytes that compressed entries may unpack to; torch.save compresses nothing.

    Raises:
        TooLarge: a decompression bomb.
        Refused: not a zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f"not a checkpoint, or a truncated one ({type(error).__name__})") from None
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES:
        raise TooLarge(f"would unpack to {total / 2**30:.1f} GiB; refused unopened")
    stored = sum(entry.file_size for entry in entries if entry.compress_type == zipfile.ZIP_STORED)
    if stored > path.stat().st_size or total - stored > max_unpacked:
        raise TooLarge(
            f"would unpack to {total:,} bytes from {path.stat().st_size:,}: "
            "compressed like a zip bomb, not as torch.save writes; refused unopened"
        )
    if any(e.filename.lower().endswith("data.pkl") and e.file_size > MAX_PICKLE_BYTES for e in entries):
        raise TooLarge("its table of values is over 64 MiB; refused unopened")


def read_entries(path: Path) -> Iterator[tuple[str, zipfile.ZipFile, str]]:
    """Every entry of an archive: its name without the archive's own folder, the archive, its full name.

    Raises:
        TooLarge: a decompression bomb.
        Refused: damaged, or an entry that is there twice.
    """
    check_size(path, MAX_CODE_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len({name.lower() for name in names}) != len(names):
                raise holds("an entry that is there twice")
            for name in names:
                yield name.partition("/")[2] or name, archive, name
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise Refused(f"a damaged archive ({error})") from None


def holds(what: str) -> Refused:
    """The error that names what was found."""
    return Refused(f"holds {what}; refused, nothing of it was run")
