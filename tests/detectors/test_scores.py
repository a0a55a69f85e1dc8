"""Score tables: what is written is read, what is foreign is completed, what is wrong is named."""

import subprocess
import sys

import pandas as pd
import pytest

from detectors import load_detector
from detectors.data import read_images
from detectors.engine import Options, autocast_is_close, score_images
from detectors.errors import DatasetLayoutError, DatasetNotFound
from detectors.score import score_files, score_pairs
from detectors.scores import SCORE_COLUMNS, attribute_columns, read_scores, write_scores


def test_round_trip(checkpoint, pairs_dir, tmp_path):
    table = score_pairs(checkpoint, pairs_dir, options=Options(progress=False)).table
    path = write_scores(table, tmp_path / "deep" / "scores.parquet")
    pd.testing.assert_frame_equal(read_scores(path), table, check_dtype=False)
    assert attribute_columns(table) == ["age", "gender", "race"]
    assert write_scores(table, tmp_path / "b.parquet").read_bytes() == path.read_bytes()


def test_a_foreign_csv_is_completed(tmp_path):
    (tmp_path / "a.csv").write_text("image_id,label,score,sex\nx,1,0.9,f\ny,0,,m\n")
    table = read_scores(tmp_path / "a.csv")
    assert table.columns.tolist() == [*SCORE_COLUMNS, "sex"]
    assert table["status"].tolist() == ["ok", "no score"] and table["kind"].tolist() == ["fake", "real"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,label\nx,1\n", "has no column 'score'; it has image_id, label"),
        ("image_id,label,score\nx,2,0.5\n", "row 1: label is 2.0; 0 is real, 1 is fake"),
        ("image_id,label,score\nx,1,high\n", "row 1: score is 'high', not a number"),
        ("image_id,label,score\nx,1,0.5\nx,0,0.5\n", "image_id 'x' is there 2 times or more"),
        ("", "cannot be read as a table"),
    ],
)
def test_wrong_tables(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DatasetLayoutError, match=message):
        read_scores(tmp_path / "a.csv")


def test_missing_table(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no score table at .*a\.csv"):
        read_scores(tmp_path / "a.csv")


def test_single_files_in_the_order_given(checkpoint, pairs_dir, tmp_path):
    paths = [pairs_dir / "fake/train-000002.png", tmp_path / "none.png", pairs_dir / "real/train-000002.png"]
    table = score_files(checkpoint, paths)
    assert table["path"].tolist() == [str(p) for p in paths]
    assert table["status"].tolist() == ["ok", "missing photo", "ok"]
    assert table["score"].iloc[0] > table["score"].iloc[2]
    with pytest.raises(DatasetNotFound, match="name at least one file"):
        score_files(checkpoint, [])


def test_autocast_is_used_only_where_it_is_close(checkpoint, pairs_dir):
    import torch

    detector, images = load_detector(checkpoint), read_images(pairs_dir)
    exact, half = (
        score_images([detector], images, Options(progress=False, precision=p))[0]["score"]
        for p in ("float32", "auto")
    )
    close = autocast_is_close(detector, torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert (half - exact).abs().max() <= 0.02 and isinstance(close, bool)


@pytest.mark.parametrize(
    "module", ["detectors", "detectors.errors", "detectors.scores", "detectors.experiments", "detectors.data"]
)
def test_light_modules_start_without_torch(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
