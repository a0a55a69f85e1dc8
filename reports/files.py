"""Reading a run folder and writing beside it.

Enters: folders. Leaves: records, text files, each written whole or not at all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.result import AuditResult
from reports.errors import RecordFormatError, RunNotFound


def load_result(run_dir: str | Path) -> AuditResult:
    """Read `audit.json` of a run folder.

    Raises:
        RunNotFound: there is no such folder or no `audit.json` in it.
        RecordFormatError: the file is not an audit record.
    """
    path = Path(run_dir) / "audit.json"
    if not path.is_file():
        raise RunNotFound(f"no audit.json in {run_dir}: make one with `audit run --out {run_dir}`")
    try:
        return AuditResult.load(run_dir)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise RecordFormatError(
            f"{path} is not an audit record: {first['msg']} at {where}; run the audit again"
        ) from error
    except UnicodeDecodeError as error:
        raise RecordFormatError(f"{path} is not UTF-8 text; run the audit again") from error


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty object.

    Raises:
        RecordFormatError: the file is there and is not a JSON object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordFormatError(f"{path} is not JSON ({error}); delete it or write it again") from error
    if not isinstance(value, dict):
        raise RecordFormatError(f"{path} holds {type(value).__name__}, not an object; delete it")
    return value


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text under a temporary name, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.write_text(text, encoding="utf-8", newline="")
    draft.replace(path)
    return path
