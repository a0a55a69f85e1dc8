"""`audit benchmark`: a table of detectors x data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import BatchSize, Device, Overwrite, require_folder, show
from audit.commands.score import TRUST_HELP
from pipelines.extras import require


def benchmark(
    detector: Annotated[list[str], typer.Option(help="A detector's file, or module:factory; repeat.")],
    data: Annotated[
        list[Path], typer.Option(help="A pairs dataset, an image folder or a table of images; repeat.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("benchmark"),
    threshold: Annotated[float, typer.Option(help="Fake if score >= this.")] = 0.5,
    confidence: Annotated[float, typer.Option(help="Of every interval.")] = 0.95,
    trust: Annotated[list[str] | None, typer.Option(help=f"{TRUST_HELP} Repeat.")] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    overwrite: Overwrite = False,
) -> None:
    """Score every set with every detector; write benchmark.json, benchmark.csv and the scores.

    Photos a detector was trained on are left out of its own numbers.
    """
    require("audit benchmark", "images")
    from audit.config import AuditConfig
    from audit.runs.detector_benchmark import benchmark as run
    from audit.schema.benchmark import TABLE_FILE
    from reports.pages.benchmark_page import write_benchmark_page

    require_folder(out)
    config = AuditConfig(threshold=threshold, confidence=confidence)
    result = run(
        detector, data, out, config, device=device, batch_size=batch_size, overwrite=overwrite,
        trust=trust or (),
    )  # fmt: skip
    for cell in result.cells:
        m = cell.measures
        own = " (trained on another part of it)" if cell.seen_in_training else ""
        show(
            f"{cell.detector} on {cell.dataset}{own}: accuracy {m.accuracy:.3f}, AUC {m.auc:.3f} "
            f"[{m.auc_interval[0]:.3f}, {m.auc_interval[1]:.3f}], EER {m.eer:.3f}, "
            f"FPR {m.fpr:.3f}, FNR {m.fnr:.3f}, n {m.n_real} + {m.n_fake}"
        )
    show(f"table: {out / TABLE_FILE}")
    show(f"page: {write_benchmark_page(out)}")
