"""SHA256SUMS of a run folder: a line for every file that was written into it.

Enters: a run folder and the files just written. Leaves: `SHA256SUMS`, in the form `sha256sum -c` reads, and
which files differ from it.

Why a file is entered only by what wrote it: writing the report again must not vouch for a record that was
changed meanwhile. One small file stands for the whole folder, which is what `audit sign` signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from audit.errors import RunFolderError
from pipelines.errors import UnreadableFile
from pipelines.storage import file_sha256, write_text
from pipelines.untrusted import read_text

SUMS_FILE = "SHA256SUMS"


def enter(folder: Path, files: Iterable[Path], anew: bool = False) -> Path:
    """Enter files that were just written; the lines of others stay as they are.

    Args:
        folder: The run folder.
        files: In it, at any depth.
        anew: Forget the lines of an earlier run.
    """
    target = folder / SUMS_FILE
    sums = read_sums(folder) if target.is_file() and not anew else {}
    sums |= {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    return write_text(target, "".join(lines))


def read_sums(folder: Path) -> dict[str, str]:
    """Name to SHA-256.

    Raises:
        RunFolderError: no such file, or a line of it is no line of `sha256sum`.
    """
    path = folder / SUMS_FILE
    try:
        lines = read_text(path).splitlines()
    except UnreadableFile as error:
        raise RunFolderError(f"{error}; `audit run` of this version writes it") from None
    sums = {}
    for number, line in enumerate(lines, start=1):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise RunFolderError(f"{path} line {number} is damaged: it is no SHA-256 and name")
        if name in sums or Path(name).is_absolute() or ".." in Path(name).parts:
            raise RunFolderError(f"{path} line {number} is damaged: {name!r} comes twice or leads elsewhere")
        sums[name] = digest
    return sums
