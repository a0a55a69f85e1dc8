"""The words of the reports that need explaining: terms, and disparity measures.

Enters: `glossary.toml`, what a task says otherwise in `glossary.TASK.toml`, `measures.toml`, `coverage.toml`.
Leaves: `terms()`, `gap_word()` and `entries()`.

Why the meanings are not in the modules that hold the formulas: there stand definition and source; here
stands what a reader without statistics needs. A measure without an entry is shown under its own key.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from audit.task import task_named

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
def terms(task: str) -> dict[str, Term]:
    """Key to term, in the order of the glossary.

    Args:
        task: Whose words fill the places in the meanings (`audit.task`).
    """
    own = entries(f"glossary.{task}.toml") if (HERE / f"glossary.{task}.toml").is_file() else {}
    said = {key: own.get(key, entry) for key, entry in entries("glossary.toml").items()}
    found = {key: Term(**_filled(entry, task)) for key, entry in said.items()}
    return {key: term for key, term in found.items() if key not in task_named(task).without_terms}


@cache
def _gap_words(task: str) -> dict[str, GapWord]:
    return {key: GapWord(**_filled(entry, task)) for key, entry in entries("measures.toml").items()}


def _filled(entry: dict[str, str], name: str) -> dict[str, str]:
    return {key: filled(text, name) for key, text in entry.items()}


def filled(text: str, name: str) -> str:
    """A text with the words of a task in their places: "{task.items}", "{Negatives}"."""
    task = task_named(name)
    several = {"Negatives": task.negatives, "Positives": task.positives, "Items": task.items}
    return text.format(task=task, **{place: words.capitalize() for place, words in several.items()})


def gap_word(measure: str, task: str) -> GapWord:
    """The presentation of a key of `audit.metrics.disparity.MEASURES`; its own key where nothing better
    is known.
    """
    return _gap_words(task).get(measure, GapWord(measure.replace("_", " "), "–", ""))
