"""What the detector looks at, as a section of the report, where `audit explain --run` was run.

Enters: a run folder that may hold `explanations/`. Leaves: what the template shows, or None.

Why few pictures, made smaller: a report is sent by mail. They are drawn by the seed and not chosen.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError

from audit.schema.explanations import SUMMARY_FILE, ExplanationSummary
from audit.schema.result import AuditResult
from pipelines.errors import PhotoError, UnreadableFile
from pipelines.sources.photos import read_photo
from pipelines.untrusted import read_json
from reports.errors import RecordFormatError
from reports.text import explanation_text as words
from reports.text.legible import legible

FOLDER, MEAN_MAPS = "explanations", "mean-maps.png"
MAX_PICTURES = 4
MAX_WIDTH_PX = 760


def context(run_dir: Path, result: AuditResult, images: bool) -> dict[str, Any] | None:
    """What the section shows; None where there is none.

    Args:
        run_dir: The run folder.
        result: Its record.
        images: Whether faces may be shown; mean maps show no one and always are.

    Raises:
        RecordFormatError: a record that cannot be read.
    """
    folder = run_dir / FOLDER
    if not (folder / SUMMARY_FILE).is_file():
        return None
    record = legible(load_summary(folder))
    if record.sha256 != result.provenance.detector.get("sha256"):
        return {"other": record.detector}
    summary = record.model_dump()
    pictures = [(MEAN_MAPS, "Mean maps of real and fake faces, by group")]
    if images:
        pictures += [(name, "One image, its map, and both together") for name in _drawn(folder, record.seed)]
    return {
        "other": None,
        "trust": words.trust_sentence(summary),
        "differences": words.difference_sentences(summary),
        "columns": words.COLUMNS,
        "rows": words.trust_rows(summary),
        "n": record.fakes_called_fake,
        "pictures": [found for name, alt in pictures if (found := _picture(folder / name, alt))],
    }


def load_summary(folder: Path) -> ExplanationSummary:
    """Read `summary.json`.

    Raises:
        RecordFormatError: it is none.
    """
    path = folder / SUMMARY_FILE
    try:
        return ExplanationSummary.model_validate(read_json(path))
    except UnreadableFile as error:
        raise RecordFormatError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordFormatError(
            f"{path} is no record of explanations: {where}: {first['msg']}; run audit explain --run again"
        ) from None


def _drawn(folder: Path, seed: int) -> list[str]:
    """A few pictures of the folder, drawn by the seed."""
    names = sorted(path.name for path in folder.glob("*.png") if path.name != MEAN_MAPS)
    if len(names) <= MAX_PICTURES:
        return names
    return [
        names[i] for i in np.sort(np.random.default_rng(seed).choice(len(names), MAX_PICTURES, replace=False))
    ]


def _picture(path: Path, alt: str) -> dict[str, Any] | None:
    """A picture as data, reduced; None where it is gone or unreadable."""
    try:
        image = Image.fromarray(read_photo(path).pixels)
    except PhotoError:
        return None
    image.thumbnail((MAX_WIDTH_PX, 4 * MAX_WIDTH_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=82)
    source = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return {"source": source, "alt": alt, "width": image.width, "height": image.height}
