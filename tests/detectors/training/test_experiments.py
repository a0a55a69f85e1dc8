"""Experiments are listed and compared; a sweep finds, keeps and continues."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from detectors.errors import DatasetLayoutError, DatasetNotFound, TrainingError
from detectors.training.experiments import compare_experiments, held_out_set, list_experiments, read_record
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


def test_trainings_are_ranked_among_equal_held_out_images_alone(trainings):
    other = json.loads((trainings / "a.training.json").read_text())
    data = other["data"] | {"name": "others", "held_out_fingerprint": "f" * 64}
    changed = other | {"data": data, "held_out": other["held_out"] | {"accuracy": 0.99}}
    (trainings / "c.training.json").write_text(json.dumps(changed))
    table = list_experiments(trainings)
    assert table["data"].tolist() == ["others", "pairs", "pairs"]
    assert table["name"].tolist() == ["c", "b", "a"] and table["rank"].tolist() == [1, 1, 2]
    assert (
        table.loc[0, "held_out_set"]
        == "f" * 8
        != table.loc[1, "held_out_set"]
        == table.loc[2, "held_out_set"]
    )
    inside = (table["held_out_low"] < table["held_out_accuracy"]) & (
        table["held_out_accuracy"] < table["held_out_high"]
    )
    assert inside.all()
    both = compare_experiments([trainings / "a.pt", trainings / "c.pt"])
    assert both.loc["held_out_set"].nunique() == 2


def test_a_record_that_names_no_held_out_images_is_known_by_what_splits_the_data(trainings):
    old = json.loads((trainings / "a.training.json").read_text())
    del old["data"]["held_out_fingerprint"]
    again = old | {"settings": old["settings"] | {"seed": 9}}
    assert held_out_set(old) == held_out_set(json.loads(json.dumps(old))) != held_out_set(again)


def test_learning_curves_are_a_page_and_a_csv(checkpoint):
    from reports.pages.training_page import write_training_page

    record = read_record(checkpoint)
    epochs = pd.read_csv(checkpoint.with_suffix(".training.csv"))
    assert epochs["epoch"].tolist() == [e["epoch"] for e in record["epochs"]]
    assert epochs["valid_loss"].tolist() == pytest.approx([e["valid_loss"] for e in record["epochs"]])
    page = write_training_page(checkpoint).read_text()
    n, accuracy = record["held_out"]["n"], record["held_out"]["accuracy"]
    assert f"of {n} held-out images judged correctly" in page and f"{100 * accuracy:.0f}" in page
    assert page.count('data-figure="learning-') == 2
    figures = json.loads(
        re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.S)[1]
    )
    for measure in ("loss", "accuracy"):
        drawn = {line["name"]: line["y"] for line in figures[f"learning-{measure}"]["data"]}
        for name, part in (("Training", "train"), ("Validation", "valid")):
            assert drawn[name] == pytest.approx([e[f"{part}_{measure}"] for e in record["epochs"]], abs=1e-5)


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
