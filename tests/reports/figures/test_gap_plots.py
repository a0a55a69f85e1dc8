"""Rates and pairwise differences: what is drawn is what the record says."""

import math
import xml.etree.ElementTree as ElementTree

import pytest

from audit.schema.result import CROSSED
from audit.wording.numbers import percent, percent_interval, point_interval
from audit.wording.verdict_text import deciding, differences
from reports.figures.gap_plots import MAX_ROWS, Axis, axis_over, gap_plot, picture


def drawn(result, attribute="race", rate="fpr"):
    verdict = next(v for v in result.verdicts if (v.attribute, v.rate) == (attribute, rate))
    return gap_plot(result, attribute, rate, verdict), verdict


def test_rows_hold_the_rates_of_the_record_worst_first(result):
    plot, _ = drawn(result)
    groups = {g.group: g for g in result.groups if g.attribute == "race"}
    rates = [groups[row.group].fpr for row in plot.rows]
    assert rates == sorted(rates, reverse=True) and plot.rows[0].group == "Black"
    for row in plot.rows:
        g = groups[row.group]
        assert (row.rate, row.interval) == (percent(g.fpr), percent_interval(g.fpr_interval))
        assert row.counts == f"{g.confusion.fp} of {g.n_real}"


def test_differences_and_the_deciding_pair_are_those_of_the_verdict(result):
    plot, verdict = drawn(result)
    assert verdict.verdict == "disparity"
    reference, apart = differences(verdict)
    assert plot.reference == reference and len(apart) > 0
    for row in plot.rows:
        if row.group in apart:
            assert row.difference_interval == point_interval(apart[row.group][1])
    [row] = [r for r in plot.rows if r.decides]
    assert row.group == verdict.worst_group
    assert row.difference_interval == point_interval(deciding(result, verdict).interval)


def test_a_group_is_called_lowest_only_where_it_is(result):
    """The pair that is proven unequal need not be the two furthest apart: a few images may err less still."""
    plot, verdict = drawn(result)
    [row] = [r for r in plot.rows if r.group == plot.reference]
    assert plot.base == row.difference == "lowest"
    higher = next(g for g in result.groups if g.attribute == "race" and g.group == plot.rows[2].group)
    apart = [d.model_copy(update={"group": verdict.compared_with}) if d.group == higher.group else d
             for d in verdict.differences]  # fmt: skip
    moved = verdict.model_copy(update={"compared_with": higher.group, "differences": apart})
    again = gap_plot(result, "race", "fpr", moved)
    [row] = [r for r in again.rows if r.group == again.reference]
    assert again.base == row.difference == "reference"


def test_every_interval_lies_on_its_axis(result):
    for rate in ("fpr", "fnr"):
        plot, _ = drawn(result, "race", rate)
        for row in plot.rows:
            for axis, mark in ((plot.rates, row.rate_mark), (plot.differences, row.difference_mark)):
                if mark and row.taken:
                    assert axis.low - 1e-9 <= mark.low <= mark.value <= mark.high <= axis.high + 1e-9


def test_where_no_group_is_judged_every_rate_lies_on_the_axis_all_the_same(build):
    few = build({"race": ["a", "b", "c"]}, n=60, min_n=1000)
    for rate in ("fpr", "fnr"):
        plot, _ = drawn(few, "race", rate)
        assert not any(row.taken for row in plot.rows)
        assert plot.rates.high >= max(plot.overall, *(row.rate_mark.high for row in plot.rows))


def test_every_group_proven_worse_is_coloured_and_no_other(build):
    two = build({"race": ["a", "b", "c", "d"]}, n=4000, shift={"b": 2.0, "c": 2.0}, skill=2.4)
    plot, verdict = drawn(two)
    named = {worse.group for worse in verdict.worse_groups}
    assert len(named) >= 2
    assert {row.group for row in plot.rows if row.proven} == named
    for row in plot.rows:
        assert ("decides" in plot.difference_track(row)) == (row.group in named)


def test_an_axis_starts_and_ends_at_a_tick_and_holds_zero():
    axis = axis_over([-0.013, 0.041])
    assert axis.ticks[0] == axis.low <= -0.013 and axis.ticks[-1] == axis.high >= 0.041
    assert 0.0 in axis.ticks and len(axis.ticks) <= 6
    assert axis_over([math.nan]) == axis_over([])
    assert Axis(0.0, 0.4, (0.0, 0.4)).place(0.5) == 1.0


def test_thin_and_unlabelled_groups_are_hollow_and_starred(build):
    thin = build({"race": ["a", "b", "(missing)"]}, n=200, min_n=80)
    plot, _ = drawn(thin)
    taken = {g.group for g in thin.groups if g.n_real >= 80 and g.group != "(missing)"}
    assert {row.group for row in plot.rows if row.taken} == taken and len(taken) < 3
    for row in plot.rows:
        assert ('class="dot thin"' in plot.rate_track(row)) == (row.group not in taken)


def test_a_group_without_data_is_written_and_not_drawn(result):
    groups = [
        g.model_copy(update={"fpr": math.nan, "fpr_interval": (math.nan, math.nan), "n_real": 0})
        if g.group == "Female"
        else g
        for g in result.groups
    ]
    plot, _ = drawn(result.model_copy(update={"groups": groups}), "gender")
    row = plot.rows[-1]
    assert (row.group, row.rate, row.taken) == ("Female", "no data", False)
    assert "circle" not in plot.rate_track(row)


def test_many_groups_are_capped_and_the_rest_counted(build):
    plot, _ = drawn(build({"team": [f"t{i}" for i in range(60)]}, n=1200), "team")
    assert (len(plot.rows), plot.n_hidden) == (MAX_ROWS, 60 - MAX_ROWS)


@pytest.mark.parametrize("name", ["<script>x</script>", "a & b", "</svg>"])
def test_the_saved_picture_is_a_whole_svg_with_names_as_text(build, name):
    plot, _ = drawn(build({"tone": ["plain", name]}, n=400), "tone")
    root = ElementTree.fromstring(picture(plot))
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith(name) for text in texts)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert plot.name == "tone-real-images-flagged-as-fake"


def test_trials_between_two_groups_have_no_row_where_none_can_be(build):
    result = build({"race": ["Black", "White", CROSSED]}, n=300)
    nobody = {"n_fake": 0, "fnr": math.nan}
    groups = [g.model_copy(update=nobody) if g.group == CROSSED else g for g in result.groups]
    shown = result.model_copy(update={"groups": groups})
    names = {rate: [row.group for row in gap_plot(shown, "race", rate, None).rows] for rate in ("fpr", "fnr")}
    assert any(CROSSED in name for name in names["fpr"]) and not any(CROSSED in name for name in names["fnr"])


def test_a_number_that_is_no_difference_of_rates_does_not_stretch_the_axis():
    assert axis_over([1e308, -1e308]).ticks == (-1.0, -0.5, 0.0, 0.5, 1.0)
