"""Heat maps and worst cells."""

import itertools

import pytest

from audit.config import AuditConfig
from audit.runs.score_audit import audit_scores
from reports.figures.heat_maps import N_SHADES, all_cells, crossed, heat_maps, worst_cells
from reports.pages.intersections import crossings
from reports.tables.report_tables import rates_table
from reports.text.answer import sureness

FULL = "age:gender:race"


def test_the_full_intersection_comes_first(result):
    assert crossed(result)[0] == FULL
    assert set(crossed(result)) == {FULL, "age:gender", "age:race", "gender:race"}


def test_a_map_for_each_gender_with_age_down_and_race_across(result):
    maps = heat_maps(result, FULL, "fpr")
    assert [m.caption for m in maps] == ["Female", "Male"]
    assert [len(m.rows) for m in maps] == [9, 9]
    assert [len(m.columns) for m in maps] == [7, 7]


def test_every_cell_stands_where_it_belongs(result):
    groups = {g.group: g for g in result.groups if g.attribute == FULL}
    for heat in heat_maps(result, FULL, "fnr"):
        for (age, cells), (i, race) in itertools.product(heat.rows, enumerate(heat.columns)):
            group = groups.get(f"{age}:{heat.caption}:{race}")
            assert cells[i].n == (group.n_fake if group else 0)


def test_thin_cells_are_not_shaded_and_empty_ones_say_so(result):
    cells = [c for m in heat_maps(result, FULL, "fpr") for _, row in m.rows for c in row]
    assert any(c.n == 0 for c in cells), "the fixture has an empty cell"
    assert all((c.text == "no data") == (c.n == 0) for c in cells)
    assert all((c.shade is None) == (c.n < result.config.min_n) for c in cells)
    assert max(c.shade for c in cells if c.shade is not None) == N_SHADES - 1


def test_two_attributes_make_one_map(build):
    two = build({"tone": ["light", "dark"], "place": ["n", "s", "e"]}, n=300)
    (heat,) = heat_maps(two, "tone:place", "fpr")
    assert [name for name, _ in heat.rows] == ["e", "n", "s"]
    assert heat.columns == ["dark", "light"]


def test_one_attribute_has_no_intersections(build):
    assert crossings(build({"race": ["a", "b"]}, n=100), []) == []


def test_too_many_maps_are_not_drawn(result, monkeypatch):
    monkeypatch.setattr("reports.figures.heat_maps.MAX_PANELS", 1)
    assert heat_maps(result, FULL, "fpr") == []
    assert all_cells(result, FULL).rows


def test_worst_cells_are_those_the_data_are_sure_of(result):
    table = worst_cells(result, FULL, "fpr")
    lows = [row["fpr_interval"][0] for row in table.rows]
    assert lows == sorted(lows, reverse=True)
    assert all(row["n_real"] >= result.config.min_n for row in table.rows)
    assert all("Black" in row["group"] for row in table.rows[:3])
    assert all(row["needed"] >= row["n_real"] for row in table.rows)


@pytest.mark.parametrize("rate", ["fpr", "fnr"])
def test_maps_of_a_record_without_a_filled_cell(build, rate):
    tiny = build({"race": ["a", "b"], "gender": ["f", "m"]}, n=20)
    cells = [c for m in heat_maps(tiny, "race:gender", rate) for _, row in m.rows for c in row]
    assert all(c.shade is None for c in cells)
    assert worst_cells(tiny, "race:gender", rate).rows == []


@pytest.fixture(scope="module")
def unpaired(score_frame):
    """Real images everywhere, fakes in half of the groups only: 40 and 8 in a cell; and 60 without a race."""
    frame = score_frame({"race": ["a", "b", "c"], "gender": ["f", "m"]}, 900, {"c": 2.0}, 2.0)
    fakes = frame[frame.label == 1].groupby(["race", "gender"], sort=False)
    kept = fakes.head(8)[lambda f: f.race == "c"].index.union(fakes.head(40)[lambda f: f.race != "c"].index)
    frame = frame.loc[frame.index[frame.label == 0].union(kept)].drop(columns=["pair_id", "image_id"])
    frame.loc[frame.index[:60], "race"] = None
    return audit_scores(frame, AuditConfig(n_boot=200))


def test_cells_are_judged_by_the_class_that_the_rate_needs(unpaired):
    """A cell of many real images and few fakes is no thin cell where real images are counted."""
    verdict = next(v for v in unpaired.verdicts if (v.attribute, v.rate) == ("gender:race", "fpr"))
    table = worst_cells(unpaired, "gender:race", "fpr")
    assert verdict.n_groups == 6 == len(table.rows)
    assert {row["group"] for row in table.rows[:2]} == {"f · c", "m · c"}
    assert {row["group"] for row in worst_cells(unpaired, "gender:race", "fnr").rows} == {
        f"{g} · {r}" for g in "fm" for r in "ab"
    }
    for rate, n in (("fpr", 6), ("fnr", 4)):
        cells = [c for m in heat_maps(unpaired, "gender:race", rate) for _, row in m.rows for c in row]
        assert sum(c.shade is not None for c in cells) == n
    (crossing,) = crossings(unpaired, [])
    assert "6 are compared on their real images and 4 on their fakes" in crossing.summary


def test_what_is_left_out_is_said_for_each_kind_of_error(unpaired):
    told = " ".join(sureness(unpaired))
    assert "One of 5 groups has fewer than 30 fakes; it is shown but not judged on fakes." in told
    assert "not judged on real images" not in told
    notes = {row["group"]: row["note"] for row in rates_table(unpaired, "race").rows}
    assert notes == {"a": "", "b": "", "c": "few fakes", "(missing)": "no label", "All images": ""}


def test_captions_keep_the_spelling_of_a_column(build):
    spelled = build({"Age": ["young", "old"], "Skin tone": ["light", "dark"]}, n=300)
    tables = [worst_cells(spelled, "Age:Skin tone", "fpr"), all_cells(spelled, "Age:Skin tone")]
    assert all("by Age × Skin tone" in table.caption for table in tables)
