"""Places that are no folders: a copy on this machine stands for an object store's, file by file.

Enters: `s3://bucket/pairs` and the like. Leaves: a path on this machine that everything else uses as it uses
any path. Small files are there at once, images when they are first read (`fetch`), and what is written is
taken to the store as it is written (`push`). Paths are given through unchanged.

Why a copy and not another kind of path: a third of the work here is done by libraries that open files
themselves, the isolated child among them, and every limit on what a stranger's file may do is enforced where
files on the disk are read. So these stay as they are, for local paths at no cost: only where a file is
missing is a copy looked for. The bucket is the truth; the copy lies in the system's temporary folder and goes
with the process. An object is put whole or not at all, so a killed run leaves no half of a file; where
several files belong together the one that vouches for the others is put last (a shard's rows, a run's
`audit.json`, a data set's `provenance.json`).
Why a table can name nothing elsewhere: what it names is a path below its own copy or it is refused
(`beside`); only what a user typed becomes an address, and nothing that was read ever does.
"""

import atexit
import errno
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipelines.errors import PlaceError
from pipelines.place_urls import CONTINUE, asking, checked, filesystem, is_url, key_of

MAX_IMAGE_BYTES: Final = 200_000_000
"""Of a file that is fetched when it is first read."""
MAX_COPIED: Final = 50_000
"""Files that are fetched before any is read."""
READERS: Final = 32
"""Threads that read from a store: each waits for the network most of the time."""
_LATER: Final = frozenset({"real", "fake", "mask", "latents", "train", "val"})
"""Folders whose files a manifest or a label table names, so that none need be listed."""
_NAMES_FILES: Final = re.compile(r"manifest\.parquet|fairface_label_\w+\.csv|\.unfinished")
_OF_FILES: Final = frozenset(
    {".pt", ".onnx", ".pt2", ".safetensors", ".csv", ".tsv", ".parquet", ".json", ".xml", ".html", ".pdf"}
)
"""Endings by which an address where nothing is yet is that of a file to write."""
_BESIDE: Final = (".toml", ".training.json", ".data")
"""Endings of files that may lie beside a table or a detector and belong to it."""


@dataclass(frozen=True)
class _Copy:
    """A folder on this machine that stands for an address."""

    root: Path
    url: str
    anchor: str
    """A key that is known to be there, or nothing: what tells a missing file from a missing bucket."""


_COPIES: list[_Copy] = []
"""Of this process. A list of the module's own, for files are read in threads and by libraries' callbacks, and
a path alone must suffice to find where it comes from."""


def local(place: str | Path) -> Path:
    """The path to use for a place: a path as it is, for an address its copy on this machine.

    A file is fetched with what belongs to it; a folder's files are, but for images that a manifest or label
    table names. Where nothing is there yet the copy is not there either, and can be written.

    Raises:
        PlaceError: it is no path, or the address cannot be used, or holds too much to be copied.
        MissingExtra: its package is not installed.
    """
    if not isinstance(place, str | os.PathLike):
        raise PlaceError(f"{place!r:.80} is no path; give one as text or as a pathlib.Path")
    if not isinstance(place, str) or not is_url(place):
        return Path(place)
    url = checked(place)
    system, key = filesystem(url), key_of(url)
    with asking(url, "read"):
        kind = _kind(system, key)
    name = url.rpartition("/")[2]
    if kind == "file" or (not kind and Path(name).suffix.lower() in _OF_FILES):
        if url.count("/") < 3:
            raise PlaceError(f"{url} is a file in no folder: write {url.partition('://')[0]}://FOLDER/{name}")
        copy = _Copy(_new_folder() / "beside", url.rpartition("/")[0], key if kind else "")
        copy.root.mkdir(parents=True)
        if kind:
            _fetch_file(system, copy, name)
        _COPIES.append(copy)
        return copy.root / name
    copy = _Copy(_new_folder() / name, url, "")
    if kind == "directory":
        copy = _fetch_folder(system, copy)
    _COPIES.append(copy)
    return copy.root


def _kind(system: Any, key: str) -> str:
    """What is there: file, directory, or an empty text for nothing.

    Raises:
        FileNotFoundError: not even the bucket.
    """
    try:
        return str(system.info(key)["type"])
    except FileNotFoundError as fault:
        if "bucket does not exist" in str(fault):
            raise
        return ""


def _new_folder() -> Path:
    """A folder of this process, gone with it; its name cannot be guessed by who writes a table."""
    folder = Path(tempfile.mkdtemp(prefix="audit-place-")).resolve()
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch_file(system: Any, copy: _Copy, name: str) -> None:
    """A file, and those beside it that belong to it."""
    stem = name.rpartition(".")[0]
    with asking(f"{copy.url}/{name}", "read"):
        folder = copy.anchor.rpartition("/")[0]
        system.get_file(copy.anchor, str(copy.root / name))
        for other in (f"{stem}{_BESIDE[0]}", f"{stem}{_BESIDE[1]}", f"{name}{_BESIDE[2]}"):
            if stem and other != name and system.exists(f"{folder}/{other}"):
                system.get_file(f"{folder}/{other}", str(copy.root / other))


