"""Measures that are counted in parts are those of the plain formulas over all images at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.config import AuditConfig
from audit.data import spans as module
from audit.data.score_table import score_table
from audit.metrics import score_shift
from audit.metrics.auc import auc_influence
from audit.metrics.curves_by_group import SortedScores, doubled_ranks, score_measures
from audit.metrics.error_curves import error_curve
from audit.metrics.score_shift import Placements, Ties
from audit.runs.score_audit import audit_scores

IMAGES = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40)


@given(IMAGES.filter(lambda rows: len({mine for _, mine in rows}) == 2))
def test_a_shift_is_counted_as_it_is_placed(rows):
    score, own = (np.array(part) for part in zip(*sorted(rows), strict=True))
    score = score.astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_shift, "SPAN", 3)
        counted = Ties.of(score).compare(np.flatnonzero(own))
    placed = Placements.of(score, None, None).compare(own)
    for name in ("mean", "variance", "sizes", "freedom", "equal_variance"):
        assert getattr(counted, name) == pytest.approx(getattr(placed, name), rel=1e-9, abs=1e-12), name
    assert counted.rests_on == pytest.approx(placed.rests_on, rel=1e-6, abs=1e-6)


@settings(max_examples=50)
@given(IMAGES.filter(lambda rows: len({fake for _, fake in rows}) == 2))
def test_ranks_are_the_images_of_the_other_class_below(rows):
    score, fake = (np.array(part) for part in zip(*sorted(rows), strict=True))
    score = score.astype(float)
    curve = error_curve(score, fake)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SPAN", 7)
        found = np.concatenate([rank for _, _, rank in doubled_ranks(score, fake, curve)])
    others = [score[fake != one] for one in fake]
    wanted = [
        2 * (other < own).sum() + (other == own).sum() for own, other in zip(score, others, strict=True)
    ]
    assert found.tolist() == wanted


def test_the_variance_of_the_auc_is_that_of_the_influences_over_pairs(simulate):
    table = score_table(simulate(300, shift=0.5), AuditConfig()).by_score()
    grouping = table.cells.groupings()[0]
    found = score_measures(SortedScores.of(table), grouping, 1.96)
    for g, one in enumerate(found):
        rows = np.flatnonzero(grouping.of_cell[table.cell] == g)
        influence = np.zeros(len(table))
        auc, influence[rows] = auc_influence(table.score[rows], table.fake[rows])
        pairs = influence[table.real_row] + influence[table.fake_row]
        single = np.setdiff1d(rows, np.r_[table.real_row, table.fake_row])
        variance = (pairs**2).sum() + (influence[single] ** 2).sum()
        assert one.auc == pytest.approx(auc)
        width = one.auc_interval[1] - one.auc_interval[0]
        assert width == pytest.approx(2 * 1.96 * variance**0.5, rel=0.1)


@pytest.mark.parametrize("digits", [16, 2])
def test_the_record_depends_on_no_length_of_parts_and_no_order_of_rows(simulate, monkeypatch, digits):
    frame = simulate(300, shift=0.4).round({"score": digits})
    config = AuditConfig(threshold=0.0, n_boot=100)
    once = audit_scores(frame, config)
    monkeypatch.setattr(module, "SPAN", 64)
    parts = audit_scores(frame.sample(frac=1, random_state=1), config)
    assert parts.verdicts == once.verdicts
    for one, other in zip(parts.groups, once.groups, strict=True):
        for name in ("fpr", "fnr", "auc", "auc_interval", "eer", "eer_interval", "average_precision"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, nan_ok=True), name
    for one, other in zip(parts.score_shifts, once.score_shifts, strict=True):
        assert one.interval == pytest.approx(other.interval, rel=1e-9)
    for one, other in zip(parts.calibration, once.calibration, strict=True):
        assert one.ece == pytest.approx(other.ece, rel=1e-9)


def test_sorting_by_score_keeps_pairs_and_says_where_each_row_was(simulate):
    frame = simulate(100).sample(frac=1, random_state=2).reset_index(drop=True)
    table = score_table(frame, AuditConfig(), by_score=True)
    assert (np.diff(table.score) >= 0).all()
    assert (frame["score"].to_numpy()[table.row] == table.score).all()
    names = frame["pair_id"].to_numpy()
    assert (names[table.row[table.real_row]] == names[table.row[table.fake_row]]).all()
    assert (table.as_given(table.fake) == frame["label"].to_numpy(dtype=bool)).all()
    assert (table.as_here(frame["label"].to_numpy()) == table.fake).all()


def test_rows_that_were_let_go_are_not_mistaken_for_those_of_the_table(simulate):
    frame = simulate(30).sample(frac=1, random_state=2).reset_index(drop=True)
    given = score_table(frame, AuditConfig())
    table = given.by_score().without_rows()
    assert (given.rows() == np.arange(len(frame))).all()
    assert table.by_score() is table
    half = table.take(np.isin(np.arange(len(table)), [table.real_row[:10], table.fake_row[:10]]))
    for one in (table, half):
        assert (np.diff(one.score) >= 0).all()
        for look in (one.rows, lambda one=one: one.as_here(one.fake), lambda one=one: one.as_given(one.fake)):
            with pytest.raises(AssertionError, match="the rows were let go"):
                look()
