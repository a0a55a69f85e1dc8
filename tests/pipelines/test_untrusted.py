"""Files that anyone may have made: no row vanishes, nothing hangs, every fault is one line."""

import gc
import os
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import parquet_limits, untrusted
from pipelines.errors import UnreadableFile
from pipelines.storage import file_sha256, open_regular
from pipelines.untrusted import (
    MAX_COLUMNS,
    MAX_NESTING,
    csv_shape,
    open_parquet,
    read_csv,
    read_json,
    read_parquet,
    read_text,
    read_toml,
)

ANY_FILE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table(n_rows):
    rows = [f"img{i},{i % 2},0.{i:04d},{('Black', 'White')[i % 2]}" for i in range(n_rows)]
    return "\n".join(["image_id,label,score,race", *rows]) + "\n"


def n_lines(text):
    return sum(1 for line in re.split("\r\n|\r|\n", text) if line.strip(" ")) - 1


def test_two_stray_quotes_do_not_swallow_the_rows_between_them(tmp_path):
    lines = table(400).splitlines()
    lines[50], lines[351] = '"' + lines[50], lines[351].replace(",", '",', 1)
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert len(pd.read_csv(tmp_path / "a.csv")) == 99, "pandas alone loses them"
    with pytest.raises(UnreadableFile, match=r"a\.csv line 51: a quote that does not close its field"):
        read_csv(tmp_path / "a.csv")


@ANY_FILE
@given(data=st.data())
def test_rows_in_are_rows_out_or_the_file_is_refused(data, tmp_path):
    """Any damage by quotes, separators, line ends and blanks to an honest table."""
    text = table(data.draw(st.integers(0, 12)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(['"', '""', ",", "\n", "\r", "\r\n", " ", "\t", "'", "\\", "x", "é"])
        )
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 2)) :]
    path = tmp_path / "any.csv"
    path.write_bytes(text.encode())
    try:
        frame = read_csv(path)
    except UnreadableFile as error:
        assert str(path) in str(error) and "\n" not in str(error).replace(str(path), "")
    else:
        assert len(frame) == n_lines(text)


@ANY_FILE
@given(rows=st.lists(st.tuples(*[st.text(alphabet="ab,\"'; é=", max_size=5)] * 3), max_size=8))
def test_whatever_an_honest_writer_quotes_is_read_back(rows, tmp_path):
    wanted = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=str)
    wanted.to_csv(tmp_path / "q.csv", index=False, quoting=1)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "q.csv"), wanted, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2,3\n", "line 2 has 3 fields, its header 2"),
        (b"a,b\n1\n", "line 2 has 1 field, its header 2"),
        (b"a,b\n1,\x002\n", "line 2 holds a NUL"),
        (b"a,b\n1,\xff\n", "is not UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "is not UTF-8 text"),
        (b'a,b\n"x\ny",2\n', "line 2: a quote that does not close"),
        (b"a" * (1 << 20) + b"aa", "line 1 has more than 1,048,576 characters"),
        (b",".join(b"%d" % i for i in range(MAX_COLUMNS + 1)), "has 4,097 columns; the limit is 4,096"),
    ],
)
def test_damaged_tables(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UnreadableFile, match=message):
        csv_shape(tmp_path / "t.csv")


def test_a_million_columns_are_answered_at_once(tmp_path):
    (tmp_path / "wide.csv").write_text(",".join("abcdef" for _ in range(1_000_000)) + "\n")
    with pytest.raises(UnreadableFile, match=r"line 1 has more than|columns; the limit is"):
        read_csv(tmp_path / "wide.csv")


def test_not_a_table_but_all_the_same_read(tmp_path):
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n   \r\nNA,\r\n")
    frame = read_csv(tmp_path / "bom.csv", na_values=[""])
    assert frame["a"].tolist() == ["1", "NA"] and frame["b"].isna().tolist() == [False, True]
    assert len(read_csv(tmp_path / "bom.csv", n_head=1)) == 1
    assert len(read_csv(tmp_path / "bom.csv", usecols=[])) == 2


def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.mark.parametrize("place", [pipe, lambda _: "/dev/zero", lambda folder: folder])
def test_pipes_devices_and_folders_are_refused_and_not_waited_for(place, tmp_path):
    path = place(tmp_path)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)
    with pytest.raises(OSError, match="not a regular file"):
        file_sha256(path)
    for read in (read_text, read_csv, read_parquet, read_json, read_toml):
        with pytest.raises(UnreadableFile, match="not a regular file"):
            read(path)


def test_a_name_no_file_can_have(tmp_path):
    with pytest.raises(OSError, match="no name that a file can have"):
        open_regular(f"{tmp_path}/a\0b")


@pytest.mark.parametrize(
    ("name", "text", "read", "message"),
    [
        ("a.toml", "a = " + "[" * 5000, read_toml, "is not TOML: nested too deeply"),
        ("a.toml", "a = " + "[" * 100 + "]" * 100, read_toml, f"nested more than {MAX_NESTING} levels"),
        ("a.toml", ".".join("a" * 500) + " = 1", read_toml, f"nested more than {MAX_NESTING} levels"),
        ("a.toml", "a = " + "9" * 5000, read_toml, "is not TOML"),
        ("a.toml", "# " + "x" * (2 << 20), read_toml, "is larger than 1,048,576 bytes"),
        ("a.json", "[" * 100_000, read_json, "is not JSON: nested too deeply"),
        ("a.json", '{"a": NaN}', read_json, "NaN is no number of JSON"),
        ("a.json", '{"a": -Infinity}', read_json, "-Infinity is no number of JSON"),
        ("a.json", "9" * 5000, read_json, "is not JSON"),
        ("a.json", '{"a": 1', read_json, "is not JSON"),
    ],
)
def test_records_that_are_none(tmp_path, name, text, read, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableFile, match=message):
        read(tmp_path / name)


