"""What somebody's module imports from files of their own: what a sha256 of their code must cover.

The name of a module enters; names and files of its imports leave. The text of each file is read, nothing is
run.

Why by the text and not by what is loaded: a process that plans and one that works have different modules in
memory, and both must find the same. So an import inside a function counts, and one by a name that is made up
as the code runs does not; nor do files that are no modules, such as weights.
Why what is installed does not count: it would be read by the thousand, and it is not what one edits between
a run and its continuation. Nor do this program's own packages.
"""

import ast
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import SOURCE_SUFFIXES, all_suffixes
from pathlib import Path
from typing import Final

_OTHERS: Final = frozenset({"pipelines", "detectors", "audit", "reports", *sys.builtin_module_names})
_SUFFIXES: Final = tuple(all_suffixes())
"""Endings of files that are modules."""


def imported_files(module: str) -> dict[str, Path]:
    """The files that a module brings in from folders of the user's own, by name; itself not among them.

    Args:
        module: Its whole name. All names are looked for along Python's path.

    Raises:
        OSError: One cannot be read.
    """
    folders, installed = [Path(each).resolve() for each in sys.path], installed_folders()
    known: dict[str, tuple[Path | None, list[Path]]] = {}
    """Of each name seen: its file, and the folders of what lies below it. Neither where it is installed."""
    waiting = [module]
    while waiting:
        parts = waiting.pop().split(".")
        below = folders
        for n in range(1, len(parts) + 1):
            name = ".".join(parts[:n])
            if name not in known:
                file, inside = _located(parts[n - 1], below)
                if parts[0] in _OTHERS or (file is not None and _lies_in(file, installed)):
                    file, inside = None, []
                known[name] = file, [folder for folder in inside if not _lies_in(folder, installed)]
                if file is not None:
                    waiting += _imports(name, file)
            below = known[name][1]
    return {name: file for name, (file, _) in sorted(known.items()) if file is not None and name != module}


def installed_folders() -> list[Path]:
    """Where Python keeps its own modules and what is installed."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(kind) for kind in kinds} | {*site.getsitepackages()}
    return [Path(each).resolve() for each in sorted(folders | {site.getusersitepackages()})]


def _lies_in(place: Path, folders: Sequence[Path]) -> bool:
    return any(place.is_relative_to(folder) for folder in folders)


def _located(name: str, folders: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """A module's file and the folders of what lies below it, as Python finds them; a folder may have no file.

    >>> _located("no_such_module", [])
    (None, [])
    """
    parts = []
    for folder in folders:
        for suffix in _SUFFIXES:
            if (file := folder / name / f"__init__{suffix}").is_file():
                return file, [folder / name]
        for suffix in _SUFFIXES:
            if (file := folder / f"{name}{suffix}").is_file():
                return file, []
        if (folder / name).is_dir():
            parts.append(folder / name)
    return None, parts


def _imports(name: str, file: Path) -> Iterator[str]:
    """Whole names that a module's text imports; of `from a import b` both "a" and "a.b"."""
    if file.suffix not in SOURCE_SUFFIXES:
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # not Python, so nothing is imported through it; its bytes count
        return
    package = name if file.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
