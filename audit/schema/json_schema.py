"""The published format of `audit.json`, as `audit schema` prints it, and reading it with clear errors.

Enters: a path. Leaves: the JSON schema, or an `AuditResult`. Old versions: see `audit.schema.result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.errors import ResultFormatError
from audit.schema.result import SCHEMA_VERSION, AuditResult


def audit_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `audit.json`."""
    schema = AuditResult.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"audit-{SCHEMA_VERSION}.schema.json",
        **schema,
    }


def load_result(path: str | Path) -> AuditResult:
    """Read an `audit.json`, given itself or its folder, of this or an older version.

    Raises:
        ResultFormatError: If it is missing, not JSON, not a result, or of a newer version.
    """
    path = Path(path)
    path = path / "audit.json" if path.is_dir() else path
    if not path.is_file():
        raise ResultFormatError(f"no audit.json at {path}; give the folder that `audit run` wrote")
    try:
        return AuditResult.from_json(path.read_text(encoding="utf-8", errors="replace"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ResultFormatError(
            f"{path}: not a result of this program: {place}: {first['msg']} "
            f"({error.error_count()} such problems); run the audit again"
        ) from error
