"""Audits of speaker verifiers trained here: trials scored, then audited like any table of trials.

Enters: a verifier's file and trials. Leaves: an `Audit`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from audit.api.options import AuditOptions, config_from
from audit.api.outcome import Audit
from audit.config import AuditConfig
from audit.runs.run_folder import refuse_other_request
from audit.runs.score_audit import Extras, audit_table
from audit.schema.result import Provenance
from pipelines.places import local, name_of
from pipelines.storage import remove_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.voices.trials_folder import Trials

_NOT_AUDITED = ("status", "detail", "part", "hard")
_WORK = ".scoring"


def audit_trials(
    verifier: str | Path,
    trials: str | Path | Trials,
    attributes: str | Sequence[str] = (),
    *,
    clips: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    batch_size: int = 64,
    include_seen: bool = False,
    progress: bool = True,
    command: str = "",
    config: AuditConfig | None = None,
    **options: Unpack[AuditOptions],
) -> Audit:
    """Score every trial with a speaker verifier and audit the scores.

    Args:
        verifier: A file that `audit train --task speaker-verification` wrote.
        trials: A trials folder (its test part is audited), a table of trials, or VoxCeleb's list.
        attributes: Columns to audit, without _a and _b; by default those of the trials.
        clips: Where the clips lie, if not where the trials say.
        out: Run folder; an interrupted call continues there. Without it the result is in memory alone.
        overwrite: Replace another run in the folder.
        device: "auto", "cpu" or "cuda".
        batch_size: Trials per forward pass.
        include_seen: Audit speakers the verifier learned from, too.
        progress: Show a progress bar.
        command: The command line, for the record.
        config: Options as one object; what is named beside it changes it.
        **options: Fields of `AuditConfig`.

    Returns:
        What was found.

    Raises:
        ExpectedError: Of `audit`, `detectors` or `pipelines`.
    """
    from detectors.voices.trial_scores import ScoringOptions, score_trials
    from detectors.voices.verifier import load_verifier
    from pipelines.extras import require
    from pipelines.voices.trials_folder import Trials, read_trials

    require("auditing a speaker verifier", "images", "voice")
    clips = None if clips is None else local(clips)
    listed = trials if isinstance(trials, Trials) else read_trials(local(trials), clips)
    if "part" in listed.table and (listed.table["part"] == "test").any():
        listed = listed.part("test")
    wanted = attributes or (config.attributes if config is not None else ()) or listed.attributes
    asked = config_from(wanted, {**options, "task": "speaker-verification"}, config)
    ready = load_verifier(local(verifier), device)
    made = {"source": {"kind": "rendered"}} if listed.provenance.get("rendered") else {}
    about = Provenance(
        command=command,
        detector=ready.describe(),
        data={"kind": "trials", "path": name_of(listed.root), "provenance": dict(listed.provenance), **made},
    )
    folder = local(out) if out is not None else None
    if folder is not None:
        refuse_other_request(folder, asked, about, overwrite)
    work = folder / _WORK if folder is not None else None
    how = ScoringOptions(batch_size, work_dir=work, progress=progress, include_seen=include_seen)
    scored = score_trials(ready, listed, how)
    heard = scored.table["status"] == "ok"
    unheard = scored.table.loc[~heard, "status"].value_counts()
    why = {f"trials with: {reason}": int(n) for reason, n in unheard.items()}
    table = scored.table.drop(columns=list(_NOT_AUDITED), errors="ignore")
    audited = audit_table(table, asked, Extras(about, left_out=scored.n_left_out, why_no_score=why))
    found = Audit(audited.result, scored=audited)
    if folder is not None:
        found.write(folder, overwrite)
        remove_tree(folder / _WORK)
    return found
