"""Anybody's detector: every kind of file scores as its own network does; hostile files end in one line."""

import json
import os
import pickle
import sys
import zipfile

import pytest
import torch
import torchvision
from torch import nn

from detectors.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from detectors.errors import (
    CheckpointFormatError,
    CheckpointTooLarge,
    DetectorNotFound,
    ForeignDetectorError,
    SidecarError,
)
from detectors.models import architectures as zoo
from detectors.models.detector import Detector, Output
from detectors.models.loading import load_detector
from detectors.models.sidecar import parse_options

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.usefixtures("in_shared_process"),
]


class OneLogit(nn.Module):
    """Says how much two by two neighbours differ."""

    def forward(self, batch):
        return (batch[:, :, ::2, ::2] - batch[:, :, 1::2, ::2]).abs().mean((1, 2, 3))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return zoo.build("simplenet").eval()


@pytest.fixture
def batch():
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def imagenet(batch):
    shape = (1, 3, 1, 1)
    return (batch - torch.tensor(IMAGENET_MEAN).view(shape)) / torch.tensor(IMAGENET_STD).view(shape)


def expected(network, batch, index=1):
    with torch.inference_mode():
        return network(imagenet(batch)).double().softmax(1)[:, index]


def sidecar(path, text):
    path.with_suffix(".toml").write_text(text)
    return path


def copied(onnx_file, path):
    """A copy of an ONNX model with the weights beside it."""
    path.write_bytes(onnx_file.read_bytes())
    data = onnx_file.with_name(onnx_file.name + ".data")
    if data.exists():
        (path.parent / data.name).write_bytes(data.read_bytes())
    return path


def export_onnx(network, path, size, dynamic=True):
    dynamic_shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if dynamic else None
    torch.onnx.export(
        network,
        (torch.rand(2, 3, size, size),),
        str(path),
        dynamo=True,
        dynamic_shapes=dynamic_shapes,
        verbose=False,
    )
    return path


@pytest.fixture(scope="module")
def onnx_file(network, tmp_path_factory):
    return export_onnx(network, tmp_path_factory.mktemp("onnx") / "public.onnx", 64)


