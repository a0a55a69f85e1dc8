"""Score tables: good ones in every form, bad ones refused with the reason."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig, Columns
from audit.data import spans
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
    WeightError,
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
    with pytest.raises(GroupError, match="1,000,000 combinations of a0, a1, a2 occur"):
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


@pytest.mark.parametrize("span", [7, 1 << 19])
def test_every_column_goes_with_its_image_into_the_order_of_scores_and_out_of_it(simulate, monkeypatch, span):
    monkeypatch.setattr(spans, "SPAN", span)
    frame = simulate(40).round({"score": 0}).sample(frac=1, random_state=4).reset_index(drop=True)
    frame = frame.assign(person=frame.index // 3, w=np.arange(len(frame)) % 5 + 1.0)
    config = AuditConfig(threshold="eer", unit_column="person", weight_column="w")
    order = frame["score"].argsort(kind="stable").to_numpy()  # those of equal score as they were
    for table in (score_table(frame, config).by_score(), score_table(frame, config, by_score=True)):
        assert table.rows().tolist() == table.row.tolist() == order.tolist()
        assert table.fake.tolist() == (frame["label"] == 1)[order].tolist()
        assert table.unit.tolist() == frame["person"][order].tolist()
        assert table.weight == pytest.approx((frame["w"] / frame["w"].mean())[order].to_numpy())
        names = np.array(table.cells.grouping([0, 1]).names)
        groups = frame[table.cells.attributes].agg(":".join, axis=1)
        assert names[table.cell].tolist() == groups[order].tolist()
        assert table.as_here(frame["w"].to_numpy()).tolist() == frame["w"][order].tolist()
        assert table.as_given(table.score).tolist() == frame["score"].tolist()
        keep = np.arange(len(table)) % 2 == 0
        part = table.take(keep)
        for name in ("fake", "score", "unit", "weight", "row", "key"):
            assert getattr(part, name).tolist() == getattr(table, name)[keep].tolist(), name
        assert part.ascending and part.partner is None


def test_a_part_without_some_groups_forgets_them(simulate):
    frame = simulate(60).drop(columns="pair_id")
    table = score_table(frame, AuditConfig(attributes=["race"]))
    part = table.take((frame["race"] != "A").to_numpy())
    assert part.cells.grouping([0]).names == ["B", "C"] and len(part.cells) == 2
    assert set(part.cell.tolist()) == {0, 1}


def test_both_speakers_of_a_trial_go_with_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"image_id": [f"t{i}" for i in range(30)], "label": np.arange(30) % 2, "score": rng.normal(size=30),
         "gender": "f", "speaker": [f"a{i % 4}" for i in range(30)],
         "other_speaker": [f"a{i % 5}" for i in range(30)]}
    )  # fmt: skip
    config = AuditConfig(task="speaker-verification", attributes=("gender",), threshold="eer")
    given, table = score_table(frame, config), score_table(frame, config, by_score=True)
    names = np.unique(np.r_[frame["speaker"], frame["other_speaker"]])
    for one, column in (("unit", "speaker"), ("partner", "other_speaker")):
        codes = getattr(given, one)
        assert len(set(zip(codes, frame[column], strict=True))) == frame[column].nunique()
        assert (getattr(table, one) == codes[table.row]).all() and codes.max() < len(names)
    assert (given.unit == given.partner).tolist() == (frame["speaker"] == frame["other_speaker"]).tolist()
    assert (table.partner_key == given.partner_key[table.row]).all()
    assert len(set(zip(given.partner_key.tolist(), frame["other_speaker"], strict=True))) == 5
    keep = table.score > 0
    assert table.take(keep).partner.tolist() == table.partner[keep].tolist()
    assert table.take(keep).partner_key.tolist() == table.partner_key[keep].tolist()
    assert table.without_keys().partner_key is None and table.without_keys().key.tolist() == [0] * 30
    assert score_table(frame, config, split=False).partner_key is None


@pytest.mark.parametrize(
    ("change", "config", "error", "message"),
    [
        (
            {"score": [0.5, np.nan, np.inf, 0.1]}, {}, ScoreValueError,
            r"^2 of 4 scores in column 'score' are not finite, the first \(nan\) in row 2; score "
            r"those images "
            "again or leave them out$",
        ),
        (
            {"score": [1j] * 4}, {}, ScoreValueError,
            "^column 'score' holds complex128 and no scores; give plain numbers$",
        ),
        (
            {"image_id": ["a", "b", "a", "b"]}, {}, DuplicateImageError,
            r"^image 'a' stands on more than one row \(2 repeated rows\); give each image once, and each of "
            "several models its own table$",
        ),
        ({"image_id": [None, "c", None, "c"]}, {}, DuplicateImageError, r"^image 'c' .* \(1 "
        r"repeated rows\);"),
        (
            {"pair_id": ["p"] * 4}, {}, PairError,
            r"^pair 'p' has 2 real images; a pair is one real and one fake image \(audit several "
            r"generators one "
            "at a time, name the source with --unit-column, or leave the pair column out",
        ),
        ({"pair_id": ["q", "p", None, "p"]}, {}, PairError, "^pair 'p' has 2 fake images;"),
        (
            {"pair_id": ["p", "p", "q", "q"], "race": list("xyxx")}, {}, PairError,
            r"^the two halves of pair 'p' \(1 such pairs\) carry different attributes; correct the "
            r"labels, or "
            "leave the pair column out$",
        ),
        (
            {"w": [1, -1, np.nan, 2]}, {"weight_column": "w"}, WeightError,
            r"^2 of 4 weights in column 'w' are negative, missing or not finite, the first \(-1.0\) "
            r"in row 2; "
            "correct them or leave the images out$",
        ),
        ({"w": [0] * 4}, {"weight_column": "w"}, WeightError, "^all 4 weights in column 'w' are 0; "
        "give weights"),
        ({"w": [1] * 4}, {"weight_column": "v"}, MissingColumnError, "^the score table has no "
        "column 'v'; it has"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(change, config, error, message):
    frame = pd.DataFrame({"label": [0, 1, 0, 1], "score": [0.1, 0.9, 0.2, 0.8], "race": "x"}).assign(**change)
    with pytest.raises(error, match=message):
        score_table(frame, AuditConfig(attributes=("race",), **config))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("truth", "p_fake"), "'label', 'score'; it has 'truth', 'p_fake', 'race'; say "
        "--label-column truth and "
                              "--score-column p_fake"),
        (("label", "P Real"), "'score'; it has 'label', 'P Real', 'race'; say --score-column P Real "
        "once it is "
                              "turned round, as a higher score must mean more fake"),
        (("what", "score"), "'label'; it has 'what', 'score', 'race'; say --label-column NAME"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_is_named_with_the_likely_one(names, said):
    frame = pd.DataFrame({names[0]: [0, 1], names[1]: [0.1, 0.9], "race": ["x", "y"]})
    with pytest.raises(MissingColumnError, match=f"^the score table has no column {re.escape(said)}$"):
        score_table(frame, AuditConfig(attributes=("race",)))


def test_weights_have_mean_1_and_may_be_words_and_huge():
    frame = pd.DataFrame({"label": [0, 1] * 2, "score": 0.5, "race": "x", "w": ["1", "3", "0", "4"]})
    config = AuditConfig(attributes=("race",), weight_column="w")
    assert score_table(frame, config).weight == pytest.approx(np.array([0.5, 1.5, 0.0, 2.0]))
    large = frame.assign(w=[1e308, 3e307, 0.0, 1e308])
    assert score_table(large, config).weight == pytest.approx(np.array([4, 1.2, 0, 4]) / 2.3)


def test_rows_of_a_table_by_its_order_are_numbered(simulate):
    table = score_table(simulate(10), CONFIG)
    assert table.rows().tolist() == list(range(20))
    assert table.as_here(table.score) is table.score and table.as_given(table.score) is table.score


def test_images_that_stand_for_themselves_have_no_pairs(simulate):
    frame = simulate(30)
    doubled = pd.concat([frame, frame[frame["label"] == 1].assign(image_id=lambda f: "x" + f["image_id"])])
    table = score_table(doubled, AuditConfig(independent=True))
    assert len(table.real_row) == 0 and len(table) == 90 and table.unit is None
    assert len(score_table(frame, AuditConfig(independent=True)).real_row) == 30


@pytest.mark.parametrize("name", ["s.csv", "s.TSV", "s.txt", "s.parquet", "s.PQ"])
def test_every_usual_ending_is_read(twelve_pairs, tmp_path, name):
    path = tmp_path / name
    if name.lower().endswith(("parquet", "pq")):
        twelve_pairs.to_parquet(path)
    else:
        twelve_pairs.to_csv(path, index=False)
    assert read_scores(path, CONFIG).frame["score"].tolist() == twelve_pairs["score"].tolist()


@pytest.mark.parametrize("ending", [".xlsx", ".xls", ".xlsm", ".ods", ".numbers"])
def test_a_workbook_is_to_be_saved_as_csv(tmp_path, ending):
    (tmp_path / f"s{ending}").write_bytes(b"PK")
    with pytest.raises(
        ScoreFileError, match=f"s{ending} is a workbook: save the sheet with the scores as CSV, "
    ):
        read_scores(tmp_path / f"s{ending}", CONFIG)


@pytest.mark.parametrize(
    ("word", "mark"), [("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("pipe", "|"), ("|", "|")]
)
def test_a_separator_that_is_told_decides(tmp_path, word, mark):
    rows = [
        f"{i % 2}{mark}0.{i + 10}{mark}a,b;c" if mark != "," else f"{i % 2},0.{i + 10},c" for i in range(9)
    ]
    text = "\n".join([mark.join(["label", "score", "race"]), *rows])
    (tmp_path / "s.csv").write_text(text if mark != ";" else text.replace("a,b;c", "a,b"))
    read = read_scores(tmp_path / "s.csv", AuditConfig(read_as={"separator": word}))
    assert read.frame["score"].tolist() == [(i + 10) / 100 for i in range(9)]
    assert not [one for one in read.reading.guesses if one.name == "separator"]


@pytest.mark.parametrize("by_score", [False, True])
def test_an_image_without_its_other_half_is_dealt_to_parts_by_its_own_name(simulate, by_score):
    frame = simulate(40).iloc[5:].reset_index(drop=True)
    config = AuditConfig(threshold="eer")
    paired = score_table(frame, config, by_score=by_score)
    alone = score_table(frame.drop(columns="pair_id"), config, by_score=by_score)
    single = np.ones(len(paired), dtype=bool)
    single[paired.real_row] = single[paired.fake_row] = False
    assert single.sum() == 5 and (paired.key[single] == alone.key[single]).all()
    assert (paired.key[~single] != alone.key[~single]).all()
    assert (paired.key[paired.real_row] == paired.key[paired.fake_row]).all()
    known = frame.assign(person=frame["pair_id"].where(frame.index > 9))
    units = score_table(known, AuditConfig(threshold="eer", unit_column="person"), by_score=by_score)
    unnamed = known["person"].isna().to_numpy()[units.rows()]
    assert (units.key[unnamed] == alone.key[unnamed]).all()
    assert (units.key[~unnamed] != alone.key[~unnamed]).all()
