"""A large Parquet file, read one column at a time, gives the audit of the same file in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.api.outcome import Audit
from audit.config import AuditConfig
from audit.data import file_columns, score_file
from audit.data.id_numbers import NameHash, numbered
from audit.data.score_file import read_scores
from audit.errors import DuplicateImageError, ExpectedError, PairError, UnclearTableError
from audit.runs.score_audit import audit_score_file, audit_scores

QUICK = {"threshold": 0.0, "n_boot": 100}


def table(simulate, **columns) -> pd.DataFrame:
    frame = simulate(60, shift=0.6).sample(frac=1, random_state=4).reset_index(drop=True)
    names = frame["pair_id"] + "/" + frame["label"].astype(str)
    return frame.assign(image_id=names, **columns)


def with_capitals(race) -> pd.Series:
    """Every third pair writes its race in small letters; of two spellings as frequent the first is kept."""
    race = race if isinstance(race, pd.Series) else race["site"]
    small = np.arange(len(race)) % 2 == 1
    race = race.where(race != "C", np.where(small, "cc", "Cc"))
    return race.where(race != "B", "b").where((race != "A") | (np.arange(len(race)) % 4 > 0), "a")


@pytest.fixture
def both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The audits of a table written as Parquet: in memory, and column by column in tiny parts."""

    def audit(frame: pd.DataFrame, config: AuditConfig):
        path = tmp_path / "scores.parquet"
        frame.to_parquet(path, index=False, row_group_size=70)
        found = []
        for large in (10**9, 0):
            monkeypatch.setattr(score_file, "LARGE_ROWS", large)
            monkeypatch.setattr(file_columns, "BATCH_ROWS", 64)
            found.append(audit_score_file(path, config))
        return found

    return audit


