"""Explanations point at what the decision rests on, for both decisions and without gradients too."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from detectors.data.preprocessing import Preprocessing
from detectors.errors import ExplanationError, ForeignDetectorError
from detectors.explanation.explain_images import RECORD, images_to_explain, write_explanations
from detectors.explanation.methods import METHODS, check_method, default_method, evidence_for, explain
from detectors.explanation.pictures import coloured, overlaid
from detectors.models.detector import Detector, Output

PLAIN = Preprocessing(16, mean=(0.0,) * 3, std=(1.0,) * 3)


class Corner(nn.Module):
    """Fake is how bright the upper left quarter is; real is how dark."""

    def __init__(self, sign: float = 1.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.conv.weight, sign)

    def forward(self, batch):
        return 4 * (self.conv(batch)[:, :, :8, :8].mean((1, 2, 3)) - 1.5 * self.conv.weight.sign().mean())


@pytest.fixture
def corner():
    return Detector("corner", "", "own", PLAIN, Output("logit"), Corner())


@pytest.fixture
def callable_corner(corner):
    """The same as a plain function, as a network in another process is."""
    network = corner.network
    return Detector("theirs", "", "onnx", PLAIN, Output("logit"), lambda x: network(x).detach())


BRIGHT, DARK = torch.zeros(3, 16, 16), torch.ones(3, 16, 16)
BRIGHT[:, :8, :8], DARK[:, :8, :8] = 1, 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("image", "answer"), [(BRIGHT, "fake"), (DARK, "real")])
def test_the_map_marks_the_corner_that_decides(corner, method, image, answer):
    found = explain(corner, image, method)
    assert found.answer == answer and found.map.shape == (16, 16) and found.map.dtype == torch.float32
    assert not found.is_flat and found.map.max() == 1 and found.map.min() >= 0
    if method != "grad-cam" or answer == "fake":  # a dark corner has no activation to light up
        assert found.map[1:7, 1:7].mean() > 2 * found.map[10:, 10:].mean() + 0.2


@pytest.mark.parametrize("method", ["occlusion", "lime"])
def test_without_gradients_the_maps_are_the_same(corner, callable_corner, method):
    torch.testing.assert_close(
        explain(corner, BRIGHT, method).map, explain(callable_corner, BRIGHT, method).map, rtol=0, atol=1e-5
    )
    assert default_method(callable_corner) == "occlusion" and default_method(corner) == "grad-cam"


def test_a_method_is_captums_own_result(corner):
    from captum.attr import IntegratedGradients

    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = explain(corner, image, "integrated-gradients", threshold=0.0)
    own = IntegratedGradients(evidence_for(corner, "fake")).attribute(image[None], baselines=0.5, n_steps=24)
    wanted = own[0].sum(0).clamp(min=0)
    torch.testing.assert_close(found.map, (wanted / wanted.max()).float(), rtol=1e-4, atol=1e-5)


def test_what_speaks_against_is_shown_as_such_and_not_blank():
    against = Detector("against", "", "own", PLAIN, Output("logit"), Corner(-1.0))
    found = explain(against, BRIGHT, "grad-cam", threshold=0.0)  # called fake, though all speaks against it
    assert found.answer == "fake" and found.is_relative and not found.is_flat and found.map.max() == 1
    assert "least speaks against it" in found.legend


def test_a_flat_map_says_so():
    constant = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(256, 1))
    nn.init.zeros_(constant[2].weight)
    detector = Detector("constant", "", "own", PLAIN, Output("logit"), constant)
    for method in METHODS:
        found = explain(detector, BRIGHT, method)
        assert found.is_flat and found.map.max() == 0 and "flat, this method finds nothing" in found.legend


def test_equal_arguments_give_an_equal_map(corner):
    torch.manual_seed(1)
    first = explain(corner, BRIGHT, "lime", seed=3)
    torch.manual_seed(2)
    assert torch.equal(first.map, explain(corner, BRIGHT, "lime", seed=3).map)


def test_what_cannot_be_explained_says_why(corner, callable_corner, tmp_path):
    flat = Detector("flat", "", "own", PLAIN, Output("logit"), nn.Sequential(nn.Flatten(), nn.Linear(768, 1)))
    with pytest.raises(
        ForeignDetectorError, match=r"theirs is onnx, which gives no gradients: take --method occ"
    ):
        check_method(callable_corner, "saliency")
    with pytest.raises(ForeignDetectorError, match="flat has no convolution to look into"):
        check_method(flat, "grad-cam")
    with pytest.raises(ExplanationError, match="no method 'magic'; known are saliency, integrated-gradients"):
        check_method(corner, "magic")
    with pytest.raises(ExplanationError, match="holds no images"):
        images_to_explain([tmp_path])
    with pytest.raises(ExplanationError, match="no images: name files"):
        images_to_explain([])


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(path)
    return path


def test_two_images_of_one_name_are_two_pictures(corner, tmp_path):
    paths = [save(tmp_path / folder / "1.png", value) for folder, value in (("a", 10), ("b", 200), ("c", 10))]
    record = write_explanations(corner, images_to_explain(paths), tmp_path / "out", "saliency")
    names = [row["picture"] for row in record["images"]]
    assert len(set(names)) == 3 and all((tmp_path / "out" / name).is_file() for name in names)
    again = write_explanations(corner, images_to_explain(paths[1:2]), tmp_path / "out", "saliency")
    assert again["images"][0]["picture"] == names[1]


def test_what_a_record_of_another_threshold_lists_is_taken_away(corner, tmp_path):
    paths, out = [save(tmp_path / f"{n}.png", 90 * n) for n in (1, 2)], tmp_path / "out"

    def pictures(paths, method="saliency", **how):
        record = write_explanations(corner, images_to_explain(paths), out, method, **how)
        return {row["picture"] for row in record["images"]}

    both = pictures(paths)
    (out / "summary.json").write_text("{}")
    more = pictures(paths[:1], "occlusion")
    assert {path.name for path in out.iterdir()} == both | more | {RECORD, "summary.json"}
    only = pictures(paths[:1], "occlusion", threshold=0.9)
    assert {path.name for path in out.iterdir()} == only | both | {RECORD}


def test_the_record_holds_every_image_and_a_bad_one_with_its_reason(corner, tmp_path):
    good = save(tmp_path / "good.png", 99)
    (tmp_path / "bad.png").write_bytes(b"no image")
    rows = images_to_explain([tmp_path])
    record = write_explanations(corner, rows, tmp_path / "out", "occlusion", threshold=0.9)
    assert json.loads((tmp_path / "out" / RECORD).read_text()) == record
    bad, fine = record["images"]
    assert (bad["status"], bad["picture"], bad["score"]) == ("unreadable image", None, None)
    assert fine["image"] == str(good) and fine["status"] == "ok" and fine["answer"] == "real"
    assert record["method"] == "occlusion" and record["threshold"] == 0.9


def test_the_picture_has_three_panels_a_bar_and_words(corner, tmp_path):
    save(tmp_path / "a.png", 99)
    first = write_explanations(corner, images_to_explain([tmp_path / "a.png"]), tmp_path / "x", "saliency")
    second = write_explanations(corner, images_to_explain([tmp_path / "a.png"]), tmp_path / "y", "saliency")
    name = first["images"][0]["picture"]
    assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()
    assert second["images"][0]["picture"] == name
    with Image.open(tmp_path / "x" / name, formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet)
    assert (pixels[150, 20:230] == 99).all(), "the image itself, untouched"
    assert pixels[:40].min() < 60 and pixels[-30:].min() < 60, "words above and below"


def test_a_draw_is_the_seeds(tmp_path):
    for number in range(9):
        save(tmp_path / f"{number}.png", number)
    draws = [list(images_to_explain([tmp_path], 4, seed)["path"]) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2] and len(draws[0]) == 4


def test_colours_grow_lighter_and_zero_leaves_the_image_alone():
    ramp = coloured(np.linspace(0, 1, 64)[None])
    luma = ramp[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) > 0).all()
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    assert (overlaid(image, np.zeros((8, 8))) == image).all()
