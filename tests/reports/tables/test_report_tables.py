"""Tables: the same numbers on the page, in its downloads and on disk."""

import base64
import csv
import io
import math
import re

import pandas as pd
import pytest

from reports.tables import report_tables as tables
from reports.tables.table import Column, Table


def parse(table):
    return list(csv.DictReader(io.StringIO(table.to_csv())))


def test_rates_are_sorted_worst_first_with_all_images_last(result):
    rows = tables.rates_table(result, "race").rows
    rates = [row["fpr"] for row in rows[:-1]]
    assert rates == sorted(rates, reverse=True)
    assert rows[-1]["group"] == "All images"
    assert sum(row["n_real"] for row in rows[:-1]) == rows[-1]["n_real"]


def test_csv_holds_the_record_to_the_last_digit(result):
    rows = {row["group"]: row for row in parse(tables.rates_table(result, "race"))}
    for group in (g for g in result.groups if g.attribute == "race"):
        row = rows[group.group]
        assert float(row["fpr"]) == group.fpr
        assert (float(row["fpr_interval_low"]), float(row["fpr_interval_high"])) == group.fpr_interval
        assert int(row["fp"]) == group.confusion.fp


def test_an_undefined_number_is_an_empty_field_and_no_data_on_the_page():
    table = Table("t", "t", [Column("x", "X", "percent"), Column("i", "I", "percent interval")])
    table.rows.append({"x": math.nan, "i": (math.nan, math.nan)})
    assert table.to_csv() == "x,i_low,i_high\r\n,,\r\n"
    assert table.columns[0].show(table.rows[0]) == "no data"
    assert table.columns[0].sort_value(table.rows[0]) == ""


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-cmd", "@sum"])
def test_a_name_that_a_spreadsheet_would_run_is_defused(name):
    table = Table("t", "t", [Column("g", "G")], [{"g": name}])
    assert parse(table)[0]["g"] == "'" + name


def test_negative_numbers_stay_numbers():
    table = Table("t", "t", [Column("x", "X", "number")], [{"x": -0.5}])
    assert parse(table)[0]["x"] == "-0.5"


@pytest.mark.parametrize("name", ['a,"b"', "<script>alert(1)</script>"])
def test_awkward_names_survive_csv(name):
    assert parse(Table("t", "t", [Column("g", "G")], [{"g": name}]))[0]["g"] == name


@pytest.mark.parametrize(("name", "spelled"), [("line\nbreak", "line\\nbreak"), ("\tx", "'\\tx")])
def test_control_characters_are_spelled_out_in_csv(name, spelled):
    assert parse(Table("t", "t", [Column("g", "G")], [{"g": name}]))[0]["g"] == spelled


def test_the_download_is_the_table(result):
    table = tables.gaps_table(result, "race")
    kind, data = table.data_uri().split(",")
    assert kind == "data:text/csv;charset=utf-8;base64"
    assert base64.b64decode(data).decode() == table.to_csv()


def test_every_measure_of_the_audit_has_words(result):
    """A measure the report cannot explain would be shown under its key."""
    for row in tables.gaps_table(result, "race").rows:
        assert row["meaning"] and row["fair"] != "–", row["measure"]


def test_write_tables_writes_one_file_a_table(run_dir, result):
    paths = tables.write_tables(run_dir)
    names = {p.stem for p in paths}
    assert {"groups", "verdicts", "measures", "dropout", "curves", "sweep", "samples"} <= names
    groups = pd.read_csv(run_dir / "tables" / "groups.csv")
    assert len(groups) == len(result.groups) + 1
    assert groups.query("attribute == 'overall'").fpr.item() == result.overall.fpr


def test_no_cell_of_a_file_holds_a_list_or_an_interval(run_dir, result):
    for path in tables.write_tables(run_dir):
        assert not re.search(r"\(-?[\d.]+, |=\(|[A-Z][a-z]+\(", path.read_text(encoding="utf-8")), path.name
    found = pd.read_csv(run_dir / "tables" / "differences.csv")
    assert len(found) == sum(len(v.differences) for v in result.verdicts) > 0
    assert (found["interval_low"] <= found["difference"]).all()
    assert (found["difference"] <= found["interval_high"]).all()


def test_the_groups_of_a_comparison_are_those_of_the_gap_beside_them(judge, prove, result):
    """Of an open size the pair proven unequal is shown, and not the two furthest apart."""
    found = judge(result, ("race", "fpr", "insufficient evidence"))
    pair = prove(result, "race", "fpr").model_copy(update={"group": "Indian", "than": "White"})
    v = found.verdicts[0].model_copy(update={"worse_groups": [pair], "adjusted_p_value": 0.001})
    table = tables.verdicts_table(found.model_copy(update={"verdicts": [v]}))
    [row] = table.rows
    assert (row["gap"], row["worst_group"], row["best_group"]) == (pair.difference, "Indian", "White")
    assert not {"Highest rate", "Lowest rate"} & {column.label for column in table.columns}
