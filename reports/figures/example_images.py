"""The pictures of a report: thumbnails made small and put into the page.

Enters: a run folder and the `samples` of its record. Leaves: cards with data URIs.

Why every picture is decoded and written again: the file may be anything (the record's paths are not to be
trusted), may be large, and may carry metadata; what leaves here is a small JPEG of pixels alone. Why a path
that leads out of the run folder is refused: a report is mailed to others, and must not carry a file of the
machine it was made on.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from audit.schema.result import AuditResult, Sample
from pipelines.errors import PhotoError, PhotoMissing, PhotoTooLarge, SourceLost
from pipelines.sources.photos import read_photo

MAX_SIDE_PX = 144
JPEG_QUALITY = 82
MAX_SOURCE_PX = 20_000_000
"""Pictures of more pixels than this are not opened."""

KINDS = {
    "false accusation": ("Wrongful flags", "Real images flagged as fake with the highest scores."),
    "missed fake": ("Missed fakes", "Fakes let through with the lowest scores."),
    "random": ("A random sample", "Drawn without regard to the scores, to show what the data look like."),
    "reject": ("Left out", "Source photos that did not become a pair, with the reason."),
}
"""Kind of sample to heading and explanation, in the order of the report."""


@dataclass(frozen=True)
class Half:
    """One picture of a card."""

    name: str
    """'Real' or 'Fake'."""
    uri: str | None
    """JPEG as data URI; None where there is no picture."""
    missing: str
    """Why there is none."""
    score: float
    flagged: bool
    wrong: bool


@dataclass(frozen=True)
class Card:
    """A pair as shown."""

    pair_id: str
    groups: str
    halves: list[Half]
    reason: str | None


def embed(run_dir: Path, name: str) -> str:
    """Read a picture inside the run folder and return it as the data URI of a small JPEG.

    Raises:
        OSError: it is not there, leads out of the folder, is too large, or is not a picture.
    """
    try:
        root, path = run_dir.resolve(), (run_dir / name).resolve()
    except ValueError as error:  # a NUL in the name
        raise OSError("its name is none that a file can have") from error
    if not path.is_relative_to(root):
        raise OSError("its path leads out of the run folder")
    try:
        small = Image.fromarray(read_photo(path, MAX_SOURCE_PX).pixels)
    except PhotoMissing as error:
        raise FileNotFoundError(str(error)) from error
    except PhotoTooLarge as error:
        raise OSError("the picture is too large") from error
    except (PhotoError, SourceLost) as error:
        raise OSError("the file is not a picture") from error
    small.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _half(run_dir: Path, fake: bool, name: str | None, score: float, threshold: float, images: bool) -> Half:
    uri, missing = None, "pictures were left out of this report"
    if images:
        try:
            missing = "no picture"
            uri = embed(run_dir, name) if name else None
        except FileNotFoundError:
            missing = "the picture is not in the run folder"
        except OSError as error:
            missing = str(error)
    flagged = math.isfinite(score) and score >= threshold
    wrong = math.isfinite(score) and flagged is not fake
    return Half("Fake" if fake else "Real", uri, missing, score, flagged, wrong)


def _card(run_dir: Path, sample: Sample, threshold: float, images: bool) -> Card:
    pictures = (
        (False, sample.real_thumbnail, sample.real_score),
        (True, sample.fake_thumbnail, sample.fake_score),
    )
    halves = [
        _half(run_dir, fake, name, score, threshold, images)
        for fake, name, score in pictures
        if name or math.isfinite(score)
    ]
    return Card(sample.pair_id, " · ".join(sample.groups.values()), halves, sample.reason)


def cards(run_dir: Path, result: AuditResult, images: bool = True) -> dict[str, list[Card]]:
    """All samples as cards, by kind, in the order of `KINDS`, kinds of the record's own at the end."""
    kinds = [*KINDS, *(s.kind for s in result.samples if s.kind not in KINDS)]
    threshold = result.config.threshold
    return {
        kind: chosen
        for kind in dict.fromkeys(kinds)
        if (chosen := [_card(run_dir, s, threshold, images) for s in result.samples if s.kind == kind])
    }
