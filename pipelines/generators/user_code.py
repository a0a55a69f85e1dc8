"""Fakes by anybody's Python: `module:factory`, imported because its name was given.

A name and `FaceCrop`s enter; fakes leave. `factory()` gives a callable: uint8 [B,H,W,3] to uint8 [B,H,W,3].

Why everything it gives is checked: a size or type that changed would be another dataset than the manifest
says, and the fault would show up far from its cause. What it raises is told in one line with its name.
"""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from pipelines.errors import GeneratorCodeError, PhotoError
from pipelines.generators.protocol import FaceCrop, Fake
from pipelines.generators.user_imports import imported_files
from pipelines.storage import file_sha256

Make = Callable[[np.ndarray], np.ndarray]


def load_factory(name: str) -> tuple[Make, str]:
    """Import a factory, call it, and see that it gives something to call.

    Args:
        name: "module:factory".

    Returns:
        What it gave, and the sha256 of the module's source and of what it imports from the user's own files.

    Raises:
        GeneratorCodeError: no such module or factory, one that fails, or no callable.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module: Any = importlib.import_module(module_name)
        factory: Any = module
        for part in attribute.split("."):
            factory = getattr(factory, part)
        made = factory()
        source = inspect.getsource(module)
        imports = [f"{each} {file_sha256(file)}\n" for each, file in imported_files(module_name).items()]
    except (Exception, SystemExit) as fault:
        raise GeneratorCodeError(
            f"--generator {name}: {type(fault).__name__}: {fault}; give a module that Python finds "
            "(set PYTHONPATH) and a factory without arguments"
        ) from fault
    if not callable(made):
        raise GeneratorCodeError(
            f"--generator {name}: the factory gave {type(made).__name__}, not a callable"
        )
    return made, hashlib.sha256("".join([source, *imports]).encode()).hexdigest()


class UserCode:
    """A `Generator` of somebody's callable.

    Args:
        name: "module:factory".
        sha256: what `load_factory` gave when the run was planned.
        batch_size: the most images at once.

    Raises:
        GeneratorCodeError: it cannot be loaded, or its source or what it imports has changed since.
    """

    def __init__(self, name: str, sha256: str, batch_size: int) -> None:
        self.name, self.batch_size = name, batch_size
        self.make, now = load_factory(name)
        if now != sha256:
            raise GeneratorCodeError(
                f"--generator {name}: its source, or a module of yours that it imports, is not that which "
                "this run was planned with; bring that back"
            )

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for _, run in groupby(faces, key=lambda face: face.pixels.shape):
            same = list(run)
            for start in range(0, len(same), self.batch_size):
                crops = np.stack([face.pixels for face in same[start : start + self.batch_size]])
                yield [Fake(pixels) for pixels in called(self.make, crops, self.name)]


def called(make: Make, crops: np.ndarray, name: str) -> np.ndarray:
    """Call somebody's code on a batch, and check what comes back.

    Args:
        make: the callable; it gets a copy, so it cannot change the real halves.
        crops: uint8 [B,H,W,3].
        name: for messages.

    Returns:
        uint8 of the same shape.

    Raises:
        GeneratorCodeError: it raised, or gave another type, size or number of images.
    """
    try:
        made = make(crops.copy())
    except Exception as fault:
        raise GeneratorCodeError(
            f"--generator {name} raised {type(fault).__name__}: {fault}, for images {list(crops.shape)}"
        ) from fault
    if not isinstance(made, np.ndarray) or made.dtype != np.uint8 or made.shape != crops.shape:
        got = f"{made.dtype} {list(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__
        raise GeneratorCodeError(
            f"--generator {name} gave {got} for uint8 {list(crops.shape)}; it must give the same type "
            "and shape"
        )
    return made
