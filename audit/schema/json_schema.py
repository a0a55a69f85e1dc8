"""The published format of `audit.json`, as `audit schema` prints it, and reading it with clear errors.

Enters: a path. Leaves: the JSON schema, or an `AuditResult`. Old versions: see `audit.schema.result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.errors import ResultFormatError
from audit.schema.record_checks import contradiction, number_fault
from audit.schema.result import SCHEMA_VERSION, AuditResult
from pipelines.errors import UnreadableFile
from pipelines.untrusted import read_json
from pipelines.visible import visible


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
    folder, path = path, path / "audit.json" if path.is_dir() else path
    if path.suffix.lower() == ".html":
        raise ResultFormatError(f"{path} is a report; give the folder that holds it, {path.parent}")
    if not path.is_file():
        raise ResultFormatError(f"no audit.json at {folder}; give the folder that `audit run` wrote")
    try:
        parsed = read_json(path)
        fault = number_fault(parsed)
        result = None if fault else AuditResult.model_validate(parsed)
    except UnreadableFile as error:
        raise ResultFormatError(f"{error}; run the audit again") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ResultFormatError(
            f"{path}: not a result of this program: {visible(place)}: {visible(first['msg'])[:300]} "
            f"({error.error_count()} such problems); run the audit again"
        ) from error
    if result is not None:  # a number may have been written as a text
        fault = number_fault(result.model_dump()) or contradiction(result)
    if result is None or fault:
        raise ResultFormatError(f"{path}: contradicts itself: {visible(fault)}; run the audit again")
    return result
