"""Look into a torch.export archive (`.pt2`) before torch does, and refuse what is more than a network.

Enters: a path. Leaves: nothing, or `Refused`. Runs in the isolated process, before the file is loaded.

Why here, although the process can do no harm: `torch.export.load` unpickles constants, loads compiled
libraries, imports the types its tree specifications name, evaluates shape expressions with sympy and
resolves operators by name. What an honestly exported network needs of that is little, is listed here, and a
file that wants more is better named than left to fail.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detectors.isolation.zip_archives import Refused, holds, read_entries

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
_FUNCTIONS = (
    "Symbol", "Integer", "Rational", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv",
    "IntTrueDiv", "ModularIndexing", "Mul", "Add", "Eq", "Ne", "And", "Or", "Not", "Equality", "Unequality",
    "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", "floor", "ceiling", "true", "false",
)  # fmt: skip
_SYMBOL = re.compile(r"[suz][a-z]?\d{1,9}")
_MAX_EXPRESSION = 4000
_MAX_INTEGER = 1 << 62
_MAX_POWER = 8
_TREE_TYPES = (
    None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict",
    "torch.fx.immutable_collections.immutable_list", "torch.fx.immutable_collections.immutable_dict",
)  # fmt: skip


def check_exported(path: Path) -> None:
    """Refuse a `.pt2` archive that holds anything but weights and a graph of plain tensor operators.

    Raises:
        Refused: naming what was found; TooLarge for a decompression bomb.
    """
    for name, archive, full in read_entries(path):
        if _PROGRAM.fullmatch(name):
            _check_program(_json(name, archive.read(full)))
        elif _CONFIG.fullmatch(name):
            _check_config(name, _json(name, archive.read(full)))
        elif _SAMPLES.fullmatch(name):
            _check_samples(name, archive.read(full))
        elif not _HARMLESS.fullmatch(name):
            raise holds(f"an entry {name!r}, which no plain network needs")


def _json(name: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(f"{name} is not JSON") from None


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_program(program: Any) -> None:
    """Only tensor operators, only arithmetic on shapes, only containers of Python."""
    for key, value in _walk(program):
        if key == "target" and isinstance(value, str):
            if not _OPERATOR.fullmatch(value) or _FILE_OPERATOR.search(value):
                raise holds(f"the operator {value!r}")
        elif key == "expr_str" and not is_arithmetic(value):
            raise holds(f"the shape expression {str(value)[:60]!r}")
        elif key.endswith("_spec") and isinstance(value, str):
            _check_tree(key, value)


def _check_tree(key: str, text: str) -> None:
    """A tree specification names types to import; only Python's own containers are needed."""
    for inner, value in _walk(_json(key, text.encode())):
        if inner == "type" and value not in _TREE_TYPES:
            raise holds(f"the type {str(value)[:80]!r} in {key!r}")
        if inner == "context" and value is not None and not _is_plain_context(value):
            raise holds(f"the context {str(value)[:80]!r} in {key!r}")


def _is_plain_context(text: Any) -> bool:
    """Null, or names of keys: what tuples, lists and dictionaries need."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return False
    return value is None or (isinstance(value, list) and all(isinstance(name, str | int) for name in value))


def is_arithmetic(expression: Any) -> bool:
    """Whether a shape expression names symbols and arithmetic functions, and is quick to evaluate.

    >>> is_arithmetic("Mul(Integer(2), Symbol('s0', positive=True, integer=True))")
    True
    >>> is_arithmetic("9**9**9**9"), is_arithmetic("Pow(Integer(9), Integer(9))"), is_arithmetic("open('x')")
    (False, False, False)
    """
    if not isinstance(expression, str) or len(expression) > _MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_step(node) for node in ast.walk(tree))


_STEPS = (
    ast.Expression, ast.Load, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div, ast.Mod,
    ast.UnaryOp, ast.USub, ast.UAdd, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.BitAnd, ast.BitOr, ast.Invert, ast.keyword,
)  # fmt: skip


def _is_step(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and (node.func.id in _FUNCTIONS or _is_small_power(node))
    if isinstance(node, ast.Name):
        return bool(
            node.id in _FUNCTIONS or node.id in ("Pow", "True", "False") or _SYMBOL.fullmatch(node.id)
        )
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return bool(_SYMBOL.fullmatch(node.value))
        return isinstance(node.value, int) and abs(node.value) < _MAX_INTEGER
    return isinstance(node, _STEPS)


def _is_small_power(node: ast.Call) -> bool:
    """`Pow(symbol, small number)`: a symbol stays one, whereas a tower of numbers is never finished."""
    if not (isinstance(node.func, ast.Name) and node.func.id == "Pow" and len(node.args) == 2):
        return False
    base, exponent = node.args
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:
        exponent = exponent.args[0]  # Integer(2)
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    named = isinstance(base, ast.Call) and isinstance(base.func, ast.Name) and base.func.id == "Symbol"
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    return (named or isinstance(base, ast.Name)) and isinstance(value, int) and abs(value) <= _MAX_POWER


def _check_config(name: str, config: Any) -> None:
    """Weights and constants as raw bytes of tensors, never as pickles."""
    for key, value in _walk(config):
        if key == "use_pickle" and value is not False:
            raise holds(f"pickled values in {name!r}")
        if key == "path_name" and not re.fullmatch(r"(weight|tensor)_\d+", str(value)):
            raise holds(f"an object {value!r} in {name!r}")


def _check_samples(name: str, data: bytes) -> None:
    """Sample inputs must load as plain tensors; torch would fall back to running what they hold."""
    import torch

    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # whatever a hostile file makes the unpickler raise, the file is at fault
        raise holds(f"more than plain tensors in {name!r}") from None
