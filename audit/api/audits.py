"""Audits in one call: of a table of scores, or of a detector on images.

Enters: a frame, a path, a detector. Leaves: an `Audit`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import pandas as pd
from pydantic_core import PydanticSerializationError, to_json

from audit.api.options import AuditOptions, config_from, named_for_python
from audit.api.outcome import Audit
from audit.config import AuditConfig
from audit.errors import ConfigError, ScoreTableError
from audit.runs.run_folder import refuse_other_request
from audit.runs.score_audit import Extras, audit_score_file, audit_table
from audit.schema.result import Provenance
from audit.task import task_named
from pipelines.place_urls import is_url
from pipelines.places import local

if TYPE_CHECKING:
    from detectors.api import LoadedDetector
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.options import RayCluster

Say = Callable[[str], None]
"""Takes one line for people; those that begin with "warning: " ask for attention."""
WARNING = "warning: "


class Convertible(Protocol):
    """A table of another library (polars, pyarrow) that can become a pandas frame."""

    def to_pandas(self) -> pd.DataFrame:
        """The same rows and columns."""


def audit_scores(
    scores: pd.DataFrame | Convertible | str | Path,
    attributes: str | Sequence[str] = (),
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    detector: str | Path | Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    command: str = "",
    config: AuditConfig | None = None,
    **options: Unpack[AuditOptions],
) -> Audit:
    """Audit a table of scores: one row an image, with label, score and the columns to audit.

    Args:
        scores: A DataFrame (of pandas, polars or pyarrow), or a CSV or Parquet file. label: 1 = fake; score:
            higher = more fake. Rows that lack one of the two are left out and counted. With
            task="speaker-verification" one row a trial of two clips, see `audit.data.trials`.
        attributes: Columns to audit, or the one to audit; by default age, gender and race.
        out: Run folder for `audit.json` and `scores.parquet`; without it the result is in memory alone.
            It and the file may be in a store, such as s3://bucket/runs/a.
        overwrite: Replace another run in the folder.
        detector: Its name or path, or a mapping with name and version, for the record.
        source: What is known of the data, for the record; {"kind": "rendered"} where a program made them, as
            the report then says.
        command: The command line, for the record.
        config: Options as one object; what is named beside it changes it.
        **options: Fields of `AuditConfig`: threshold, tolerance, confidence, seed ...

    Returns:
        What was found.

    Raises:
        ConfigError: An unknown option, or an impossible value.
        ScoreFileError, ScoreTableError: The table cannot be audited.
        RunFolderError: The folder holds another run.

    >>> race = ["A"] * 20 + ["B"] * 20
    >>> frame = pd.DataFrame({"label": [0, 1] * 20, "score": [0.1, 0.9] * 20, "race": race})
    >>> found = audit_scores(frame, "race", min_n=5, n_boot=100)
    >>> found.groups[["group", "n_real", "fpr"]].values.tolist()
    [['A', 10, 0.0], ['B', 10, 0.0]]
    """
    asked = config_from(attributes, options, config)
    scores = _table_or_path(scores)
    for name, given in {"out": out, "detector": detector, "source": source, "command": command}.items():
        _refuse_kind(name, given)
    out = None if out is None else local(out)
    about = {"name": str(detector)} if isinstance(detector, str | Path) else dict(detector or {})
    if out is not None:
        refuse_other_request(out, asked, Provenance(command=command, detector=about), overwrite)
    with named_for_python(said=not command):
        if isinstance(scores, pd.DataFrame):
            of_data = {"source": dict(source)} if source else {}
            provenance = Provenance(command=command, data={"kind": "scores", **of_data}, detector=about)
            audited = audit_table(scores, asked, Extras(provenance))
        else:
            audited = audit_score_file(local(scores), asked, command, about, source)
    found = Audit(audited.result, scored=audited)
    if out is not None:
        found.write(out, overwrite)
    return found


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "out": ((str, Path), "the path of a folder"),
    "detector": ((str, Path, Mapping), "its name, or a mapping such as {'name': 'acme', 'version': '2'}"),
    "source": ((Mapping,), "a mapping such as {'kind': 'rendered'}"),
    "command": ((str,), "the command line as text"),
}


def _refuse_kind(name: str, given: object) -> None:
    """Refuse what stands for nothing under that name."""
    kinds, example = _KINDS[name]
    if given is not None and not isinstance(given, kinds):
        raise ConfigError(f"{name} is {given!r}; give {example}")
    for key, value in given.items() if isinstance(given, Mapping) else ():
        try:
            to_json(value)
        except PydanticSerializationError:
            raise ConfigError(
                f"{name} holds a {type(value).__name__} under {key!r}, which audit.json cannot; give text, "
                "numbers, lists and mappings of them"
            ) from None


def _table_or_path(scores: Any) -> pd.DataFrame | str | Path:
    """A frame of pandas, or the path of a file.

    Raises:
        ScoreTableError: It is neither and cannot become one.
    """
    if isinstance(scores, pd.DataFrame | str | Path):
        return scores
    frame = scores.to_pandas() if hasattr(scores, "to_pandas") else None
    if isinstance(frame, pd.DataFrame):
        return frame
    raise ScoreTableError(
        f"scores is a {type(scores).__name__}; give a DataFrame, such as pd.DataFrame(scores), or the path "
        "of a CSV or Parquet file"
    )


def audit_images(
    detector: str | Path | Detector | LoadedDetector,
    pairs: str | Path | LabelledImages | None = None,
    attributes: str | Sequence[str] = (),
    *,
    images: str | Path | LabelledImages | None = None,
    arch: str | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    trust: str | None = None,
    device: str = "auto",
    batch_size: int = 32,
    include_seen: bool = False,
    cluster: RayCluster | None = None,
    progress: bool = True,
    say: Say | None = None,
    command: str = "",
    config: AuditConfig | None = None,
    **options: Unpack[AuditOptions],
) -> Audit:
    """Score every image with a detector and audit the scores.

    Args:
        detector: A file, `module:factory`, or a detector that was loaded.
        pairs: A pairs dataset.
        attributes: Columns to audit, or the one to audit; by default those of the data set.
        images: Instead of pairs: a table of labelled images, or a folder with real/ and fake/.
        arch: For a plain state_dict: its architecture.
        settings: What a foreign detector does not say itself, such as {"size_px": 224, "output": "logit"}.
        out: Run folder; an interrupted call continues there. Without it a temporary one, until `write`.
        overwrite: Replace another run in the folder.
        trust: SHA-256 of a foreign model file to run in this process instead of an isolated one.
        device: "auto", "cpu" or "cuda".
        batch_size: Images in a batch; on a CPU a thread computes up to eight of them.
        include_seen: Audit source photos the detector learned from, too.
        cluster: Score on a Ray cluster (`detectors.RayCluster`), whose device then counts; the scores are
            those of this process on such a device.
        progress: Show a progress bar.
        say: Is given one line for each thing to know before a number is; by default the log.
        command: The command line, for the record.
        config: Options as one object; what is named beside it changes it.
        **options: Fields of `AuditConfig`.

    Returns:
        What was found.

    Raises:
        ExpectedError: Of `audit`, `detectors` or `pipelines`. Options, columns and reference groups are
            checked before the detector is loaded.
    """
    from detectors.data.datasets import read_images
    from detectors.data.labelled_images import LabelledImages
    from pipelines.extras import require

    require("auditing a detector on images", "images")
    asked = config_from(attributes, options, config)
    if task_named(asked.task).of_trials:
        raise ConfigError(
            f"{asked.task} is audited from a table of trials that a verifier has scored: audit_scores, or "
            "audit run --scores TABLE"
        )
    if (pairs is None) == (images is None):
        raise ConfigError("give either pairs (a pairs dataset) or images (a table or folder of images)")
    out = None if out is None else local(out)
    if out is not None:
        refuse_other_request(out, asked, Provenance(command=command), overwrite)
    source = pairs if images is None else images
    if not isinstance(source, str | Path | LabelledImages):
        raise ConfigError(
            f"pairs or images is a {type(source).__name__}; give the path of a pairs dataset, a folder or "
            "a table, or audit.audit_scores(frame) for scores that are there already"
        )
    labelled = source if isinstance(source, LabelledImages) else read_images(str(source))

    from audit.runs.image_audit import Scoring, check_request
    from audit.runs.image_audit import audit_images as audit_labelled

    asked = check_request(labelled, asked)
    detector = local(detector) if isinstance(detector, str) and is_url(detector) else detector
    device = device if cluster is None else "cpu"
    ready = _ready(detector, labelled, arch, settings, (device, trust), say or _log)
    temporary = None if out is not None else tempfile.TemporaryDirectory(prefix="audit-")
    scoring = Scoring(device, batch_size, include_seen=include_seen, progress=progress, cluster=cluster)
    place = Path(temporary.name if temporary else out)  # type: ignore[arg-type]
    record = audit_labelled(ready, labelled, place, asked, scoring, command, overwrite)
    return Audit(record, None if temporary else place, temporary=temporary)


def _ready(
    detector: str | Path | Detector | LoadedDetector,
    images: LabelledImages,
    arch: str | None,
    settings: Mapping[str, Any] | None,
    where: tuple[str, str | None],
    say: Say,
) -> Detector:
    """The detector, loaded and tried on a few images."""
    from detectors.api import loaded
    from detectors.scoring.detector_check import check_detector

    device, trust = where
    ready = loaded(detector, settings, arch=arch, device=device, trust=trust)
    look = check_detector(ready, images)
    for line in (*look.lines, *(WARNING + warning for warning in look.warnings)):
        say(line)
    return ready


def _log(line: str) -> None:
    logging.getLogger("audit").log(logging.WARNING if line.startswith(WARNING) else logging.INFO, line)
