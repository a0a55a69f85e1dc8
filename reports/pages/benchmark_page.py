"""The page of a benchmark: detectors x data sets.

Enters: a folder with `benchmark.json`. Leaves: `benchmark.html`, in the report's design.

Why the highest number is not called the best detector where intervals overlap: a benchmark makes no test
between detectors (`audit compare` does), so the page orders them only where the intervals leave no doubt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from pydantic import ValidationError

from audit.schema.benchmark import (
    BENCHMARK_FILE,
    OTHER_FAKES,
    BenchmarkCell,
    BenchmarkResult,
    flat,
    of_training,
)
from audit.schema.result import Curve
from audit.task import FAKE_FACE
from audit.wording.numbers import count, number, number_interval, percent, percent_interval
from audit.wording.verdict_text import title
from pipelines.storage import write_text
from reports.errors import RecordFormatError, RunNotFound
from reports.figures import curves as curve_figures
from reports.figures.heat_maps import N_SHADES
from reports.figures.interval_dots import Dot, interval_dots
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables.report_tables import QUALITY_COLUMNS, measures_row, rate_columns
from reports.tables.table import Column, Row, Table
from reports.text.legible import legible
from reports.text.shortcuts_text import FOUND

GRIDS = {
    "auc": ("AUC", "higher is better; 0.5 is guessing"),
    "eer": ("EER", "lower is better; 50% is guessing"),
    "accuracy": ("Accuracy", "higher is better"),
    "balanced_accuracy": ("Balanced accuracy", "higher is better; 50% is guessing"),
}
"""Measure to its name and how to read it, in the order of the page."""


@dataclass(frozen=True)
class GridCell:
    """One detector on one data set, one measure."""

    text: str
    interval: str
    n: str
    shade: int | None
    """0 (worst) to N_SHADES - 1 (best) between guessing and perfect; None without a number."""
    known: str
    """What the detector knows of the set from its training."""


def load_benchmark(folder: str | Path) -> BenchmarkResult:
    """Read `benchmark.json` of a folder.

    Raises:
        RunNotFound: it is not there.
        RecordFormatError: it is not a benchmark.
    """
    path = Path(folder) / BENCHMARK_FILE
    if not path.is_file():
        raise RunNotFound(f"no {BENCHMARK_FILE} in {folder}: make one with `audit benchmark --out {folder}`")
    try:
        return BenchmarkResult.load(folder)
    except ValidationError as error:
        raise RecordFormatError(f"{path} is not a benchmark: {error.errors()[0]['msg']}") from error


def _goodness(measure: str, value: float) -> float:
    """0 at guessing, 1 at perfect."""
    return 1 - 2 * value if measure == "eer" else 2 * value - 1


def _grid_cell(cell: BenchmarkCell | None, measure: str) -> GridCell:
    if cell is None:
        return GridCell("no data", "", "", None, "")
    m = cell.measures
    value, interval = getattr(m, measure), getattr(m, f"{measure}_interval", None)
    plain = measure == "auc"
    text = number(value) if plain else percent(value)
    shown = (number_interval(interval) if plain else percent_interval(interval)) if interval else ""
    good = _goodness(measure, value) if math.isfinite(value) else math.nan
    shade = max(0, min(N_SHADES - 1, int(N_SHADES * good))) if math.isfinite(good) else None
    return GridCell(text, shown, count(m.n_real + m.n_fake), shade, of_training(cell))


def grid(result: BenchmarkResult, measure: str) -> list[tuple[str, str, list[GridCell]]]:
    """Rows of the table detectors x data sets: detector, what it was trained on, one cell a data set."""
    found = {(c.detector, c.dataset): c for c in result.cells}
    return [
        (d.name, d.trained_on, [_grid_cell(found.get((d.name, s.name)), measure) for s in result.datasets])
        for d in result.detectors
    ]


def first_of(result: BenchmarkResult, dataset: str) -> str:
    """Who has the highest AUC on a data set, and whether the intervals leave no doubt of it."""
    cells = [c for c in result.cells if c.dataset == dataset and math.isfinite(c.measures.auc)]
    if not cells:
        return f"On {dataset} no AUC is defined."
    ranked = sorted(cells, key=lambda c: -c.measures.auc)
    best = ranked[0]
    told = f"{number(best.measures.auc)} ({number_interval(best.measures.auc_interval)})"
    if len(ranked) == 1:
        return f"On {dataset}, {best.detector} reaches an AUC of {told}."
    rivals = [c.detector for c in ranked[1:] if c.measures.auc_interval[1] >= best.measures.auc_interval[0]]
    doubt = f"; its interval overlaps that of {', '.join(rivals)}, so the order is open" if rivals else ""
    return f"On {dataset}, {best.detector} has the highest AUC, {told}{doubt}."


def headline(result: BenchmarkResult) -> str:
    """The spread of what was measured."""
    aucs = [c.measures.auc for c in result.cells if math.isfinite(c.measures.auc)]
    sets, detectors = len(result.datasets), len(result.detectors)
    size = f"{detectors} detector{'s' * (detectors != 1)} on {sets} data set{'s' * (sets != 1)}"
    if len(set(map(number, aucs))) < 2:
        return f"{size}: AUC {number(aucs[0])}." if aucs else f"{size}."
    return f"{size}: AUC from {number(min(aucs))} to {number(max(aucs))}."


def generalisation(result: BenchmarkResult) -> list[str]:
    """For every detector that was tested on its own and on another set: both AUCs."""
    told = []
    for detector in result.detectors:
        cells = [c for c in result.cells if c.detector == detector.name and math.isfinite(c.measures.auc)]
        own, other = ([c for c in cells if c.seen_in_training is seen] for seen in (True, False))
        if own and other:
            home = ", ".join(f"{number(c.measures.auc)} ({c.dataset})" for c in own)
            away = ", ".join(f"{number(c.measures.auc)} ({c.dataset})" for c in other)
            told.append(f"{detector.name}: {home} on held-out images of its own set, {away} elsewhere.")
    return told


def measures_table(result: BenchmarkResult) -> Table:
    """Every measure of every detector on every set, all fakes together and by kind."""
    rows: list[Row] = []
    for cell in result.cells:
        for kind, measures in {"all": cell.measures, **cell.by_kind}.items():
            where = {"detector": cell.detector, "dataset": cell.dataset, "kind": kind}
            rows.append(where | flat(measures) | dict(measures))
    counts = [Column(k, label, "count") for k, label in (("tp", "Fakes caught"), ("fn", "Fakes let through"))]
    counts += [Column(k, label, "count") for k, label in (("tn", "Real passed"), ("fp", "Real flagged"))]
    columns = [Column("detector", "Detector"), Column("dataset", "Data set"), Column("kind", "Kind of fake")]
    return Table(
        "benchmark",
        "All measures, by detector, data set and kind of fake",
        [*columns, *counts, *QUALITY_COLUMNS],
        rows,
    )


def groups_table(result: BenchmarkResult) -> Table:
    """Error rates of every group of every single attribute, where a set has labels."""
    rows = [
        measures_row(g, FAKE_FACE)
        | {"detector": c.detector, "dataset": c.dataset, "attribute": title(g.attribute)}
        for c in result.cells
        for g in c.groups
        if ":" not in g.attribute
    ]
    columns = [
        Column("detector", "Detector"),
        Column("dataset", "Data set"),
        Column("attribute", "Attribute"),
    ]
    return Table(
        "groups", "Error rates by group", [*columns, Column("group", "Group"), *rate_columns(FAKE_FACE)], rows
    )


def files_table(result: BenchmarkResult) -> Table:
    """How well files alone tell real from fake on each set, where that was looked at."""
    columns = [
        Column("dataset", "Data set"), Column("auc", "AUC of the files alone", "number", "auc"),
        Column("interval", "Interval", "number interval", "interval"), Column("found", "What tells"),
        Column("betrays", "Best by itself"),
    ]  # fmt: skip
    rows: list[Row] = []
    for s in result.datasets:
        if s.files is not None:
            row = {"auc": s.files.auc, "interval": s.files.interval, "betrays": s.files.betrays}
            rows.append({"dataset": s.name, "found": FOUND[s.files.finding], **row})
        elif s.files_reason:
            rows.append({"dataset": s.name, "found": s.files_reason})
    return Table("files", "Can real and fake be told without a look at the face?", columns, rows)


def harm_table(result: BenchmarkResult) -> Table:
    """How far transformations raise the error rates of each detector on each set."""
    columns = [
        Column("detector", "Detector"), Column("dataset", "Data set"), Column("what", "Transformation"),
        Column("fpr", "FPR rises by", "points", "fpr"), Column("fpr_interval", "Interval", "points interval"),
        Column("fnr", "FNR rises by", "points", "fnr"), Column("fnr_interval", "Interval", "points interval"),
    ]  # fmt: skip
    rows = [
        {"detector": c.detector, "dataset": c.dataset, "what": harm.transformation, **dict(harm)}
        for c in result.cells
        for harm in c.harm
    ]
    return Table("harm", "What breaks it: mean rise of both error rates over five severities", columns, rows)


def wrong_tables(result: BenchmarkResult) -> list[Table]:
    """The most confident mistakes of each detector on each set."""
    tables: list[Table] = []
    for cell in (c for c in result.cells if c.misclassified):
        names = list(dict.fromkeys(k for wrong in cell.misclassified for k in wrong.groups))
        columns = [
            Column("image_id", "Image"),
            Column("kind", "Kind"),
            Column("score", "Score", "number", "score"),
            Column("confidence", "Confidence", "percent"),
            *[Column(f"group {name}", title(name)) for name in names],
        ]
        rows = [
            dict(wrong) | {f"group {name}": wrong.groups.get(name, "") for name in names}
            for wrong in cell.misclassified
        ]
        shown = f"{count(len(rows))} of {count(cell.n_misclassified)} mistakes"
        caption = f"{cell.detector} on {cell.dataset}: {shown}, the most confident first"
        tables.append(Table(f"mistakes-{len(tables)}", caption, columns, rows))
    return tables


def left_out(result: BenchmarkResult) -> list[str]:
    """What has no place in the numbers, and why."""
    told = []
    for cell in result.cells:
        reasons = [f"{count(n)} ({reason})" for reason, n in cell.n_left_out.items() if n]
        told += [f"{cell.detector} on {cell.dataset}: {', '.join(reasons)}"] if reasons else []
    return told


def measure_dots(result: BenchmarkResult, measure: str) -> go.Figure:
    """One measure of every detector on every set, with its interval."""
    plain = measure == "auc"
    dots = []
    for cell in result.cells:
        value, interval = getattr(cell.measures, measure), getattr(cell.measures, f"{measure}_interval")
        told = number(value) if plain else percent(value)
        ends = number_interval(interval) if plain else percent_interval(interval)
        text = f"{cell.detector} on {cell.dataset}: {told} ({ends})"
        dots.append(Dot(cell.dataset, cell.detector, value, interval, text))
    return interval_dots(dots, ".2~f" if plain else ".0%")


def _unlike_sizes(result: BenchmarkResult) -> str:
    """What a chart says where detectors were not tried on the same number of images of a set."""
    sizes: dict[str, set[int]] = {}
    for cell in result.cells:
        sizes.setdefault(cell.dataset, set()).add(cell.measures.n_real + cell.measures.n_fake)
    unlike = [name for name, found in sizes.items() if len(found) > 1]
    if not unlike:
        return ""
    return f"; not the same images for every detector on {', '.join(unlike)}: see the numbers of images"


def _dots(book: Figures, result: BenchmarkResult) -> list[Shown]:
    """AUC and accuracy, the two measures that have intervals everywhere."""
    shown = []
    for measure, name in (("auc", "AUC"), ("accuracy", "Accuracy")):
        caption = f"{name} with its {percent(result.confidence, 0)} interval, by data set and detector"
        caption += _unlike_sizes(result)
        figure = measure_dots(result, measure)
        shown.append(show(book, f"dots-{measure}", figure, caption, f"{caption}. Numbers in the table."))
    return shown


def _set_curves(result: BenchmarkResult, dataset: str) -> list[Curve]:
    cells = [c for c in result.cells if c.dataset == dataset]
    return [c.curve.model_copy(update={"attribute": "detector", "group": c.detector}) for c in cells]


def _curves(book: Figures, result: BenchmarkResult) -> list[tuple[str, list[Shown], list[Shown]]]:
    """For each set: ROC and DET of all detectors, from the fakes' side and from the real images' side."""
    parts = []
    for index, dataset in enumerate(result.datasets):
        lines = _set_curves(result, dataset.name)[: curve_figures.MAX_LINES]
        turned = [curve_figures.other_side(line) for line in lines]
        sides: list[list[Shown]] = []
        views = (
            (lines, "fake", curve_figures.side_of_negatives(FAKE_FACE)),
            (turned, "real", curve_figures.side_of_positives(FAKE_FACE)),
        )
        for chosen, positive, titles in views:
            shown = []
            for kind in ("roc", "det"):
                figure = curve_figures.curves(chosen, kind, FAKE_FACE, titles)
                caption = f"{kind.upper()} on {dataset.name}, {positive} as the positive class"
                key = f"{kind}-{positive}-{index}"
                shown.append(show(book, key, figure, caption, f"{caption}. Numbers in the table."))
            sides.append(shown)
        parts.append((dataset.name, sides[0], sides[1]))
    return parts


def write_benchmark_page(folder: str | Path) -> Path:
    """Write `benchmark.html` into a folder that holds `benchmark.json`, and return its path.

    Raises:
        RunNotFound: there is no `benchmark.json` in the folder.
        RecordFormatError: it cannot be read.
    """
    result, book = legible(load_benchmark(folder)), Figures()
    context: dict[str, Any] = {
        "record": result,
        "headline": headline(result),
        "firsts": [first_of(result, dataset.name) for dataset in result.datasets],
        "generalisation": generalisation(result),
        "grids": [(name, how, grid(result, key)) for key, (name, how) in GRIDS.items()],
        "dots": _dots(book, result),
        "curves": _curves(book, result),
        "measures": measures_table(result),
        "groups": groups_table(result),
        "mistakes": wrong_tables(result),
        "files": files_table(result),
        "harm": harm_table(result),
        "left_out": left_out(result),
        "drawn": any(OTHER_FAKES in cell.n_left_out for cell in result.cells),
        "sections": [
            ("answer", "The answer"),
            ("curves", "ROC and DET"),
            ("measures", "Every measure"),
            ("mistakes", "Mistakes"),
            ("belief", "Reliability"),
            ("glossary", "Glossary"),
        ],
    }
    return write_text(
        Path(folder) / "benchmark.html",
        render("benchmark.html", context, book, {"explorer": None}, FAKE_FACE),
    )
