"""What auditors are asked for, and what of it this report shows: facts about coverage, never legal advice.

Enters: `coverage.toml` and an `AuditResult`. Leaves: rows for the page.

Why what is missing has a column of its own: whoever signs must not take a report for more than it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from audit.schema.result import AuditResult
from audit.wording.criterion_text import FOUR_FIFTHS as FOUR_FIFTHS_RULE
from audit.wording.numbers import listing, number
from reports.text.glossary import entries, filled
from reports.text.participation import takes_part

FOUR_FIFTHS = 0.8
"""Source: Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 (D), 1978."""


@dataclass(frozen=True)
class Covered:
    """One thing that is asked for."""

    source: str
    asked: str
    shown: str
    missing: str
    section: str
    """Anchor of the part of the report that holds it."""


@cache
def _fixed(task: str) -> list[Covered]:
    """What every report covers, less what another kind of system is asked for."""
    items = (item for item in entries("coverage.toml")["item"] if task in item.pop("tasks", [task]))
    return [Covered(**{key: filled(text, task) for key, text in item.items()}) for item in items]


def pass_ratio(result: AuditResult, attribute: str) -> float:
    """Share of real images passed as real, of the lowest group over the highest; NaN for fewer than two
    groups.
    """
    groups = [
        g for g in result.groups if g.attribute == attribute and takes_part(g, "fpr", result.config.min_n)
    ]
    passed = [1 - g.fpr for g in groups if math.isfinite(g.fpr)]
    return min(passed) / max(passed) if len(passed) > 1 and max(passed) > 0 else math.nan


def _four_fifths(result: AuditResult) -> Covered:
    task = result.task
    ratios = {name: pass_ratio(result, name) for name in result.config.attributes}
    told = [f"{number(ratio, 2)} by {name}" for name, ratio in ratios.items() if math.isfinite(ratio)]
    shown = (
        f"{task.negatives.capitalize()} {task.passed}, lowest group over highest: {listing(told)}"
        if told
        else "Not computed"
    )
    return Covered(
        "Four-fifths guideline (29 CFR 1607.4 D)",
        f"A group’s selection rate is compared with four fifths ({FOUR_FIFTHS}) of the highest group’s",
        f"{shown}. Ratios of both error rates, with intervals, are among the numbers",
        "The guideline is about selecting employees; whether it applies to this use is not judged",
        "numbers",
    )


def _attacks(item: Covered, result: AuditResult) -> Covered:
    """Kinds of fakes and images without a score are shown where the record has them."""
    shown, missing = [item.shown], [item.missing]
    if result.kind_rates or result.kinds:
        shown.append("APCER of each kind of fake")
    if result.no_scores:
        shown.append("images without a score, by group")
    else:
        missing.append("Non-response rates: images that could not be scored are counted as left out")
    return replace(item, shown="; ".join(shown), missing=". ".join(missing))


def _documented(item: Covered, result: AuditResult) -> Covered:
    """A table of scores comes without its detector, a notebook without a command."""
    p = result.provenance
    known = {
        "command line": p.command,
        f"checksum of the {result.task.system}": p.detector.get("sha256"),
        "checksum of the data": p.data.get("sha256"),
    }
    lacking = [name for name, value in known.items() if not value]
    shown = ", ".join([item.shown, *(name for name, value in known.items() if value)])
    return replace(item, shown=shown, missing="; ".join([item.missing, *lacking]))


def _of_the_data(item: Covered, result: AuditResult) -> Covered:
    """Where nothing is on record of what was lost, neither that nor the quality of pairs is shown."""
    if result.dropout or not result.task.makes_pairs:
        return item
    lacking = "Drop-out, and the quality of the fakes; "
    return replace(
        item, shown="Size and group counts", missing=lacking + item.missing[:1].lower() + item.missing[1:]
    )


BY_RECORD = {
    "ISO/IEC 30107-3": _attacks,
    "NIST AI RMF, Measure 1.1 and 2.1": _documented,
    "EU AI Act, Article 10": _of_the_data,
}
"""Items of which a record may hold more or less."""


def coverage(result: AuditResult) -> list[Covered]:
    """Every item, in the order of the page."""
    told = [BY_RECORD.get(item.source, lambda one, _: one)(item, result) for item in _fixed(result.task.name)]
    has_four_fifths = all(name != FOUR_FIFTHS_RULE for name, _ in result.task.without_criteria)
    return [*told, _four_fifths(result)] if has_four_fifths else told
