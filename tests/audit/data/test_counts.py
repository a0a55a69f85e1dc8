"""Counts: by hand, merged, and resampled as rows would be."""

from __future__ import annotations

import numpy as np

from audit.config import AuditConfig
from audit.data.counts import bootstrap, count, equal_replicates
from audit.data.score_table import score_table


def test_by_hand(twelve_pairs):
    counts = count(score_table(twelve_pairs, AuditConfig()), 0.5)
    assert counts.fp.tolist() == [1, 3] and counts.fn.tolist() == [2, 0]
    assert counts.n_real.tolist() == [6, 6] and counts.n_fake.tolist() == [6, 6]
    assert counts.pairs.tolist() == [[[4, 1], [0, 1]], [[3, 0], [3, 0]]]
    assert counts.reals.sum() == counts.fakes.sum() == 0


def test_without_pairs_the_same_rates(twelve_pairs):
    paired = count(score_table(twelve_pairs, AuditConfig()), 0.5)
    single = count(score_table(twelve_pairs.drop(columns="pair_id"), AuditConfig()), 0.5)
    assert single.pairs.sum() == 0
    assert (single.fp == paired.fp).all() and (single.fn == paired.fn).all()
    assert (single.n_real == paired.n_real).all() and (single.n_fake == paired.n_fake).all()


def test_merging_adds_up(simulate):
    table = score_table(simulate(500), AuditConfig())
    counts = count(table, 0.0)
    race = table.cells.grouping([1])
    merged = counts.merge(race.of_cell, len(race))
    assert merged.total().pairs.tolist() == counts.total().pairs.tolist()
    frame = simulate(500)
    expected = [((frame.race == r) & (frame.label == 0) & (frame.score >= 0)).sum() for r in race.names]
    assert merged.fp.tolist() == expected


def test_bootstrap_is_resampling_pairs(simulate):
    """Mean and covariance of the multinomial replicates are those of resampling rows of pairs."""
    table = score_table(simulate(400, shift=0.5), AuditConfig(attributes=["race"]))
    counts = count(table, 0.0)
    rng = np.random.default_rng(0)
    drawn = bootstrap(counts, 4000, rng)
    assert (drawn.n_real == counts.n_real).all() and (drawn.n_fake == counts.n_fake).all()
    in_b = table.cell[table.real_row] == 1
    wrong = np.stack([table.score[table.real_row] >= 0, table.score[table.fake_row] < 0], axis=1)[in_b]
    rows = wrong[rng.integers(0, len(wrong), (4000, len(wrong)))].sum(axis=1)
    ours = np.stack([drawn.fp[:, 1], drawn.fn[:, 1]], axis=1)
    np.testing.assert_allclose(ours.mean(axis=0), rows.mean(axis=0), rtol=0.03)
    np.testing.assert_allclose(np.cov(ours.T), np.cov(rows.T), rtol=0.15, atol=0.3)


def test_equal_replicates_share_one_rate(simulate):
    counts = count(score_table(simulate(3000, shift=1.0), AuditConfig(attributes=["race"])), 0.0)
    drawn = equal_replicates(counts, 500, np.random.default_rng(0))
    rates = (drawn.fp / drawn.n_real).mean(axis=0)
    np.testing.assert_allclose(rates, counts.fp.sum() / counts.n_real.sum(), rtol=0.02)


def test_empty_strata_stay_empty(twelve_pairs):
    reals_only = twelve_pairs[twelve_pairs["label"] == 0]
    counts = count(score_table(reals_only, AuditConfig()), 0.5)
    drawn = bootstrap(counts, 10, np.random.default_rng(0))
    assert drawn.n_fake.sum() == 0 and drawn.n_real.sum() == 120
