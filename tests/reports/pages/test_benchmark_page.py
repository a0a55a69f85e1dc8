"""The benchmark's page: it orders only what the intervals order."""

import csv
import io
import re

import pytest

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.runs.detector_benchmark import by_kind, measure, misclassified, write_benchmark
from audit.schema.benchmark import BenchmarkCell, BenchmarkDataset, BenchmarkDetector, BenchmarkResult
from reports.errors import RecordFormatError, RunNotFound
from reports.figures.curves import other_side
from reports.pages import benchmark_page as page

GROUPS = {"race": ["White", "Black"], "gender": ["Female", "Male"]}
SKILL = {
    ("resnet50", "own"): 2.6,
    ("vgg10", "own"): 2.55,
    ("resnet50", "other"): 0.9,
    ("vgg10", "other"): 1.8,
}


def test_photos_of_its_training_in_another_set_are_counted_and_not_called_its_own(record):
    copied = record.model_copy(
        update={"cells": [c.model_copy(update={"seen_in_training": False}) for c in record.cells]}
    )
    _, _, [known, *_] = page.grid(copied, "auc")[0]
    assert known.known == "40 images of photos it was trained on left out"


def cell(frame, detector, dataset):
    """One detector on one set, as `audit benchmark` computes it."""
    config = AuditConfig(attributes=list(GROUPS))
    measures, groups, curve = measure(score_table(frame, config), config)
    wrong = misclassified(frame, 0.5, list(GROUPS))
    return BenchmarkCell(
        detector=detector,
        dataset=dataset,
        seen_in_training=(detector, dataset) == ("resnet50", "own"),
        n_left_out={"in the detector's training data": 40} if dataset == "own" else {},
        measures=measures,
        by_kind=by_kind(frame, config),
        curve=curve,
        groups=groups,
        n_misclassified=len(wrong),
        misclassified=wrong[:60],
    )


@pytest.fixture(scope="module")
def record(score_frame):
    cells = []
    for (detector, dataset), skill in SKILL.items():
        frame = score_frame(GROUPS, 700, {}, skill)
        kinds = ["psp" if i % 2 else "swap" for i in range(len(frame))]
        cells.append(cell(frame.assign(kind=kinds), detector, dataset))
    shared = dict(layout="pairs", n_images=1400, kinds=["real", "psp", "swap"], attributes=list(GROUPS))
    return BenchmarkResult(
        threshold=0.5,
        confidence=0.95,
        detectors=[
            BenchmarkDetector(name="resnet50", arch="resnet50", sha256="ab" * 32, trained_on="own"),
            BenchmarkDetector(name="vgg10", arch="vgg10", sha256="cd" * 32, trained_on=""),
        ],
        datasets=[BenchmarkDataset(name=name, path=f"/data/{name}", **shared) for name in ("own", "other")],
        cells=cells,
    )


def test_an_order_is_stated_only_where_intervals_do_not_overlap(record):
    close, clear = page.first_of(record, "own"), page.first_of(record, "other")
    assert "so the order is open" in close
    assert clear.startswith("On other, vgg10 has the highest AUC") and "open" not in clear


def test_a_detector_on_its_own_and_on_another_set_is_set_side_by_side(record):
    (line,) = page.generalisation(record)
    home, away = record.cell("resnet50", "own").measures.auc, record.cell("resnet50", "other").measures.auc
    assert f"{home:.3f} (own)" in line and f"{away:.3f} (other) elsewhere" in line


def test_the_grid_shows_every_cell_with_interval_n_and_shade(record):
    rows = page.grid(record, "auc")
    assert [name for name, _, _ in rows] == ["resnet50", "vgg10"]
    strong, weak = rows[0][2]
    assert strong.known == "own set" and weak.known == ""
    assert strong.shade > weak.shade
    assert strong.n == "1,400"
    low, high = record.cell("resnet50", "own").measures.auc_interval
    assert strong.interval == f"{low:.3f}–{high:.3f}"


def test_a_missing_cell_is_no_data(record):
    holed = record.model_copy(update={"cells": record.cells[:-1]})
    assert page.grid(holed, "eer")[1][2][1].text == "no data"


def test_every_measure_is_there_by_kind_of_fake(record):
    rows = list(csv.DictReader(io.StringIO(page.measures_table(record).to_csv())))
    assert len(rows) == 4 * 3
    whole = next(r for r in rows if (r["detector"], r["dataset"], r["kind"]) == ("vgg10", "other", "all"))
    m = record.cell("vgg10", "other").measures
    assert float(whole["auc"]) == m.auc
    assert [int(whole[k]) for k in ("tp", "fp", "tn", "fn")] == list(dict(m.confusion).values())


def test_the_other_side_swaps_the_errors(record):
    curve = record.cells[0].curve
    turned = other_side(curve)
    assert (turned.fpr, turned.fnr) == (curve.fnr, curve.fpr)


def test_mistakes_are_listed_with_their_groups(record):
    table = page.wrong_tables(record)[0]
    assert re.search(r"resnet50 on own: \d+ of \d+ mistakes", table.caption)
    assert table.rows[0]["group race"] in GROUPS["race"]


def test_the_page_is_whole(record, tmp_path):
    write_benchmark(record, tmp_path)
    html = page.write_benchmark_page(tmp_path).read_text(encoding="utf-8")
    assert "2 detectors on 2 data sets: AUC from" in html
    assert all(f'"{kind}-{side}-1"' in html for kind in ("roc", "det") for side in ("fake", "real"))
    assert "40 (in the detector&#39;s training data)" in html
    assert len(html) < 3_000_000


def test_hostile_names_are_text(record, tmp_path):
    name = "<script>alert(1)</script>"
    cells = [c.model_copy(update={"detector": name}) for c in record.cells[:1]]
    detector = record.detectors[0].model_copy(update={"name": name})
    write_benchmark(record.model_copy(update={"cells": cells, "detectors": [detector]}), tmp_path)
    assert name not in page.write_benchmark_page(tmp_path).read_text(encoding="utf-8")


def test_a_missing_or_broken_benchmark_is_named(tmp_path):
    with pytest.raises(RunNotFound, match=r"no benchmark\.json in .*: make one with `audit benchmark"):
        page.write_benchmark_page(tmp_path)
    (tmp_path / "benchmark.json").write_text("{}")
    with pytest.raises(RecordFormatError, match=r"benchmark\.json is not a benchmark"):
        page.write_benchmark_page(tmp_path)


@pytest.mark.parametrize("measure", ["auc", "accuracy"])
def test_the_plots_of_measures_carry_the_intervals_of_the_record(record, measure):
    figure = page.measure_dots(record, measure)
    drawn = {}
    for trace in figure.data:
        for x, high, low, text in zip(
            trace.x, trace.error_x.array, trace.error_x.arrayminus, trace.hovertext, strict=True
        ):
            drawn[text.split(":")[0]] = (x - low, x, x + high)
    assert len(drawn) == 4
    for cell in record.cells:
        low, high = getattr(cell.measures, f"{measure}_interval")
        found = drawn[f"{cell.detector} on {cell.dataset}"]
        assert found == pytest.approx((low, getattr(cell.measures, measure), high))
