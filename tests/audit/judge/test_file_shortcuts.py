"""Whether files alone tell real from fake, and a detector where files are exchanged: counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.inference.proportion_intervals import newcombe, wilson
from audit.judge.file_shortcuts import _apart, _typical, at_equal_files, finding, flips, judge_facts
from audit.metrics.held_out_auc import held_out
from audit.schema.shortcuts import PartResult
from pipelines.sources.file_facts import NAMES

CONFIG = AuditConfig(attributes=("race",), min_n=10)
Z = 1.959964


def table(label, score, race="x"):
    return score_table(pd.DataFrame({"label": label, "score": score, "race": race}), CONFIG)


def test_flips_are_counted_by_class_and_group_and_a_unit_is_one():
    #       real a: 0 -> 1; unit 1 holds two images, one of which changes
    scored = table([0, 0, 0, 1, 1, 0], [0.1, 0.1, 0.1, 0.9, 0.1, 0.1], ["a", "a", "a", "a", "b", "b"])
    after = np.array([0.8, 0.8, 0.1, 0.1, 0.8, 0.8])
    exchanged = np.array([True, True, True, True, True, False])
    found = flips(scored, after, exchanged, np.array([7, 9, 9, 3, 4, 5]), 0.5, 0.95)
    counted = {(f.attribute, f.group, f.half): (f.n, f.flipped, f.toward) for f in found}
    [overall] = [f for f in found if f.attribute == "overall" and f.half == "real"]
    assert (overall.n, overall.flipped, overall.toward) == (2, 0.75, 0.75)
    assert counted["race", "a", "real"] == (2, 0.75, 0.75)
    assert counted["race", "a", "fake"] == (1, 1.0, 1.0)
    # a fake that passed and is flagged now has changed, and not to what a real image should be called
    assert counted["race", "b", "fake"] == (1, 1.0, 0.0)
    n, share, _ = counted["race", "b", "real"]
    assert n == 0 and math.isnan(share)  # not exchanged
    of_a = next(f for f in found if (f.group, f.half) == ("a", "real"))
    assert of_a.interval == pytest.approx([float(end) for end in wilson(0.75, 2, Z)], abs=1e-6)


def test_a_detector_of_files_has_nothing_left_at_equal_files():
    """Real and fake files overlap, and the detector decides by the file alone."""
    rng = np.random.default_rng(0)
    fake = np.arange(2000) % 2
    file_score = rng.normal(fake * 1.0, 1)
    flagged = rng.random(2000) < 1 / (1 + np.exp(-4 * (file_score - 0.5)))
    by_file = table(fake, np.where(flagged, 0.9, 0.1))
    found = at_equal_files(by_file, file_score, np.arange(2000), 0.5, CONFIG)
    tpr, fpr = (float(flagged[fake == one].mean()) for one in (1, 0))
    assert found.raw == pytest.approx(tpr - fpr)
    assert found.raw_interval == pytest.approx(
        [float(end) for end in newcombe(tpr, 1000, fpr, 1000, Z)], abs=1e-6
    )
    assert found.raw > 0.25 and found.interval is not None and found.reason is None
    assert abs(found.adjusted) < 0.1

    by_face = table(fake, np.where(rng.random(2000) < 0.1 + 0.7 * fake, 0.9, 0.1))
    found = at_equal_files(by_face, file_score, np.arange(2000), 0.5, CONFIG)
    assert found.interval is not None and found.interval[0] > 0.5
    assert found.adjusted == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize(
    ("file_score", "score", "reason"),
    [
        (lambda fake: fake * 10.0, lambda fake: fake * 1.0, "real and fake images do not overlap"),
        (lambda fake: np.arange(200) % 7, lambda fake: np.zeros(200), "none of one class is flagged"),
        (lambda fake: np.arange(200) % 7, lambda fake: np.ones(200), "all of one class are flagged"),
    ],
)
def test_where_files_cannot_be_made_equal_the_reason_speaks_of_classes(file_score, score, reason):
    fake = np.arange(200) % 2
    scored = table(fake, score(fake))
    found = at_equal_files(scored, np.asarray(file_score(fake), dtype=float), np.arange(200), 0.5, CONFIG)
    assert math.isnan(found.adjusted) and found.interval is None
    assert found.reason is not None and reason in found.reason and "group" not in found.reason


def test_how_far_a_fact_differs_is_its_auc_and_absence_is_below_all():
    rng = np.random.default_rng(1)
    fake, values = np.arange(300) % 3 == 0, rng.normal(size=300).round(1)
    assert _apart(values, fake) == pytest.approx(abs(roc_auc_score(fake, values) - 0.5))
    assert _apart(np.where(fake, np.nan, 5.0), fake) == 0.5


def test_what_is_typical_is_the_median_or_the_most_frequent_type():
    assert _typical("width", np.array([128.0, 128, 256, np.nan])) == "128"
    assert _typical("width", np.array([128.0, np.nan])) == "none"
    assert _typical("log_bytes", np.log([12_345.0, 12_345, 9])) == "12,345"
    assert _typical("border_step", np.array([-0.25])) == "−0.25"
    assert _typical("format", np.array([0.0, 0, 0, 1])).endswith("(75 %)")


@pytest.mark.slow
def test_the_fact_that_tells_is_named_with_its_family_and_noise_is_not():
    rng = np.random.default_rng(2)
    fake = np.arange(240) % 2 == 1
    facts = rng.normal(size=(240, len(NAMES)))
    facts[:, NAMES.index("format")] = 0
    calls = []
    parts, families, _ = judge_facts(facts, fake, np.arange(240), CONFIG, calls.append)
    assert not any(one.told for one in [*parts, *families]) and finding(parts) == "not shown"
    assert calls == [1] * (1 + 2 + len(families))

    facts[:, NAMES.index("width")] = np.where(fake, 256, 224)
    parts, families, scores = judge_facts(facts, fake, np.arange(240), CONFIG)
    assert {one.part: one.told for one in parts} == {"all": True, "file": True, "picture": False}
    [named] = [one for one in families if one.told]
    assert (named.family, named.fact, named.fact_label) == ("dimensions", "width", "width in px")
    assert (named.real, named.fake) == ("224", "256")
    assert named.auc > 0.95 and scores.auc(Z)[0] > 0.95


def test_the_file_is_named_before_the_picture():
    def part(name, told):
        return PartResult(part=name, auc=0.9, interval=(0.8, 1.0), told=told)

    assert finding([part("all", True), part("file", True), part("picture", True)]) == "files"
    assert finding([part("all", True), part("file", False), part("picture", True)]) == "picture"
    assert finding([part("all", True), part("file", False), part("picture", False)]) == "together"


def test_a_fact_that_most_files_lack_is_told_by_its_mean_and_one_format_by_its_share():
    """Two of five fakes have five tags and no other file has any; the sampling is unknown of all."""
    rng = np.random.default_rng(3)
    fake = np.arange(240) % 2 == 1
    facts = rng.normal(size=(240, len(NAMES)))
    for name in ("format", "progressive", "icc_bytes", "text_bytes", "jfif", "dpi", "exif_tags"):
        facts[:, NAMES.index(name)] = 0
    facts[:, NAMES.index("sampling")] = np.nan
    facts[fake & (np.arange(240) % 10 < 4), NAMES.index("exif_tags")] = 5
    _, families, scores = judge_facts(facts, fake, np.arange(240), CONFIG)
    by_name = {one.family: one for one in families}
    tags, sampling, form = by_name["metadata"], by_name["sampling"], by_name["format"]
    assert (tags.fact, tags.told, tags.part, tags.label) == ("exif_tags", True, "file", "metadata")
    assert (tags.real, tags.fake) == ("0 on average", "2 on average")
    assert (sampling.real, sampling.fake) == ("none", "none") and not sampling.told
    assert form.fact == "format" and form.real == form.fake and form.real.endswith("(100 %)")
    z = float(norm.isf(0.025 / (2 + len(families))))  # parts and families hold together
    column = facts[:, [NAMES.index(name) for name in ("exif_tags", "icc_bytes", "text_bytes", "jfif", "dpi")]]
    auc, interval = held_out(column, fake, np.arange(240), CONFIG.seed).auc(z)
    assert tags.auc == auc and tags.interval == pytest.approx(interval)
    assert auc == pytest.approx(0.7, abs=0.03) and len(scores.auc(Z)) == 2
