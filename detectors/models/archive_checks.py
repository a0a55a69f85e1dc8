"""Look into foreign archives of torch before torch does, and refuse what could run as code.

Enters: the path of a `.pt2` (torch.export) or TorchScript archive. Leaves: nothing, or an error that names
what was found.

Why here: `torch.export.load` unpickles opaque constants, falls back to full unpickling for sample inputs,
loads compiled libraries, evaluates shape expressions as Python, and resolves operators by name from the whole
of `torch`. Each is a way for a file to run code. What an honestly exported network needs is little, so this
module lists that and refuses the rest. TorchScript runs in an interpreter of its own, which has operators
that write files; those are refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from detectors.errors import CheckpointFormatError
from detectors.models.checkpoint import check_archive

MAX_CODE_BYTES = 64 << 20
"""TorchScript stores its code compressed; this much is plenty."""
_HARMLESS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|extra/.*|\.format_version"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_PROGRAM = re.compile(r"models/\w+\.json")
_CONFIG = re.compile(r"data/(weights|constants)/\w+_config\.json")
_SAMPLES = re.compile(r"data/sample_inputs/\w+\.pt")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|torch\.sym_\w+|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg"
    r"|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
_FILE_OPERATOR = re.compile(r"\b(from_file|save|load)\b")
_WORDS = re.compile(
    "Symbol|True|False|positive|negative|nonnegative|integer|real|Integer|Max|Min|Mod|PythonMod|FloorDiv"
    "|CeilDiv|CleanDiv|IntTrueDiv|ModularIndexing|Pow|Mul|Add|Eq|Ne|And|Or|Not|floor|ceiling"
)
_SYMBOL = re.compile(r"[suz][a-z]?\d+")
_CLASS_NAME = re.compile(r"\b__torch__(?:\.\w+)+")
"""Modules defined in the archive itself, such as `__torch__.torchvision.ops.misc.SqueezeExcitation`."""
_TORCHSCRIPT_CALL = re.compile(r"\bops\.(\w+)\.(\w+)|\btorch\.(from_file|save|load)\b")


def is_torchscript(path: Path) -> bool:
    """Whether a zip archive holds TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def check_exported(path: Path) -> None:
    """Refuse a `.pt2` archive that holds anything but weights and a graph of plain tensor operators.

    Raises:
        CheckpointFormatError: naming what was found.
        CheckpointTooLarge: a decompression bomb.
    """
    for name, data in _entries(path):
        if _PROGRAM.fullmatch(name):
            _check_program(path, _json(path, name, data))
        elif _CONFIG.fullmatch(name):
            _check_config(path, name, _json(path, name, data))
        elif _SAMPLES.fullmatch(name):
            _check_samples(path, name, data)
        elif not _HARMLESS.fullmatch(name):
            raise _refused(path, f"an entry {name!r}, which no plain network needs")


def check_torchscript(path: Path) -> None:
    """Refuse a TorchScript archive whose code reads or writes files or calls operators from elsewhere.

    Raises:
        CheckpointFormatError: naming the operator.
        CheckpointTooLarge: a decompression bomb.
    """
    for name, data in _entries(path):
        if name.startswith("code/") and name.endswith(".py"):
            text = _CLASS_NAME.sub("", data.decode("utf-8", "replace"))
            for found in _TORCHSCRIPT_CALL.finditer(text):
                namespace, operator, file_operator = found.groups()
                if file_operator or namespace not in ("aten", "prim") or _FILE_OPERATOR.search(operator):
                    raise _refused(path, f"the operator {found.group(0)!r}")


def _refused(path: Path, what: str) -> CheckpointFormatError:
    return CheckpointFormatError(f"{path}: holds {what}; refused, nothing of it was run")


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names (without the archive's own folder) and contents; weights are not read."""
    check_archive(path, max_unpacked=MAX_CODE_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise _refused(path, "an entry that is there twice")
            for name in names:
                inner = name.partition("/")[2] or name
                plain = _HARMLESS.fullmatch(inner) or (inner.startswith("data/") and inner.count(".") == 0)
                yield inner, b"" if plain else archive.read(name)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise CheckpointFormatError(f"{path}: a damaged archive ({error})") from None


def _json(path: Path, name: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise CheckpointFormatError(f"{path}: {name} is not JSON") from None


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _check_program(path: Path, program: Any) -> None:
    """Only tensor operators, only arithmetic on shapes."""
    for key, value in _walk(program):
        if key == "target" and isinstance(value, str):
            if not _OPERATOR.fullmatch(value) or _FILE_OPERATOR.search(value):
                raise _refused(path, f"the operator {value!r}")
        elif key == "expr_str" and not _is_arithmetic(value):
            raise _refused(path, f"the shape expression {str(value)[:60]!r}")


def _is_arithmetic(expression: Any) -> bool:
    """Whether a shape expression names symbols and arithmetic functions and nothing else."""
    if not isinstance(expression, str) or re.search(r"[^\w\s+\-*/(),'<>=&|~]|__", expression):
        return False
    words = re.findall(r"[A-Za-z_]\w*", expression)
    return all(_WORDS.fullmatch(word) or _SYMBOL.fullmatch(word) for word in words)


def _check_config(path: Path, name: str, config: Any) -> None:
    """Weights and constants as raw bytes of tensors, never as pickles."""
    for key, value in _walk(config):
        if key == "use_pickle" and value is not False:
            raise _refused(path, f"pickled values in {name!r}")
        if key == "path_name" and not re.fullmatch(r"(weight|tensor)_\d+", str(value)):
            raise _refused(path, f"an object {value!r} in {name!r}")


def _check_samples(path: Path, name: str, data: bytes) -> None:
    """Sample inputs must load as plain tensors; torch would fall back to running what they hold."""
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # whatever a hostile file makes the unpickler raise, the file is at fault
        raise _refused(path, f"more than plain tensors in {name!r}") from None
