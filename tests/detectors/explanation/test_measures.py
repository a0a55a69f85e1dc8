"""Measures of maps, on detectors of which is known where they look."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from audit.api.explanations import group_measures, is_trusted, method_trust
from detectors.data.preprocessing import Preprocessing
from detectors.errors import ExplanationError
from detectors.explanation.measures import (
    REGIONS,
    decision_curve,
    energy,
    masked_fakes,
    measure,
    pointing,
    randomised,
    region_masks,
    region_shares,
)
from detectors.models.detector import Detector, Output
from reports.text.explanation_text import COLUMNS, trust_rows, trust_sentence

SIZE = 16
PLAIN = Preprocessing(SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)


def looking_at(rows: slice, columns: slice, bias: float = -1.0) -> Detector:
    """Fake is how bright one part is: a linear layer whose weights are there."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 1))
    weights = torch.zeros(3, SIZE, SIZE)
    weights[:, rows, columns] = 0.2
    with torch.no_grad():
        network[1].weight.copy_(weights.flatten()[None])
        network[1].bias.fill_(bias)
    return Detector("linear", "ab", "own", PLAIN, Output("logit"), network)


CORNER = (slice(0, 6), slice(0, 6))


@pytest.fixture
def fakes(tmp_path):
    """24 grainy images whose upper left was changed, with their masks."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(24):
        pixels = rng.integers(60, 200, (SIZE, SIZE, 3), dtype=np.uint8)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[:8, :8] = 255
        for name, values in (("fake", pixels), ("mask", mask)):
            Image.fromarray(values).save(tmp_path / f"{name}-{number}.png")
        rows.append({
            "pair_id": f"p{number}", "kind": "swap", "path": str(tmp_path / f"fake-{number}.png"),
            "mask": str(tmp_path / f"mask-{number}.png"), "age": "20-29", "race": "White",
            "gender": ("Female", "Male")[number % 2],
        })  # fmt: skip
    return pd.DataFrame(rows)


def test_every_pixel_of_a_face_belongs_to_one_region():
    for size in (16, 32, 128, 299):
        assert (region_masks(size).sum(0) == 1).all()
    shares = region_shares(torch.rand(32, 32))
    assert shares.shape == (len(REGIONS),) and shares.sum() == pytest.approx(1)
    assert np.isnan(region_shares(torch.zeros(32, 32))).all()


def test_pointing_and_energy_by_hand():
    values, mask = torch.zeros(4, 4), np.zeros((4, 4), bool)
    values[0, 0], values[3, 3], mask[0, :2] = 1.0, 0.5, True
    assert pointing(values, mask) == 1 and energy(values, mask) == pytest.approx(2 / 3)
    values[3, 3] = 1.0
    assert pointing(values, mask) == 0.5  # a tie


def test_greying_what_matters_first_costs_more_than_a_random_order():
    detector, image = looking_at(*CORNER, bias=-10.8), torch.full((3, SIZE, SIZE), 0.6)  # grey is 0.5
    best = torch.zeros(SIZE, SIZE)
    best[CORNER] = 1
    order = best.flatten().argsort(descending=True, stable=True)
    chance = torch.randperm(SIZE * SIZE, generator=torch.Generator().manual_seed(0))
    curve = [decision_curve(detector, image, o, "fake", insertion=False) for o in (order, chance)]
    assert curve[0] < curve[1] - 0.05


def test_a_method_that_finds_what_was_changed_is_trusted(fakes):
    measured = measure(looking_at(*CORNER), fakes, ["saliency", "occlusion"])
    assert len(measured) == 48
    rows = method_trust(measured)
    for row in rows:
        assert row["trusted"] and row["hit"] == 1 and row["hit_interval"][0] > 0.8 > row["area"] == 0.25
        assert row["energy_gain_interval"][0] > 0.3
        assert abs(row["agreement"]) < 0.5
    groups = group_measures(measured, ["gender"])
    assert {(g["method"], g["group"]) for g in groups} == {
        (m, g) for m in ("saliency", "occlusion") for g in ("Female", "Male")
    }
    summary = {"trust": rows, "fakes_with_mask": 24}
    assert "Saliency and Occlusion can be trusted" in trust_sentence(summary)
    assert all(len(row) == len(COLUMNS) and row[-1] == "yes" for row in trust_rows(summary))


def test_a_detector_that_looks_elsewhere_has_no_trusted_method(fakes):
    measured = measure(looking_at(slice(9, 16), slice(9, 16)), fakes, ["saliency", "occlusion"])
    rows = method_trust(measured)
    assert [row["trusted"] for row in rows] == [False, False] and max(r["hit"] for r in rows) == 0
    told = trust_sentence({"trust": rows, "fakes_with_mask": 24})
    assert "no method is shown to find what was changed. Do not believe a map" in told


def test_a_handful_of_fakes_trusts_no_method_and_condemns_none(fakes):
    few = method_trust(measure(looking_at(*CORNER), fakes.head(6), ["saliency"]))
    summary = {"trust": few, "fakes_with_mask": 24}
    assert trust_sentence(summary) == (
        f"Tested on {few[0]['n']} fakes, in which 25% of the image was changed on average: too few to trust "
        "any method; it takes 10 that the detector calls fake."
    )
    assert trust_rows(summary)[0][-1] == "too few"
    flat = {**few[0], "deletion_gain_interval": [-0.001, 0.004]}
    assert trust_rows({"trust": [flat]})[0][5] == "0 to 0 points"


def test_a_map_that_random_weights_give_too_is_not_trusted(fakes):
    measured = measure(looking_at(*CORNER), fakes, ["saliency"])
    assert is_trusted(measured)
    assert not is_trusted(measured.assign(agreement=0.9))
    assert not is_trusted(measured.head(5)), "never on a handful"
    assert is_trusted(measured.assign(agreement=float("nan"))), "a network of no weights we can draw"


def test_a_fake_is_measured_alike_whatever_is_measured_beside_it(fakes):
    """So that fakes can be shared out to many workers."""
    detector = looking_at(*CORNER)
    whole, alone = measure(detector, fakes, ["saliency"]), measure(detector, fakes.head(6), ["saliency"])
    pd.testing.assert_frame_equal(whole.head(6), alone)


def test_fakes_called_real_are_not_measured(fakes):
    assert measure(looking_at(*CORNER), fakes, ["saliency"], threshold=1.0).empty
    assert "calls none a fake" in trust_sentence({"trust": [], "fakes_with_mask": 24})


def test_random_weights_are_the_seeds_and_not_the_detectors():
    detector = looking_at(*CORNER)
    first, again, other = (randomised(detector, seed) for seed in (0, 0, 1))
    weights = [d.network[1].weight for d in (first, again, other, detector)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[3])
    assert randomised(Detector("f", "", "onnx", PLAIN, Output("logit"), lambda x: x.mean((1, 2, 3)))) is None


def test_pairs_without_masks_are_refused(pairs_dir):
    with pytest.raises(ExplanationError, match=r"no fake in .* has a mask of what was changed: make pairs"):
        masked_fakes(pairs_dir)
