"""Foreign model files: isolated unless trusted by their hash, which covers all that belongs to them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from detectors.errors import (
    CheckpointFormatError,
    DetectorDied,
    ForeignDetectorError,
    IsolationUnavailable,
    NotTrusted,
)
from detectors.explanation.methods import explain
from detectors.isolation import child
from detectors.models import foreign_files
from detectors.models.foreign_files import look_at
from detectors.models.loading import load_detector, load_detectors

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
OPTIONS = {"size_px": 8, "mean": [0, 0, 0], "std": [1, 1, 1], "output": "probability"}
BATCH = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(4))


class Means(torch.nn.Module):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((1, 2, 3))


@pytest.fixture
def script(tmp_path):
    torch.jit.script(Means()).save(str(tmp_path / "means.pt"))
    return tmp_path / "means.pt"


def onnx_with_data(folder: Path, location: str, weights: bytes = np.ones(3, np.float32).tobytes()) -> Path:
    """The weighted mean of the channels; its three weights lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])
    nodes = [
        helper.make_node("Mul", ["image", "w"], ["weighted"]),
        helper.make_node("ReduceMean", ["weighted"], ["score"], axes=[1, 2, 3], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "g", [image], [score], [tensor])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "outside.onnx").write_bytes(made.SerializeToString())
    if "/" not in location:
        (folder / location).write_bytes(weights)
    return folder / "outside.onnx"


def no_isolation(monkeypatch):
    monkeypatch.setattr(child, "why_unavailable", lambda: "this kernel has no Landlock")


def test_where_nothing_isolates_a_file_is_refused_with_the_hash_to_trust_it_by(monkeypatch, script):
    no_isolation(monkeypatch)
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()
    message = (
        r"means\.pt is a torchscript file, which runs in an isolated process alone, and this kernel has "
    )
    with pytest.raises(IsolationUnavailable, match=rf"{message}no Landlock; .* --trust {sha256}$"):
        load_detector(script, options=OPTIONS)


def test_a_trusted_file_runs_here_and_gives_gradients(monkeypatch, script):
    no_isolation(monkeypatch)
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()
    detector = load_detector(script, options=OPTIONS, trust=sha256.upper() + "\n")
    assert detector.provenance["isolated"] is False and detector.sha256 == sha256
    torch.testing.assert_close(detector.score(BATCH), BATCH.mean((1, 2, 3)).double(), atol=1e-6, rtol=0)
    assert explain(detector, BATCH[0], "saliency").map.shape == (8, 8)


def test_another_hash_is_an_error_even_where_isolation_would_do(monkeypatch, script):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was opened"))
    monkeypatch.setattr(foreign_files, "IsolatedModel", lambda *_: pytest.fail("it was opened"))
    for trust in ("0" * 64, "", "sha"):
        with pytest.raises(NotTrusted, match=r"means\.pt has the SHA-256 [0-9a-f]{64}, not the trusted"):
            load_detector(script, options=OPTIONS, trust=trust)
    with pytest.raises(NotTrusted, match="os:getcwd is Python that you named"):
        load_detector("os:getcwd", trust="0" * 64)


def test_of_several_files_those_with_a_trusted_hash_run_here(monkeypatch, script, tmp_path):
    no_isolation(monkeypatch)
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "means.toml").write_text("size_px = 8\n")
    [detector] = load_detectors([script], trust=[sha256.upper()])
    assert detector.provenance["isolated"] is False
    assert load_detectors([detector]) == [detector]
    with pytest.raises(NotTrusted, match="--trust 00: none of the detector files has this SHA-256"):
        load_detectors([script, detector, "os:getcwd"], trust=[sha256, "00"])


@pytest.mark.slow
def test_an_isolated_file_scores_and_is_not_explained(script):
    detector = load_detector(script, options=OPTIONS)
    assert detector.provenance["isolated"] is True
    torch.testing.assert_close(detector.score(BATCH), BATCH.mean((1, 2, 3)).double(), atol=1e-6, rtol=0)
    with pytest.raises(ForeignDetectorError, match=r"means is torchscript, which .*gives no gradients"):
        explain(detector, BATCH[0], "saliency")


def test_weights_beside_an_onnx_file_are_read_and_are_part_of_its_hash(tmp_path):
    path = onnx_with_data(tmp_path, "weights.bin", np.array([1, 2, 3], np.float32).tobytes())
    detector = load_detector(path, options=OPTIONS)
    weights = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(
        detector.score(BATCH), (BATCH * weights).mean((1, 2, 3)).double(), atol=1e-6, rtol=0
    )
    lines = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, tmp_path / "weights.bin")]
    assert detector.sha256 == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    (tmp_path / "weights.bin").write_bytes(np.array([1, 2, 4], np.float32).tobytes())
    assert look_at(path, "onnx").sha256 != detector.sha256


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"])
def test_weights_anywhere_else_are_refused_before_onnxruntime_sees_the_file(tmp_path, location):
    path = onnx_with_data(tmp_path, location)
    with pytest.raises(CheckpointFormatError, match=r"outside\.onnx: external data at .*: only a plain file"):
        load_detector(path, options=OPTIONS)


def test_a_file_that_changes_while_it_is_loaded_is_an_error(monkeypatch, tmp_path):
    path = onnx_with_data(tmp_path, "weights.bin")
    opened = child.IsolatedModel.open

    def change(model, kind, file):
        (tmp_path / "weights.bin").write_bytes(bytes(12))
        return opened(model, kind, file)

    monkeypatch.setattr(child.IsolatedModel, "open", change)
    with pytest.raises(ForeignDetectorError, match="was changed while it was being loaded: try again"):
        load_detector(path, options=OPTIONS)


def test_sizes_no_detector_has_are_refused(tmp_path):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1 << 19, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["score"])], "g", [image], [image])
    graph.output[0].name = "score"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, tmp_path / "a.onnx")
    with pytest.raises(ForeignDetectorError, match="takes 524,288 images; more than 4,096 are not supported"):
        load_detector(tmp_path / "a.onnx", options=OPTIONS)


def test_a_process_that_dies_while_scoring_is_an_error_and_no_score(tmp_path):
    detector = load_detector(onnx_with_data(tmp_path, "weights.bin"), options=OPTIONS)
    [model] = [
        cell.cell_contents.__self__
        for cell in detector.network.__closure__
        if hasattr(cell.cell_contents, "__self__")
    ]
    model.close()
    with pytest.raises(DetectorDied, match="its process was ended before"):
        detector.score(BATCH)