@pytest.fixture(scope="module")
def exported_file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    torch.export.save(torch.export.export(network, (torch.rand(2, 3, 64, 64),), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def torchscript_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ts") / "script.pt"
    torch.jit.trace(OneLogit(), torch.rand(2, 3, 64, 64)).save(str(path))
    return path


@pytest.mark.slow
def test_onnx_with_two_logits_and_imagenet_norm_needs_no_options(onnx_file, network, batch):
    detector = load_detector(onnx_file)
    assert (detector.arch, detector.name, detector.preprocessing.size_px) == ("onnx", "public", 64)
    assert detector.output == Output("logits", (1,)) and len(detector.sha256) == 64
    torch.testing.assert_close(detector.score(batch), expected(network, batch), atol=1e-5, rtol=0)


def test_onnx_with_a_fixed_batch_size(network, batch, tmp_path):
    detector = load_detector(export_onnx(network, tmp_path / "two.onnx", 64, dynamic=False))
    torch.testing.assert_close(detector.score(batch), expected(network, batch), atol=1e-5, rtol=0)


def test_sidecar_says_which_output_is_fake(onnx_file, network, batch, tmp_path):
    path = copied(onnx_file, tmp_path / "zero.onnx")
    sidecar(path, "fake_index = 0\n")
    torch.testing.assert_close(
        load_detector(path).score(batch), expected(network, batch, 0), atol=1e-5, rtol=0
    )
    other = load_detector(path, options={"fake_index": 1, "inverted": None})
    torch.testing.assert_close(other.score(batch), expected(network, batch, 1), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_torch_export(exported_file, network, batch):
    detector = load_detector(exported_file)
    assert (detector.arch, detector.preprocessing.size_px) == ("torch.export", 64)
    torch.testing.assert_close(detector.score(batch), expected(network, batch), atol=1e-6, rtol=0)


def test_torchscript_with_one_logit_inverted_bgr_from_zero_to_255(torchscript_file, batch, tmp_path):
    path = tmp_path / "script.pt"
    path.write_bytes(torchscript_file.read_bytes())
    text = 'size_px = 64\ncolour = "bgr"\nmean = [0, 0, 0]\nstd = [0.5, 0.5, 0.5]\n'
    text += 'output = "logit"\ninverted = true\n'
    detector = load_detector(sidecar(path, text))
    wanted = (-OneLogit()(batch.flip(1) / 0.5)).double().sigmoid()
    torch.testing.assert_close(detector.score(batch), wanted, atol=1e-6, rtol=0)


def test_plain_state_dict_with_the_habits_of_training_scripts(network, batch, tmp_path):
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "plain.pth")
    detector = load_detector(tmp_path / "plain.pth", arch="simplenet", options={"size_px": 64})
    assert detector.preprocessing == Preprocessing(64, mean=(0.5,) * 3, std=(0.5,) * 3)
    with torch.inference_mode():
        wanted = network((batch - 0.5) / 0.5).double().softmax(1)[:, 1]
    torch.testing.assert_close(detector.score(batch), wanted, atol=1e-6, rtol=0)
    with pytest.raises(CheckpointFormatError, match=r"not a checkpoint written by `audit train`.*--arch"):
        load_detector(tmp_path / "plain.pth")
    with pytest.raises(CheckpointFormatError, match="weights do not fit resnet18"):
        load_detector(tmp_path / "plain.pth", arch="resnet18")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a Python module that can be named."""

    def write(source):
        (tmp_path / "their_code.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "their_code", raising=False)
        return "their_code"

    return write


def test_factory_of_a_network_in_nhwc(module, batch):
    name = module("import torch\ndef make():\n    return lambda x: x[..., 0].mean((1, 2))\n")
    options = {"layout": "nhwc", "mean": [0, 0, 0], "std": [1, 1, 1], "size_px": 64, "output": "probability"}
    detector = load_detector(f"{name}:make", options=options)
    torch.testing.assert_close(detector.score(batch), batch[:, 0].mean((1, 2)).double(), atol=1e-6, rtol=0)
    assert detector.name == "their_code:make"


def test_factory_of_a_detector(module):
    name = module(
        "import torch\nfrom detectors import Detector, Output, Preprocessing\n"
        "def make():\n    network = lambda x: x[:, 0, 0, 0]\n"
        "    return Detector('mine', '', 'own', Preprocessing(16), Output('logit'), network)\n"
    )
    assert isinstance(load_detector(f"{name}:make"), Detector)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no licence\\nmore')", "their_code:make raised ValueError: no licence$"),
        ("return 3", "gave a int, not a detector or a network"),
        ("return lambda x: x[0]", r"gave \(3, 224, 224\) for 2 images"),
        ("return lambda x: 1 / 0", r"failed on a batch of shape \(2, 3, 224, 224\): division by zero"),
        ("return lambda x: x", r"does not fit output = 'logits'"),
        ("raise SystemExit(0)", "their_code:make raised SystemExit: 0$"),
        ("import sys\n    return lambda x: sys.exit(0)", r"failed on a batch of shape .*: 0$"),
    ],
)
def test_bad_factories_end_in_one_line(module, body, message):
    with pytest.raises(ForeignDetectorError, match=message):
        load_detector(module(f"def make():\n    {body}\n") + ":make")


def test_a_detector_of_a_factory_that_ends_the_program_is_an_error(module):
    name = module(
        "import sys\nfrom detectors import Detector, Output, Preprocessing\n"
        "def make():\n    return Detector('mine', '', 'own', Preprocessing(16), Output('logit'), "
        "lambda x: sys.exit(0))\n"
    )
    with pytest.raises(ForeignDetectorError, match="mine called for the end of the program: no scores"):
        load_detector(f"{name}:make").score(torch.rand(2, 3, 16, 16))


@pytest.mark.parametrize(
    "name",
    ["https://host/model.pt", "C:model.pt", "http://host:80/x", "os:path.join", "a b:c", ":make", "m:"],
)
def test_what_is_no_module_and_function_is_not_imported(name):
    with pytest.raises(DetectorNotFound, match=r"no detector at .*: give a file \(nothing is downloaded\)"):
        load_detector(name)


def test_unknown_factory_and_missing_file():
    with pytest.raises(ForeignDetectorError, match="no module 'no_such_module' is installed or in"):
        load_detector("no_such_module:make")
    with pytest.raises(DetectorNotFound, match=r"no detector at nowhere\.onnx"):
        load_detector("nowhere.onnx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size = 3", r"unknown key 'size'; known are size_px"),
        ("size_px = 'big'", "size_px is 'big'; it must be a whole number"),
        ("output = 'maybe'", "output is 'maybe'; it must be one of logit"),
        ("fake_index = [-1]", "fake_index is"),
        ("std = [0, 1, 1]", "std is .* it must be above 0"),
        ("mean = 1 2", r"\.toml is not TOML"),
        ("size_px = 32", r"size_px is 32, but .* takes 64 pixels a side"),
        ("output = 'logit'", "does not fit output = 'logit'"),
        ("layout = 'nwhc'", "layout is 'nwhc'"),
    ],
)
def test_impossible_sidecars(onnx_file, tmp_path, text, message):
    path = copied(onnx_file, tmp_path / "public.onnx")
    with pytest.raises((SidecarError, ForeignDetectorError), match=message):
        load_detector(sidecar(path, text))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["onnx_file", "exported_file", "torchscript_file"])
def test_truncated_files(kind, share, request, tmp_path):
    source = request.getfixturevalue(kind)
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    with pytest.raises((ForeignDetectorError, CheckpointFormatError), match=str(path)):
        load_detector(path)


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def rewritten(source, target, **changes):
    """A copy of an archive with entries changed, given by the end of their name; None of a kind is added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            change = next((c for end, c in changes.items() if name.endswith(end)), None)
            new.writestr(name, old.read(name) if change is None else change(old.read(name)))
        for name, content in changes.get("added", lambda: {})().items():
            new.writestr(f"{root}/{name}", content)
    return target


def model(change):
    """Changes the program of an exported network as JSON."""

    def apply(data):
        program = json.loads(data)
        change(program)
        return json.dumps(program).encode()

    return apply


def test_guard_code_in_an_exported_network_is_not_run(exported_file, tmp_path, batch, network):
    def add_guard(program):
        program["guards_code"] = [f"__import__('os').mkdir('{tmp_path / 'pwned'}') is None"]

    path = rewritten(exported_file, tmp_path / "evil.pt2", **{"models/model.json": model(add_guard)})
    torch.testing.assert_close(load_detector(path).score(batch), expected(network, batch), atol=1e-6, rtol=0)
    assert not (tmp_path / "pwned").exists()


def test_torchscript_of_modules_that_live_in_torchvision_ops(tmp_path):
    network = torch.nn.Sequential(
        torchvision.ops.Conv2dNormActivation(3, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 1),
    ).eval()  # fmt: skip
    path = tmp_path / "vision.pt"
    torch.jit.trace(network, torch.rand(2, 3, 64, 64)).save(str(path))
    detector = load_detector(path, options=parse_options(["output=logit", "size_px=64"]))
    assert detector.score(torch.rand(2, 3, 64, 64)).shape == (2,)


def test_zip_bomb_dressed_as_torchscript(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/code/a.py", b" " * (80 << 20))
    with pytest.raises(CheckpointTooLarge, match=r"compressed like a zip bomb.*refused unopened"):
        load_detector(path)


def test_pickle_with_another_ending(tmp_path):
    for ending in ("onnx", "pt2", "pth"):
        path = tmp_path / f"evil.{ending}"
        path.write_bytes(pickle.dumps(_Bomb(tmp_path / "pwned")))
        with pytest.raises((ForeignDetectorError, CheckpointFormatError), match=str(path)):
            load_detector(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ["simplenet", "resnet18", "timm:mobilenetv3_small_050"])
def test_a_head_of_one_logit_is_known_by_its_shape(name, tmp_path):
    torch.manual_seed(0)
    network = zoo.build(name, 1, least=1).eval()
    state = {f"model.module.{key}": value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "one.pt")
    batch = torch.rand(2, 3, 64, 64)
    found = load_detector(tmp_path / "one.pt", arch=name, options={"size_px": 64})
    assert found.output == Output("logit") and found.provenance["assumed"] == ["mean", "std", "output"]
    assert (
        load_detector(tmp_path / "one.pt", arch=name, options={"size_px": 64, "classes": 1})
        .score(batch)
        .equal(found.score(batch))
    )
    usual = zoo.architecture(name)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (usual.mean, usual.std))
    with torch.inference_mode():
        wanted = network((batch - mean) / std).double().flatten().sigmoid()
    torch.testing.assert_close(found.score(batch), wanted, atol=1e-5, rtol=0)


def test_classes_that_contradict_the_weights_are_refused(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "two.pt")
    with pytest.raises(SidecarError, match=r"classes is 1, but the last layer of .* gives 2 numbers"):
        load_detector(tmp_path / "two.pt", arch="simplenet", options={"classes": 1})


def test_a_file_that_brings_its_network_has_no_use_for_classes(onnx_file):
    with pytest.raises(SidecarError, match="classes = 1 is for plain weights"):
        load_detector(onnx_file, options={"classes": 1})


def test_three_classes_need_to_be_told_which_mean_fake(tmp_path):
    torch.manual_seed(0)
    network = zoo.build("simplenet", 3).eval()
    torch.save(network.state_dict(), tmp_path / "three.pt")
    batch = torch.rand(2, 3, 64, 64)
    with pytest.raises(SidecarError, match=r"three\.pt: the network gives 3 numbers .* --set fake_index=1,2"):
        load_detector(tmp_path / "three.pt", arch="simplenet", options={"size_px": 64})
    said = parse_options(["size_px=64", "fake_index=0,2", "mean=0.5,0.5,0.5"])
    found = load_detector(tmp_path / "three.pt", arch="simplenet", options=said)
    with torch.inference_mode():
        wanted = network((batch - 0.5) / 0.5).double().softmax(1)[:, [0, 2]].sum(1)
    torch.testing.assert_close(found.score(batch), wanted, atol=1e-6, rtol=0)


def test_python_without_a_function_is_told_to_name_it(tmp_path):
    (tmp_path / "mydet.py").write_text("def load(): ...\n")
    with pytest.raises(DetectorNotFound, match=r"mydet\.py is Python: name the function .*mydet\.py:load$"):
        load_detector(tmp_path / "mydet.py")
