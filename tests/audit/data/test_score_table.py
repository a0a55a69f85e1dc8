"""Score tables: good ones in every form, bad ones refused with the reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig, Columns
from audit.data.score_file import read_scores
from audit.data.score_table import find_attributes, score_table
from audit.errors import (
    DuplicateImageError,
    ExpectedError,
    GroupError,
    LabelError,
    MissingColumnError,
    PairError,
    ScoreFileError,
    ScoreTableError,
    ScoreValueError,
)

CONFIG = AuditConfig()


def test_pairs_are_found_whatever_the_order_of_rows(twelve_pairs):
    shuffled = twelve_pairs.sample(frac=1, random_state=3)
    table = score_table(shuffled, CONFIG)
    names = shuffled["pair_id"].to_numpy()
    assert len(table.real_row) == 12
    assert (names[table.real_row] == names[table.fake_row]).all()
    assert not table.fake[table.real_row].any() and table.fake[table.fake_row].all()


def test_half_a_pair_is_a_single_image(twelve_pairs):
    table = score_table(twelve_pairs.iloc[1:], CONFIG)
    assert len(table.real_row) == 11 and len(table) == 23


def test_missing_pair_id_is_a_single_image(twelve_pairs):
    twelve_pairs.loc[0, "pair_id"] = None
    assert len(score_table(twelve_pairs, CONFIG).real_row) == 11


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        ([0, 1], None),
        ([False, True], None),
        ([0.0, 1.0], None),
        (["0", "1"], None),
        (["real", "fake"], None),
        (["live", "spoof"], "spoof"),
        ([2, 7], "7"),
    ],
)
def test_labels_in_every_form(twelve_pairs, labels, positive):
    wanted = twelve_pairs["label"].to_numpy() == 1
    frame = twelve_pairs.assign(label=[labels[int(fake)] for fake in wanted])
    assert (score_table(frame, AuditConfig(positive=positive)).fake == wanted).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"score": np.nan}, ScoreValueError, r"1 of 24 scores .* not finite, the first \(nan\) in row 6"),
        ({"score": np.inf}, ScoreValueError, r"the first \(inf\) in row 6"),
        ({"label": 2}, LabelError, "holds '2'; expected 1 for fake"),
        ({"image_id": "i0"}, DuplicateImageError, "image 'i0' stands on more than one row"),
        ({"pair_id": "p0"}, PairError, "pair 'p0' has 2 real images"),
        ({"race": "z"}, PairError, "halves of pair 'p5' .* different attributes"),
        ({"race": "x:1"}, GroupError, "'x:1' of attribute 'race' contains ':'"),
    ],
)
def test_one_bad_row(twelve_pairs, change, error, message):
    for column, value in change.items():
        twelve_pairs[column] = twelve_pairs[column].astype(object)
        twelve_pairs.loc[5, column] = value
    with pytest.raises(error, match=message):
        score_table(twelve_pairs, CONFIG)


def test_words_instead_of_scores(twelve_pairs):
    with pytest.raises(ScoreValueError, match="column 'score' is not numeric"):
        score_table(twelve_pairs.assign(score="high"), CONFIG)


def test_missing_label(twelve_pairs):
    frame = twelve_pairs.astype({"label": object})
    frame.loc[3, "label"] = None
    with pytest.raises(LabelError, match="row 4 of column 'label' has no label"):
        score_table(frame, CONFIG)


def test_positive_that_is_not_there(twelve_pairs):
    with pytest.raises(LabelError, match="--positive spoof needs at most two labels"):
        score_table(twelve_pairs, AuditConfig(positive="spoof"))


def test_three_labels_with_positive(twelve_pairs):
    twelve_pairs.loc[0, "label"] = 2
    with pytest.raises(LabelError, match="needs at most two labels"):
        score_table(twelve_pairs, AuditConfig(positive="1"))


def test_missing_column(twelve_pairs):
    with pytest.raises(MissingColumnError, match="no column 'score'; it has 'image_id'"):
        score_table(twelve_pairs.drop(columns="score"), CONFIG)
    with pytest.raises(MissingColumnError, match="no column 'age'"):
        score_table(twelve_pairs, AuditConfig(attributes=["age"]))


def test_empty_table(twelve_pairs):
    with pytest.raises(ScoreTableError, match="no rows"):
        score_table(twelve_pairs.iloc[:0], AuditConfig(attributes=["race"]))


def test_a_million_groups():
    n = 1_000_000
    frame = pd.DataFrame({"label": np.arange(n) % 2, "score": 0.5, "person": np.arange(n)})
    with pytest.raises(GroupError, match="1000000 different values, more than 500"):
        score_table(frame, AuditConfig(attributes=["person"]))
    many = pd.DataFrame({f"a{i}": np.arange(n) // 100**i % 100 for i in range(3)})
    with pytest.raises(GroupError, match="1000000 combinations of a0, a1, a2 occur"):
        score_table(frame.join(many), AuditConfig(attributes=["a0", "a1", "a2"]))


def test_attributes_are_found(twelve_pairs):
    assert find_attributes(twelve_pairs, CONFIG) == ["race"]
    renamed = twelve_pairs.rename(columns={"race": "camera"})
    assert find_attributes(renamed, CONFIG) == ["camera"]
    with pytest.raises(GroupError, match="no attribute to audit among the columns"):
        find_attributes(twelve_pairs.drop(columns="race"), CONFIG)


def test_other_column_names(twelve_pairs):
    names = {"label": "y", "score": "p", "image_id": "file", "pair_id": "person"}
    renamed = twelve_pairs.rename(columns=names)
    columns = Columns("y", "p", "file", "person")
    table = score_table(renamed, AuditConfig(columns=columns))
    assert len(table.real_row) == 12
    with pytest.raises(MissingColumnError, match="no column 'label', 'score'"):
        score_table(renamed, AuditConfig(attributes=["race"]))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_files(twelve_pairs, tmp_path, suffix):
    path = tmp_path / f"scores.{suffix}"
    frame = twelve_pairs.assign(race=twelve_pairs["race"].replace({"x": "NA", "y": "EU"}), extra=1)
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    table = score_table(read_scores(path, CONFIG).frame, CONFIG)
    assert table.cells.levels == [["EU", "NA"]]
    assert table.score.tolist() == twelve_pairs["score"].tolist()


def test_empty_field_in_a_csv_is_a_missing_label(twelve_pairs, tmp_path):
    twelve_pairs.loc[[0, 12], "race"] = None
    twelve_pairs.to_csv(tmp_path / "s.csv", index=False)
    table = score_table(read_scores(tmp_path / "s.csv", CONFIG).frame, CONFIG)
    assert table.cells.levels == [["x", "y", "(missing)"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no score file at"),
        ("empty.csv", b"", "is empty: a table begins with"),
        ("junk.parquet", b"PAR1 no", "is not a readable Parquet file"),
        ("book.csv", b"PK\x03\x04 workbook", "is a workbook or an archive, not text: save its sheet as CSV"),
        ("scores.xlsx", b"x", "is a workbook: save the sheet with the scores as CSV, and give that file"),
        ("scores.json", b"x", "is not a .csv or .parquet file"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScoreFileError, match=message) as caught:
        read_scores(path, CONFIG)
    assert isinstance(caught.value, ExpectedError)
    assert "\n" not in str(caught.value)


def test_split_keeps_pairs_together(simulate):
    table = score_table(simulate(200), AuditConfig(threshold="eer"))
    keep = np.ones(len(table), bool)
    keep[table.real_row[:50]] = keep[table.fake_row[:50]] = False
    part = table.take(keep)
    assert len(part) == 300 and len(part.real_row) == 150
    assert (part.score[part.real_row] == table.score[table.real_row[50:]]).all()
    names = [table.cells.grouping([0, 1]).names[c] for c in table.cell[keep]]
    assert [part.cells.grouping([0, 1]).names[c] for c in part.cell] == names


@pytest.mark.parametrize("options", [{}, {"unit_column": "person"}], ids=["pairs", "units"])
@pytest.mark.parametrize("names", [True, False], ids=["named", "unnamed"])
def test_keys_go_with_their_images_into_the_order_of_scores(simulate, options, names):
    frame = simulate(120).assign(image_id=lambda one: one["pair_id"] + one["label"].astype(str))
    frame["person"] = frame["pair_id"].where(frame.index % 7 > 0, None)
    frame = frame.iloc[3:] if names else frame.iloc[3:].drop(columns="image_id")  # some halves stand alone
    config = AuditConfig(threshold="eer", **options)
    given, sorted_ = score_table(frame, config), score_table(frame, config, by_score=True)
    assert sorted_.ascending and (np.diff(sorted_.score) >= 0).all()
    assert (sorted_.as_given(sorted_.key) == given.key).all()
    unit = frame["person"].to_numpy() if options else frame["pair_id"].to_numpy()
    together = pd.Series(given.key).groupby(unit).nunique()
    assert (together == 1).all() and len(np.unique(given.key)) > len(together) / 2


def test_a_table_without_keys_is_dealt_no_more_and_taken_from_all_the_same(simulate):
    table = score_table(simulate(50), AuditConfig(threshold="eer"))
    keep = np.ones(len(table), dtype=bool)
    keep[[table.real_row[0], table.fake_row[0]]] = False
    part = table.without_keys().take(keep)
    assert len(part) == len(part.key) == 98 and part.key.strides == (0,) and not part.key.any()
    assert (part.score == table.score[keep]).all() and len(part.real_row) == 49
