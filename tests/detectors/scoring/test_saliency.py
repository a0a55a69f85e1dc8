"""Explanations point at what the answer rests on."""

import pytest
import torch
from torch import nn

from detectors import load_detector
from detectors.data.preprocessing import Preprocessing
from detectors.errors import DatasetLayoutError, ForeignDetectorError
from detectors.models.detector import Detector, Output
from detectors.scoring.saliency import explain_file, grad_cam, saliency

PLAIN = Preprocessing(16, mean=(0.0,) * 3, std=(1.0,) * 3)


class Corner(nn.Module):
    """Fake is how bright the upper left quarter is."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, batch):
        return self.conv(batch)[:, :, :8, :8].mean((1, 2, 3))


@pytest.fixture
def corner():
    return Detector("corner", "", "own", PLAIN, Output("logit"), Corner())


@pytest.mark.parametrize("method", [saliency, grad_cam])
def test_the_map_marks_the_corner_that_decides(corner, method):
    image = torch.zeros(3, 16, 16)
    image[:, :8, :8] = 1
    found = method(corner, image)
    assert found.shape == (16, 16) and found.max() == 1
    assert found[:8, :8].mean() > 0.9 and found[9:, 9:].max() == 0


def test_gradient_is_that_of_finite_differences(corner):
    image, step = torch.rand(3, 16, 16), torch.zeros(3, 16, 16)
    step[0, 2, 3] = 1e-3
    raw = [corner.raw((image + s * step)[None]).double().item() for s in (1, -1)]
    assert (raw[0] - raw[1]) / 2e-3 == pytest.approx(1 / 64, rel=1e-3)
    assert saliency(corner, image)[2, 3] == 1


def test_a_trained_detector_is_explained_from_a_file(checkpoint, pairs_dir):
    detector = load_detector(checkpoint)
    for method in ("saliency", "grad-cam"):
        image, found = explain_file(detector, pairs_dir / "fake/train-000001.png", method)
        assert image.shape == (3, 32, 32) and image.dtype == torch.uint8
        assert (
            found.shape == (32, 32) and found.min() >= 0 and found.max() <= 1 and found.dtype == torch.float32
        )
    assert saliency(detector, image).max() == 1


def test_what_cannot_be_explained_says_why(corner, tmp_path):
    foreign = Detector("theirs", "", "onnx", PLAIN, Output("logit"), lambda x: x.mean((1, 2, 3)))
    flat = Detector("flat", "", "own", PLAIN, Output("logit"), nn.Sequential(nn.Flatten(), nn.Linear(768, 1)))
    with pytest.raises(ForeignDetectorError, match="theirs is onnx, which gives no gradients"):
        saliency(foreign, torch.rand(3, 16, 16))
    with pytest.raises(ForeignDetectorError, match="flat has no convolution to look into"):
        grad_cam(flat, torch.rand(3, 16, 16))
    with pytest.raises(DatasetLayoutError, match=r"none\.png cannot be explained"):
        explain_file(corner, tmp_path / "none.png")
    with pytest.raises(DatasetLayoutError, match="no method 'magic'; known are saliency, grad-cam"):
        explain_file(corner, tmp_path / "none.png", "magic")
