"""The whole search: what is split, what is chosen, and how often it is right (benchmarks/mitigation.py)."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer

from audit.config import AuditConfig
from audit.errors import MissingColumnError, MitigationError
from audit.mitigation.group_aware import _scores_themselves, group_thresholds
from audit.mitigation.group_errors import error_grid, thresholds_of
from audit.mitigation.parts import Plan, singles, split
from audit.mitigation.search import find_cure, trade_offs
from audit.mitigation.targets import Aim, targets_of
from audit.mitigation.thresholds import calibrated, candidates, least_worst_group
from audit.schema.mitigation import MitigationResult
from reports.text.mitigation_text import too_few

PATH = Path(__file__).parents[3] / "benchmarks" / "mitigation.py"


def load():
    spec = importlib.util.spec_from_file_location("mitigation_study", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


STUDY = load()
CONFIG = STUDY.CONFIG


@pytest.fixture(scope="module")
def frame():
    return STUDY.table_of(STUDY.CASES[0], np.random.default_rng(1))


@pytest.fixture(scope="module")
def found(frame):
    return find_cure(frame, CONFIG, 0.35)


@pytest.fixture(scope="module")
def aim(frame):
    parts = split(frame, CONFIG, 0.5)
    return parts, Aim(targets_of(parts.fit, 0.35, CONFIG), 0.35, 0.02, CONFIG, (2000, 2000))


@pytest.mark.parametrize("case", STUDY.CASES[:-1], ids=lambda case: case.what)
def test_searches_end_as_they_should(case):
    n = 12
    share = STUDY.outcomes(case, n, seed=1)[case.right] / n
    assert case.aim[0] - 0.2 <= share <= case.aim[1] + 0.1


def test_no_pair_and_no_unit_is_in_both_parts(frame):
    parts = split(frame, CONFIG, 0.5)
    assert len(parts.fit) + len(parts.judge) == len(frame)
    assert not set(parts.fit.key) & set(parts.judge.key)
    assert len(parts.fit.real_row) + len(parts.judge.real_row) == len(frame) // 2
    assert parts.n_left_out == 0 and abs(len(parts.fit) / len(frame) - 0.5) < 0.03


def test_units_stay_whole_and_count_once(frame):
    person = frame["pair_id"].str.slice(1).astype(int) // 2
    parts = split(frame.assign(person=person), replace(CONFIG, unit_column="person"), 0.5)
    assert len(parts.fit) + len(parts.judge) == len(frame) // 2 == parts.n_left_out
    note = find_cure(frame.assign(person=person), replace(CONFIG, unit_column="person"), 0.35).notes
    assert "One real and one fake image of each person" in note[0]


def test_images_that_fixed_the_threshold_never_judge(frame):
    from audit.data.score_table import score_table
    from audit.metrics.operating_point import calibration_rows

    ruled = score_table(frame, replace(CONFIG, threshold="eer"))
    fixed = set(ruled.key[calibration_rows(ruled, 0.3, 0)])
    assert fixed and not fixed & set(split(frame, CONFIG, 0.5).judge.key)


def test_the_record(found, frame):
    assert found.outcome == "accepted" and found.cure.outcome == "accepted"
    assert [(t.attribute, t.rate, t.worst_group) for t in found.targets] == [("race", "fpr", "Black")]
    assert sum(one.chosen for one in found.candidates) == 1
    chosen = next(one for one in found.candidates if one.chosen)
    assert chosen.threshold == found.cure.threshold
    table = split(frame, CONFIG, 0.5).judge
    assert found.cure.error.fpr_after == pytest.approx((table.score[~table.fake] >= chosen.threshold).mean())
    assert [(v.attribute, v.rate) for v in found.verdicts] == [("race", "fpr"), ("race", "fnr")]
    assert found.verdicts[0].verdict == "disparity"
    assert MitigationResult.model_validate_json(found.to_json()).to_json() == found.to_json()


def test_the_same_bytes_in_any_order_of_rows(found, frame):
    again = find_cure(frame.sample(frac=1, random_state=3), CONFIG, 0.35)
    assert again.to_json() == found.to_json()


def test_what_the_judging_part_shows_chooses_nothing(found, frame):
    parts = split(frame, CONFIG, 0.5)
    judging = frame["pair_id"].isin([f"p{i}" for i in range(10**4)]) & ~frame.index.isin([])
    key = pd.util.hash_array(frame["pair_id"].to_numpy(dtype=object))
    judging &= np.isin(key, parts.judge.key)
    turned = frame.assign(score=np.where(judging, 1 - frame["score"], frame["score"]))
    other = find_cure(turned, CONFIG, 0.35)
    assert other.candidates == found.candidates and other.targets == found.targets
    assert other.cure.outcome != "accepted"


def test_errors_on_the_grid_are_those_counted_one_by_one(aim):
    parts, _ = aim
    [grouping] = singles(parts.fit)
    tried = thresholds_of(parts.fit)[::40]
    grid = error_grid(parts.fit, grouping, tried)
    group = grouping.of_cell[parts.fit.cell]
    for column, threshold in enumerate(tried):
        wrong = (parts.fit.score >= threshold) != parts.fit.fake
        for g in range(len(grouping)):
            rows = group == g
            assert grid.fp[g, column] == (wrong & rows & ~parts.fit.fake).sum()
            assert grid.fn[g, column] == (wrong & rows & parts.fit.fake).sum()


def test_calibration_is_where_a_fake_is_as_likely_as_a_real_image(aim):
    parts, aimed = aim
    rng = np.random.default_rng(0)
    normal = replace(parts.fit, score=np.where(parts.fit.fake, 3.0, 1.0) + rng.normal(size=len(parts.fit)))
    assert calibrated(normal, aimed) == pytest.approx(2.0, abs=0.1)
    assert np.isnan(calibrated(replace(normal, score=-normal.score), aimed))
    assert np.isnan(calibrated(replace(normal, score=np.ones(len(normal))), aimed))


def test_the_best_threshold_for_the_worst_group_is_the_best_of_all_tried(aim):
    parts, aimed = aim
    chosen = least_worst_group(parts.fit, aimed)
    [grouping] = singles(parts.fit)
    tried = np.append(thresholds_of(parts.fit), chosen)
    worst = error_grid(parts.fit, grouping, tried).error.max(axis=0)
    assert worst[-1] == worst.min()


def test_group_aware_decisions_are_fairlearns(aim):
    parts, aimed = aim
    rules = group_thresholds(parts.fit, aimed)
    [grouping] = singles(parts.fit)
    names = np.array(grouping.names, dtype=object)[grouping.of_cell[parts.fit.cell]]
    theirs = ThresholdOptimizer(
        estimator=_scores_themselves(), constraints="false_positive_rate_parity",
        objective="balanced_accuracy_score", prefit=True, predict_method="predict",
    )  # fmt: skip
    column = parts.fit.score.reshape(-1, 1)
    theirs.fit(column, parts.fit.fake.astype(int), sensitive_features=names)
    expected = theirs._pmf_predict(column, sensitive_features=names)[:, 1]
    drawn = np.mean([rules.flagged(parts.fit, seed) for seed in range(200)], axis=0)
    certain = (expected < 1e-9) | (expected > 1 - 1e-9)
    assert certain.mean() > 0.8 and (drawn[certain] == expected[certain].round()).all()
    assert np.abs(drawn - expected).max() < 0.2
    assert drawn[~parts.fit.fake].mean() == pytest.approx(expected[~parts.fit.fake].mean(), abs=0.005)


def test_the_front_holds_what_nothing_beats(aim):
    parts, _ = aim
    points = trade_offs(parts.judge, "race", 30)
    front = sorted((p.error, p.worst_group_error) for p in points if p.front)
    assert all(a[1] >= b[1] for a, b in pairwise(front))
    best = min(p.error for p in points)
    assert best == front[0][0]


def test_no_single_threshold_helps_is_said_why(aim):
    parts, aimed = aim
    strict = replace(aimed, margin=0.0, threshold=float(np.median(parts.fit.score)))
    tried = candidates(parts.fit, replace(strict, targets=aimed.targets))
    assert all(one.reason or one.chosen or np.isfinite(one.threshold) for one in tried)
    nothing = candidates(parts.fit, replace(aimed, threshold=tried[0].threshold))
    assert all(one.reason for one in nothing if not one.chosen)


# what cannot be used


def test_a_table_too_small_to_split(frame):
    with pytest.raises(MitigationError, match="no attribute has two groups of at least 30 images"):
        find_cure(frame.groupby("label").head(60), CONFIG, 0.35)


def test_no_group_column(frame):
    with pytest.raises(MissingColumnError, match="no column 'race'"):
        find_cure(frame.drop(columns="race"), CONFIG, 0.35)


def test_no_group_known_in_the_fitting_part(frame):
    fit = set(split(frame, CONFIG, 0.5).fit.key)
    key = pd.util.hash_array(frame["pair_id"].to_numpy(dtype=object))
    hidden = frame.assign(race=frame["race"].where(~np.isin(key, list(fit))))
    with pytest.raises(MitigationError, match="in both the fitting and the judging part"):
        find_cure(hidden, CONFIG, 0.35)


def test_one_class_alone(frame):
    with pytest.raises(MitigationError, match="both need real and fake images"):
        find_cure(frame[frame["label"] == 1], CONFIG, 0.35)


def test_a_cell_with_no_images_takes_no_part_in_what_is_fitted(frame):
    empty = frame[~((frame["race"] == "Indian") & (frame["label"] == 1))]
    found = find_cure(empty, CONFIG, 0.35)
    assert "Indian" not in [rule.group for rule in found.bound.rules]
    shift = next(g for g in found.cure.groups if (g.group, g.rate) == ("Indian", "fnr"))
    assert shift.n == 0 and np.isnan(shift.before) and shift.interval is None


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(fit_share=0.95), "fit share 0.95 is not in 0.1-0.9"),
        (Plan(margin=-0.1), "margin -0.1 is not in 0-0.5"),
    ],
)
def test_impossible_plans(frame, plan, said):
    with pytest.raises(MitigationError, match=said):
        find_cure(frame, CONFIG, 0.35, plan=plan)


def test_an_attribute_of_too_few_images_is_said(frame):
    """Its gap may be proven on all images, and is not to be passed over in silence on half of them."""
    rare = frame.assign(shape=np.where(frame["pair_id"].isin(["p1", "p2", "p3"]), "round", "long"))
    found = find_cure(rare, replace(CONFIG, attributes=("race", "shape")), 0.35)
    assert found.not_compared == ["shape"] and {t.attribute for t in found.targets} == {"race"}
    quiet = find_cure(rare, replace(CONFIG, attributes=("race", "shape")), 0.99)
    assert "Nothing can be tried by shape: fewer than two groups have 30 images" in too_few(quiet)


def test_nothing_to_cure_is_left_alone(simulate):
    found = find_cure(simulate(400, seed=2), AuditConfig(("race",), n_boot=200), 0.0)
    assert (found.outcome, found.cure, found.bound, found.targets) == ("nothing to cure", None, None, [])