def _fetch_folder(system: Any, copy: _Copy) -> _Copy:
    """A folder's files, but for those that a table in it names: of these the folders alone."""
    with asking(copy.url, "read"):
        files, folders = _listed(system, copy.url)
        copy.root.mkdir(parents=True)
        for name in folders:
            (copy.root / name).mkdir(parents=True, exist_ok=True)
        _get(system, copy, files)
    return _Copy(copy.root, copy.url, next(iter(files.values()), ""))


def _get(system: Any, copy: _Copy, files: Mapping[str, str]) -> None:
    """Fetch files, many at once where the store's package can."""
    targets = [copy.root / name for name in files]
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)
    if files:
        system.get(list(files.values()), [str(target) for target in targets])


def _listed(system: Any, url: str, every: bool = False) -> tuple[dict[str, str], list[str]]:
    """Files to fetch, by name below the address, and folders whose files are fetched later.

    Args:
        system: Of the address.
        url: A folder.
        every: Leave none for later.

    Raises:
        PlaceError: too many files, or a name that no file here can have.
    """
    files: dict[str, str] = {}
    waiting, named = [""], False
    later: list[str] = []
    while waiting or (later and not named):
        if not waiting:
            waiting, later = later, []
            every = True
        below = waiting.pop()
        folder = f"{key_of(url)}/{below}".rstrip("/")
        for entry in system.ls(folder, detail=True):
            key = str(entry["name"]).rstrip("/")
            if key == folder:  # the mark that some programs put for a folder
                continue
            name = key.rpartition("/")[2]
            _require_name(url, name)
            path = f"{below}/{name}".lstrip("/")
            named = named or _NAMES_FILES.fullmatch(name) is not None
            if entry["type"] == "file":
                files[path] = str(entry["name"])
            else:
                (later if name in _LATER and not every else waiting).append(path)
        if len(files) > MAX_COPIED:
            raise PlaceError(
                f"{url} holds more than {MAX_COPIED:,} files that no manifest or label table names, so all "
                "would be copied: name a folder further down, or a table of the images"
            )
    return files, later


