"""Whether a run folder is what `audit run` wrote, and whether its numbers follow from its scores.

Enters: a run folder, where its detector and data are now, who should have signed it. Leaves: one `Check` for
everything looked at.

Why the numbers are derived again and not only hashed: a hash says that a file was not changed since it was
hashed; only the derivation says that the record follows from the scores. Floating-point numbers are compared
to nine digits: another processor, library or order of additions moves the last ones, which deceive nobody.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from audit.errors import ExpectedError, RunFolderError, SignatureError
from audit.judge.adjusted_gaps import OF_PAIRS
from audit.runs.align_runs import config_of
from audit.runs.checksums import SUMS_FILE, read_sums
from audit.runs.run_folder import RESULT_FILE, SCORES_FILE
from audit.runs.score_audit import Extras, audit_scores, versions
from audit.schema.json_schema import load_result
from audit.schema.result import SCHEMA_VERSION, AuditResult
from audit.verification.signature import SIGNATURE_FILE, read_signature
from pipelines.errors import UnreadableFile
from pipelines.storage import file_sha256
from pipelines.untrusted import read_json, read_parquet, read_text

State = Literal["ok", "changed", "not checked"]
N_NAMED = 5
"""Changed images, and differing numbers, that are named; the rest are counted."""
NUMBERS = f"numbers of {RESULT_FILE}"
OLD = "it is of another version of the format; the audit run again is not"
_GIVEN = (
    "schema_version", "provenance", "notes", "dropout", "no_scores", "samples", "kinds", "kind_rates",
    "worst_kinds", "realism",
)  # fmt: skip
"""Parts of a record that do not follow from its scores."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    state: State
    what: str
    """Its name: a file, or "numbers of audit.json"."""
    detail: str = ""


def verify_run(
    folder: str | Path,
    detector: str | Path | None = None,
    data: str | Path | None = None,
    signer: str | Path | None = None,
) -> list[Check]:
    """Check everything in a run folder that can be checked.

    Args:
        folder: What `audit run` wrote.
        detector: The detector's file; by default where the recorded command found it.
        data: The data set or score file; by default where the record says it was.
        signer: File of the public SSH keys of whoever should have signed it; None asks for no signature.

    Returns:
        One check a file, one for the signature, the spelling of the record, its numbers, the detector and
        the data.

    Raises:
        ResultFormatError: there is no `audit.json`, or it cannot be read.
        SignatureError: `signer` holds no key.
    """
    place = Path(folder)
    checks = [*_files(place), *_signature(place, signer)]
    try:
        result = load_result(place)
    except ExpectedError as error:
        if not checks:
            raise
        return [*checks, Check("changed", RESULT_FILE, str(error))]
    scores = _scores(place)
    return [
        *checks,
        _spelling(place, result),
        _numbers(result, scores) if _is_current(place) else Check("not checked", NUMBERS, OLD),
        _detector(result, detector),
        *_data(result, scores, data),
    ]


def _files(folder: Path) -> Iterator[Check]:
    """Every file of SHA256SUMS, and those it does not know."""
    if not (folder / SUMS_FILE).is_file():
        if not (folder / RESULT_FILE).is_file():
            return
        yield Check("not checked", SUMS_FILE, "it is not there: files are compared with no earlier hash")
        return
    try:
        sums = read_sums(folder)
    except RunFolderError as error:
        yield Check("changed", SUMS_FILE, str(error))
        return
    for name, digest in sums.items():
        try:
            found = file_sha256(folder / name)
        except OSError as fault:
            yield Check("changed", name, f"it cannot be read: {fault.strerror or fault}")
            continue
        same = found == digest
        yield Check("ok" if same else "changed", name, "" if same else f"its SHA-256 is {found[:16]}…")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name in sorted(present - set(sums) - {SUMS_FILE, SIGNATURE_FILE}):
        yield Check("not checked", name, f"{SUMS_FILE} has no hash of it")


def _signature(folder: Path, signer: str | Path | None) -> Iterator[Check]:
    """Whether the folder was signed, and by whom; nothing where nobody did and nobody should have."""
    try:
        found = read_signature(folder, signer)
    except SignatureError as error:
        if signer is not None:
            raise
        yield Check("not checked", SIGNATURE_FILE, str(error))
        return
    if found is None:
        if signer is not None:
            yield Check("changed", SIGNATURE_FILE, f"it is not there, and {signer} should have signed")
    elif not found.whole:
        yield Check("changed", SIGNATURE_FILE, found.why)
    elif signer is None:
        yield Check(
            "not checked", SIGNATURE_FILE,
            f"it is whole, by {found.by}; anybody can make one: say whose it must be with --signer KEY.pub",
        )  # fmt: skip
    else:
        yield Check("ok", SIGNATURE_FILE, f"by {found.by}, which is in {signer}")


def _scores(folder: Path) -> pd.DataFrame | str:
    """The scores, or why they cannot be read."""
    try:
        return read_parquet(folder / SCORES_FILE)
    except UnreadableFile as error:
        return str(error)


def _is_current(folder: Path) -> bool:
    """Whether a record is of today's format; one of an earlier version lacks numbers of today's."""
    record = read_json(folder / RESULT_FILE)
    return bool(record.get("schema_version", SCHEMA_VERSION) == SCHEMA_VERSION)


def _spelling(folder: Path, result: AuditResult) -> Check:
    """Whether the record is spelled as this program spells it: nothing was added, reordered or rounded."""
    what = f"spelling of {RESULT_FILE}"
    if not _is_current(folder):
        return Check("not checked", what, OLD)
    same = read_text(folder / RESULT_FILE) == result.to_json()
    return Check("ok" if same else "changed", what, "" if same else "written again, it is another text")


