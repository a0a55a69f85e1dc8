"""The manifest: schema, round trip, reproducible bytes, refusals."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dataset.manifest import (
    MANIFEST,
    PROVENANCE,
    SCHEMA,
    read_manifest,
    read_provenance,
    read_table,
    table_of,
    write_provenance,
    write_table,
)
from pipelines.errors import ManifestSchemaError, PairsNotFound


def row(number, **changes):
    pair = f"train-{number:06d}"
    base = {
        "pair_id": pair,
        "source": f"train/{number}.jpg",
        "source_sha256": "0" * 64,
        "real": f"real/{pair}.png",
        "fake": f"fake/{pair}.png",
        "status": "ok",
        "detail": "",
        "age": "20-29",
        "gender": "Male",
        "race": "White",
        "service_test": True,
        "n_faces": 1,
        "confidence": 0.99,
        "border_share": 0.0,
        "reconstruction_l1": 0.05,
        "reconstruction_ms_ssim": 0.9,
        "real_confidence": 0.99,
        "fake_confidence": float("nan"),
        "in_generator_training": False,
        "seed": 0,
    }
    return base | changes


def test_round_trip_keeps_types_and_nan(tmp_path):
    rejected = row(3, real=None, fake=None, status="no face found", detail="none seen", service_test=None)
    write_table(tmp_path / MANIFEST, table_of([rejected, row(1)]))
    frame = read_manifest(tmp_path)
    assert frame["pair_id"].tolist() == ["train-000001", "train-000003"]
    assert str(frame["service_test"].dtype) == "boolean"
    assert frame["service_test"].isna().tolist() == [False, True]
    assert str(frame["n_faces"].dtype) == "Int64"
    assert np.isnan(frame["fake_confidence"]).all()
    assert frame["real"].isna().tolist() == [False, True]
    assert list(frame.columns) == SCHEMA.names


def test_same_rows_same_bytes(tmp_path):
    for name, rows in (("a", [row(1), row(2)]), ("b", [row(2), row(1)])):
        write_table(tmp_path / name, table_of(rows))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(st.lists(st.integers(0, 999999), unique=True, max_size=20))
def test_rows_are_sorted(numbers):
    ids = table_of([row(n) for n in numbers])["pair_id"].to_pylist()
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(1), row(1)], "lists 'train-000001' twice"),
        ([row(1, fake=None)], "'train-000001' is ok but lacks a half"),
        ([row(1, real="../x.png")], r"outside the folder: '\.\./x\.png'"),
        ([row(1, real="/x.png")], r"outside the folder: '/x\.png'"),
        ([row(1, extra=1)], "unknown manifest columns: extra"),
        ([row(1, n_faces="many")], "wrong type"),
        ([row(1, status=None)], "rows without status"),
    ],
)
def test_rows_that_break_the_contract_are_refused(rows, message):
    with pytest.raises(ManifestSchemaError, match=message):
        table_of(rows)


def test_files_that_break_the_contract_are_refused(tmp_path):
    with pytest.raises(PairsNotFound, match=r"no manifest\.parquet in .*generate-pairs first"):
        read_manifest(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"PAR1 not really")
    with pytest.raises(ManifestSchemaError, match="not a readable Parquet file"):
        read_manifest(tmp_path)
    table = table_of([row(1)])
    pq.write_table(table.drop_columns(["race"]), tmp_path / MANIFEST)
    with pytest.raises(ManifestSchemaError, match="lacks the columns race"):
        read_manifest(tmp_path)
    wrong = table.set_column(table.column_names.index("seed"), "seed", pa.array(["x"]))
    pq.write_table(wrong, tmp_path / MANIFEST)
    with pytest.raises(ManifestSchemaError, match="wrong type"):
        read_manifest(tmp_path)
    two = table_of([row(1), row(2)])
    pq.write_table(two.take([1, 0]), tmp_path / MANIFEST)
    with pytest.raises(ManifestSchemaError, match="not sorted"):
        read_table(tmp_path / MANIFEST)


def test_provenance_round_trip_and_refusals(tmp_path):
    with pytest.raises(PairsNotFound, match=r"no provenance\.json"):
        read_provenance(tmp_path)
    write_provenance(tmp_path, {"notes": ["rendered faces"]})
    assert read_provenance(tmp_path) == {
        "kind": "pairs",
        "notes": ["rendered faces"],
        "generators": [],
    }
    (tmp_path / PROVENANCE).write_text("{")
    with pytest.raises(ManifestSchemaError, match="not JSON"):
        read_provenance(tmp_path)
    (tmp_path / PROVENANCE).write_text(json.dumps({"kind": "score table"}))
    with pytest.raises(ManifestSchemaError, match="not the provenance of a pairs dataset"):
        read_provenance(tmp_path)
    with pytest.raises(ValueError, match="JSON compliant"):
        write_provenance(tmp_path, {"loss": float("nan")})
    assert [p.name for p in tmp_path.iterdir()] == [PROVENANCE]
