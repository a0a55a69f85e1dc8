"""Experiments are listed and compared; a sweep finds, keeps and continues."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from detectors.errors import DatasetLayoutError, DatasetNotFound, TrainingError
from detectors.training.experiments import compare_experiments, list_experiments, read_record
from detectors.training.sweep import sweep
from detectors.training.train_detector import training_record_path


@pytest.fixture
def trainings(checkpoint, tmp_path):
    """Two records: a real one, and a copy with another seed and result."""
    record = json.loads(training_record_path(checkpoint).read_text())
    for name, seed, accuracy in (("a", 0, 0.9), ("b", 7, 0.95)):
        settings = record["settings"] | {"seed": seed}
        held_out = record["held_out"] | {"accuracy": accuracy}
        changed = record | {"settings": settings, "held_out": held_out}
        (tmp_path / f"{name}.training.json").write_text(json.dumps(changed))
    return tmp_path


def test_list_is_best_first(trainings):
    table = list_experiments(trainings)
    assert table["name"].tolist() == ["b", "a"]
    assert table["held_out_accuracy"].tolist() == [0.95, 0.9]
    assert table.loc[0, "data"] == "pairs" and len(table.loc[0, "fingerprint"]) == 8


def test_compare_shows_what_differs_and_the_results(trainings):
    table = compare_experiments([trainings / "a.training.json", trainings / "b.pt"])
    assert table.index.tolist() == ["valid_accuracy", "held_out_accuracy", "settings.seed"]
    assert table.loc["settings.seed"].tolist() == [0, 7]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, DatasetNotFound, r"no record of a training at .*x\.training\.json"),
        ("{", DatasetLayoutError, "is not JSON"),
        ("{}", DatasetLayoutError, "is not the record of a training"),
    ],
)
def test_unreadable_records(tmp_path, text, error, message):
    if text:
        (tmp_path / "x.training.json").write_text(text)
    with pytest.raises(error, match=message):
        read_record(tmp_path / "x.pt")


def test_nothing_to_list_or_compare(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no trainings .* below"):
        list_experiments(tmp_path)
    with pytest.raises(DatasetNotFound, match="takes two trainings or more"):
        compare_experiments(["a.pt"])


def test_a_sweep_continues_and_keeps_the_best(pairs_dir, quick, tmp_path):
    settings = replace(quick, epochs=1)
    space = {"learning_rate": (1e-4, 1e-2), "batch_size": [8, 16]}
    said = []
    for n_trials in (2, 3, 3):
        table = sweep(
            "baseline_cnn",
            pairs_dir,
            tmp_path,
            n_trials,
            settings,
            space=space,
            progress=False,
            say=said.append,
        )
        assert len(table) == n_trials
    assert len(said) == 3  # the second call made one more, the third none
    assert table.columns.tolist() == ["trial", "valid_accuracy", "held_out_accuracy", *space]
    assert table["valid_accuracy"].is_monotonic_decreasing and table["held_out_accuracy"].notna().all()
    best = tmp_path / f"trial-{table.loc[0, 'trial']:04d}.pt"
    assert (tmp_path / "best.pt").read_bytes() == best.read_bytes()
    assert len(list(tmp_path.glob("trial-*.pt"))) == 1 and len(list(tmp_path.glob("trial-*.json"))) == 3
    assert isinstance(list_experiments(tmp_path), pd.DataFrame)
    with pytest.raises(TrainingError, match="searches baseline_cnn, not simplenet: use another folder"):
        sweep("simplenet", pairs_dir, tmp_path, 3, settings, space=space)


def test_impossible_sweeps(pairs_dir, tmp_path, quick):
    with pytest.raises(TrainingError, match="cannot search 'depth': it is no setting of a training"):
        sweep("simplenet", pairs_dir, tmp_path, 1, quick, space={"depth": [1]})
    with pytest.raises(TrainingError, match="cannot be opened"):
        sweep("simplenet", pairs_dir, tmp_path, 1, quick, storage="nosuch://db")
