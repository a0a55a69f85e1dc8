"""The program's side: a process that dies, lies or was never confined is one line, never a score."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from detectors.errors import DetectorDied, DetectorTooSlow, ForeignDetectorError, IsolationUnavailable
from detectors.isolation import child, confined_process, landlock, protocol
from detectors.isolation.child import IsolatedModel, Limits
from detectors.isolation.opening import ONNX
from detectors.isolation.support import describe

BATCH = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    """The mean of each image, by ONNX: its process starts fast."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1, 1, 1])
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("ReduceMean", ["pooled"], ["score"], axes=[1]),
    ]
    graph = helper.make_graph(nodes, "g", [image], [score])
    path = tmp_path_factory.mktemp("onnx") / "mean.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return path


@pytest.fixture(scope="module")
def processes(onnx_file):
    """Gives a process with the file open: the one of the test before, if that let it live."""
    alive = []

    def process():
        if not alive or not alive[-1].is_alive:
            alive.append(IsolatedModel([onnx_file.parent], [ONNX]))
        assert alive[-1].open(ONNX, onnx_file) == [None, 3, 8, 8]
        return alive[-1]

    yield process
    alive[-1].close()


@pytest.fixture
def opened(processes):
    return processes()


def test_onnx_runs_there_as_it_does_here(opened):
    found = opened.run(BATCH.contiguous(memory_format=torch.channels_last))
    assert found.dtype == torch.float64 and found.shape == (4, 1, 1, 1)
    torch.testing.assert_close(found.flatten(), BATCH.mean((1, 2, 3)).double(), atol=1e-6, rtol=0)


def test_a_batch_larger_than_the_shared_memory_is_cut(opened, monkeypatch):
    monkeypatch.setattr(protocol, "INPUT_BYTES", 4 * 3 * 8 * 8 * 3)
    torch.testing.assert_close(opened.run(BATCH).flatten(), BATCH.mean((1, 2, 3)).double(), atol=1e-6, rtol=0)
    monkeypatch.setattr(protocol, "INPUT_BYTES", 100)
    with pytest.raises(ForeignDetectorError, match=r"an image of \(3, 8, 8\) is too large"):
        opened.run(BATCH)


@pytest.mark.parametrize(
    ("number", "how"),
    [
        (signal.SIGKILL, "was killed, as the system does when memory runs out"),
        (signal.SIGSEGV, r"crashed \(SIGSEGV\)"),
    ],
)
def test_a_process_that_dies_is_one_line_and_no_score(opened, number, how):
    os.kill(opened.pid, number)
    with pytest.raises(DetectorDied, match=rf"mean\.onnx: its isolated process {how}; it has no scores"):
        opened.run(BATCH)
    with pytest.raises(DetectorDied, match="its process was ended before; load it again"):
        opened.run(BATCH)


def test_its_environment_and_files_are_not_ours(opened, monkeypatch):
    environment = Path(f"/proc/{opened.pid}/environ").read_bytes().decode().split("\0")
    assert {line.partition("=")[0] for line in environment if line} <= {
        *confined_process.ENVIRONMENT, "LANG", "CUDA_CACHE_DISABLE", "PATH", "TORCHINDUCTOR_CACHE_DIR",
    }  # fmt: skip
    links = {os.readlink(link) for link in Path(f"/proc/{opened.pid}/fd").iterdir()}
    assert {link.split(":")[0].split(" ")[0] for link in links} <= {
        "/dev/null",
        "pipe",
        "/memfd",
        "/dev/urandom",
    }