@pytest.mark.slow
def test_every_form_of_table_is_the_same_record_and_the_same_scores(simulate, both_ways, tmp_path):
    rng = np.random.default_rng(0)
    frame = table(simulate)
    n, fake = len(frame), frame["label"] == 1
    forms = [
        (frame, {}),
        (frame.assign(score=frame["score"].astype("float32").round(1), label=fake), {}),
        (frame.assign(race=frame["race"].where(frame["pair_id"].str[-1] != "3", "NA")), {}),
        (frame.assign(label=np.where(fake, "fake", "real")), {"threshold": "eer"}),
        (frame.assign(score=frame["score"].where(rng.random(n) < 0.9)), {"attributes": ("race",)}),
        (frame.assign(quality=rng.normal(size=n)), {"controls": ("quality",)}),
        (frame.assign(kind=np.where(fake, rng.choice(["a", "b"], n), "real")), {"attributes": ("race",)}),
        (frame.assign(person=np.arange(n) // 6), {"unit_column": "person", "threshold": "eer"}),
        (frame.assign(w=rng.uniform(1, 2, n), pair_id=frame["pair_id"].where(fake)), {"weight_column": "w"}),
        (frame.assign(race=with_capitals(frame["race"])), {}),
        (frame.assign(race=with_capitals(frame["race"]), pair_id=None),
         {"read_as": {"case": "keep"}, "independent": True}),
        (frame.rename(columns={"race": "site"}).drop(columns="gender").assign(site=with_capitals), {}),
        (frame.assign(label=np.where(fake, np.where(rng.random(n) < 0.2, "unsure", "fake"), "real")),
         {"read_as": {"missing": "unsure"}, "attributes": ("race",)}),
        (frame.assign(label=np.where(fake, rng.choice(["print", "mask"], n), "live")),
         {"read_as": {"real": "live"}}),
        (frame.assign(years=frame["pair_id"].str[-2:].astype(int)), {"bins": {"years": (18, 40)}}),
    ]  # fmt: skip
    for number, (one, options) in enumerate(forms):
        plain, large = both_ways(one, AuditConfig(**QUICK | options))
        assert large.result.to_json() == plain.result.to_json(), number
        for found, name in ((plain, "plain"), (large, "large")):
            found.write(tmp_path / f"{name}{number}")
        written = [
            pd.read_parquet(tmp_path / f"{name}{number}" / "scores.parquet") for name in ("plain", "large")
        ]
        pd.testing.assert_frame_equal(
            written[1][list(written[0].columns)], written[0], check_categorical=False
        )
        pd.testing.assert_frame_equal(
            Audit(large.result, scored=large).scores[list(plain.frame.columns)].astype(object),
            plain.frame.astype(object),
        )


def test_pairs_are_read_once_and_looked_at_twice(simulate, both_ways, monkeypatch):
    read, plain = [], file_columns.FileColumns._read
    monkeypatch.setattr(
        file_columns.FileColumns, "_read", lambda self, name: read.append(name) or plain(self, name)
    )
    _, large = both_ways(table(simulate), AuditConfig(**QUICK))
    assert read.count("pair_id") == read.count("image_id") == 1
    assert not large.frame._kept


def test_pairs_are_kept_until_they_are_let_go(simulate, tmp_path, monkeypatch):
    """Every other look found them gone and read them again."""
    table(simulate).to_parquet(tmp_path / "scores.parquet")
    monkeypatch.setattr(score_file, "LARGE_ROWS", 0)
    columns = score_file.read_scores(tmp_path / "scores.parquet", AuditConfig()).frame
    assert columns["pair_id"] is columns["pair_id"] is columns["pair_id"]
    columns.forget()
    assert columns["pair_id"] is not columns["pair_id"] and not columns._kept


@pytest.mark.parametrize("large", [10**9, 0])
@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"image_id": "again"},
            DuplicateImageError,
            r"^image 'again' stands on more than one row \(1 repeated",
        ),
        (
            {"race": "Z"},
            PairError,
            r"^the two halves of pair 'p\d+' \(2 such pairs\) carry different attributes",
        ),
        ({"score": "high"}, UnclearTableError, "'score' holds 'high', no numbers: --read missing=high where"),
    ],
)
@pytest.mark.parametrize("gone", [None, 2])
def test_what_is_wrong_is_named_as_the_table_has_it(
    simulate, tmp_path, monkeypatch, large, values, error, message, gone
):
    """Also where rows before it were left out for want of a score."""
    monkeypatch.setattr(score_file, "LARGE_ROWS", large)
    monkeypatch.setattr(file_columns, "BATCH_ROWS", 64)
    frame = table(simulate)
    if gone is not None and "score" not in values:
        frame.loc[gone, "score"] = np.nan
    frame = frame.astype({"score": str} if "score" in values else {})
    for name, value in values.items():
        frame.loc[[70, 81], name] = value
    frame.to_parquet(tmp_path / "s.parquet", index=False)
    with pytest.raises(error, match=message):
        audit_score_file(tmp_path / "s.parquet", AuditConfig(**QUICK))


def test_a_column_of_a_large_file_is_what_it_is_in_memory(simulate, tmp_path, monkeypatch):
    """Scores and ages written as text, names in any row, and what may be asked of a table."""
    frame = table(simulate).assign(years=lambda f: f["pair_id"].str[-2:])
    frame["score"] = frame["score"].map("{:.3f}".format)
    frame.loc[7, "score"] = ""
    frame.to_parquet(tmp_path / "s.parquet", index=False)
    monkeypatch.setattr(file_columns, "BATCH_ROWS", 50)
    config = AuditConfig(**QUICK | {"bins": {"years": (20.0, 40.0)}})
    plain = read_scores(tmp_path / "s.parquet", config)
    monkeypatch.setattr(score_file, "LARGE_ROWS", 0)
    large = read_scores(tmp_path / "s.parquet", config)
    columns = large.frame
    assert (
        isinstance(columns, file_columns.FileColumns) and len(columns) == len(plain.frame) == len(frame) - 1
    )
    assert set(columns.columns) == set(plain.frame.columns) and large.left_out == plain.left_out
    assert columns["score"].tolist() == plain.frame["score"].tolist()
    assert pd.to_numeric(columns["years"]).tolist() == pd.to_numeric(plain.frame["years"]).tolist()
    kept = frame.drop(index=7).reset_index(drop=True)
    for row in (0, 6, 7, 60, len(kept) - 1):
        assert columns.text_at("image_id", row) == kept["image_id"][row]
    assert pd.concat(list(columns.text_batches("pair_id"))).tolist() == kept["pair_id"].tolist()


