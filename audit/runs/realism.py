"""How real the fakes of a pairs dataset are, as the dataset itself says.

Enters: the dataset's folder. Leaves: `Realism` records for `audit.json`, so that a report can show them when
the pairs are gone.

Why read and not measured again: the dataset measured all its pairs when it was made; an audit sees a part of
them, without those its detector learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.errors import ResultFormatError
from audit.schema.result import OVERALL, Realism
from pipelines.dataset.manifest import SUMMARY, UNNAMED
from pipelines.untrusted import read_json

ALL = "all"
_NAMES = {
    "psnr_db": "psnr_db",
    "mean_reconstruction_ms_ssim": "ms_ssim",
    "fake_face_found": "face_found",
    "mean_spectrum_db": "spectrum_db",
    "n_face_lost": "n_face_lost",
    "n_face_gained": "n_face_gained",
}
"""Key of `summary.json` to field of the record."""


def realism_of(folder: Path, kinds: Sequence[str], provenance: Mapping[str, Any]) -> list[Realism]:
    """What a pairs dataset's `summary.json` says of some kinds of fake.

    Args:
        folder: The dataset; one without such a file says nothing.
        kinds: The kinds wanted.
        provenance: Of the dataset, for the AUC of files alone.

    Returns:
        For each kind its record of all pairs, then those of the groups.

    Raises:
        ResultFormatError: A file that is no such summary.
    """
    path = folder / SUMMARY
    if not path.is_file():
        return []
    content = read_json(path)
    try:
        said = content.get("kinds", {UNNAMED: content})  # the first version of the file had one kind
        files = (provenance.get("finish") or {}).get("file_auc") or {}
        return [one for kind in kinds if kind in said for one in _of_kind(kind, said[kind], files.get(kind))]
    except (KeyError, TypeError, AttributeError, ValidationError) as fault:
        raise ResultFormatError(
            f"{path} is no summary of pairs ({type(fault).__name__}): make the pairs again, or remove it"
        ) from None


def _of_kind(kind: str, said: Mapping[str, Any], file_auc: float | None) -> Iterator[Realism]:
    hard = said.get("difficulty") or {}
    if hard.get("low") is None:  # none was measured, or by the weaker detector of an older program
        hard = {}
    traces, n = hard.get("traces") or {}, hard.get("n_held_out", 0)
    known = {
        "difficulty_low": hard.get("low"),
        "difficulty_high": hard.get("high"),
        "by_frequencies": traces.get("frequencies"),
        "by_residuals": traces.get("residuals"),
        "file_auc": file_auc,
    }
    yield _record(kind, OVERALL, ALL, said["overall"], hard.get("auc"), n).model_copy(
        update={name: _number(value) for name, value in known.items()}
    )
    by_group = {(g["attribute"], g["group"]): g for g in hard.get("groups", [])}
    for each in said["groups"]:
        at = by_group.get((each["attribute"], each["group"]), {})
        yield _record(kind, each["attribute"], each["group"], each, at.get("auc"), at.get("n_held_out", 0))


def _record(
    kind: str, attribute: str, group: str, said: Mapping[str, Any], difficulty: float | None, n: int
) -> Realism:
    values = {field: said.get(key) for key, field in _NAMES.items()}
    return Realism.model_validate(
        {
            "kind": kind,
            "attribute": attribute,
            "group": group,
            "n_pairs": said["n_pairs"],
            "difficulty": difficulty,
            "n_held_out": n if difficulty is not None else 0,
            **values,
        }
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
