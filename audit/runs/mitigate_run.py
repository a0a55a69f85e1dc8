"""A cure for the detector of a run folder: read its scores, search, write `mitigation.json`.

Enters: a run folder. Leaves: a `MitigationResult`, in the folder.

Why the threshold of the record and not its rule: what is in use is a number. Where a rule found it, the
images it was fixed on must all lie in the fitting part, so the fitting share may not be smaller than the
rule's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from audit.config import AuditConfig
from audit.errors import MitigationError
from audit.judge.usefulness import usefulness_in
from audit.mitigation.parts import Plan
from audit.mitigation.search import find_cure
from audit.runs.align_runs import config_of
from audit.runs.checksums import enter
from audit.runs.run_folder import SCORES_FILE
from audit.schema.json_schema import load_result
from audit.schema.mitigation import MITIGATION_FILE, MitigationResult
from audit.schema.result import AuditResult
from pipelines.errors import UnreadableFile
from pipelines.storage import write_text
from pipelines.untrusted import read_parquet


def mitigate_run(run_dir: str | Path, plan: Plan | None = None) -> MitigationResult:
    """Look for a cure for the detector of a run.

    Args:
        run_dir: Run folder with `audit.json` and `scores.parquet`.
        plan: Share to fit on, and margin.

    Raises:
        MitigationError: As `mitigate_table`, or the folder lacks its scores.
        ResultFormatError: There is no readable `audit.json`.
    """
    folder = Path(run_dir)
    result = load_result(folder)
    path = folder / SCORES_FILE
    if not path.is_file():
        raise MitigationError(f"{folder} has no {SCORES_FILE}; run the audit again, and look for a cure then")
    try:
        frame = read_parquet(path)
    except UnreadableFile as error:
        raise MitigationError(str(error)) from None
    return mitigate_table(result, frame, plan)


def mitigate_table(
    result: AuditResult, frame: pd.DataFrame, plan: Plan | None = None, config: AuditConfig | None = None
) -> MitigationResult:
    """Look for a cure for the detector of an audit.

    Args:
        result: The audit's record.
        frame: The table it was made of.
        plan: Share to fit on, and margin.
        config: Its options, where the columns are not called as in `scores.parquet`.

    Raises:
        MitigationError: The table is too small to split, a column is missing, the plan impossible, or the
            audit has no answer: its threshold does not fit, or nothing shows that the detector works.
    """
    plan, config = (plan or Plan()).check(), config or config_of(result)
    config = replace(config, criterion="difference")  # cures are judged by the gaps they close
    _check(result, plan)
    _require_attributes(frame, config.attributes)
    found = find_cure(
        frame, config, result.config.threshold, result.config.threshold_rule, plan, result.provenance
    )
    return found.model_copy(update={"audit_sha256": sha256_of(result)})


def sha256_of(result: AuditResult) -> str:
    """SHA-256 of a record as `audit.json` spells it."""
    return hashlib.sha256(result.to_json().encode()).hexdigest()


def write_mitigation(found: MitigationResult, run_dir: str | Path) -> Path:
    """Write `mitigation.json` into a run folder; an earlier one is replaced, since the scores decide it."""
    folder = Path(run_dir)
    path = write_text(folder / MITIGATION_FILE, found.to_json())
    enter(folder, [path])
    return path


def _check(result: AuditResult, plan: Plan) -> None:
    if not math.isfinite(result.config.threshold):
        raise MitigationError(
            "the run has no threshold, so there is nothing to cure; audit again with --threshold"
        )
    useful = usefulness_in(result)
    if useful.reason in ("reversed", "guessing"):
        raise MitigationError(f"no threshold helps here. {useful.sentence}")
    if useful.reason == "threshold":
        raise MitigationError(f"there is nothing to cure yet. {useful.sentence}")
    if useful.reason == "one class":
        task = result.task
        raise MitigationError(
            f"{useful.sentence} Nor can be told what another threshold would cost: audit {task.negatives} "
            f"and {task.positives} together"
        )
    if plan.fit_share < result.config.calibration_share:
        raise MitigationError(
            f"the threshold was fixed on {result.config.calibration_share:g} of the images (rule "
            f"{result.config.threshold_rule}), and these may not judge: give --fit-share "
            f"{result.config.calibration_share:g} or more, not {plan.fit_share:g}"
        )


def _require_attributes(frame: pd.DataFrame, attributes: Sequence[str]) -> None:
    missing = [name for name in attributes if name not in frame.columns]
    if missing:
        raise MitigationError(
            f"the scores have no column {', '.join(map(repr, missing))}: without the group a gap can be "
            "neither fitted nor judged; audit again with it"
        )