def endless(path: Path) -> Path:
    """A loop of 2^63 - 1 steps, each the mean of the image."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 3, 8, 8])
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in (
        ("step", TensorProto.INT64, []), ("go", TensorProto.BOOL, []),
        ("before", TensorProto.FLOAT, ["n", 3, 8, 8]), ("on", TensorProto.BOOL, []),
        ("after", TensorProto.FLOAT, ["n", 3, 8, 8]),
    )]  # fmt: skip
    steps = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Relu", ["before"], ["after"])]
    body = helper.make_graph(steps, "body", ends[:3], ends[3:])
    times = helper.make_tensor("times", TensorProto.INT64, [], [2**63 - 1])
    start = helper.make_tensor("start", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["times", "start", "image"], ["score"], body=body)
    graph = helper.make_graph([loop], "g", [image], [score], [times, start])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


def test_ctrl_c_ends_an_endless_model(processes, onnx_file):
    model = processes()
    model.open(ONNX, endless(onnx_file.with_name("endless.onnx")))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("by the test")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt, match="by the test"):
            model.run(BATCH)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not model.is_alive
    assert not Path(f"/proc/{model.pid}").exists()


def test_it_ends_when_nobody_holds_it(onnx_file):
    model = IsolatedModel([onnx_file], [ONNX])
    pid = model.pid
    del model
    assert not Path(f"/proc/{pid}").exists()


def fake(monkeypatch, code: str) -> None:
    """Another program in the place of the worker; it reads at argv[2] and answers at argv[3]."""
    monkeypatch.setattr(confined_process, "_START", code)


SAY = (
    "import json, os, struct, sys\n"
    "def say(m):\n"
    "    d = json.dumps(m).encode() if not isinstance(m, bytes) else m\n"
    "    os.write(int(sys.argv[3]), struct.pack('>I', len(d)) + d)\n"
)


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("import sys; sys.exit(0)", DetectorDied, "its isolated process ended by itself with code 0"),
        ("import os; os.abort()", DetectorDied, r"crashed \(SIGABRT\)"),
        ("import time; time.sleep(60)", DetectorTooSlow, "gave no answer within 1 s"),
        (SAY + "say(b'\\xff\\xfe')", DetectorDied, "sent no valid answer .a message that is not JSON"),
        (SAY + "say(b'[1]')", DetectorDied, "a message that is no dictionary"),
        (SAY + "say(b'[' * 100000)", DetectorDied, "a message that is not JSON"),
        (
            "import os, sys; os.write(int(sys.argv[3]), b'\\xff' * 8)",
            DetectorDied,
            "a message of 4,294,967,295 bytes",
        ),
        (
            "import os, sys, time; os.write(int(sys.argv[3]), b'\\0'); time.sleep(60)",
            DetectorTooSlow,
            "within 1 s",
        ),
        (SAY + "say({'ready': True}); input()", IsolationUnavailable, "isolation did not hold"),
        (
            SAY + "import time; say({'ready': True}); time.sleep(60)",
            IsolationUnavailable,
            "isolation did not hold",
        ),
    ],
)
def test_a_process_that_is_not_what_it_should_be(monkeypatch, onnx_file, code, error, message):
    fake(monkeypatch, code)
    with pytest.raises(error, match=message):
        IsolatedModel([onnx_file], [ONNX], limits=Limits(load_s=1 if error is DetectorTooSlow else 60))


LIES = [
    {"shape": "x"}, {"shape": [1 << 40]}, {"shape": [-1]}, {"shape": [4.0]}, {"shape": [True]},
    {"shape": [1] * 9}, {"shape": [1 << 12, 1 << 12]}, {"shape": None}, {},
]  # fmt: skip


def test_arrays_that_cannot_be_are_not_believed(monkeypatch, onnx_file):
    monkeypatch.setattr(child, "is_confined", lambda pid: True)
    for lie in LIES:
        code = (
            SAY + f"say({{'ready': True}}); say(json.loads({json.dumps(lie)!r})); import time; time.sleep(60)"
        )
        fake(monkeypatch, code)
        model = IsolatedModel([onnx_file], [ONNX], limits=Limits(load_s=60))
        with pytest.raises(DetectorDied, match="it described an array that cannot be one"):
            model.run(BATCH)
        assert not model.is_alive


def test_control_characters_in_its_messages_do_not_reach_the_screen(monkeypatch, onnx_file):
    monkeypatch.setattr(child, "is_confined", lambda pid: True)
    fake(
        monkeypatch,
        SAY
        + "say({'ready': 1}); say({'error': 'x', 'message': '\\x1b[2Ja\\u202eb' * 200}); sys.stdin.read()",
    )
    with pytest.raises(ForeignDetectorError, match=r"cannot be loaded as onnx:  \[2Ja b") as found:
        IsolatedModel([onnx_file], [ONNX]).open(ONNX, onnx_file)
    assert str(found.value).isprintable() and len(str(found.value)) < 1000


def test_it_imports_the_libraries_that_this_process_would(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert confined_process.library_folders(child._LIBRARIES)[0] == tmp_path.resolve()
    monkeypatch.setattr(sys, "path", [*sys.path[1:], str(tmp_path)])
    assert confined_process.library_folders(child._LIBRARIES)[0] != tmp_path.resolve()


def test_shared_memory_cannot_shrink_under_our_feet():
    memory, descriptor = confined_process.shared_memory(1 << 16)
    with pytest.raises(PermissionError, match="Operation not permitted"):
        os.ftruncate(descriptor, 1)
    os.close(descriptor)
    memory.close()


def test_doctor_says_how_foreign_files_run():
    assert describe() == f"isolated (Landlock {landlock.version()}, seccomp)"


def test_where_nothing_isolates_it_is_said_and_nothing_is_opened(monkeypatch, onnx_file):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(IsolationUnavailable, match=r"this kernel has no Landlock \(Linux 5\.13"):
        IsolatedModel([onnx_file], [ONNX])
    assert describe().startswith("refused unless trusted by hash: this kernel has no Landlock")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(IsolationUnavailable, match="darwin has neither Landlock nor seccomp"):
        IsolatedModel([onnx_file], [ONNX])
