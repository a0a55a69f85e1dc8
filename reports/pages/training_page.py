"""The page of a training: its learning curves, and how good it became on what it never saw.

Enters: the record `NAME.training.json` that training leaves beside its checkpoint. Leaves:
`NAME.training.html`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.task import FAKE_FACE
from audit.wording.numbers import percent, percent_interval
from detectors.training.experiments import SUFFIX, held_out_interval, read_record, results
from pipelines.storage import write_text
from pipelines.visible import visible_record
from reports.figures.learning_curves import Measure, learning_curves
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables.table import Column, Table


def epochs_table(record: dict[str, Any]) -> Table:
    """Loss and accuracy of every epoch; what `NAME.training.csv` holds."""
    columns = [
        Column("epoch", "Epoch", "count"),
        Column("train_loss", "Training loss", "number"), Column("valid_loss", "Validation loss", "number"),
        Column("train_accuracy", "Training accuracy", "percent"),
        Column("valid_accuracy", "Validation accuracy", "percent"),
    ]  # fmt: skip
    return Table(
        "epochs", "Loss and accuracy, epoch by epoch", columns, [dict(epoch) for epoch in record["epochs"]]
    )


def headline(record: dict[str, Any]) -> str:
    """How good it became, in one sentence, with the interval."""
    found = results(record)
    n = record.get("held_out", {}).get("n")
    if not n:
        return f"{percent(found['valid_accuracy'])} right in validation; no images were held out."
    interval = percent_interval(held_out_interval(record))
    return f"{percent(found['held_out_accuracy'])} of {n:,} held-out images judged correctly ({interval})."


def kept(record: dict[str, Any]) -> str:
    """Which epoch's weights were kept, and how far the two curves are apart there."""
    best, n = record["best_epoch"], record["data"]["n_images"]["valid"]
    epoch = next(one for one in record["epochs"] if one["epoch"] == best)
    return (
        f"The weights of epoch {best} of {len(record['epochs'])} were kept, the best in validation: "
        f"{percent(epoch['train_accuracy'])} right on the images it learned from, "
        f"{percent(epoch['valid_accuracy'])} on {n:,} validation images."
    )


def _curves(book: Figures, record: dict[str, Any]) -> list[Shown]:
    measures: list[Measure] = ["loss", "accuracy"]
    return [
        show(
            book,
            f"learning-{measure}",
            learning_curves(record["epochs"], measure, record["best_epoch"]),
            f"{measure.capitalize()} by epoch",
            f"{measure.capitalize()} of training and validation by epoch; the table below has every number.",
        )
        for measure in measures
    ]


def write_training_page(checkpoint: str | Path) -> Path:
    """Write `NAME.training.html` beside the record of a training, and return its path.

    Args:
        checkpoint: `NAME.pt`, or its record `NAME.training.json`.

    Raises:
        ExpectedError: As `detectors.training.experiments.read_record`.
    """
    record, book = visible_record(read_record(checkpoint)), Figures()
    context = {
        "record": record,
        "headline": headline(record),
        "kept": kept(record),
        "figures": _curves(book, record),
        "epochs": epochs_table(record),
        "sections": [("answer", "The answer"), ("curves", "Learning curves"), ("epochs", "Every epoch")],
    }
    path = Path(checkpoint)
    stem = path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem
    page = render("training.html", context, book, {"explorer": None}, FAKE_FACE)
    return write_text(path.with_name(f"{stem}.training.html"), page)