@given(st.lists(st.one_of(st.none(), st.text(max_size=9)), max_size=60), st.integers(1, 9))
def test_numbers_are_equal_where_names_are(names, size):
    column = pa.array(names, type=pa.string())
    numbers, n = numbered((column[at : at + size] for at in range(0, len(column), size)), len(column))
    codes, values = pd.factorize(pd.Series(names, dtype=object))
    assert n == len(values) and ((numbers < 0) == (codes < 0)).all()
    assert len(set(zip(numbers.tolist(), codes.tolist(), strict=True))) == len(set(codes.tolist()))


def test_many_names_whole_numbers_and_long_ones():
    rng = np.random.default_rng(0)
    whole = rng.integers(-(2**62), 2**62, 50_000).repeat(2)
    long = [str(number) * 400 for number in whole[:40]]
    for column, n_wanted in ((pa.array(whole), 50_000), (pa.array([f"train/{i}.jpg" for i in whole]), 50_000),
                             (pa.array(long), 20)):  # fmt: skip
        numbers, n = numbered([column], len(column))
        assert n == n_wanted and (numbers[::2] == numbers[1::2]).all()
        assert sorted(set(numbers.tolist())) == list(range(n))


def test_a_hash_is_the_multilinear_one_of_the_published_form():
    function = NameHash()
    first, second = function.of(pa.array(["abcdefg"]))
    words = [int.from_bytes(part, "little") for part in (b"abcd", b"efg\0")]
    wanted = []
    for row in function.coefficients.tolist():
        total = row[0] + row[1] * 7 + sum(m * word for m, word in zip(row[2:], words, strict=False))
        wanted.append((total % 2**64) >> 32)
    assert int(first[0]) == (wanted[0] << 32) | wanted[1] and int(second[0]) == wanted[2]


@pytest.mark.parametrize("large", [10**9, 0])
@pytest.mark.parametrize("column", ["race", "note", "label"])
def test_text_that_is_not_utf8_is_one_line(tmp_path, monkeypatch, large, column):
    monkeypatch.setattr(score_file, "LARGE_ROWS", large)
    n = 6_000
    columns = {
        "label": pa.array(["real", "fake"] * (n // 2)),
        "score": pa.array(np.linspace(0, 1, n)),
        "race": pa.array(["x", "y"] * (n // 2)),
        "note": pa.array(["a", "b"] * (n // 2)),
    }
    bad = [b"a", b"b"] * (n // 2)
    bad[-1] = b"\x82\xff"
    columns[column] = pa.array(bad, type=pa.binary()).view(pa.string())
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    config = AuditConfig(attributes=("race",), **QUICK)
    with pytest.raises(ExpectedError, match=r"s\.parquet.* Parquet file: .*[Ii]nvalid UTF-?8"):
        file = read_scores(tmp_path / "s.parquet", config)
        list(file.other_columns())
        audit_scores(file.frame, file.config)


@pytest.mark.parametrize("large", [10**9, 0])
def test_images_without_a_label_are_not_among_those_without_a_score(simulate, tmp_path, monkeypatch, large):
    monkeypatch.setattr(score_file, "LARGE_ROWS", large)
    frame = table(simulate)
    frame.loc[:4, "label"] = np.nan
    for missing, n in (([], 0), ([3, 4, 5, 6], 2)):
        frame.loc[missing, "score"] = np.nan
        frame.to_parquet(tmp_path / "s.parquet", index=False)
        read = read_scores(tmp_path / "s.parquet", AuditConfig(**QUICK))
        left = {"no label in the table": 5} | ({"no score in the table": n} if n else {})
        assert read.left_out == left
        assert len(read.without_score(["race", "label"])) == n