def _require_name(url: str, name: str) -> None:
    """Refuse an object whose name would lead out of the copy."""
    if name in (".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise PlaceError(f"{url} holds an object called {name!r}, which is no name of a file: rename it")


def _copy_of(path: str | Path) -> tuple[_Copy, str] | None:
    """The copy that a path lies in, and its name there; nothing for all others."""
    if not _COPIES:
        return None
    plain = os.path.abspath(path)  # without any ".."
    for copy in reversed(_COPIES):
        root = str(copy.root)
        if plain == root or plain.startswith(root + os.sep):
            return copy, plain[len(root) + 1 :].replace(os.sep, "/")
    return None


def is_copy(path: str | Path) -> bool:
    """Whether a path stands for a place in a store."""
    return _copy_of(path) is not None


def name_of(path: str | Path) -> str:
    """How a path is recorded: by its address where it stands for one."""
    found = _copy_of(path)
    if found is None:
        return str(path)
    copy, name = found
    return f"{copy.url}/{name}" if name else copy.url


def names_of(paths: Sequence[str]) -> list[str]:
    """`name_of` each."""
    return [name_of(path) for path in paths] if _COPIES else list(paths)


def named(text: str) -> str:
    """A text for people, the folders of copies in it replaced by the addresses they stand for."""
    for copy in _COPIES:
        text = text.replace(str(copy.root), copy.url)
    return text


def beside(table: Path, name: str) -> Path:
    """Where an image lies that a table names, from the table's folder.

    Raises:
        PlaceError: the table comes from a store and the name leads out of its folder.
    """
    path = table.parent / name
    if not _COPIES or (copy := _copy_of(table)) is None:
        return path
    inside = _copy_of(path)
    if "://" in name or "\0" in name or inside is None or inside[0] is not copy[0]:
        raise PlaceError(
            f"{name_of(table)} names {name[:80]!r}, which does not lie below it and is not followed: a table "
            "in a store names images from its own folder"
        )
    return path


def fetch(path: str | Path) -> bool:
    """Fetch a file that is missing here; False where the path stands for no place, or nothing is there.

    Raises:
        PlaceError: the store does not answer, or is gone.
        OSError: EFBIG, more than `MAX_IMAGE_BYTES`.
    """
    found = _copy_of(path)
    if found is None or not found[1]:
        return False
    if os.path.exists(path):  # another thread was faster
        return True
    copy, name = found
    url = f"{copy.url}/{name}"
    system = filesystem(url)
    try:
        with asking(url, "read"):
            data = _bounded(system, key_of(url))
    except PlaceError as fault:
        if isinstance(fault.__cause__, FileNotFoundError):
            _require_anchor(system, copy)
            return False
        raise
    if len(data) > MAX_IMAGE_BYTES:
        raise OSError(errno.EFBIG, f"more than {MAX_IMAGE_BYTES} bytes", url)
    target = copy.root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return True


def _bounded(system: Any, key: str) -> bytes:
    """The bytes of an object, at most one more than are allowed."""
    try:
        return bytes(system.cat_file(key, start=0, end=MAX_IMAGE_BYTES + 1))
    except (FileNotFoundError, PermissionError):
        raise
    except OSError:  # some stores know no part of nothing
        if system.info(key)["size"] != 0:
            raise
        return b""


def _require_anchor(system: Any, copy: _Copy) -> None:
    """See whether it is one file that is missing, or all of the place."""
    if not copy.anchor:
        return
    with asking(copy.url, "read"):
        if not system.exists(copy.anchor):
            raise PlaceError(f"{copy.url} went away in the middle of the run: bring it back; {CONTINUE}")


def complete(folder: Path) -> None:
    """Fetch all files below a folder that are missing here; nothing where it stands for no place."""
    found = _copy_of(folder)
    if found is None:
        return
    copy, name = found
    url = f"{copy.url}/{name}" if name else copy.url
    system = filesystem(url)
    with asking(url, "read"):
        if _kind(system, key_of(url)) != "directory":
            return
        files = {
            f"{name}/{below}".lstrip("/"): key for below, key in _listed(system, url, every=True)[0].items()
        }
        _get(system, copy, {name: key for name, key in files.items() if not (copy.root / name).exists()})


def push(*paths: Path) -> None:
    """Take finished files to the store they stand in; nothing for all others, and for unfinished folders.

    Raises:
        PlaceError: the store does not answer, or does not allow it.
    """
    if _COPIES:
        push_as([(path, path) for path in paths])


def push_as(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Take files to the store under the names of other paths.

    Args:
        pairs: Of each file where it lies, and the path that it stands for.

    Raises:
        PlaceError: the store does not answer, or does not allow it.
    """
    by_url: dict[str, tuple[list[str], list[str]]] = {}
    for source, path in pairs:
        found = _copy_of(path)
        if found is not None and not any(part.endswith(".tmp") for part in found[1].split("/")):
            sources, keys = by_url.setdefault(found[0].url, ([], []))
            sources.append(str(source))
            keys.append(key_of(f"{found[0].url}/{found[1]}"))
    for url, (sources, keys) in by_url.items():
        with asking(url, "written"):
            system = filesystem(url)
            system.put(sources, keys) if len(keys) > 1 else system.put_file(sources[0], keys[0])


def remove(path: Path) -> None:
    """Remove a file or folder from the store it stands in; one that is gone, or cannot be removed, is left.

    Why a fault is no error: what is removed is work that is finished with, and the next run removes it again.
    """
    found = _copy_of(path) if _COPIES else None
    if found is None or not found[1] or path.name.endswith(".tmp"):
        return
    url = f"{found[0].url}/{found[1]}"
    with suppress(PlaceError), asking(url, "removed"):
        filesystem(url).rm(key_of(url), recursive=True)


def require_writable(path: Path) -> None:
    """Before any work: see that something can be written where a path stands; nothing for local paths.

    Raises:
        PlaceError: it cannot.
    """
    found = _copy_of(path)
    if found is None:
        return
    probe = f"{found[0].url}/.audit-can-write"
    system = filesystem(probe)
    with asking(name_of(path), "written"):
        system.pipe_file(key_of(probe), b"")
    with suppress(PlaceError), asking(probe, "removed"):  # a store that keeps everything is a good one
        system.rm_file(key_of(probe))


def attached() -> list[list[str]]:
    """The copies of this process, in plain values for another one: see `attach`."""
    return [[str(copy.root), copy.url, copy.anchor] for copy in _COPIES]


def attach(copies: Sequence[Sequence[str]]) -> None:
    """In a worker, on whatever machine: let paths stand for what they do where `attached` was called."""
    known = {(str(copy.root), copy.url) for copy in _COPIES}
    for root, url, anchor in copies:
        if (root, url) not in known:
            _COPIES.append(_Copy(Path(root), url, anchor))


def installed() -> Iterator[tuple[str, str]]:
    """Each scheme, and what it lacks: "" where it can be used."""
    from importlib.util import find_spec

    from pipelines.place_urls import PACKAGES

    for scheme, (module, _) in PACKAGES.items():
        yield scheme, "" if find_spec("fsspec") and find_spec(module) else module.replace("_", "-")
