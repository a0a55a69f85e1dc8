"""Weights outside an ONNX file: found wherever they are named, opened only beside it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.external_data_helper import _get_all_tensors, uses_external_data

from detectors.isolation import onnx_data
from detectors.isolation.onnx_data import external_files
from detectors.isolation.zip_archives import Refused


def outside(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def inside(name: str) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [4], np.ones(4, np.float32).tobytes(), raw=True)


def branch(*tensors: TensorProto) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4])
    return helper.make_graph(
        [helper.make_node("Identity", [tensors[0].name], ["out"])], "branch", [], [output], tensors
    )


def model(*tensors: TensorProto, nodes: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    given_ = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, [4])
    graph = helper.make_graph(
        nodes or [helper.make_node("Identity", ["a"], ["score"])], "g", [given_], [output], tensors
    )
    return helper.make_model(graph)


def written(folder: Path, found: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(found.SerializeToString())
    return path


def test_files_beside_the_model_are_found_wherever_a_tensor_may_stand(tmp_path):
    names = [f"w{i}.bin" for i in range(7)]
    for name in names:
        (tmp_path / name).write_bytes(bytes(16))
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.append(helper.make_attribute("value", outside("c", names[1])))
    several = onnx.AttributeProto(
        name="many", type=onnx.AttributeProto.TENSORS, tensors=[outside("d", names[2])]
    )
    constant.attribute.append(several)
    choice = helper.make_node(
        "If", ["a"], ["score"], then_branch=branch(outside("e", names[3])), else_branch=branch(inside("f"))
    )
    found = model(outside("a", names[0]), inside("b"), nodes=[constant, choice])
    found.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=outside("s", names[4]), indices=outside("i", names[5]), dims=[4])
    )
    found.functions.append(
        helper.make_function("own", "f", ["x"], ["y"], [constant], [helper.make_opsetid("", 18)])
    )
    found.training_info.add().initialization.CopyFrom(branch(outside("t", names[6])))
    assert external_files(written(tmp_path, found)) == [tmp_path / name for name in names]


def test_a_model_with_all_weights_inside_has_none(tmp_path):
    assert external_files(written(tmp_path, model(inside("a")))) == []


@pytest.mark.parametrize(
    "location",
    ["../../etc/passwd", "/etc/passwd", "sub/w.bin", "..", ".", "", "*/_ORT_MEM_ADDR_/*", "_ORT_MEM_ADDR_",
     "a\\w.bin", "C:w.bin", "w.bin\0", "\u202ew.bin", "w\n.bin"],
)  # fmt: skip
def test_any_other_place_is_refused(tmp_path, location):
    with pytest.raises(
        Refused, match=r"external data at .*: only a plain file name beside the model is opened"
    ):
        external_files(written(tmp_path, model(inside("b"), outside("a", location))))


def test_links_folders_and_missing_files_are_refused(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("link", "'link' is a symbolic link: put the file itself beside the model"),
        ("folder", "'folder' is no plain file"),
        ("pipe", "'pipe' is no plain file"),
        ("absent", "'absent' is missing beside it"),
    ):
        with pytest.raises(Refused, match=message):
            external_files(written(tmp_path, model(outside("a", name))))


def test_a_location_counts_although_the_tensor_says_it_is_inside(tmp_path):
    tensor = outside("a", "../secret")
    tensor.data_location = TensorProto.DEFAULT
    with pytest.raises(Refused, match=r"'\.\./secret'"):
        external_files(written(tmp_path, model(tensor)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"\x0b\x0b", "not ONNX, or damaged"),
        (b"\x3a\xff\xff\xff\xff\x0f", "not ONNX, or truncated"),
        (b"\xff" * 30, "not ONNX, or damaged"),
        (b"\x80" * 3, "not ONNX, or truncated"),
    ],
)
def test_what_is_not_onnx_is_refused(tmp_path, data, message):
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(Refused, match=message):
        external_files(tmp_path / "model.onnx")


def test_depth_and_number_of_parts_have_limits(tmp_path, monkeypatch):
    graph = branch(inside("a"))
    for _ in range(30):
        node = helper.make_node("If", ["a"], ["score"], then_branch=graph)
        graph = helper.make_graph([node], "g", [], [], [inside("a")])
    found = model(inside("a"))
    found.graph.CopyFrom(graph)
    with pytest.raises(Refused, match="graphs nested too deeply"):
        external_files(written(tmp_path, found))
    monkeypatch.setattr(onnx_data, "MAX_FIELDS", 5)
    with pytest.raises(Refused, match="more parts than any network has"):
        external_files(written(tmp_path, model(inside("a"))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_never_hides_what_onnx_finds_in_it(tmp_path, data):
    whole = bytearray(model(inside("b"), outside("a", "weights.bin")).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "model.onnx").write_bytes(whole)
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    try:
        parsed = onnx.ModelProto.FromString(bytes(whole))
    except Exception:  # protobuf's own; what it cannot read, nobody loads
        return
    named = {
        e.value
        for t in _get_all_tensors(parsed)
        if uses_external_data(t)
        for e in t.external_data
        if e.key == "location"
    }
    try:
        found = {path.name for path in external_files(tmp_path / "model.onnx")}
    except Refused:
        return
    assert named <= found
