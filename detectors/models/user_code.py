"""Somebody's own Python, imported because its name was given: `module:factory`, `path/to/file.py:factory`.

Enters: the name. Leaves: the factory.

Why the current folder is searched last: a file of one's own is found where one works, and none of them hides
a module that is installed.
Why a file has a place of its own among the loaded modules: dataclasses and others look their module up there,
and two files of one name are two modules.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from detectors.errors import ForeignDetectorError


def import_factory(name: str) -> Callable[[], Any]:
    """The function that was named.

    Args:
        name: `module:factory`, the module installed or in the current folder; or `file.py:factory`.

    Raises:
        ForeignDetectorError: No such file, module or function. What the code itself raises passes through.
    """
    place, _, attribute = name.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_name(place)
    factory = getattr(module, attribute, None)
    if not callable(factory):
        there = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise ForeignDetectorError(f"{place} has no function {attribute!r}; it has {there or 'none'}")
    return factory


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ForeignDetectorError(f"no file {path}; name one as in mydetector.py:load")
    _search(path.resolve().parent)
    name = f"{path.stem}_{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ForeignDetectorError(f"{path} is not a Python file; name one as in mydetector.py:load")
    module, earlier = importlib.util.module_from_spec(spec), sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if earlier is None:
            del sys.modules[name]
        else:
            sys.modules[name] = earlier
        raise
    return module


def _from_name(name: str) -> ModuleType:
    _search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the module itself imports
        raise ForeignDetectorError(
            f"no module {name!r} is installed or in {Path.cwd()}; for a file write {name}.py:FACTORY"
        ) from None


def _search(folder: Path) -> None:
    """Find what the code imports beside itself, after everything installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
