"""Detectors x data sets: the numbers are those of scikit-learn on the scores that are written beside them."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import audit
from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.errors import ConfigError, MissingColumnError, UnitError
from audit.runs.detector_benchmark import _scores_name, benchmark, measure, misclassified, unique_names
from audit.runs.kinds_of_fake import mixture
from audit.schema.benchmark import IN_TRAINING, OTHER_FAKES, BenchmarkResult, of_training
from detectors.data.datasets import read_images
from detectors.data.preprocessing import Preprocessing
from detectors.models.detector import Detector, Output
from detectors.scoring.dataset_scores import SEEN
from reports.pages.benchmark_page import write_benchmark_page


@pytest.fixture(scope="module")
def brightness():
    """A poor detector: how bright the image is."""
    plain = Preprocessing(32, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Detector("brightness", "", "own", plain, Output("probability"), lambda x: x.mean((1, 2, 3)))


@pytest.fixture
def kinds(tmp_path, save_image, draw_image):
    """Real images and two kinds of fake; the second kind looks real."""
    for i in range(12):
        for kind, fake in (("real", False), ("checker", True), ("subtle", False)):
            save_image(tmp_path / "kinds" / kind / f"{kind}{i}.png", draw_image(900 + i, fake))
    return tmp_path / "kinds"


@pytest.fixture
def result(checkpoint, brightness, pairs_dir, kinds, tmp_path):
    return benchmark([checkpoint, brightness], [pairs_dir, kinds], tmp_path / "out", progress=False)


def test_the_table_is_complete_and_reads_back(result, tmp_path):
    assert [(c.detector, c.dataset) for c in result.cells] == [
        ("simple", "pairs"),
        ("brightness", "pairs"),
        ("simple", "kinds"),
        ("brightness", "kinds"),
    ]
    again = BenchmarkResult.load(tmp_path / "out")
    assert again.to_json() == result.to_json()
    assert [d.trained_on for d in result.detectors] == ["pairs", ""]
    assert result.datasets[1].kinds == ["real", "checker", "subtle"]


def test_numbers_are_those_of_scikit_learn_on_the_written_scores(result, tmp_path):
    for cell in result.cells:
        table = pd.read_parquet(tmp_path / "out/scores" / f"{cell.detector}--{cell.dataset}.parquet")
        usable = table[table["status"] == "ok"]
        label, score = usable["label"], usable["score"]
        wanted = {
            "auc": metrics.roc_auc_score(label, score),
            "average_precision": metrics.average_precision_score(label, score),
            "accuracy": metrics.accuracy_score(label, score >= 0.5),
            "balanced_accuracy": metrics.balanced_accuracy_score(label, score >= 0.5),
        }
        for name, value in wanted.items():
            assert getattr(cell.measures, name) == pytest.approx(value), (cell.detector, cell.dataset, name)


@pytest.mark.slow
def test_columns_for_shortcuts_and_stress(checkpoint, brightness, pairs_dir, kinds, tmp_path):
    from audit.runs.stress_run import stress
    from detectors.data.datasets import read_images
    from detectors.models.loading import load_detector
    from reports.pages.benchmark_page import write_benchmark_page

    out = tmp_path / "out"
    found = benchmark(
        [checkpoint, brightness], [pairs_dir, kinds], out, progress=False, shortcuts=True,
        transformations=["darker"],
    )  # fmt: skip
    pairs, few = found.datasets
    assert pairs.files.finding == "picture" and pairs.files.interval[0] > 0.5
    assert few.files is None and "12 independent real" in few.files_reason
    cell = found.cell("simple", "pairs")
    alone = stress(
        [load_detector(checkpoint)], read_images(pairs_dir), tmp_path / "s", transformations=["darker"]
    )
    points = [p for p in alone.points if p.attribute == "overall"]
    risen = sum(p.fnr for p in points if p.severity) / 5 - points[0].fnr
    assert cell.harm[0].fnr == pytest.approx(risen) and cell.harm[0].fnr_interval[0] <= risen
    rows = pd.read_csv(out / "benchmark.csv")
    assert rows["darker_fnr_rise"].notna().sum() == 4 and rows["files_auc"].notna().sum() == 2
    page = write_benchmark_page(out).read_text()
    assert "AUC of the files alone" in page and "FPR rises by" in page
    with pytest.raises(ConfigError, match="--transform blur is not known"):
        benchmark([brightness], [kinds], tmp_path / "b", progress=False, transformations=["blur"])


def test_training_photos_are_left_out_of_the_diagonal_alone(result):
    own, other = result.cell("simple", "pairs"), result.cell("simple", "kinds")
    assert own.seen_in_training and own.n_left_out == {"no face found": 1, SEEN: 56}
    assert not other.seen_in_training and other.n_left_out == {}
    assert result.cell("brightness", "pairs").measures.n_real == 40 and own.measures.n_real == 12


def test_a_set_with_some_of_its_training_photos_is_not_a_detector_s_own(checkpoint, pairs_dir, tmp_path):
    """Half of the pairs, as another data set would hold them."""
    images = read_images(pairs_dir)
    half = images.only(images.table["pair_id"].isin(images.table["pair_id"].unique()[::2]))
    [cell] = benchmark([checkpoint], [half], tmp_path / "half", progress=False).cells
    assert not cell.seen_in_training and 0 < cell.n_left_out[SEEN] < 56
    assert of_training(cell) == f"{cell.n_left_out[SEEN]} images of photos it was trained on left out"
    assert SEEN == IN_TRAINING


def test_by_kind_and_by_group(result):
    cell = result.cell("simple", "kinds")
    assert set(cell.by_kind) == {"checker", "subtle"}
    assert cell.by_kind["checker"].auc > 0.9 > cell.by_kind["subtle"].auc
    assert cell.by_kind["subtle"].n_real == 12 and cell.groups == []
    assert {g.attribute for g in result.cell("simple", "pairs").groups} >= {"age", "gender", "race"}


def test_several_fakes_of_a_photo_are_drawn_as_an_audit_draws_them(brightness, pairs_factory, tmp_path):
    """Pairs of several kinds, which the demo makes, have one real half and a fake of each kind."""
    images = read_images(pairs_factory(8, 16))
    fakes = images.table[images.table["label"] == 1]
    more = fakes.assign(image_id="again-" + fakes["image_id"], kind="other")
    several = replace(images, table=pd.concat([images.table, more], ignore_index=True))
    (cell,) = benchmark(
        [brightness], [several], tmp_path / "out", progress=False, transformations=["darker"]
    ).cells
    assert (cell.measures.n_real, cell.measures.n_fake, cell.n_left_out[OTHER_FAKES]) == (8, 8, 8)
    assert [(kind, m.n_real, m.n_fake) for kind, m in sorted(cell.by_kind.items())] == [
        (kind, 8, 8) for kind in sorted({"other", *fakes["kind"]})
    ]
    scores = pd.read_parquet(next((tmp_path / "out" / "scores").iterdir()))
    drawn = mixture(scores, seed=0)
    assert cell.measures.fnr == (drawn.loc[drawn["label"] == 1, "score"] < 0.5).mean()


@pytest.mark.slow
def test_images_of_one_person_are_not_independent(brightness, pairs_factory, kinds, tmp_path):
    """Intervals were those of 80 strangers, whatever a column called person said."""
    images = read_images(pairs_factory(40, 21))
    number = images.table["pair_id"].str[-6:].astype(int)
    person = "p" + (number % 8).astype(str)  # of one group each: the factory's groups go by the number
    shared = replace(images, table=images.table.assign(person=person), others=("person",))
    options = {"progress": False, "transformations": ["darker"]}
    with pytest.raises(UnitError, match=r"80 images share 8 values of 'person'.*with --unit-column person"):
        benchmark([brightness], [shared], tmp_path / "a", progress=False)
    alone = benchmark([brightness], [shared], tmp_path / "b", AuditConfig(independent=True), **options)
    found = benchmark(
        [brightness], [shared, kinds], tmp_path / "c", AuditConfig(unit_column="person"), **options
    )
    assert [s.unit_column for s in found.datasets] == ["person", None]
    assert [s.unit_column for s in alone.datasets] == [None]
    one, other = found.cells[0], alone.cells[0]
    assert (one.measures.fpr, one.measures.fnr) == (other.measures.fpr, other.measures.fnr)
    assert one.measures.fnr_interval != other.measures.fnr_interval
    page = write_benchmark_page(tmp_path / "c").read_text()
    assert page.count("every person, not every image, counts as independent") == 1
    with pytest.raises(MissingColumnError, match=r"no data set has a column 'who'; .* has 'age'.*'person'"):
        benchmark([brightness], [shared], tmp_path / "d", AuditConfig(unit_column="who"), progress=False)
    assert not (tmp_path / "d").exists()


def test_another_benchmark_in_the_folder_leaves_no_scores_behind(brightness, kinds, tmp_path):
    for name in ("one", "two"):
        benchmark([replace(brightness, name=name)], [kinds], tmp_path / "b", progress=False, overwrite=True)
    assert [p.name for p in (tmp_path / "b" / "scores").iterdir()] == ["two--kinds.parquet"]


def test_csv_has_a_row_for_every_kind(result, tmp_path):
    table = pd.read_csv(tmp_path / "out/benchmark.csv")
    assert table["kind"].tolist() == ["all", "all", *["all", "checker", "subtle"] * 2]
    assert {"auc", "auc_low", "auc_high", "tp", "fp", "tn", "fn", "seen_in_training"} <= set(table.columns)


def test_most_confident_mistakes_come_first():
    table = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "kind": "x",
            "label": [1, 0, 1, 0],
            "score": [0.1, 0.99, 0.9, 0.6],
            "sex": "f",
        }
    )
    found = misclassified(table, 0.5, ["sex"])
    assert [m.image_id for m in found] == ["b", "a", "d"]
    assert [round(m.confidence, 2) for m in found] == [0.98, 0.8, 0.2] and found[0].groups == {"sex": "f"}


def test_a_float32_score_of_the_threshold_is_called_fake_as_an_audit_calls_it():
    config = AuditConfig(attributes=("race",), threshold=0.7)
    table = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d"],
            "kind": ["real", "real", "small", "small"],
            "label": [0, 0, 1, 1],
            "score": pd.Series([0.7, 0.1, 0.7, 0.1], dtype="float32"),
            "race": "x",
        }
    )
    found = measure(score_table(table, config), config)[0]
    assert (found.fpr, found.fnr) == (0.5, 0.5)
    assert [image.image_id for image in misclassified(table, 0.7, ["race"])] == ["d", "a"]
    assert audit.audit_scores(table, "race", threshold=0.7).groups["fpr"].tolist() == [found.fpr]


def test_names_are_told_apart():
    assert unique_names(["a", "a", "b"], ["x/a", "y/a", "z/b"]) == ["x/a", "y/a", "b"]


def test_detectors_of_similar_names_keep_their_scores_apart(brightness, pairs_dir, tmp_path):
    dark = replace(brightness, name="x-y", network=lambda x: 1 - x.mean((1, 2, 3)))
    benchmark([replace(brightness, name="x y"), dark], [pairs_dir], tmp_path / "out", progress=False)
    files = sorted((tmp_path / "out" / "scores").iterdir())
    assert [file.name for file in files] == ["x%20y--pairs.parquet", "x-y--pairs.parquet"]
    bright, other = (pd.read_parquet(file)["score"].dropna() for file in files)
    assert bright.to_numpy() == pytest.approx(1 - other.to_numpy())


NAMES = st.text(st.sampled_from("aB9é-- ./%~_\\\udce9\n")) | st.text(st.sampled_from("ab/"), min_size=90)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(NAMES, NAMES), unique=True, min_size=2, max_size=6))
def test_every_pair_of_names_is_a_file_of_its_own(pairs):
    names = [_scores_name(*pair) for pair in pairs]
    assert len(set(names)) == len(names)
    assert all("/" not in name and len(name.encode()) <= 255 for name in names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-", "b"), ("a", "-b")),
        (("a--b", "c"), ("a", "b--c")),
        (("a", "b"), ("a%", "b")),
        (("x y", "s"), ("x%20y", "s")),
        (("l" * 300, "s"), ("l" * 299 + "m", "s")),
    ],
)
def test_names_made_to_meet_do_not(one, other):
    assert _scores_name(*one) != _scores_name(*other)


def test_impossible_benchmarks(checkpoint, pairs_dir, tmp_path, result):
    with pytest.raises(ConfigError, match="at least one detector and one data set"):
        benchmark([], [pairs_dir], tmp_path / "x")
    with pytest.raises(ConfigError, match="holds a benchmark already"):
        benchmark([checkpoint], [pairs_dir], tmp_path / "out")
    with pytest.raises(ConfigError, match="needs a number, the same for all"):
        benchmark([checkpoint], [pairs_dir], tmp_path / "x", AuditConfig(threshold="eer"))
    with pytest.raises(KeyError, match="nobody"):
        result.cell("nobody", "pairs")


def test_a_detector_that_says_nothing(pairs_dir, tmp_path):
    plain = Preprocessing(16)
    silent = Detector("silent", "", "own", plain, Output("logit"), lambda x: torch.zeros(len(x)))
    cell = benchmark([silent], [pairs_dir], tmp_path / "out", progress=False).cells[0]
    assert cell.measures.auc == 0.5 and cell.measures.recall == 1 and not math.isnan(cell.measures.eer)
