"""The words of the reports that need explaining: terms, and disparity measures.

Enters: `glossary.toml`, `measures.toml`, `coverage.toml`. Leaves: `terms()`, `gap_word()` and `entries()`.

Why the meanings are not in the modules that hold the formulas: there stand definition and source; here
stands what a reader without statistics needs. A measure without an entry is shown under its own key.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Term:
    """A word and its one-line meaning."""

    name: str
    meaning: str


@dataclass(frozen=True)
class GapWord:
    """How a disparity measure is presented."""

    label: str
    fair: str
    """Its value if all groups were treated alike."""
    meaning: str


def entries(name: str) -> dict[str, Any]:
    """The content of a TOML file of this package."""
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


@cache
def terms() -> dict[str, Term]:
    """Key to term, in the order of the glossary."""
    return {key: Term(**entry) for key, entry in entries("glossary.toml").items()}


@cache
def _gap_words() -> dict[str, GapWord]:
    return {key: GapWord(**entry) for key, entry in entries("measures.toml").items()}


def gap_word(measure: str) -> GapWord:
    """The presentation of a key of `audit.metrics.disparity.MEASURES`; its own key where nothing better
    is known.
    """
    return _gap_words().get(measure, GapWord(measure.replace("_", " "), "–", ""))
