"""`audit benchmark`: a table of detectors x data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands.common import (
    BatchSize,
    Device,
    Json,
    Overwrite,
    Quiet,
    require_detectors,
    require_folder,
    show,
)
from audit.commands.score import TRUST_HELP

if TYPE_CHECKING:
    from audit.schema.benchmark import BenchmarkCell


def benchmark(
    detector: Annotated[
        list[str], typer.Option(help="A detector's file, or module:factory; repeat.", metavar="FILE")
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="A pairs dataset, an image folder or a table of images; repeat.", metavar="PATH"),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")] = Path("benchmark"),
    threshold: Annotated[float, typer.Option(help="Fake if score >= this.", metavar="NUMBER")] = 0.5,
    confidence: Annotated[float, typer.Option(help="Of every interval.", metavar="SHARE")] = 0.95,
    trust: Annotated[list[str] | None, typer.Option(help=f"{TRUST_HELP} Repeat.", metavar="SHA256")] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every set with every detector; write benchmark.json, benchmark.csv and the scores.

    Photos a detector was trained on are left out of its own numbers.
    """
    require_detectors("audit benchmark", detector)
    from audit.config import AuditConfig
    from audit.runs.detector_benchmark import benchmark as run
    from audit.schema.benchmark import TABLE_FILE
    from reports.pages.benchmark_page import write_benchmark_page

    require_folder(out)
    config = AuditConfig(threshold=threshold, confidence=confidence)
    result = run(
        detector, data, out, config, device=device, batch_size=batch_size, progress=not quiet,
        overwrite=overwrite, trust=trust or (),
    )  # fmt: skip
    page = write_benchmark_page(out)
    if as_json:
        print(result.to_json(), end="")
    elif not quiet:
        show("\n".join([*map(_line, result.cells), f"table: {out / TABLE_FILE}", f"page: {page}"]))


def _line(cell: BenchmarkCell) -> str:
    m, own = cell.measures, " (trained on another part of it)" if cell.seen_in_training else ""
    return (
        f"{cell.detector} on {cell.dataset}{own}: accuracy {m.accuracy:.3f}, AUC {m.auc:.3f} "
        f"[{m.auc_interval[0]:.3f}, {m.auc_interval[1]:.3f}], EER {m.eer:.3f}, "
        f"FPR {m.fpr:.3f}, FNR {m.fnr:.3f}, n {m.n_real} + {m.n_fake}"
    )
