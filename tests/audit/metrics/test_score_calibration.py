"""Calibration by group: counted by hand, honest about scores that are no probabilities, units and weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.metrics.score_calibration import NOT_PROBABILITIES
from audit.runs.score_audit import audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=100)


def drawn(n, seed=0, off=None):
    rng = np.random.default_rng(seed)
    race = rng.choice(["A", "B"], n)
    place = rng.normal(0, 2, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-place))).astype(int)
    place = place + (race == "B") * (off or 0.0)
    return pd.DataFrame({"label": label, "score": 1 / (1 + np.exp(-place)), "race": race})


def of(record, group):
    return next(one for one in record.calibration if one.group == group)


def test_counted_by_hand():
    frame = pd.DataFrame(
        {"label": [0, 1, 1, 1, 0, 1], "score": [0.15, 0.15, 0.95, 0.95, 0.95, 1.0], "race": ["A"] * 6}
    )
    one = of(audit_scores(frame, CONFIG), "overall")
    assert one.mean_score == pytest.approx(4.15 / 6)
    assert one.share_fake == pytest.approx(4 / 6)
    # range 0.1-0.2: 0.30 against 1 fake; range 0.9-1: 3.85 against 3
    assert one.ece == pytest.approx((0.7 + 0.85) / 6)
    assert one.ece_interval is None
    assert "fewer than 30" in one.reason


def test_a_calibrated_detector_is_not_accused_and_a_group_off_by_a_logit_is():
    record = audit_scores(drawn(4_000, off=1.0), CONFIG)
    calibrated, off = of(record, "A"), of(record, "B")
    assert calibrated.ece_interval[0] == 0
    assert calibrated.difference_interval[0] < 0 < calibrated.difference_interval[1]
    assert off.difference_interval[0] > 0.05
    assert off.ece_interval[0] > 0.05
    assert off.ece_interval[0] <= off.ece <= off.ece_interval[1]


def test_scores_that_are_no_probabilities_are_said_to_be_none(simulate):
    record = audit_scores(simulate(60), CONFIG)
    assert record.calibration == []
    assert record.calibration_reason == NOT_PROBABILITIES


def test_halves_of_a_pair_count_as_one_source():
    frame = drawn(400).assign(pair_id=lambda f: f.groupby("label").cumcount().map("p{}".format))
    frame["race"] = "A"
    by_pairs = of(audit_scores(frame, CONFIG), "overall")
    units = audit_scores(frame, AuditConfig(attributes=("race",), n_boot=100, unit_column="pair_id"))
    assert by_pairs.difference_interval == pytest.approx(of(units, "overall").difference_interval)
    assert by_pairs.ece_interval == pytest.approx(of(units, "overall").ece_interval)


def test_ten_copies_by_unit_are_as_certain_as_one():
    frame = drawn(200)
    copies = frame.loc[frame.index.repeat(10)].assign(person=np.repeat(np.arange(200), 10))
    once = audit_scores(frame, CONFIG)
    many = audit_scores(copies, AuditConfig(attributes=("race",), n_boot=100, unit_column="person"))
    widths = [np.diff(of(record, "A").difference_interval)[0] for record in (once, many)]
    assert widths[1] == pytest.approx(widths[0], rel=0.2)  # and not a third of it


def test_a_weight_of_zero_leaves_an_image_out():
    frame = drawn(300)
    extra = drawn(300, seed=1, off=5.0).assign(score=0.99, label=0)
    both = pd.concat([frame.assign(w=1.0), extra.assign(w=0.0)], ignore_index=True)
    record = audit_scores(both, AuditConfig(attributes=("race",), n_boot=100, weight_column="w"))
    assert of(record, "overall").ece == pytest.approx(of(audit_scores(frame, CONFIG), "overall").ece)


@pytest.mark.parametrize("each", [1, 10])
def test_a_group_without_an_error_is_not_certain(each):
    """Of 100 fakes of which none is missed, as many as 3 % can be missed in truth (rule of three)."""
    label = np.tile([0, 1], 100).repeat(each)
    frame = pd.DataFrame({"label": label, "score": np.where(label == 1, 1 - 1e-5, 1e-5), "race": "A"})
    config = AuditConfig(attributes=("race",), n_boot=100, unit_column="person" if each > 1 else None)
    one = of(audit_scores(frame.assign(person=np.arange(200).repeat(each)), config), "A")
    assert one.difference_interval[0] < -3 / 200 < 3 / 200 < one.difference_interval[1]
    assert one.ece_interval[0] == 0 and one.ece_interval[1] > 3 / 200
    assert one.ece_interval[1] < 6 / 200
