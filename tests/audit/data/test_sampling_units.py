"""One image of each unit: what is drawn, and that intervals and tests then keep what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.columns import resolved
from audit.data.counts import count
from audit.data.sampling_units import one_of_each
from audit.data.score_table import score_table
from audit.errors import MissingColumnError
from audit.inference.equality_test import equality_test
from audit.inference.proportion_intervals import wilson
from audit.runs.score_audit import audit_file, audit_scores

CONFIG = AuditConfig(unit_column="person", n_boot=100)


def clustered(n_units: int, rng: np.random.Generator, n_each: int = 10) -> pd.DataFrame:
    """Real images of units in two groups: rate 0.2 in both, intraclass correlation 0.5 (beta-binomial)."""
    rate = np.repeat(rng.beta(0.2, 0.8, n_units), n_each)
    return pd.DataFrame(
        {
            "label": 0,
            "score": (rng.uniform(size=len(rate)) < rate).astype(float),
            "race": np.repeat(rng.permutation(np.arange(n_units) % 2), n_each),
            "person": np.repeat([f"u{i}" for i in range(n_units)], n_each),
        }
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    """200 people, each with 3 reals and a fake of each; the second real's fake is missing."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(200), 6)
    pair = [f"{p}-{k}" for p in range(200) for k in (0, 0, 1, 2, 2, 2)]
    label = np.tile([0, 1, 0, 0, 1, 1], 200)
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(1200)],
            "pair_id": pair,
            "label": label,
            "score": np.clip(rng.normal(0.2 + 0.6 * label, 0.3), 0, 1),
            "race": np.where(person % 2, "a", "b"),
            "person": person.astype(str),
        }
    )


def test_one_real_and_one_fake_of_each(frame):
    kept, left = one_of_each(frame, CONFIG)
    assert left == 800
    assert (kept.groupby(["person", "label"]).size() == 1).all()
    assert kept.label.sum() == 200 and len(kept) == 400


def test_a_fake_of_the_drawn_real_is_preferred(frame):
    kept, _ = one_of_each(frame, CONFIG)
    drawn = kept.pivot(index="person", columns="label", values="pair_id")
    has_one = ~drawn[0].str.endswith("-1")
    assert 80 < has_one.sum() < 180, "reals are drawn at random"
    assert (drawn[0] == drawn[1])[has_one].all()


def test_the_draw_does_not_depend_on_the_order_of_rows(frame):
    kept, _ = one_of_each(frame, CONFIG)
    again, _ = one_of_each(frame.sample(frac=1, random_state=1), CONFIG)
    assert set(kept.image_id) == set(again.image_id)
    other, _ = one_of_each(frame, AuditConfig(unit_column="person", seed=1))
    assert set(kept.image_id) != set(other.image_id)


def test_no_unit_is_a_unit_of_its_own(frame):
    frame.loc[frame.index[:600], "person"] = None
    kept, left = one_of_each(frame, CONFIG)
    assert len(kept) == 600 + 200 and left == 400


def test_nothing_is_left_out_unasked(frame):
    kept, left = one_of_each(frame, AuditConfig())
    assert kept is frame and left == 0


def test_the_record_says_what_was_drawn(frame, tmp_path):
    frame.rename(columns={"person": "Person"}).to_csv(tmp_path / "s.csv", index=False)
    found = audit_file(tmp_path / "s.csv", tmp_path / "run", CONFIG)
    assert found.config.unit_column == "Person"
    assert found.data.n_left_out == {"another image of the same Person": 800}
    assert found.data.n_images == 400
    kept, _ = one_of_each(frame, CONFIG)
    assert found.data.n_pairs == kept.pair_id.duplicated().sum()
    assert found.notes[0].startswith("Each Person counts once")
    assert len(pd.read_parquet(tmp_path / "run" / "scores.parquet")) == 400
    in_memory = audit_scores(frame, CONFIG)
    assert [v.p_value for v in in_memory.verdicts] == [v.p_value for v in found.verdicts]


def test_a_threshold_rule_keeps_a_unit_on_one_side(frame):
    config = AuditConfig(unit_column="person", threshold="eer", n_boot=100)
    kept, _ = one_of_each(frame, config)
    table = score_table(kept, resolved(config, kept.columns))
    sides = pd.DataFrame({"person": kept.person, "key": table.key}).groupby("person").key.nunique()
    assert (sides == 1).all()


def test_what_cannot_be_drawn_is_refused(frame):
    with pytest.raises(MissingColumnError, match="no column 'video'; it has 'image_id'"):
        audit_scores(frame, AuditConfig(unit_column="video"))


def test_intervals_cover_and_the_test_keeps_its_size():
    """Ten images a unit, correlation 0.5: image by image both fail badly, drawn by unit both hold.

    3,000 runs gave 94.7 % and 5.5 % drawn by unit (60 % and 40 % image by image).
    """
    rng, n_runs = np.random.default_rng(1), 300
    covered, rejected = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for _ in range(n_runs):
        frame = clustered(300, rng)
        for drawn in (True, False):
            config = CONFIG if drawn else AuditConfig()
            kept, _ = one_of_each(frame, config)
            counts = count(score_table(kept, config), 0.5)
            low, high = wilson(counts.fp / counts.n_real, counts.n_real, 1.96)
            covered[drawn] += ((low <= 0.2) & (high >= 0.2)).mean()
            test = equality_test(counts.fp, counts.n_real, 200, rng)
            rejected[drawn] += test.p_value < 0.05
    assert 0.93 <= covered[True] / n_runs <= 0.97
    assert 0.02 <= rejected[True] / n_runs <= 0.08
    assert covered[False] / n_runs < 0.75 and rejected[False] / n_runs > 0.25