def _numbers(result: AuditResult, scores: pd.DataFrame | str) -> Check:
    """Whether every number follows from the scores by the recorded options."""
    what = NUMBERS
    if isinstance(scores, str):
        return Check("changed", what, f"they cannot be derived: {scores}")
    try:
        derived = derived_again(result, scores)
    except ExpectedError as error:
        return Check("changed", what, f"the scores give no such audit: {error}")
    here, there = versions(), result.provenance.versions
    found = list(_differences(_derivable(result), _derivable(derived)))
    if found:
        more = f", and {len(found) - N_NAMED} more" if len(found) > N_NAMED else ""
        return Check("changed", what, "; ".join(found[:N_NAMED]) + more)
    others = [
        f"{name} {there.get(name)}, here {here[name]}" for name in here if here[name] != there.get(name)
    ]
    return Check("ok", what, f"to nine digits, with other libraries: {', '.join(others)}" if others else "")


def derived_again(result: AuditResult, scores: pd.DataFrame) -> AuditResult:
    """The audit of a run's scores, with the options of its record.

    Raises:
        ExpectedError: the scores cannot be audited so.
    """
    usual = OF_PAIRS if result.provenance.data.get("kind") == "pairs" else ()
    asked = [name for name in result.config.controls if name not in {control.column for control in usual}]
    config = replace(config_of(result), controls=asked, references=result.config.references)
    extras = Extras(result.provenance, left_out=result.data.n_left_out, controls=usual)
    return audit_scores(scores, config, extras)


def _derivable(result: AuditResult) -> dict[str, Any]:
    """The parts of a record that follow from its scores."""
    return {name: value for name, value in result.model_dump().items() if name not in _GIVEN}


def _differences(recorded: Any, derived: Any, place: str = "") -> Iterator[str]:
    """Places where two plain values differ, with both values."""
    if isinstance(recorded, dict) and isinstance(derived, dict) and recorded.keys() == derived.keys():
        for key in recorded:
            yield from _differences(recorded[key], derived[key], f"{place}.{key}".lstrip("."))
    elif (
        isinstance(recorded, (list, tuple))
        and isinstance(derived, (list, tuple))
        and len(recorded) == len(derived)
    ):
        for number, pair in enumerate(zip(recorded, derived, strict=True)):
            yield from _differences(*pair, f"{place}.{number}")
    elif not _same(recorded, derived):
        yield f"{place} is {_short(recorded)}, the scores give {_short(derived)}"


def _same(recorded: Any, derived: Any) -> bool:
    if not isinstance(recorded, float) or not isinstance(derived, float):
        return bool(recorded == derived)
    if math.isnan(recorded) or math.isnan(derived):
        return math.isnan(recorded) and math.isnan(derived)
    if math.isinf(recorded) or math.isinf(derived):
        return recorded == derived
    return math.isclose(recorded, derived, rel_tol=1e-9, abs_tol=1e-12)


def _short(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:40]}…"


def _detector(result: AuditResult, given: str | Path | None) -> Check:
    """Whether the detector's file is the one that was audited."""
    wanted = str(result.provenance.detector.get("sha256") or "")
    if not wanted:
        return Check("not checked", result.task.system, "the record has no hash of it")
    named = str(given) if given is not None else _named(result.provenance.command, "--detector")
    path = Path(named or "")
    if not named or not path.is_file():  # an address in a record is not followed: anybody can write a record
        return Check(
            "not checked", result.task.system, f"no file at {named}; say where it is with --detector"
        )
    found = _hash_of_detector(path)
    same = found == wanted
    detail = str(path) if same else f"{path} has the SHA-256 {found[:16]}…, audited was {wanted[:16]}…"
    return Check("ok" if same else "changed", result.task.system, detail)


def _hash_of_detector(path: Path) -> str:
    """Of the file; of a foreign model with files beside it, over all of them."""
    if path.suffix != ".onnx":
        return file_sha256(path)
    from detectors.models.foreign_files import kind_of, look_at

    kind = kind_of(path)
    return look_at(path, kind).sha256 if kind else file_sha256(path)


def _named(command: str, option: str) -> str | None:
    """The value of an option in a recorded command line, given after a blank or after "="."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    joined = (word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}="))
    return next((value for name, value in pairwise(words) if name == option), next(joined, None))


def _data(result: AuditResult, scores: pd.DataFrame | str, given: str | Path | None) -> Iterator[Check]:
    """Whether the score file, or every image, is the one that was audited."""
    about = result.provenance.data
    named = given if given is not None else about.get("path")
    path = Path(str(named or ""))
    if not about.get("path"):
        yield Check("not checked", "data", "the record names no file of it")
    elif not path.exists():
        yield Check("not checked", "data", f"nothing at {named}; say where it is with --data")
    elif about.get("kind") == "scores":
        same = path.is_file() and file_sha256(path) == about.get("sha256")
        yield Check("ok" if same else "changed", "data", str(path) if same else f"{path} is another file now")
    elif isinstance(scores, str) or not {"sha256", "image_id"} <= set(scores.columns):
        yield Check("not checked", "data", f"{SCORES_FILE} has no hashes of the images")
    else:
        folder = path.parent if about.get("kind") == "table" else path
        changed = [name for name, wanted in zip(scores["image_id"], scores["sha256"], strict=True)
                   if _hash_or_none(folder / str(name)) != wanted]  # fmt: skip
        more = f" and {len(changed) - N_NAMED} more" if len(changed) > N_NAMED else ""
        detail = f"other images now: {', '.join(map(str, changed[:N_NAMED]))}{more}" if changed else str(path)
        yield Check("changed" if changed else "ok", "data", detail)


def _hash_or_none(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None