@ANY_FILE
@given(seed=st.integers(0, 2**32))
def test_a_damaged_parquet_file_is_read_or_refused(seed, tmp_path):
    frame = pd.DataFrame({"image_id": [f"i{n}" for n in range(50)], "score": [n / 50 for n in range(50)]})
    data = bytearray(frame.to_parquet(index=False))
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    (tmp_path / "t.parquet").write_bytes(data[: chance.randint(1, len(data))])
    try:
        assert isinstance(read_parquet(tmp_path / "t.parquet"), pd.DataFrame)
    except UnreadableFile as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("end", ["zip", "xz", "zst", "gz", "bz2", "tar"])
def test_a_file_is_what_it_holds_and_not_what_it_is_called(tmp_path, end):
    (tmp_path / f"t.{end}").write_text(table(3))
    assert len(read_csv(tmp_path / f"t.{end}")) == 3


def test_lists_in_a_parquet_file_are_left_alone(tmp_path):
    pd.DataFrame({"a": [1, 2], "vector": [[1.0], [2.0]]}).to_parquet(tmp_path / "t.parquet")
    assert list(read_parquet(tmp_path / "t.parquet").columns) == ["a"]


def test_the_reader_is_light():
    code = "import pipelines.untrusted, sys; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    "record", [b"{", b"[]", b'{"columns": [{}], "index_columns": []}', b'{"columns": 3, "index_columns": 1}']
)
def test_a_damaged_record_for_pandas_is_one_line(tmp_path, record):
    """Found by the mutation loop (parquet, seed 1478)."""
    table = pa.table({"a": ["x", "y"]}).replace_schema_metadata({b"pandas": record})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(
        UnreadableFile, match=r"a\.parquet is not a readable Parquet file: its record for pan"
    ):
        read_parquet(tmp_path / "a.parquet")


def repeated(path, n, value, kind, **options):
    """A table of n rows, one of whose values is stored once."""
    said = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value], kind))
    table = pa.table({"score": np.arange(n) / n, "note": said})
    pq.write_table(table, path, compression="zstd", store_schema=False, **options)
    return path


@pytest.mark.parametrize(("value", "kind"), [("A" * (1 << 20), pa.string()), (b"A" * (1 << 20), pa.binary())])
@pytest.mark.parametrize("row_group_size", [None, 500])
def test_a_value_that_repeats_is_counted_as_often_as_it_does(tmp_path, value, kind, row_group_size):
    path = repeated(tmp_path / "t.parquet", 6_000, value, kind, row_group_size=row_group_size)
    assert path.stat().st_size < 200_000
    with pytest.raises(UnreadableFile, match=r"^\S+t\.parquet would take .* GiB of memory or more for its"):
        open_parquet(path)
    assert len(read_parquet(repeated(tmp_path / "few.parquet", 60, value, kind))) == 60


def test_one_long_value_among_many_short_ones_is_no_bomb(tmp_path, monkeypatch):
    """Its length times the rows is beyond the limit, what the rows hold is not."""
    monkeypatch.setattr(parquet_limits, "MAX_BYTES", 4 << 20)
    n, texts = 5_000, ["A" * (1 << 20), "a", "b"]
    values = pa.DictionaryArray.from_arrays(
        pa.array(np.where(np.arange(n) == 7, 0, 1 + np.arange(n) % 2).astype(np.int32)), pa.array(texts)
    )
    image = pa.StructArray.from_arrays([values.dictionary_decode(), pa.array(["x"] * n)], ["bytes", "path"])
    pq.write_table(pa.table({"note": values, "image": image}), tmp_path / "t.parquet", store_schema=False)
    assert open_parquet(tmp_path / "t.parquet").metadata.num_rows == n


def test_what_a_file_says_it_unpacks_to_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_limits, "MAX_BYTES", 16 << 20)
    noise = pa.array([bytes([i]) * (1 << 20) for i in range(50)], pa.binary())
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": noise}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnreadableFile, match=r"^\S+t\.parquet would take 0\.0 GiB of memory or more for its"):
        open_parquet(path)


def test_a_parquet_file_that_is_refused_is_closed(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": range(9)}), path)
    monkeypatch.setattr(untrusted, "MAX_ROWS", 5)
    with pytest.raises(UnreadableFile, match="has 9 rows; the limit is 5") as refused:
        open_parquet(path)
    (tmp_path / "no.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(UnreadableFile, match="is not a readable Parquet file") as damaged:
        open_parquet(tmp_path / "no.parquet")
    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [name for name in held if name.startswith(str(tmp_path))], (refused, damaged)


def test_a_table_that_was_read_is_closed(tmp_path):
    """A notebook that shows every warning shows none, and the file may be renamed at once."""
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        read_parquet(tmp_path / "t.parquet")
        gc.collect()
    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []
