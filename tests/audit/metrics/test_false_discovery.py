"""The share of real images among those flagged: against precision, by hand, at the edges, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score

from audit.metrics.false_discovery import false_discovery

Z = 1.959964


def test_at_the_sets_own_share_it_is_one_minus_precision():
    rng = np.random.default_rng(0)
    label = rng.random(900) < 0.3
    flagged = rng.random(900) < np.where(label, 0.8, 0.15)
    n_real, n_fake = int((~label).sum()), int(label.sum())
    fp, fn = int((flagged & ~label).sum()), int((~flagged & label).sum())
    rate, _ = false_discovery(fp, n_real, fn, n_fake, n_fake / 900, Z)
    assert rate == pytest.approx(1 - precision_score(label, flagged))


def test_by_hand_where_fakes_are_rare():
    # Of 10,000 images 100 are fakes: 90 of them are flagged, and 5 % of the 9,900 real ones, 495.
    rate, (low, high) = false_discovery(50, 1000, 100, 1000, 0.01, Z)
    assert rate == pytest.approx(495 / 585) and low < rate < high


def test_no_error_is_no_certainty_and_nothing_flagged_is_undefined():
    rate, (low, high) = false_discovery([0, 5, 0, 3], [40, 40, 40, 0], [2, 40, 40, 2], 40, 0.01, Z)
    assert rate[:2].tolist() == [0, 1] and np.isnan(rate[2:]).all()
    assert low[0] == 0 and 0.5 < high[0] < 1 and 0.5 < low[1] < 1 and high[1] == 1
    assert np.isnan(low[2:]).all() and np.isnan(high[2:]).all()


def test_rarer_fakes_more_false_discoveries():
    rate, _ = false_discovery(10, 200, 20, 200, [0.5, 0.05, 0.01], Z)
    assert (np.diff(rate) > 0).all()


def test_coverage():
    rng = np.random.default_rng(1)
    fp, fn = rng.binomial(150, 0.06, 4000), rng.binomial(120, 0.25, 4000)
    _, (low, high) = false_discovery(fp, 150, fn, 120, 0.02, Z)
    truth = 0.06 * 0.98 / (0.06 * 0.98 + 0.75 * 0.02)
    assert 0.935 <= ((low <= truth) & (truth <= high)).mean() <= 0.965
