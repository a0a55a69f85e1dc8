"""What rates over pairs are worth: plain counts without pairs, the pair bootstrap's variance with them."""

from __future__ import annotations

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.data.counts import bootstrap, count
from audit.data.score_table import score_table
from audit.inference.effective_sample_size import accuracy_worth, half_sum_worth, positive_rate_worth
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
