"""A table in anybody's way of writing is the same table; what cannot be guessed is asked for at once."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.config import AuditConfig, Columns
from audit.data.score_file import look_at, read_scores
from audit.data.score_table import ScoreTable, score_table
from audit.data.table_reading import judged, spelling_guesses, with_one_spelling
from audit.data.table_words import label_meanings
from audit.errors import ConfigError, LabelError, ScoreFileError, ScoreValueError, UnclearTableError

CONFIG = AuditConfig()
N = 64


def canonical() -> pd.DataFrame:
    """A table as we write it: halves of pairs, scores on a grid that percentages keep exactly."""
    rng = np.random.default_rng(4)
    person = np.arange(N) // 2
    fake = np.arange(N) % 2
    score = np.clip(rng.integers(0, 40, N) + 24 * fake, 0, 64) / 64
    score[:2] = 0.0, 1.0
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(N)],
            "pair_id": [f"p{i}" for i in person],
            "label": fake,
            "score": score,
            "race": np.array(["Weiß", "Ñandú", "Black, or mixed"])[person % 3],
            "gender": np.array(["Female", "Male"])[person % 2],
        }
    )


@dataclass(frozen=True)
class Dialect:
    """One way of writing it."""

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    labels: tuple[str, str] = ("0", "1")
    label_name: str = "label"
    score_name: str = "score"
    scale: str = "share"
    missing: str = ""
    header: str = "lower"
    line_end: str = "\n"
    quote_all: bool = False
    hint: bool = False


LABELS = [
    ("0", "1"), ("real", "fake"), ("REAL", "FAKE"), ("Real ", " Fake"), ("false", "true"), ("FALSE", "TRUE"),
    ("bona fide", "attack"), ("Bona-Fide", "Spoof"), ("genuine", "GAN-7"), ("authentic", "manipulated"),
    ("0.0", "1.0"), ("no", "yes"),
]  # fmt: skip
DIALECTS = st.builds(
    Dialect,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"]),
    labels=st.sampled_from(LABELS),
    label_name=st.sampled_from(["label", "truth", "Ground Truth", "is_fake", "target"]),
    score_name=st.sampled_from(["score", "p_fake", "Fake probability", "Deepfake-Score"]),
    scale=st.sampled_from(["share", "percent", "sign", "real"]),
    missing=st.sampled_from(["", "NA", "n/a", "-", "NULL", "nan"]),
    header=st.sampled_from(["lower", "upper", "title", "hyphen"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quote_all=st.booleans(),
    hint=st.booleans(),
)
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def number(value: float, dialect: Dialect) -> str:
    if np.isnan(value):
        return dialect.missing
    value = {"percent": 100 * value, "sign": 100 * value, "real": 1 - value}.get(dialect.scale, value)
    return f"{value:.10g}".replace(".", dialect.decimal) + (" %" if dialect.scale == "sign" else "")


def named(name: str, dialect: Dialect) -> str:
    roles = {"label": dialect.label_name, "score": dialect.score_name}
    if dialect.scale == "real" and name == "score":
        return "p_real"
    text = roles.get(name, name)
    styles = {"upper": text.upper(), "title": text.title(), "hyphen": text.replace("_", "-")}
    return styles.get(dialect.header, text)


def written(table: pd.DataFrame, dialect: Dialect) -> bytes:
    """A table in a dialect."""
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if dialect.quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=dialect.separator, lineterminator=dialect.line_end, quoting=quoting)
    writer.writerow([named(name, dialect) for name in table.columns])
    for row in table.itertuples(index=False):
        said = row._asdict()
        said["label"] = dialect.labels[said["label"]]
        said["score"] = number(said["score"], dialect)
        writer.writerow([dialect.missing if pd.isna(value) else value for value in said.values()])
    hint = f"sep={dialect.separator}{dialect.line_end}" if dialect.hint else ""
    return (hint + out.getvalue()).encode(dialect.encoding)


def same(found: ScoreTable, wanted: ScoreTable) -> None:
    """Two tables give the same audit: everything after this point is computed from these arrays alone."""
    assert found.cells.levels == wanted.cells.levels
    for name in ("fake", "score", "cell", "real_row", "fake_row", "key"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)


@pytest.mark.slow
@SETTINGS
@given(dialect=DIALECTS)
def test_any_dialect_is_the_same_table(dialect: Dialect, tmp_path: Path):
    table = canonical()
    table.loc[6:7, "race"] = None
    path = tmp_path / "vendor.csv"
    path.write_bytes(written(table, dialect))
    read = read_scores(path, CONFIG)
    assert read.left_out == {} and len(read.frame) == N
    same(score_table(read.frame, read.config), score_table(table, CONFIG))


@pytest.mark.slow
@SETTINGS
@given(dialect=DIALECTS, gone=st.lists(st.integers(2, N - 1), max_size=5, unique=True))
def test_rows_in_are_rows_audited_or_rows_reported(dialect: Dialect, gone: list[int], tmp_path: Path):
    table = canonical()
    table.loc[gone, "score"] = np.nan
    path = tmp_path / "vendor.csv"
    path.write_bytes(written(table, dialect))
    read = read_scores(path, CONFIG)
    assert read.left_out == ({"no score in the table": len(gone)} if gone else {})
    assert len(read.frame) + sum(read.left_out.values()) == N
    assert sum(1 for _ in read.other_columns()) == 0
    kept = table.drop(index=gone).reset_index(drop=True)
    same(score_table(read.frame, read.config), score_table(kept, CONFIG))


def test_what_was_guessed_is_said_with_the_option_that_says_otherwise(tmp_path):
    dialect = Dialect(";", ",", "cp1252", ("REAL", "FAKE"), "truth", "p_fake", "sign", "n/a")
    table = canonical()
    table.loc[6:7, "race"] = None
    (tmp_path / "vendor.csv").write_bytes(written(table, dialect))
    reading = read_scores(tmp_path / "vendor.csv", CONFIG).reading
    assert {one.name: (one.text, one.option) for one in reading.guesses} == {
        "encoding": ("Windows-1252", "--read encoding=NAME"),
        "separator": ("';'", "--read separator=MARK"),
        "decimal": ("comma", "--read decimal=."),
        "label": ("column 'truth'", "--label-column NAME"),
        "labels": ("REAL is real, FAKE is fake", "--positive LABEL"),
        "score": ("'p_fake' in percent", "--read percent=no"),
        "missing": ("where it says 'n/a' (race 2)", "--read missing="),
    }
    assert reading.record()["labels"] == {"REAL": "real", "FAKE": "fake"}


def three_words(tmp_path: Path, n: int = 30) -> Path:
    """A table in which a reviewer was unsure of every fifth image."""
    words = [("Genuine", "Spoof", "Genuine", "Spoof", "unsure")[i % 5] for i in range(n)]
    rows = [f"{word},0.{i + 10},{'xy'[i % 2]}" for i, word in enumerate(words)]
    (tmp_path / "s.csv").write_text("\n".join(["truth,score,race", *rows]) + "\n")
    return tmp_path / "s.csv"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--read real=LABEL which one means real; leave out what is neither with --read missing=unsure$"),
        ({"positive": "Spoof"}, "at most two labels.*leave out the rows: --read missing=WORD"),
    ],
)
def test_a_third_label_may_be_neither_real_nor_fake(tmp_path, options, message):
    with pytest.raises(UnclearTableError, match=message):
        read_scores(three_words(tmp_path), AuditConfig(**options))


def test_several_words_for_one_class_are_said(tmp_path):
    """'unsure' counted as a fake without a word: every FNR was wrong."""
    path = three_words(tmp_path)
    told = read_scores(path, AuditConfig(read_as={"real": "Genuine"})).reading
    [said] = [one for one in told.guesses if one.name == "labels"]
    assert (
        said.text == "Genuine is real; Spoof and unsure count as fake"
        and "--read missing=WORD" in said.option
    )
    for options in (
        {"read_as": {"missing": "unsure"}},
        {"read_as": {"missing": "unsure"}, "positive": "Spoof"},
    ):
        read = read_scores(path, AuditConfig(**options))
        assert read.left_out == {"no label in the table": 6} and "unsure" not in read.reading.labels
        assert "count as" not in (read.reading.sentence() or "")


def test_a_word_far_down_is_said_too(tmp_path, monkeypatch):
    monkeypatch.setattr("audit.data.score_file.HEAD_ROWS", 4)
    reading = read_scores(three_words(tmp_path), AuditConfig(read_as={"real": "Genuine"})).reading
    assert reading.labels == {"Genuine": False, "Spoof": True, "unsure": True}
    assert "labels Genuine is real; Spoof and unsure count as fake" in (reading.sentence() or "")


def test_words_for_no_value_are_added_to_the_usual_ones(tmp_path):
    rows = [f"{i % 2},0.{i + 10},{('x', 'y', '-', 'refused')[i % 4]}" for i in range(40)]
    (tmp_path / "s.csv").write_text("\n".join(["label,score,race", *rows]) + "\n")

    def groups(**told: str) -> list[str]:
        read = read_scores(tmp_path / "s.csv", AuditConfig(read_as=told).check())
        return score_table(read.frame, read.config).cells.levels[0]

    assert groups(missing="refused") == ["x", "y", "(missing)"]
    assert groups(missing="") == ["-", "refused", "x", "y"]
    assert groups(missing=",refused") == ["-", "x", "y", "(missing)"]


def spelt(tmp_path: Path, races: list[str], **options: object) -> tuple[list[str], list[str]]:
    """The groups of a table whose rows have these races, and what was said of their spelling."""
    rows = [f"{i % 2},0.{i + 10},{race}" for i, race in enumerate(races)]
    (tmp_path / "s.csv").write_text("\n".join(["label,score,race", *rows]) + "\n")
    read = read_scores(tmp_path / "s.csv", AuditConfig(**options).check())  # type: ignore[arg-type]
    said = [f"{one.name}: {one.text} {one.option}" for one in read.reading.guesses if "groups" in one.name]
    return score_table(read.frame, read.config).cells.levels[0], said


def test_spellings_that_differ_only_in_capitals_are_one_group(tmp_path):
    races = ["white", "White", "White ", "WHITE", "Black", "Black"] * 3
    names, said = spelt(tmp_path, races)
    assert names == ["Black", "White"]
    assert said == [
        "groups of race: 'WHITE' is read as 'White' (3 rows), 'white' is read as 'White' (3 rows) "
        "--read case=keep"
    ]
    assert spelt(tmp_path, races, read_as={"case": "keep"}) == (["Black", "WHITE", "White", "white"], [])
    assert spelt(tmp_path, ["white", "White", "Black"] * 2)[0] == ["Black", "white"]  # the first seen
    assert spelt(tmp_path, ["White", "white", "Black"] * 2)[0] == ["Black", "White"]
    with pytest.raises(ConfigError, match="case is 'lower'; it must be keep or merge"):
        AuditConfig(read_as={"case": "lower"}).check()


@pytest.mark.parametrize(
    ("encoding", "told"), [("utf-16", "UTF-16"), ("latin-1", "Latin-1"), ("utf-8", None)]
)
def test_an_encoding_is_told_where_it_is_not_the_usual_one(tmp_path, encoding, told):
    table = canonical()
    table["race"] = table["race"].where(table.index % 2 == 0, "F\x81\xe9")  # no text of Windows-1252
    (tmp_path / "s.csv").write_bytes(written(table, Dialect(encoding=encoding)))
    guesses = {one.name: one.text for one in read_scores(tmp_path / "s.csv", CONFIG).reading.guesses}
    assert guesses.get("encoding") == told


def test_a_german_table_is_read_as_an_english_one(tmp_path):
    """Words, decimal commas and "keine Angabe", which leaves a row out and hides no comma."""
    table = canonical()
    dialect = Dialect(
        ";", ",", "cp1252", ("echt", "Fälschung"), "Kennzeichnung", "Wahrscheinlichkeit Fälschung"
    )
    text = written(table, dialect).decode("cp1252")
    first, *rows = text.splitlines()
    rows[5] = re.sub(r"0,\d+", "k. A.", rows[5])
    (tmp_path / "anbieter.csv").write_bytes("\n".join([first, *rows]).encode("cp1252"))
    read = read_scores(tmp_path / "anbieter.csv", CONFIG)
    assert read.reading.decimal == "," and read.left_out == {"no score in the table": 1}
    assert read.reading.labels == {"echt": False, "Fälschung": True}
    same(
        score_table(read.frame, read.config), score_table(table.drop(index=5).reset_index(drop=True), CONFIG)
    )


@pytest.mark.parametrize(("column", "turned"), [("Echtheit (%)", True), ("Fälschung in Prozent", False)])
def test_a_german_column_says_which_way_its_numbers_go(tmp_path, column, turned):
    rows = [f"{('echt', 'gefälscht')[i % 2]};{i},5;{'xy'[i % 3 % 2]}" for i in range(40)]
    (tmp_path / "s.csv").write_text("\n".join([f"Bildart;{column};Herkunft", *rows]))
    reading = read_scores(tmp_path / "s.csv", CONFIG).reading
    assert (reading.config.columns.score, reading.percent, reading.higher_is_real) == (column, True, turned)


@pytest.mark.parametrize("sign", ["", " %"])
def test_a_threshold_above_1_is_in_the_tables_own_percentages(tmp_path, sign):
    rows = [f"{i % 2};{2 * i + 0.5}{sign};{'xy'[i % 2]}" for i in range(40)]
    (tmp_path / "s.csv").write_text("\n".join(["label;score;race", *rows]))
    read = read_scores(tmp_path / "s.csv", AuditConfig(threshold="60"))
    assert not read.reading.percent and read.frame["score"].tolist() == [2 * i + 0.5 for i in range(40)]
    assert read_scores(tmp_path / "s.csv", CONFIG).reading.percent


def test_what_is_no_score_is_named_alone_and_as_it_is_typed(tmp_path):
    rows = [f"{i % 2};0,{i:03};{'xy'[i % 2]}" for i in range(100)]
    rows[7] = "1;nicht messbar;x"
    said = str(vendor(tmp_path, "\n".join(["label;score;race", *rows])))
    assert said.endswith(
        "'score' holds 'nicht messbar', no numbers: --read 'missing=nicht messbar' where they mean no score"
    )


def test_a_first_line_may_tell_excel_the_separator(tmp_path):
    """Named, it decides, also where fields hold the other marks; line numbers stay those of the file."""
    text = 'sep=;\nlabel;score;race\nreal;0,1;"a, b"\nfake;0,9;"a, b"\n'
    (tmp_path / "s.csv").write_text(text)
    read = read_scores(tmp_path / "s.csv", CONFIG)
    assert read.reading.separator == ";" and read.frame["score"].tolist() == [0.1, 0.9]
    (tmp_path / "s.csv").write_text(text + "real;0,2\n")
    with pytest.raises(ScoreFileError, match=r"s\.csv line 5 has 2 fields, its header 3: a row that lost"):
        read_scores(tmp_path / "s.csv", CONFIG)


def test_a_title_above_the_names_is_to_be_taken_out(tmp_path):
    (tmp_path / "s.csv").write_text("Report of May\n\nlabel,score,race\nreal,0.1,a\n")
    with pytest.raises(
        ScoreFileError, match=r"line 3 has 3 fields, its header 1: take out what stands above"
    ):
        read_scores(tmp_path / "s.csv", CONFIG)


def test_titles_filled_up_with_separators_are_to_be_taken_out(tmp_path):
    """The advice was to name a score column among 'Unnamed: 1' to 'Unnamed: 8'."""
    (tmp_path / "s.csv").write_text(
        "Report;;\nConfidential;;\n;;\nlabel;score;race\nreal;0,1;a\nfake;0,9;a\n"
    )
    with pytest.raises(ScoreFileError, match=r"line 4 looks like the header; delete the lines above it$"):
        read_scores(tmp_path / "s.csv", CONFIG)


@pytest.mark.parametrize("written_as", ["1,234.5", "1.234,5", "1 234,5", "1'234.5", "12,345,678"])
def test_thousands_set_apart_are_named(tmp_path, written_as):
    table = canonical().assign(score=written_as)
    table.to_csv(tmp_path / "s.csv", index=False, sep="|")
    said = re.escape(f"column 'score' sets thousands apart ({written_as!r}): write its numbers without them")
    with pytest.raises(UnclearTableError, match=said):
        read_scores(tmp_path / "s.csv", CONFIG)


def test_nothing_is_said_of_a_table_as_we_write_it(tmp_path):
    canonical().to_csv(tmp_path / "s.csv", index=False)
    reading = read_scores(tmp_path / "s.csv", CONFIG).reading
    assert reading.guesses == () and reading.sentence() is None


def vendor(tmp_path: Path, text: str, **options: object) -> UnclearTableError:
    """What a file is refused with."""
    path = tmp_path / "vendor.csv"
    path.write_text(text)
    with pytest.raises(UnclearTableError, match=r"vendor\.csv") as caught:
        read_scores(path, AuditConfig(**options).check())  # type: ignore[arg-type]
    return caught.value


def test_all_that_cannot_be_guessed_is_asked_for_in_one_message(tmp_path):
    text = "file;truth;confidence;skin\n1.png;A;0,53;light\n2.png;B;high;dark\n"
    said = str(vendor(tmp_path, text, attributes=("race",), unit_column="person"))
    assert said.count("--") >= 4 and "\n" not in said
    parts = ["(1) which column is what an image is", "--label-column NAME", "--score-column NAME"]
    for part in [*parts, "no column 'race'", "--attribute NAME", "no column 'person'", "--unit-column NAME"]:
        assert part in said, part


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,score,race\nA,0.1,x\nB,0.9,y\n", r"'label' holds 'A', 'B'.*--positive LABEL"),
        ("label,score,race\nreal,high,x\nfake,0.9,y\n", r"'score' holds 'high', no numbers: .*missing=high"),
        ("0,0.1,x\n1,0.9,y\n", r"first line holds numbers.*: write a line of names above it"),
        (
            "truth,class,score,race\n0,1,0.1,x\n1,0,0.9,y\n",
            r"'truth', 'class' may all be: --label-column NAME",
        ),
        ("label,liveness,race\n0,3.1,x\n1,-2,y\n", r"is no probability; turned round.*: --threshold eer"),
    ],
)
def test_one_problem_is_one_line_with_its_option(tmp_path, text, message):
    with pytest.raises(UnclearTableError, match=message):
        raise vendor(tmp_path, text)


def test_a_look_lists_problems_and_takes_corrections(tmp_path):
    """What a page needs: guesses and problems of a dropped file, and the same again once it is corrected."""
    path = tmp_path / "v.csv"
    path.write_text("what;number;race\ngood;12,5;x\nbad;80,0;y\n")
    first = look_at(path, CONFIG).reading
    assert [one.option for one in first.problems] == ["--label-column NAME", "--score-column NAME"]
    told = AuditConfig(
        columns=type(CONFIG.columns)(label="what", score="number"), read_as={"real": "good", "percent": "no"}
    ).check()
    second = look_at(path, told).reading
    assert second.problems == () and second.labels == {"good": False, "bad": True}
    assert "labels" not in {one.name for one in second.guesses}  # it was told, not guessed
    positive = look_at(path, AuditConfig(columns=told.columns, positive="bad").check()).reading
    assert positive.labels == second.labels and "labels" not in {one.name for one in positive.guesses}
    assert read_scores(path, told).frame["number"].tolist() == [12.5, 80.0]


def test_a_problem_with_the_groups_comes_with_its_option(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("label,score,when\n" + "".join(f"{i % 2},0.{i},{i}.5\n" for i in range(99)))
    [problem] = look_at(path, AuditConfig()).reading.problems
    assert problem.text.startswith("no attribute to audit among the columns label, score, when")
    assert problem.option.startswith("name one with --attribute")


def test_a_contradiction_far_down_is_an_error_with_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr("audit.data.score_file.HEAD_ROWS", 4)
    rows = [f"{i % 2},{score},{'xy'[i % 2]}" for i, score in enumerate([10, 90, 20, 80, 30, 250])]
    (tmp_path / "s.csv").write_text("\n".join(["label,score,race", *rows]) + "\n")
    with pytest.raises(
        ScoreValueError,
        match=r"beyond 0-100, the first \(250\) in row 6 below the header; say --read percent=no",
    ):
        read_scores(tmp_path / "s.csv", CONFIG)
    (tmp_path / "s.csv").write_text("\n".join(["label,score,race", *rows[:5], "1,high,x"]) + "\n")
    with pytest.raises(
        ScoreValueError, match=r"1 of 6 values are no numbers, the first \('high'\) in row 6 below the header"
    ):
        read_scores(tmp_path / "s.csv", CONFIG)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_score_without_end_is_named_by_its_row_in_the_file(tmp_path, suffix):
    """Rows without a label came before it and were not counted."""
    frame = pd.DataFrame(
        {
            "label": ["0", None, "1", "0", "1", "1"],
            "score": [0.1, 0.2, 0.3, 0.4, np.inf, 0.5],
            "race": list("xyxyxy"),
        }
    )
    path = tmp_path / f"s{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    where = "row 5 below the header;" if suffix == ".csv" else "row 5;"
    with pytest.raises(ScoreValueError, match=rf"1 of 6 scores in column 'score' .* \(inf\) in {where}"):
        read_scores(path, CONFIG)


def test_na_is_a_continent_among_codes_and_nothing_among_words(tmp_path):
    def levels(values: list[str], **options: object) -> list[str]:
        rows = [f"{i % 2},0.{i + 1},{value}" for i, value in enumerate(values)]
        (tmp_path / "s.csv").write_text("\n".join(["label,score,place", *rows]) + "\n")
        config = AuditConfig(attributes="place", **options)  # type: ignore[arg-type]
        read = read_scores(tmp_path / "s.csv", config)
        return score_table(read.frame, read.config).cells.levels[0]

    assert levels(["EU", "AS", "NA", "EU"]) == ["AS", "EU", "NA"]
    assert levels(["EU", "AS", "NA", "EU"], read_as={"missing": "NA"}) == ["AS", "EU", "(missing)"]
    assert levels(["Asia", "Europe", "NA", "-"]) == ["Asia", "Europe", "(missing)"]
    assert levels(["glasses", "none", "glasses", "unknown"]) == ["glasses", "none", "unknown"]


def test_one_column_called_by_a_number_is_no_missing_header(tmp_path):
    (tmp_path / "s.csv").write_text("label,score,2020\n0,0.1,x\n1,0.9,y\n")
    read = read_scores(tmp_path / "s.csv", CONFIG)
    assert score_table(read.frame, read.config).cells.attributes == ["2020"]


def test_a_detectors_decision_is_no_group_of_people(tmp_path):
    (tmp_path / "s.csv").write_text(
        "truth,prediction,score,site\nFAKE,REAL,0.1,x\nREAL,REAL,0.2,y\nFAKE,FAKE,0.9,x\nREAL,FAKE,0.8,y\n"
    )
    read = read_scores(tmp_path / "s.csv", CONFIG)
    assert read.config.columns.label == "truth"
    assert score_table(read.frame, read.config).cells.attributes == ["site"]


@pytest.mark.parametrize(
    ("texts", "column", "wanted"),
    [
        (["0", "1"], "is_real", [False, True]),
        (["yes", "no"], "genuine", [True, False]),
        (["True", "False"], "real_or_fake", [False, True]),
        (["live", "print", "replay"], "label", None),
        (["-1", "1"], "label", None),
    ],
)
def test_what_labels_mean(texts, column, wanted):
    if wanted is None:
        with pytest.raises(LabelError, match="--positive LABEL"):
            label_meanings(texts, column)
    else:
        assert [not fake for fake in label_meanings(texts, column).values()] == wanted
    assert label_meanings(["live", "print", "replay"], "label", real="LIVE") == {
        "live": False, "print": True, "replay": True,
    }  # fmt: skip


def test_ways_of_reading_are_checked_before_a_file_is_opened():
    with pytest.raises(ConfigError, match="no way of reading is called 'sep'; there are separator"):
        AuditConfig(read_as={"sep": ";"}).check()
    with pytest.raises(
        ConfigError, match=r"percent is 'maybe'; it must be yes or no.*no encoding is called 'x-9'"
    ):
        AuditConfig(read_as={"percent": "maybe", "encoding": "x-9"}).check()


def test_a_told_encoding_that_does_not_fit_is_one_line(tmp_path):
    (tmp_path / "s.csv").write_bytes("label,score,race\n1,0.5,é\n".encode("cp1252"))
    with pytest.raises(ScoreFileError, match=r"s\.csv is not utf-8 text"):
        read_scores(tmp_path / "s.csv", AuditConfig(read_as={"encoding": "utf-8"}))


@pytest.mark.parametrize("where", ["score_file.judged", "file_columns.tidied_column"])
def test_a_fault_of_this_program_is_not_called_one_of_the_file(tmp_path, monkeypatch, where):
    canonical().to_parquet(tmp_path / "a.parquet")

    def broken(*_args, **_options):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(f"audit.data.{where}", broken)
    monkeypatch.setattr("audit.data.score_file.LARGE_ROWS", 0)
    with pytest.raises(ValueError, match=r"^operands could not be broadcast$"):
        read_scores(tmp_path / "a.parquet", CONFIG)


def test_numbers_with_and_without_a_percent_sign_are_asked_about(tmp_path):
    """0.9 among percentages is 90 % or 0.9 %: nobody can tell."""
    lines = [f"{'fake' if i % 2 else 'real'},{30 + i}%,{'ab'[i % 2]}" for i in range(40)]
    lines[3] = "fake,0.9,a"
    lines[4] = "real,0,a"
    (tmp_path / "s.csv").write_text("\n".join(["label,score,tone", *lines]))
    told = r"with a percent sign and without one \('30%', '0\.9'\): --read percent=yes where all are"
    with pytest.raises(UnclearTableError, match=told):
        read_scores(tmp_path / "s.csv", CONFIG)
    config = replace(CONFIG, read_as={"percent": "yes"})
    assert read_scores(tmp_path / "s.csv", config).frame["score"][3] == pytest.approx(0.009)
    (tmp_path / "s.csv").write_text("\n".join(["label,score,tone", *lines[:3], *lines[4:]]))
    assert read_scores(tmp_path / "s.csv", CONFIG).reading.percent


@pytest.mark.parametrize("said", [("fake", "real"), ("True", "False"), ("ja", "nein")])
def test_decisions_in_place_of_scores_are_not_taken_for_missing_ones(tmp_path, said):
    lines = [f"{'fake' if i % 2 else 'real'},{said[i % 3 == 0]},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "s.csv").write_text("\n".join(["label,score,tone", *lines]))
    told = r"column 'score' holds decisions \(.*\), no numbers: write 1 for what was flagged as fake and 0"
    with pytest.raises(UnclearTableError, match=told) as error:
        read_scores(tmp_path / "s.csv", CONFIG)
    assert "missing=" not in str(error.value)


def test_how_a_table_was_read_is_recorded(tmp_path):
    dialect = Dialect(";", ",", "cp1252", ("REAL", "FAKE"), "truth", "p_fake", "real", "")
    (tmp_path / "vendor.csv").write_bytes(written(canonical(), dialect))
    assert read_scores(tmp_path / "vendor.csv", CONFIG).reading.record() == {
        "encoding": "cp1252", "separator": ";", "decimal": ",", "label_column": "truth",
        "labels": {"REAL": "real", "FAKE": "fake"}, "score_column": "p_real", "percent": False,
            "higher": "real",
        "guessed": [
            {"name": name, "text": text, "option": option}
            for name, text, option in (
                ("encoding", "Windows-1252", "--read encoding=NAME"),
                ("separator", "';'", "--read separator=MARK"),
                ("decimal", "comma", "--read decimal=."),
                ("label", "column 'truth'", "--label-column NAME"),
                ("score", "column 'p_real'", "--score-column NAME"),
                ("labels", "REAL is real, FAKE is fake", "--positive LABEL"),
                ("score", "'p_real' says how real an image is: turned round", "--read higher=fake"),
            )
        ],
    }  # fmt: skip
    canonical().to_parquet(tmp_path / "s.parquet")
    assert read_scores(tmp_path / "s.parquet", CONFIG).reading.record() == {
        "label_column": "label", "labels": {"0": "real", "1": "fake"}, "score_column": "score",
        "percent": False, "higher": "fake", "guessed": [],
    }  # fmt: skip


def head_of(**columns):
    return pd.DataFrame(
        {"label": ["0", "1"] * 40, "score": ["0.25", "0.5"] * 40, "race": ["x", "y"] * 40} | columns
    )


def problems(config=CONFIG, **columns):
    """What is asked of a text table with these columns."""
    table = head_of(**columns)
    table = table[[name for name in table if columns.get(name, 0) is not None]]
    return [(one.text, one.option) for one in judged(table, config, "utf-8-sig", ",").problems]


@pytest.mark.parametrize(
    ("columns", "options", "wanted"),
    [
        ({}, {}, []),
        (
            {"label": None}, {},
            ("which column is what an image is, real or fake? none of 'score', 'race' seems to be",
             "--label-column NAME"),
        ),
        (
            {"score": None}, {},
            ("which column is the detector's score? none of 'label', 'race' seems to be",
                "--score-column NAME"),
        ),
        (
            {"label": None, "score": None}, {"columns": Columns(label="l", score="score")},
            ("there is no column 'l'; there are 'race'", "--label-column NAME"),
        ),
        (
            {}, {"controls": ("light",)},
            ("there is no column 'light'; there are 'label', 'score', 'race'", "--control NAME"),
        ),
        ({}, {"bins": {"age": (1.0,)}}, ("there is no column 'age'; there are 'label', 'score', "
        "'race'", "--bins NAME")),
        (
            {}, {"weight_column": "w"},
            ("there is no column 'w'; there are 'label', 'score', 'race'", "--weight-column NAME"),
        ),
        (
            {"label": [str(i) for i in range(80)]}, {},
            ("column 'label' holds 80 different values and cannot say real or fake", "--label-column NAME"),
        ),
        (
            {"score": ["1.234,5", "2.345,6"] * 40}, {},
            ("column 'score' sets thousands apart ('1.234,5', '2.345,6')",
             "write its numbers without them and save the table again"),
        ),
        (
            {"score": ["0.5", "high", "low", "mid"] * 20}, {},
            ("column 'score' holds 'high', 'low', 'mid', no numbers",
             "--score-column NAME, or --read missing=high,low,mid where they mean no score"),
        ),
        (
            {"score": [f"0.{i}" for i in range(10, 89)] + ["high"]}, {},
            ("column 'score' holds 'high', no numbers", "--read missing=high where they mean no score"),
        ),
        (
            {"score": None, "p_real": ["-1.5", "2.5"] * 40}, {},
            ("column 'p_real' says how real an image is and is no probability; turned round, a "
            "fixed threshold "
             "means nothing", "--threshold eer, or another rule"),
        ),
        ({"score": None, "p_real": ["-1.5", "2.5"] * 40}, {"threshold": "eer"}, []),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_table(columns, options, wanted):
    found = problems(AuditConfig(**options), **columns)
    assert (found[0] if wanted else found) == wanted


def test_a_long_list_of_columns_is_cut():
    [(text, _), *_] = problems(
        AuditConfig(unit_column="who"), **{f"c{i}": ["1", "2"] * 40 for i in range(12)}
    )
    assert text.endswith("'c7', 'c8' and 3 more")


@pytest.mark.parametrize(
    ("score", "name", "options", "percent"),
    [
        (["10", "60"], "score", {}, True), (["10", "50"], "score", {}, False), (["10", "101"],
            "score", {}, False),
        (["0.1", "1"], "fake_percent", {}, False), (["0.1", "2"], "fake_percent", {}, True),
        (["-1", "60"], "score", {}, False), (["0.1 %", "0.2 %"], "score", {}, True),
        (["10", "60"], "score", {"read_as": {"percent": "no"}}, False),
        (["0.1", "0.6"], "score", {"read_as": {"percent": "yes"}}, True),
        (["10", "60"], "score", {"threshold": "1"}, True), (["10", "60"], "score",
            {"threshold": "1.5"}, False),
        (["10", "60"], "score", {"threshold": "eer"}, True),
    ],
)  # fmt: skip
def test_which_scores_are_percentages(score, name, options, percent):
    table = head_of(score=None).drop(columns="score").assign(**{name: score * 40})
    found = judged(table, AuditConfig(**options), "utf-8-sig", ",")
    assert found.percent == percent
    said = percent and "percent" not in found.config.read_as
    wanted = [f"'{name}' in percent"] if said else []
    assert [one.text for one in found.guesses if one.option == "--read percent=no"] == wanted


@pytest.mark.parametrize(
    "name",
    [
        "confidence",
        "age",
        "year",
        "weight",
        "quality",
        "sharpness",
        "blur",
        "brightness",
        "width",
        "height",
        "size",
        "id",
        "index",
        "row",
    ],
)
def test_a_column_of_fractions_under_such_a_name_is_no_score(name):
    many = [f"0.{i}" for i in range(10, 90)]
    assert judged(head_of(score=many).rename(columns={"score": f"image {name}"}), CONFIG).problems
    found = judged(head_of(score=many).rename(columns={"score": "image number"}), CONFIG)
    assert found.config.columns.score == "image number" and not found.problems


def test_spellings_beyond_six_are_counted():
    merged = {f"w{i}": ("W", i + 1) for i in range(8)}
    [said] = spelling_guesses("race", merged)
    assert said.text.startswith("'w0' is read as 'W' (1 row), 'w1' is read as 'W' (2 rows), ")
    assert said.text.endswith("'w5' is read as 'W' (6 rows) and 2 more") and said.name == "groups of race"
    assert spelling_guesses("race", {}) == []


def test_a_frame_with_two_spellings_of_a_group_is_one_with_one_and_says_so():
    frame = head_of(race=["White", "white", "White", "Black"] * 20)
    config = AuditConfig(attributes=("race",))
    merged, said = with_one_spelling(frame, config)
    assert merged["race"].tolist() == ["White", "White", "White", "Black"] * 20
    assert said == ["How the table was read: groups of race 'white' is read as 'White' (20 rows)."]
    assert frame["race"].tolist()[1] == "white"  # the user's own table stays as it is
    for same, options in (
        (frame, {"read_as": {"case": "keep"}}),
        (merged, {}),
        (frame, {"controls": ("race",)}),
    ):
        found, nothing = with_one_spelling(same, replace(config, **options))
        assert found is same and nothing == []
