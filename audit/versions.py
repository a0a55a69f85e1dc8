"""Old `audit.json` files in new programs.

Enters: the content of a result file of any version. Leaves: the same content in this version's form.

How versions work: "major.minor". A minor version adds fields that have defaults, so older files of the same
major version open as they are. A major version changes the meaning or the place of something; its entry in
UPGRADES turns a file of the version before into one of the version after. A file from a newer program is
refused: guessing what its new fields mean would show half an audit as a whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.errors import ResultFormatError

UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Major version to the function that turns such a file into one of the next major version."""


def upgrade(
    content: dict[str, Any],
    current: str,
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = UPGRADES,
) -> dict[str, Any]:
    """Bring the content of an older file to the current version.

    Args:
        content: Parsed JSON; without a version it counts as current.
        current: "major.minor" of this program.
        upgrades: Converters, by the major version they start from.

    Raises:
        ResultFormatError: If its version is unreadable, newer, or too old.
    """
    version = str(content.get("schema_version", current))
    try:
        major, minor = map(int, version.split("."))
    except ValueError as error:
        raise ResultFormatError(f"schema_version is '{version}', not one such as '{current}'") from error
    if (major, minor) > tuple(map(int, current.split("."))):
        raise ResultFormatError(f"format {major}.{minor} is newer than {current}; update this program")
    while major < int(current.split(".")[0]):
        if major not in upgrades:
            raise ResultFormatError(f"format {major}.{minor} is no longer read; run the audit again")
        content, major = upgrades[major](content), major + 1
    return {**content, "schema_version": current}
