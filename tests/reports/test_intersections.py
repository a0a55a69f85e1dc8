"""Heat maps and worst cells."""

import itertools

import pytest

from reports.crossing import crossings
from reports.intersections import N_SHADES, all_cells, crossed, heat_maps, worst_cells

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
    monkeypatch.setattr("reports.intersections.MAX_PANELS", 1)
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
