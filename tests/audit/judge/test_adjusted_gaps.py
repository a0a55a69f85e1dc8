"""Gaps at equal value of a column: planted causes, and columns that cannot be used."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from scipy.stats import studentized_range

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.errors import ConfigError, MissingColumnError, UnclearTableError
from audit.judge.adjusted_gaps import Control, adjusted_gaps
from audit.runs.image_audit import audit_scored
from audit.runs.score_audit import Extras, audit_file, audit_scores
from detectors.scoring.dataset_scores import Scored
from pipelines.dataset.manifest import MANIFEST, table_of, write_table

CONFIG = AuditConfig(attributes=("race",), n_boot=200, controls=("quality",))


def planted(n, seed, of_quality, of_group):
    """Real images of A and B and as many fakes of whom none is missed; group B's quality is lower.

    The share flagged is 0.1 + of_quality in the lower of two qualities, and `of_group` more in B.
    """
    rng = np.random.default_rng(seed)
    race = rng.choice(["A", "B"], 2 * n)
    low = rng.random(2 * n) < np.where(race == "B", 0.8, 0.3)
    flagged = rng.random(2 * n) < 0.1 + of_quality * low + of_group * (race == "B")
    fake = np.arange(2 * n) >= n
    return pd.DataFrame(
        {
            "label": fake.astype(int),
            "score": np.where(fake, 0.9, np.where(flagged, 0.8, 0.2)),
            "race": race,
            "quality": np.where(low, rng.uniform(0.2, 0.5, 2 * n), rng.uniform(0.5, 0.9, 2 * n)),
            "low": low,
        }
    )


def only(frame, config=CONFIG, **extras):
    [gap] = audit_scores(frame, config, Extras(**extras)).adjusted_gaps
    return gap


def test_a_gap_of_quality_alone_goes_away():
    gap = only(planted(4000, 0, of_quality=0.3, of_group=0.0), replace(CONFIG, controls=("low",)))
    assert (gap.worst_group, gap.best_group, gap.rate) == ("B", "A", "fpr")
    assert gap.raw > 0.12 and gap.raw_interval[0] > 0.09
    assert abs(gap.adjusted) < 0.03 and gap.interval[0] < 0 < gap.interval[1]
    assert gap.n_taking_part == gap.n_images == 4000 and gap.raw_taking_part == pytest.approx(gap.raw)


def test_a_gap_of_the_group_stays():
    gap = only(planted(4000, 1, of_quality=0.0, of_group=0.2))
    assert gap.kind == "fifths" and len(gap.strata) == 5
    assert gap.adjusted == pytest.approx(0.2, abs=0.04) and gap.interval[0] > 0.14


def test_fifths_take_away_most_of_a_smooth_influence():
    rng = np.random.default_rng(3)
    race = rng.choice(["A", "B"], 20_000)
    quality = rng.normal(np.where(race == "B", -0.5, 0.5))
    flagged = rng.random(20_000) < 1 / (1 + np.exp(1.5 + quality))
    frame = pd.DataFrame({"label": 0, "score": flagged * 1.0, "race": race, "quality": quality})
    gap = only(frame)
    assert gap.raw > 0.13 and gap.adjusted < 0.15 * gap.raw


def test_coverage_from_images_to_interval():
    config = replace(CONFIG, controls=("low",))
    [verdict, _] = audit_scores(planted(600, 0, 0.3, 0.1), config).verdicts
    hits = 0
    for seed in range(80):
        frame = planted(600, seed, of_quality=0.3, of_group=0.1)
        table = score_table(frame, config)
        [gap] = adjusted_gaps(table, frame, 0.5, [verdict], [Control("low")], config)
        hits += gap.interval[0] <= 0.1 <= gap.interval[1]
    assert 71 <= hits <= 80  # 76 expected


def test_the_strata_are_a_picture_of_all_images_and_the_raw_gap_is_theirs():
    frame = planted(800, 4, 0.2, 0.1)
    gap = only(frame)
    errors = [[s.worst_errors, s.best_errors] for s in gap.strata]
    images = [[s.worst_images, s.best_images] for s in gap.strata]
    real = frame[frame["label"] == 0]
    by = real.assign(wrong=real["score"] >= 0.5).groupby("race")["wrong"]
    assert gap.raw == pytest.approx(abs(by.mean()["B"] - by.mean()["A"]))
    assert np.sum(images) == len(real) and np.sum(errors) == by.sum().sum()


def test_intervals_hold_for_all_pairs_of_groups_since_the_pair_was_picked():
    frame = planted(3000, 4, 0.0, 0.0)
    two = np.random.default_rng(1).choice(list("AB"), len(frame))
    seven = np.where(two == "A", two, np.random.default_rng(2).choice(list("BCDEFG"), len(frame)))
    config = replace(CONFIG, attributes=("race",))
    frame["race"] = seven
    gap = only(frame)
    pair = frame[frame["race"].isin([gap.worst_group, gap.best_group])]
    alone = only(pair, config)
    wider = studentized_range.ppf(0.975, 7, np.inf) / math.sqrt(2) / 2.241403
    assert np.diff(gap.interval) / np.diff(alone.interval) == pytest.approx(wider, rel=0.05)
    assert np.diff(gap.part_interval) / np.diff(alone.part_interval) == pytest.approx(wider, rel=0.05)
    assert gap.raw_interval[0] < 0 < gap.raw_interval[1]


def test_intervals_hold_for_all_adjusted_gaps_of_the_audit_at_once():
    """Each at 95 % alone, six gaps of 0 were said to remain somewhere in 31 % of audits."""
    frame = planted(2000, 4, 0.2, 0.1).assign(gender=np.tile(["F", "M"], 2000), empty=np.nan)
    alone = only(frame)
    config = replace(CONFIG, attributes=("race", "gender"), controls=("quality", "empty"))
    gaps = audit_scores(frame, config).adjusted_gaps
    [told, other] = [gap for gap in gaps if gap.columns == ["quality"]]  # what says nothing takes no share
    assert other.attribute == "gender" and told.adjusted == pytest.approx(alone.adjusted)
    wider = ndtri(1 - 0.05 / 8) / ndtri(1 - 0.05 / 4)
    for one, single in ((told.interval, alone.interval), (told.part_interval, alone.part_interval)):
        assert np.diff(one) / np.diff(single) == pytest.approx(wider, rel=0.02)
    assert told.raw_interval == pytest.approx(alone.raw_interval)


def test_a_column_that_has_nothing_to_do_with_the_errors_has_no_part_in_the_gap():
    """By point estimates it had, in one audit of five."""
    rng, said = np.random.default_rng(8), 0
    [verdict, _] = audit_scores(planted(600, 0, 0.0, 0.1), CONFIG).verdicts
    for seed in range(40):
        frame = planted(600, seed, of_quality=0.0, of_group=0.1)
        frame["quality"] = rng.normal(np.where(frame["race"] == "B", -1.5, 0.0))
        table = score_table(frame, CONFIG)
        [gap] = adjusted_gaps(table, frame, 0.5, [verdict], [Control("quality")], CONFIG)
        said += gap.part_interval[0] > 0 or gap.part_interval[1] < 0
        middle = gap.raw_taking_part - gap.adjusted
        assert np.mean(gap.part_interval) == pytest.approx(middle, abs=1e-9)
    assert said <= 5  # 2 expected at the most


def test_a_column_that_has_a_part_in_the_gap_is_shown_to():
    gap = only(planted(4000, 0, of_quality=0.3, of_group=0.1))
    assert gap.part_interval[0] > 0.08 and gap.part_interval[1] < 0.25 and gap.interval[0] > 0


def test_missing_values_take_no_part_and_are_counted():
    frame = planted(2000, 5, 0.2, 0.1)
    frame.loc[frame.index % 4 == 0, "quality"] = np.nan
    gap = only(frame)
    assert gap.n_missing == 500 and 1450 < gap.n_taking_part <= 1500 and gap.n_images == 2000
    assert gap.raw_taking_part != gap.raw


def test_strata_of_one_group_take_no_part():
    frame = planted(2000, 6, 0.0, 0.2)
    frame["quality"] = np.where(frame["race"] == "A", np.where(frame.index % 2, "x", "y"), "x")
    gap = only(frame)
    n_y = int(((frame["quality"] == "y") & (frame["label"] == 0)).sum())
    assert gap.kind == "values" and gap.n_taking_part == 2000 - n_y and gap.n_missing == 0


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (0.5, "all images have the same value"),
        (np.nan, "no image has a value"),
        ("race", "the groups do not overlap in quality: the two cannot be separated"),
        ("few", "the groups do not overlap in quality: the two cannot be separated"),
    ],
)
def test_columns_that_tell_nothing_say_why(quality, reason):
    frame = planted(2000, 7, 0.0, 0.2)
    if quality == "few":
        shared = frame.index.isin(frame.index[(frame["race"] == "B") & (frame["label"] == 0)][:20])
        quality = np.where((frame["race"] == "A") | shared, "x", "y")
    frame["quality"] = frame["race"] if isinstance(quality, str) else quality
    gap = only(frame)
    assert reason in gap.reason and math.isnan(gap.adjusted) and gap.interval is None
    assert gap.raw > 0.1 and gap.separable == ("separated" not in reason)


def test_perfect_separation_is_never_a_number():
    frame = planted(2000, 7, 0.0, 0.0)
    frame["score"] = np.where(frame["label"] == 1, 0.9, np.where(frame["quality"] < 0.4, 0.8, 0.2))
    gap = only(frame)
    assert math.isnan(gap.adjusted) and gap.interval is None and not gap.separable
    assert gap.reason == "quality alone tells right from wrong: the two cannot be separated"


def unequal_in_quality_alone(seed, n=(20_000, 5_000)):
    """Real images whose chance to be flagged depends on their quality and nothing else."""
    rng = np.random.default_rng(seed)
    race = np.repeat(["A", "B"], n)
    quality = rng.normal(np.where(race == "A", -0.7, 0.0))
    flagged = rng.random(sum(n)) < 1 / (1 + np.exp(3 + 1.5 * quality))
    return pd.DataFrame({"label": 0, "score": flagged * 1.0, "race": race, "quality": quality})


def test_pure_confounding_by_a_number_is_not_called_a_gap_that_stays():
    """Fifths left a tenth of the confounding: 0 of 100 intervals held the true 0."""
    gaps = [only(unequal_in_quality_alone(seed)) for seed in range(3)]
    assert all(gap.raw_interval[0] > 0.05 for gap in gaps)
    assert all(gap.interval[0] < 0 < gap.interval[1] for gap in gaps)


def test_several_columns_are_held_at_once():
    rng = np.random.default_rng(6)
    frame = unequal_in_quality_alone(5, (6000, 3000))
    second = rng.normal(np.where(frame["race"] == "A", -0.7, 0.0))
    frame["score"] = np.maximum(frame["score"], rng.random(len(frame)) < 1 / (1 + np.exp(2 + 2 * second)))
    frame["score"] = frame["score"].astype(float)
    config = replace(CONFIG, controls=("quality", "second"))
    one, _, both = audit_scores(frame.assign(second=second), config).adjusted_gaps
    assert one.interval[0] > 0 and both.interval[0] < 0 < both.interval[1]
    assert both.column == "quality and second" and both.columns == ["quality", "second"]
    assert both.kind == "together" and both.strata == [] and one.columns == ["quality"]


def test_an_attribute_is_not_held_against_itself_and_intersections_are_passed_over():
    frame = planted(2000, 8, 0.2, 0.2).assign(gender=np.tile(["F", "M"], 2000))
    config = replace(CONFIG, attributes=("race", "gender"), controls=("race", "quality"))
    found = {(g.attribute, g.column) for g in audit_scores(frame, config).adjusted_gaps}
    assert found == {
        ("race", "quality"),
        ("gender", "race"),
        ("gender", "quality"),
        ("gender", "race and quality"),
    }


def test_a_usual_column_goes_with_its_rate_alone_unless_asked_for():
    frame = planted(2000, 9, 0.2, 0.2)
    frame.loc[(frame["label"] == 1) & (frame.index % 3 == 0), "score"] = 0.1
    usual = (Control("quality", ("fnr",)),)
    rates = [
        g.rate
        for g in audit_scores(frame, replace(CONFIG, controls=()), Extras(controls=usual)).adjusted_gaps
    ]
    assert rates == ["fnr"]
    asked = audit_scores(frame, CONFIG, Extras(controls=usual))
    assert [g.rate for g in asked.adjusted_gaps] == ["fpr", "fnr"] and asked.config.controls == ["quality"]


def test_images_that_fixed_the_threshold_take_no_part():
    frame = planted(3000, 10, 0.2, 0.2)
    frame["score"] += np.random.default_rng(0).normal(0, 0.1, len(frame))
    result = audit_scores(frame, replace(CONFIG, threshold="fpr=0.3"))
    [fpr, *_] = result.adjusted_gaps
    assert fpr.n_images == result.data.n_real < 3000
    ends = {g.group: g.fpr for g in result.groups}
    assert fpr.raw == pytest.approx(ends[fpr.worst_group] - ends[fpr.best_group])


def test_columns_that_are_not_there_or_decide_the_error_are_refused(tmp_path):
    frame = planted(100, 11, 0, 0)
    with pytest.raises(
        MissingColumnError, match="no column 'blur' to hold constant; there are 'race', 'quality'"
    ):
        audit_scores(frame, replace(CONFIG, controls=("blur",)))
    with pytest.raises(MissingColumnError, match="no column 'score' to hold constant"):
        audit_scores(frame, replace(CONFIG, controls=("score",)))
    with pytest.raises(ConfigError, match="named twice in quality, quality"):
        audit_scores(frame, replace(CONFIG, controls=("quality", "quality")))
    frame.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(UnclearTableError, match=r"no column 'blur'; there are .*'race', 'quality', 'low'"):
        audit_file(tmp_path / "s.csv", tmp_path / "run", replace(CONFIG, controls=("blur",)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_gives_the_numbers_of_the_table(tmp_path, suffix):
    frame = planted(1000, 12, 0.2, 0.2)
    path = tmp_path / f"s.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found = audit_file(path, tmp_path / "run", replace(CONFIG, attributes=("race",)))
    assert found.adjusted_gaps[0].adjusted == pytest.approx(only(frame).adjusted)


@pytest.fixture
def scored_pairs(tmp_path):
    """300 scored pairs of groups A and B with a manifest; the fakes of B are worse and more often caught."""
    rng = np.random.default_rng(0)
    names = [f"p{i:03d}" for i in range(300)]
    race = rng.choice(["A", "B"], 300)
    quality = rng.uniform(0.4, 0.9, 300) - 0.3 * (race == "B")
    rows = [
        {
            "pair_id": name, "source": name, "status": "ok", "detail": "", "real": f"{name}r.png",
            "fake": f"{name}f.png", "race": group, "reconstruction_ms_ssim": q,
            "real_confidence": 0.9 + q / 20,
        }
        for name, group, q in zip(names, race, quality, strict=True)
    ]  # fmt: skip
    write_table(tmp_path / MANIFEST, table_of(rows))
    real, fake = rng.random(300) * 0.7, 1 - rng.random(300) * quality
    halves = [
        pd.DataFrame({"image_id": [f"{n}{w}.png" for n in names], "pair_id": names, "label": label,
                      "score": score, "status": "ok", "detail": "", "source": names, "kind": w, "race": race})
        for w, label, score in (("r", 0, real), ("f", 1, fake))
    ]  # fmt: skip
    data = {"layout": "pairs", "path": str(tmp_path), "folder": str(tmp_path), "provenance": {}}
    return Scored(pd.concat(halves, ignore_index=True), ("race",), data=data)


def test_pairs_are_held_against_their_quality_without_being_asked(scored_pairs, tmp_path):
    result = audit_scored(scored_pairs, tmp_path / "run", AuditConfig(n_boot=200))
    assert {(g.rate, g.column) for g in result.adjusted_gaps} == {
        ("fpr", "real_confidence"),
        ("fnr", "reconstruction_ms_ssim"),
    }
    assert all(g.n_taking_part and not g.n_missing for g in result.adjusted_gaps)
    kept = set(pd.read_parquet(tmp_path / "run/scores.parquet").columns)
    assert {"real_confidence", "reconstruction_ms_ssim"} <= kept  # `audit verify` derives the gaps again


def test_other_columns_of_the_manifest_can_be_named(scored_pairs, tmp_path):
    config = AuditConfig(n_boot=200, controls=("border_share",))
    found = audit_scored(scored_pairs, tmp_path / "run", config).adjusted_gaps
    assert [g.reason for g in found if g.column == "border_share"] == ["no image has a value"] * 2
    with pytest.raises(MissingColumnError, match=r"no column 'blur' .* 'border_share'"):
        audit_scored(scored_pairs, tmp_path / "x", AuditConfig(n_boot=200, controls=("blur",)))


def test_a_pairs_dataset_with_several_fakes_of_a_photo_has_the_photo_as_unit(scored_pairs, tmp_path):
    more = scored_pairs.table[scored_pairs.table["label"] == 1]
    again = [
        more.assign(image_id=more["image_id"] + str(i), score=more["score"].clip(0, 0.99)) for i in range(3)
    ]
    several = replace(scored_pairs, table=pd.concat([scored_pairs.table, *again], ignore_index=True))
    found = audit_scored(several, tmp_path / "run", AuditConfig(n_boot=200))
    assert found.config.unit_column == "pair_id" and found.data.units.n_units == 300
    one = audit_scored(scored_pairs, tmp_path / "one", AuditConfig(n_boot=200))
    for many, few in zip(found.groups, one.groups, strict=True):
        assert many.n_fake == 4 * few.n_fake and many.fnr_worth == pytest.approx(few.n_fake, rel=0.1)
    person = several.table.assign(person=several.table["source"].str[:3])
    known = audit_scored(
        replace(several, table=person), tmp_path / "p", AuditConfig(n_boot=200, unit_column="person")
    )
    assert known.data.units.n_units == 30


def test_the_raw_gap_beside_an_adjusted_one_is_that_of_the_weights():
    frame = planted(2000, 5, of_quality=0.2, of_group=0.1)
    frame["weight"] = np.where(frame["low"], 4.0, 1.0)
    result = audit_scores(frame, replace(CONFIG, controls=("low",), weight_column="weight"))
    [gap] = result.adjusted_gaps
    [verdict] = [v for v in result.verdicts if v.rate == "fpr"]
    assert gap.raw == pytest.approx(verdict.gap) and gap.raw_taking_part == pytest.approx(gap.raw)
    assert abs(gap.raw - only(frame, replace(CONFIG, controls=("low",))).raw) > 0.01


def test_the_interval_of_the_raw_gap_knows_the_persons():
    each = planted(150, 6, of_quality=0.2, of_group=0.1)
    frame = pd.concat([each.assign(person=each.index)] * 20, ignore_index=True)
    gap = only(frame, replace(CONFIG, controls=("low",), unit_column="person"))
    one = only(each, replace(CONFIG, controls=("low",)))
    assert gap.raw == pytest.approx(one.raw)
    assert np.ptp(gap.raw_interval) > 0.8 * np.ptp(one.raw_interval)
