"""What rates over pairs are worth: plain counts without pairs, the pair bootstrap's variance with them."""

from __future__ import annotations

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.data.counts import Counts, bootstrap, count
from audit.data.score_table import score_table
from audit.inference.clusters import half_sum_worth_by_units, worth
from audit.inference.effective_sample_size import (
    accuracy_worth,
    as_independent,
    fnr_worth,
    fpr_worth,
    half_sum_worth,
    positive_rate_worth,
)
from audit.metrics.disparity import group_rates_of


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("rate", ["positive_rate", "accuracy", "half_sum"])
def test_standard_error_is_the_bootstraps(simulate, rate, paired):
    frame = simulate(1500)
    table = score_table(frame if paired else frame.drop(columns="pair_id"), AuditConfig())
    counts = count(table, -0.3).total()
    drawn = group_rates_of(bootstrap(counts, 6000, np.random.default_rng(0)))
    known = group_rates_of(counts)
    worth = {"positive_rate": positive_rate_worth, "accuracy": accuracy_worth, "half_sum": half_sum_worth}
    values, value = (
        (one.fpr + 1 - one.fnr) / 2 if rate == "half_sum" else getattr(one, rate) for one in (drawn, known)
    )
    se = np.sqrt(value * (1 - value) / worth[rate](counts))[0]
    tolerance = 0.05 if paired or rate != "accuracy" else 0.1  # a plain proportion ignores the fixed classes
    assert se == pytest.approx(values.std(), rel=tolerance)


def test_accuracy_without_pairs_is_worth_its_images(simulate):
    frame = simulate(400).drop(columns="pair_id")
    counts = count(score_table(frame, AuditConfig(attributes=["race"])), 0.0)
    assert accuracy_worth(counts) == pytest.approx(counts.n_real + counts.n_fake)


def test_nothing_is_worth_nothing(twelve_pairs):
    reals = twelve_pairs[twelve_pairs["label"] == 0]
    counts = count(score_table(reals, AuditConfig()), 0.5)
    assert (half_sum_worth(counts) == 0).all()
    assert (positive_rate_worth(counts) > 0).all()
    assert (positive_rate_worth(counts.total().rest()) == 0).all()


def test_no_error_yet_is_not_certainty(twelve_pairs):
    twelve_pairs["score"] = twelve_pairs["label"] + 0.0
    counts = count(score_table(twelve_pairs, AuditConfig()), 0.5)
    assert (positive_rate_worth(counts) < 200).all()


def smoothed_variance(outcomes):
    """Variance of the sum of a stratum whose outcomes (number, value) each get half a unit more."""
    n, value = (np.array(column, float) for column in zip(*outcomes, strict=True))
    share = (n + 0.5) / (n.sum() + 0.5 * len(n))
    mean = (share * value).sum()
    return n.sum() * mean, n.sum() * (share * (value - mean) ** 2).sum()


def mixed_counts():
    """One group: 60 pairs by (real flagged?, fake missed?), 30 single reals, 20 single fakes; one without."""
    pairs = np.array([[[35, 10], [5, 10]], [[0, 0], [0, 0]]])
    return Counts(pairs, np.array([[25, 5], [0, 0]]), np.array([[12, 8], [0, 0]]))


def test_the_positive_rate_by_hand():
    """Of a pair both halves may be flagged: two, one or none of 140 images."""
    strata = [[(35, 1), (10, 0), (5, 2), (10, 1)], [(25, 0), (5, 1)], [(12, 1), (8, 0)]]
    sums, variances = zip(*map(smoothed_variance, strata), strict=True)
    n = 60 * 2 + 30 + 20
    rate = sum(sums) / n
    expected = rate * (1 - rate) / (sum(variances) / n**2)
    assert positive_rate_worth(mixed_counts()) == pytest.approx([expected, 0])


def test_half_of_fpr_plus_tpr_by_hand():
    real, fake = 1 / (2 * 90), 1 / (2 * 80)
    strata = [
        [(35, fake), (10, 0), (5, real + fake), (10, real)], [(25, 0), (5, real)], [(12, fake), (8, 0)],
    ]  # fmt: skip
    sums, variances = zip(*map(smoothed_variance, strata), strict=True)
    expected = sum(sums) * (1 - sum(sums)) / sum(variances)
    assert half_sum_worth(mixed_counts()) == pytest.approx([expected, 0])


def test_the_accuracy_is_worth_its_images_over_the_design_effect_of_the_pairs():
    _, together = smoothed_variance([(35, 0), (10, 1), (5, 1), (10, 2)])
    real, fake = (5.5 + 10.5) / 62, (10.5 + 10.5) / 62
    effect = together / 60 / (real * (1 - real) + fake * (1 - fake))
    expected = 170 / (1 + 120 / 170 * (effect - 1))
    found = accuracy_worth(mixed_counts())
    assert found == pytest.approx([expected, 0]) and expected < 170


def test_images_of_persons_are_worth_fewer_whole_ones_at_the_same_rates(simulate):
    frame = simulate(200).drop(columns="pair_id").assign(person=lambda f: f.index // 5)
    plain = count(score_table(frame, AuditConfig(attributes=["race"])), 0.0)
    assert as_independent(plain) is plain
    assert fpr_worth(plain).tolist() == plain.n_real.tolist()
    assert fnr_worth(plain).tolist() == plain.n_fake.tolist()
    counts = count(score_table(frame, AuditConfig(attributes=["race"], unit_column="person")), 0.0)
    whole = as_independent(counts)
    for name, errors, images, worth_of in (
        ("fpr", "fp", "n_real", fpr_worth), ("fnr", "fn", "n_fake", fnr_worth),
    ):  # fmt: skip
        n = worth_of(counts)
        assert (n == worth(counts.moments, name).n).all()
        assert getattr(whole, images).tolist() == np.rint(n).tolist()
        rate = getattr(counts, errors) / getattr(counts, images)
        assert getattr(whole, errors).tolist() == np.rint(rate * np.rint(n)).tolist()
    for rate, worth_of in (("positive_rate", positive_rate_worth), ("error", accuracy_worth)):
        assert (worth_of(counts) == worth(counts.moments, rate).n).all()
    assert (half_sum_worth(counts) == half_sum_worth_by_units(counts.moments)).all()
