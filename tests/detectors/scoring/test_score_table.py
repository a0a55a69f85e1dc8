"""Score tables: what is written is read back; light modules stay light."""

import subprocess
import sys

import pandas as pd
import pytest

from detectors.errors import DatasetNotFound
from detectors.scoring.dataset_scores import score_files, score_pairs
from detectors.scoring.options import Options
from detectors.scoring.score_table import SCORE_COLUMNS, write_score_table


def test_what_is_written_is_read_back_and_has_the_columns_promised(checkpoint, pairs_dir, tmp_path):
    table = score_pairs(checkpoint, pairs_dir, options=Options(progress=False)).table
    path = write_score_table(table, tmp_path / "deep" / "scores.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), table, check_dtype=False)
    assert tuple(table.columns[: len(SCORE_COLUMNS)]) == SCORE_COLUMNS
    assert table.columns[len(SCORE_COLUMNS) :].tolist() == ["age", "gender", "race"]
    assert write_score_table(table, tmp_path / "b.parquet").read_bytes() == path.read_bytes()


def test_single_files_in_the_order_given(checkpoint, pairs_dir, tmp_path):
    paths = [pairs_dir / "fake/train-000002.png", tmp_path / "none.png", pairs_dir / "real/train-000002.png"]
    table = score_files(checkpoint, paths)
    assert table["path"].tolist() == [str(p) for p in paths]
    assert table["status"].tolist() == ["ok", "missing photo", "ok"]
    assert table["score"].iloc[0] > table["score"].iloc[2]
    with pytest.raises(DatasetNotFound, match="name at least one file"):
        score_files(checkpoint, [])


@pytest.mark.parametrize(
    "module",
    [
        "detectors",
        "detectors.errors",
        "detectors.scoring.score_table",
        "detectors.training.experiments",
        "detectors.data.datasets",
    ],
)
def test_light_modules_start_without_torch(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
