"""Counts: by hand, merged, and resampled as rows would be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.counts import Counts, bootstrap, count, equal_replicates
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


def mixed():
    """Three groups: pairs by (real flagged?, fake missed?), single reals and fakes by (wrong?)."""
    pairs = np.array([[[40, 10], [6, 4]], [[20, 0], [0, 5]], [[0, 0], [0, 0]]])
    return Counts(pairs, np.array([[8, 2], [0, 0], [30, 10]]), np.array([[0, 0], [15, 5], [7, 3]]))


def test_rates_of_pairs_and_single_images_together():
    counts = mixed()
    assert counts.fp.tolist() == [12, 5, 10] and counts.n_real.tolist() == [70, 25, 40]
    assert counts.fn.tolist() == [14, 10, 3] and counts.n_fake.tolist() == [60, 45, 10]
    assert counts.images.tolist() == [[70, 12, 60, 14], [25, 5, 45, 10], [40, 10, 10, 3]]
    rest = counts.rest()
    assert rest.fp.tolist() == [15, 22, 17] and rest.n_fake.tolist() == [55, 70, 105]
    assert rest.pairs[0].tolist() == [[20, 0], [0, 5]]
    taken = counts.take(np.array([2, 0]))
    assert taken.images.tolist() == [[40, 10, 10, 3], [70, 12, 60, 14]] and len(taken) == 2
    merged = counts.merge(np.array([1, 1, 0], dtype=np.int32), 3)
    assert merged.images.tolist() == [[40, 10, 10, 3], [95, 17, 105, 24], [0, 0, 0, 0]]
    assert counts.total().images.tolist() == [[135, 27, 115, 27]]


@pytest.mark.parametrize("min_n", [10, 11, 25, 26, 70])
def test_groups_are_large_enough_for_one_class_or_the_other(min_n):
    real, fake = mixed().enough(min_n)
    assert real.tolist() == [n >= min_n for n in (70, 25, 40)]
    assert fake.tolist() == [n >= min_n for n in (60, 45, 10)]


def test_groups_of_few_persons_are_not_large_enough():
    """Nine persons with reals and ten with fakes in group a, forty of each in b."""
    rows = [("a", 0, i % 9) for i in range(60)] + [("a", 1, 100 + i % 10) for i in range(60)]
    rows += [("b", i % 2, 200 + i) for i in range(80)]
    frame = pd.DataFrame(rows, columns=["race", "label", "person"]).assign(score=0.4)
    table = score_table(frame, AuditConfig(attributes=("race",), unit_column="person"))
    counts = count(table, 0.5)
    assert counts.images.tolist() == [[60, 0, 60, 60], [40, 0, 40, 40]]
    real, fake = counts.enough(30)
    assert real.tolist() == [False, True] and fake.tolist() == [True, True]
    assert counts.take(np.array([1])).enough(41)[0].tolist() == [False]
    assert counts.take(np.array([False, True])).images.tolist() == [[40, 0, 40, 40]]
    rest = counts.rest()
    assert rest.images.tolist() == [[40, 0, 40, 40], [60, 0, 60, 60]] and rest.fn.tolist() == [40, 60]
    assert counts.total().images.tolist() == [[100, 0, 100, 100]]
    assert counts.pairs.sum() == 0 and counts.reals.dtype == np.int64


def test_weights_are_counted_as_they_are_and_images_as_one(twelve_pairs):
    weighted = twelve_pairs.assign(w=np.where(twelve_pairs["race"] == "x", 0.5, 1.5))
    table = score_table(weighted, AuditConfig(weight_column="w"))
    counts = count(table, 0.5)
    assert counts.fp == pytest.approx([0.5, 4.5]) and counts.fn == pytest.approx([1.0, 0.0])
    assert counts.n_real == pytest.approx([3, 9]) and counts.images.tolist() == [[6, 1, 6, 2], [6, 3, 6, 0]]


def strata(drawn, counts):
    """Each stratum of replicates beside that of the counts they were drawn from."""
    return [(getattr(drawn, name), getattr(counts, name)) for name in ("pairs", "reals", "fakes")]


def test_every_stratum_is_resampled_and_keeps_its_size():
    counts = mixed()
    drawn = bootstrap(counts, 6000, np.random.default_rng(0))
    for found, seen in strata(drawn, counts):
        assert (found.reshape(6000, 3, -1).sum(axis=2) == seen.reshape(3, -1).sum(axis=1)).all()
        n = seen.reshape(3, -1).sum(axis=1)[:, None]
        share = seen.reshape(3, -1) / np.maximum(n, 1)
        spread = found.reshape(6000, 3, -1).std(axis=0)
        assert found.mean(axis=0) == pytest.approx(seen, abs=0.25)
        assert spread == pytest.approx(np.sqrt(n * share * (1 - share)), rel=0.06, abs=0.02)


def test_equal_groups_share_the_outcomes_of_all_together():
    counts = mixed()
    drawn = equal_replicates(counts, 6000, np.random.default_rng(0))
    for found, seen in strata(drawn, counts):
        flat = seen.reshape(3, -1)
        expected = flat.sum(axis=1)[:, None] * flat.sum(axis=0) / flat.sum()
        assert found.reshape(6000, 3, -1).mean(axis=0) == pytest.approx(expected, abs=0.25)
        assert found.reshape(6000, 3, -1).sum(axis=2).std(axis=0) == pytest.approx([0, 0, 0])
    none = Counts(counts.pairs, np.zeros((3, 2), np.int64), counts.fakes)
    for draw in (bootstrap, equal_replicates):
        assert draw(none, 5, np.random.default_rng(0)).reals.shape == (5, 3, 2)
        assert not draw(none, 5, np.random.default_rng(0)).reals.any()
