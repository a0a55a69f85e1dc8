"""JSON files that lie beside a record, such as `run.json`.

Enters: a path. Leaves: an object, or one clear error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reports.errors import RecordFormatError


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
