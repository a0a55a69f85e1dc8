"""A small, seeded part of `benchmarks/calibration.py`: intervals cover, the test keeps its size."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PATH = Path(__file__).parents[2] / "benchmarks" / "calibration.py"
QUICK = {
    "Wilson": 0.1,
    "Newcombe difference": 0.1,
    "Score ratio": 0.25,
    "Wilson on pairs: positive rate": 0.1,
    "Wilson on pairs: accuracy": 0.1,
    "Wilson on pairs: (FPR + TPR) / 2": 0.1,
    "Rate difference, paired": 0.1,
    "Comparison, any false winner": 0.025,
    "Each group minus the reference, at once": 0.1,
    "Equality test, size": 0.1,
    "Any truly equal pair named": 0.02,
    "Differences and ratios of all pairs at once": 0.1,
    '"within tolerance" although wrong': 0.03,
    '"proven beyond" of a gap inside the tolerance': 0.02,
    "Settled by the images asked for": 0.05,
    "Settled if the gap is as seen": 0.05,
    "The smallest gap that would show does show": 0.06,
    "Any group's scores said to be shifted, though equal": 0.06,
    "Score shift, all groups at once": 0.06,
    "Calibration: in the large": 0.06,
    "Calibration: ECE": 0.06,
    "Calibration of a sure detector, all groups at once: in the large": 0.06,
    "Calibration of a sure detector, all groups at once: ECE": 0.06,
    "FNR of a group at a fixed FPR": 0.03,
    "Band of a ROC curve, at one FPR": 0.03,
    "Spread of rates: GARBE": 0.1,
    "Disparity whose pair is not the one proven": 0.03,
    "Reference, both rates and two attributes at once": 0.03,
    "Frames of persons audited as persons, no option": 0.1,
    "Five fakes a photo, disparity although equal, no option": 0.05,
    "Units, verdicts that differ by seed": 0.05,
    "EER with weights": 0.3,
    "AUC with weights": 0.3,
    "Comparison by units, any false winner": 0.3,
    "Spread of rates: maximum / geometric mean": 0.1,
    "A coin taken for a detector": 0.05,
    "A threshold that fits nothing passes": 0.05,
    "A useful detector found to be one": 0.05,
    "--max-fpr passed although a group exceeds it": 0.05,
    "Ratio, proven beyond 1.25 though at 1.25": 0.04,
    "Ratio, any truly equal pair named": 0.04,
    'Ratio, "within tolerance" although wrong': 0.02,
    "Ratio, persons of 10 images": 0.1,
    "Four fifths, proven below though at 0.8": 0.04,
    "Four fifths, called kept though below 0.8": 0.02,
    "Four fifths, persons of 10 images": 0.1,
    "Trials: interval of a group's FMR": 0.08,
    "Trials: interval of a group's FNMR": 0.2,
    "Trials: interval of a group's AUC": 0.15,
    "Trials: interval of a group's EER": 0.2,
    "Trials: a false winner of two verifiers": 0.15,
    "Trials: equal verifier convicted": 0.06,
}
"""Share of the study's simulations that the tests afford."""


def load():
    sys.path.insert(0, str(PATH.parent))
    spec = importlib.util.spec_from_file_location("calibration_study", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CALIBRATION = load()
STUDIES = [
    (seed, study)
    for seed, study in CALIBRATION.SEEDED
    if study.what in QUICK
    and "85 " not in study.case
    and "0,000 +" not in study.case
    and not (study.what.startswith(("Ratio", "Four")) and "10 questions" in study.case)
    and not (study.what.startswith("Trials") and ("200 beside" in study.case or "60 speakers" in study.case))
]


@pytest.mark.parametrize(("seed", "study"), STUDIES, ids=[f"{s.what}, {s.case}" for _, s in STUDIES])
def test_keeps_its_promise(seed, study):
    n = int(study.n * QUICK[study.what])
    share = CALIBRATION.run(study, seed, QUICK[study.what])
    low, high = study.aim
    noise = 3 * (max(0.05 * 0.95, low * (1 - low)) / n) ** 0.5
    assert low - noise <= share <= high + noise


def test_every_kind_of_interval_is_studied():
    assert {study.what for _, study in CALIBRATION.SEEDED} >= set(QUICK) | {"AUC", "EER", "Max-min gap"}
