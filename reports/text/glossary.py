"""The words of the reports that need explaining: terms, and disparity measures.

Enters: `glossary.toml`, `measures.toml`. Leaves: `terms()` and `gap_word()`.

Why the meanings are not in the modules that hold the formulas: there stand definition and source; here
stands what a reader without statistics needs. A measure without an entry is shown under its own key.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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


@cache
def terms() -> dict[str, Term]:
    """Key to term, in the order of the glossary."""
    table = tomllib.loads((HERE / "glossary.toml").read_text(encoding="utf-8"))
    return {key: Term(**entry) for key, entry in table.items()}


@cache
def _gap_words() -> dict[str, GapWord]:
    table = tomllib.loads((HERE / "measures.toml").read_text(encoding="utf-8"))
    return {key: GapWord(**entry) for key, entry in table.items()}


def gap_word(measure: str) -> GapWord:
    """The presentation of a key of `audit.metrics.disparity.MEASURES`; its own key where nothing better
    is known.
    """
    return _gap_words().get(measure, GapWord(measure.replace("_", " "), "–", ""))
