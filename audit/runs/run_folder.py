"""The folder of one run: `audit.json` (result), `scores.parquet` (every image's score), `run.json` (when).

Enters: an `AuditResult`, the table it came from. Leaves: files, each written under a temporary name and then
renamed, so that a folder never holds half a file.

Why a folder with another result is refused: an audit that is silently replaced cannot be quoted. The same
result may be written again; it is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from audit.config import AuditConfig, parse_rule
from audit.data.columns import TableColumns, resolved
from audit.data.file_columns import FileColumns
from audit.errors import ExpectedError, RunFolderError
from audit.runs.checksums import SUMS_FILE, enter
from audit.schema.json_schema import load_result
from audit.schema.result import AuditResult, Provenance
from detectors.scoring.score_table import write_score_table
from pipelines.places import remove
from pipelines.storage import remove_tree, write_text

RESULT_FILE = "audit.json"
SCORES_FILE = "scores.parquet"
RUN_FILE = "run.json"
THUMBNAILS = "thumbnails"


def write_result(result: AuditResult, out_dir: str | Path, overwrite: bool = False) -> Path:
    """Write `audit.json`, and `SHA256SUMS` over it and over the scores and pictures already there.

    Args:
        result: What the audit found.
        out_dir: Run folder, made if it is not there.
        overwrite: Replace another run's result.

    Returns:
        Path of `audit.json`.

    Raises:
        RunFolderError: If the folder holds the result of another run.
    """
    folder = Path(out_dir)
    text = refuse_other_run(result, folder, overwrite)
    target = folder / RESULT_FILE
    write_text(target, text)
    written = [target, folder / SCORES_FILE, *(folder / THUMBNAILS).glob("*")]
    enter(folder, [path for path in written if path.is_file()], anew=True)
    return target


def write_circumstances(run: Mapping[str, Any], out_dir: str | Path) -> Path:
    """Write `run.json`: when, where and how long, whatever may differ between two runs of the same audit."""
    target = Path(out_dir) / RUN_FILE
    write_text(target, json.dumps(dict(run), indent=2) + "\n")
    enter(target.parent, [target])
    return target


def refuse_file(out_dir: str | Path) -> None:
    """See that a run folder is a folder, or can become one.

    Raises:
        RunFolderError: If it, or a folder above it, is a file.
    """
    folder = Path(out_dir)
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise RunFolderError(f"{place} is a file, so {out_dir} cannot be a run folder; name a folder")


def refuse_other_run(result: AuditResult, out_dir: str | Path, overwrite: bool) -> str:
    """The text of `audit.json`, if it may be written into the folder.

    Raises:
        RunFolderError: If the folder holds the result of another run.
    """
    refuse_file(out_dir)
    target, text = Path(out_dir) / RESULT_FILE, result.to_json()
    if target.exists() and not overwrite and target.read_text(encoding="utf-8") != text:
        raise RunFolderError(
            f"{out_dir} already holds another run; give another folder, or --overwrite (in Python: "
            "overwrite=True)"
        )
    return text


_FOLLOWS = (
    "mitigation.json", "mitigation.html", "report.html", "report.pdf", "model_card.md", "run.json", "tables",
    "kinds", "explanations", THUMBNAILS, SUMS_FILE, f"{SUMS_FILE}.sig",
)  # fmt: skip
"""What is derived from a record, its scores and its detector: left by another run, it would pass for this
one's."""


def clear_other_run(result: AuditResult, out_dir: str | Path, overwrite: bool) -> None:
    """Before anything is written: refuse another run, or take away what was made of it.

    Raises:
        RunFolderError: as `refuse_other_run`.
    """
    text, folder = refuse_other_run(result, out_dir, overwrite), Path(out_dir)
    target = folder / RESULT_FILE
    if not target.is_file() or target.read_bytes() == text.encode():
        return
    for name in _FOLLOWS:
        if (folder / name).is_dir():
            remove_tree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
            remove(folder / name)


_AS_ASKED = ("confidence", "tolerance", "ratio_tolerance", "min_n", "seed", "independent")
"""Options that a record repeats as they were asked for; others depend on the table."""


def refuse_other_request(
    out_dir: str | Path, config: AuditConfig, known: Provenance, overwrite: bool
) -> None:
    """Before any work: see that a folder holds no run that is certain to differ from the one asked for.

    What can be told before scoring is compared; the whole record is, once it is there
    (`refuse_other_run`).

    Args:
        out_dir: Run folder.
        config: Options as asked for.
        known: The command line, and what is known already of detector and data; empty where it is not.
        overwrite: Replace another run's result.

    Raises:
        RunFolderError: If the folder, or one above it, is a file, or it holds another run.
    """
    refuse_file(out_dir)
    target = Path(out_dir) / RESULT_FILE
    if overwrite or not target.exists():
        return
    try:
        recorded = load_result(target)
    except ExpectedError as error:
        raise RunFolderError(
            f"{out_dir} already holds a run, which cannot be read ({error}); "
            "give another folder, or --overwrite"
        ) from None
    if other := next(_other(recorded, config, known), None):
        raise RunFolderError(
            f"{out_dir} already holds another run (made with another {other}); "
            "give another folder, or --overwrite"
        )


def _other(recorded: AuditResult, config: AuditConfig, known: Provenance) -> Iterator[str]:
    """What of a recorded run is not what is asked for now."""
    there, here = recorded.provenance.model_dump(mode="json"), known.model_dump(mode="json")
    if there["command"] != here["command"]:
        yield "command"
    if here["detector"] and here["detector"] != there["detector"]:
        yield "detector"
    if any(there["data"].get(name) != value for name, value in here["data"].items()):
        yield "data set"
    rule = parse_rule(config.threshold)
    fixed = rule.kind == "fixed" and recorded.config.threshold != rule.value
    if recorded.config.threshold_rule != str(rule) or fixed:
        yield "threshold"
    for name in _AS_ASKED:
        if getattr(recorded.config, name) != getattr(config, name):
            yield name.replace("_", " ")


def write_scores(frame: TableColumns, config: AuditConfig, fake: Any, out_dir: str | Path) -> Path:
    """Write the audited table under the standard column names, so that runs can be compared later.

    Args:
        frame: The user's table.
        config: Says what its columns are called.
        fake: bool [N], True for fake.
        out_dir: Run folder.
    """
    names = resolved(config, frame.columns).columns
    folder = Path(out_dir)
    standard = {names.score: "score", names.image_id: "image_id", names.pair_id: "pair_id"}
    if isinstance(frame, FileColumns):
        return frame.write(folder / SCORES_FILE, fake, standard, [names.label])
    others = {"label", *standard.values()} - {*standard, names.label}  # called like a role, and have none
    kept = [name for name in frame.columns if name not in others and name != names.label]
    renamed = frame[kept].rename(columns=standard)
    renamed = renamed.assign(
        **{name: _as_text(renamed[name]) for name in renamed if _is_mixed(renamed[name])}
    )
    renamed = renamed.assign(label=pd.Series(fake, index=renamed.index).astype("int8"))
    return write_score_table(renamed, folder / SCORES_FILE)


def _is_mixed(column: pd.Series) -> bool:
    """Whether its values are of kinds that no column of a file can hold together, such as 1 and "a"."""
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    if values.dtype != object:
        return isinstance(values.dtype, pd.IntervalDtype)
    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # over 64 bits; half a surrogate pair
        return True
    return False


def _as_text(column: pd.Series) -> pd.Series:
    spelled = column.map(
        lambda one: str(one).encode("utf-8", "backslashreplace").decode(), na_action="ignore"
    )
    return spelled.astype(object)
