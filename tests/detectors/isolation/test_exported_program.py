"""`.pt2` files that want more than a network are named before torch looks at them."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import CheckpointFormatError
from detectors.isolation.exported_program import check_exported, is_arithmetic
from detectors.isolation.opening import EXPORTED
from detectors.isolation.zip_archives import Refused


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    """A copy of an archive with entries changed, given by the end of their name; `added` gives more."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            change = next((c for end, c in changes.items() if name.endswith(end)), None)
            new.writestr(name, old.read(name) if change is None else change(old.read(name)))
        for name, content in changes.get("added", {}).items():
            new.writestr(f"{root}/{name}", content)
    return target


def program(change: Callable[[Any], None]) -> dict[str, Callable[[bytes], bytes]]:
    """Changes the program of an exported network as JSON."""

    def apply(data: bytes) -> bytes:
        found = json.loads(data)
        change(found)
        return json.dumps(found).encode()

    return {"models/model.json": apply}


def set_spec(key: str, kind: str, context: str = "null") -> Callable[[Any], None]:
    def change(found: Any) -> None:
        spec = json.dumps([1, {"type": kind, "context": context, "children_spec": []}])
        found["graph_module"]["module_call_graph"][0]["signature"][key] = spec

    return change


def set_target(found: Any) -> None:
    found["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def set_shape(expression: str) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        sizes = found["graph_module"]["graph"]["tensor_values"]["batch"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = expression

    return change


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


ATTACKS = {
    "operator": (program(set_target), "the operator 'torch.os.system'"),
    "imported type": (
        program(set_spec("in_spec", "antigravity.anything")),
        "the type 'antigravity.anything'",
    ),
    "imported type of outputs": (program(set_spec("out_spec", "this.s")), "the type 'this.s' in 'out_spec'"),
    "imported enum": (
        program(
            set_spec("in_spec", "builtins.dict", '[{"__enum__": true, "fqn": "antigravity:x", "name": "y"}]')
        ),
        "the context ",
    ),
    "tower of powers": (program(set_shape("9**9**9**9")), r"the shape expression '9\*\*9\*\*9\*\*9'"),
    "tower of calls": (program(set_shape("Pow(9, Pow(9, Pow(9, 9)))")), "the shape expression"),
    "call": (program(set_shape("__import__('os').mkdir('x')")), "the shape expression"),
    "not JSON": ({"models/model.json": lambda _: b"{"}, "is not JSON"),
    "deep JSON": ({"models/model.json": lambda _: b"[" * 200_000}, "is not JSON"),
    "pickled weights": (
        {
            "weights_config.json": lambda d: d + b" ",
            "added": {"data/weights/x_config.json": '{"use_pickle": true}'},
        },
        "pickled values",
    ),
    "object for weights": (
        {"added": {"data/weights/x_config.json": '{"path_name": "opaque_obj_0"}'}},
        "an object",
    ),
    "library": ({"added": {"data/aotinductor/model/a.so": b"x"}}, "an entry 'data/aotinductor/model/a.so'"),
    "custom object": (
        {"added": {"data/constants/custom_obj_0": b"x"}},
        "an entry 'data/constants/custom_obj_0'",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_more_than_a_network_is_named(exported_file, tmp_path, name):
    changes, message = ATTACKS[name]
    with pytest.raises(Refused, match=message):
        check_exported(rewritten(exported_file, tmp_path / "evil.pt2", **changes))


def test_honest_programs_pass(exported_file):
    check_exported(exported_file)


def test_pickles_in_sample_inputs_are_refused_and_not_run(exported_file, tmp_path):
    evil = saved({"x": _Bomb(tmp_path / "pwned")})
    path = rewritten(exported_file, tmp_path / "evil.pt2", **{"sample_inputs/model.pt": lambda _: evil})
    with pytest.raises(Refused, match=r"more than plain tensors in 'data/sample_inputs/model.pt'"):
        check_exported(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_the_isolated_process_looks_before_it_loads(isolated, exported_file):
    model, batch = isolated(), torch.rand(3, 3, 8, 8)
    wanted = batch.mean((2, 3)) @ torch.tensor([[0.5], [0.3], [0.2]])
    honest = isolated.shelf / "honest.pt2"
    honest.write_bytes(exported_file.read_bytes())
    assert model.open(EXPORTED, honest) == [None, 3, 8, 8]
    torch.testing.assert_close(model.run(batch), wanted.double(), atol=1e-6, rtol=0)
    evil = rewritten(exported_file, isolated.shelf / "evil.pt2", **ATTACKS["imported type"][0])
    with pytest.raises(
        CheckpointFormatError, match=rf"{evil}: holds the type 'antigravity.anything' in 'in_spec'"
    ):
        model.open(EXPORTED, evil)


def numbers() -> st.SearchStrategy[str]:
    leaf = st.one_of(
        st.integers(-1000, 1000).map(lambda n: f"Integer({n})"),
        st.sampled_from(
            ["Symbol('s0', positive=True, integer=True)", "s12", "Pow(Symbol('s7'), Integer(2))"]
        ),
    )
    return st.recursive(
        leaf,
        lambda inner: st.tuples(st.sampled_from(["Add", "Mul", "FloorDiv", "Max", "Mod"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
        max_leaves=8,
    )


@given(numbers())
def test_arithmetic_on_sizes_passes(expression):
    assert is_arithmetic(expression)


@given(
    numbers(), st.sampled_from(["{}**9", "eval({})", "({}).__class__", "[{}][0]", "lambda: {}", "f'{{{}}}'"])
)
def test_anything_else_does_not(expression, wrapping):
    assert not is_arithmetic(wrapping.format(expression))


@given(st.text(max_size=60))
def test_any_text_is_answered(text):
    assert is_arithmetic(text) in (True, False)
