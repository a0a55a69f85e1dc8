"""Preparation of images and reading of outputs, against Pillow, torchvision and numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torchvision.transforms import v2

from detectors.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, fit, normalise, to_unit
from detectors.errors import ForeignDetectorError, SidecarError
from detectors.models.detector import Detector, Output


@pytest.fixture
def photo():
    return torch.randint(0, 256, (3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [16, 90])
def test_resizing_is_that_of_pillow(photo, method, size):
    found = fit(photo, Preprocessing(size, resize=method)).permute(1, 2, 0).numpy()
    image = Image.fromarray(photo.permute(1, 2, 0).numpy())
    wanted = np.asarray(image.resize((size, size), getattr(Image.Resampling, method.upper())))
    assert found.shape == (size, size, 3)
    difference = np.abs(found.astype(int) - wanted.astype(int))
    assert difference.max() <= 2 and difference.mean() < 0.1


def test_an_image_that_fits_is_returned_as_it_is(photo):
    square = photo[:, :40]
    assert fit(square, Preprocessing(40)) is square
    assert fit(square, Preprocessing(20, resize="nearest")).shape == (3, 20, 20)


def test_normalisation_is_that_of_torchvision(photo):
    batch = to_unit(photo[None, :, :40])
    wanted = v2.functional.normalize(batch, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(normalise(batch, Preprocessing(40)), wanted)


def test_colour_orders(photo):
    batch = to_unit(photo[None])
    unit = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    assert torch.equal(normalise(batch, Preprocessing(colour="bgr", **unit)), batch[:, [2, 1, 0]])
    gray = normalise(batch, Preprocessing(colour="gray", **unit))
    wanted = v2.functional.rgb_to_grayscale(batch)
    torch.testing.assert_close(gray, wanted.expand(-1, 3, -1, -1), atol=1e-3, rtol=0)
    one = Preprocessing(colour="gray", channels=1, mean=(0.5,), std=(0.5,))
    assert normalise(batch, one).shape == (1, 1, 50, 40)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size_px": 7}, "size_px is 7; it must be a whole number from 8 to 2048"),
        ({"size_px": 64.0}, "size_px is 64.0"),
        ({"colour": "cmyk"}, "colour is 'cmyk'; it must be one of rgb, bgr, gray"),
        ({"channels": 1}, "channels is 1 with colour 'rgb'"),
        ({"mean": (0.5,)}, r"mean is \(0.5,\); it must be 3 numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "std is .*; it must be above 0"),
        ({"face": "both"}, "face is 'both'"),
    ],
)
def test_impossible_preprocessing(values, message):
    with pytest.raises(SidecarError, match=message):
        Preprocessing(**values)


def test_preprocessing_survives_json():
    record = Preprocessing(64, "gray", resize="bicubic", face="level")
    assert Preprocessing.from_dict(record.as_dict()) == record


FINITE = st.floats(-30, 30, width=32)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, (4, 3), elements=FINITE))
def test_logits_are_read_as_softmax(raw):
    p = np.exp(raw.astype(float) - raw.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    tensor = torch.from_numpy(raw)
    np.testing.assert_allclose(Output("logits", (2,)).score(tensor), p[:, 2], atol=1e-12)
    np.testing.assert_allclose(Output("logits", (0, 1)).score(tensor), p[:, 0] + p[:, 1], atol=1e-12)
    np.testing.assert_allclose(Output("logits", (1,), inverted=True).score(tensor), 1 - p[:, 1], atol=1e-12)
    probabilities = torch.from_numpy(p)
    np.testing.assert_allclose(Output("probabilities", (1, 2)).score(probabilities), 1 - p[:, 0], atol=1e-12)


def test_one_number_an_image():
    raw = torch.tensor([[-40.0], [0.0], [40.0]])
    assert Output("logit").score(raw).tolist() == pytest.approx([4.2e-18, 0.5, 1.0], rel=0.01)
    assert Output("logit", inverted=True).score(raw[:, 0])[0] == pytest.approx(1.0)
    assert Output("probability", inverted=True).score(torch.tensor([0.2])).item() == pytest.approx(0.8)


def test_confident_scores_stay_apart():
    scores = Output("logit").score(torch.tensor([20.0, 21.0, 30.0]))
    assert len(set(scores.tolist())) == 3 and max(scores) < 1


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (Output("logit"), (2, 2)),
        (Output("logits"), (2, 1)),
        (Output("logits", (5,)), (2, 3)),
        (Output(), (2, 3, 4, 4)),
    ],
)
def test_shapes_that_do_not_fit(output, shape):
    with pytest.raises(ForeignDetectorError, match=r"say in NAME\.toml or by option which output is 'fake'"):
        output.evidence(torch.zeros(shape))


def test_a_detector_resizes_what_does_not_fit(photo):
    plain = Preprocessing(20, mean=(0.0,) * 3, std=(1.0,) * 3)
    detector = Detector("mean", "", "own", plain, Output("probability"), lambda x: x.mean((1, 2, 3)))
    batch = to_unit(photo[None, :, :40])
    assert detector.score(batch).item() == pytest.approx(batch.mean().item(), abs=0.02)
    assert detector.score(batch).dtype == torch.float64
