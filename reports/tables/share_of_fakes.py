"""What a flag means where fakes are rare: of 1,000 images flagged, how many are real people.

Enters: an `AuditResult`. Leaves: a sentence and a table at the audited threshold, for paper and for a page
without scripts; the slider computes the same for other thresholds and shares (`templates/app.js`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.inference.proportion_intervals import z_value
from audit.metrics.false_discovery import false_discovery
from audit.schema.result import AuditResult, Measures
from audit.wording.numbers import of_thousand, of_thousand_interval, percent
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Row, Table

SHARES = (0.01, 0.05, 0.5)
"""Offered beside the free number: rare, not so rare, and half, as in matched pairs."""

SHOWN = (0.01, 0.5)
"""Of these the page tells without a script."""


@dataclass(frozen=True)
class _Flagged:
    """Of the images flagged in one group, the share that is real, and its interval."""

    rate: float
    limits: tuple[float, float]


def _of_flagged(measured: Sequence[Measures], share: float, confidence: float) -> list[_Flagged]:
    """For every group, at a share of fakes in use."""
    fp, n_real = zip(*[_worth(m.fpr, m.fpr_worth, m.confusion.fp, m.n_real) for m in measured], strict=True)
    fn, n_fake = zip(*[_worth(m.fnr, m.fnr_worth, m.confusion.fn, m.n_fake) for m in measured], strict=True)
    rate, (low, high) = false_discovery(fp, n_real, fn, n_fake, share, z_value(confidence))
    columns = (rate.tolist(), low.tolist(), high.tolist())
    return [_Flagged(value, (lower, upper)) for value, lower, upper in zip(*columns, strict=True)]


def _worth(rate: float, worth: float, errors: int, n: int) -> tuple[float, float]:
    """Errors and items; as many as they are worth where items share units or carry weights."""
    return (errors, n) if math.isnan(worth) or math.isnan(rate) else (rate * worth, worth)


def sentence(result: AuditResult) -> str:
    """Over all images, at the audited threshold."""
    task = result.task
    told = [(s, _of_flagged([result.overall], s, result.config.confidence)[0]) for s in SHOWN]
    if any(math.isnan(flagged.rate) for _, flagged in told):
        return (
            f"Undefined at the audited threshold: no {task.item} is {task.flagged}, or one kind of "
            f"{task.item} is missing."
        )
    parts = [
        f"{of_thousand(f.rate)} ({of_thousand_interval(f.limits)}) are {task.wronged} if {percent(share, 0)} "
        f"of the {task.items} are {task.positives}"
        for share, f in told
    ]
    return f"Of 1,000 {task.items} {task.flagged} at the audited threshold, {' and '.join(parts)}."


def discovery_table(result: AuditResult, attributes: list[str]) -> Table:
    """Of 1,000 images flagged at the audited threshold, real people: by group of each single attribute."""
    task = result.task
    columns = [Column("attribute", "Attribute"), Column("group", "Group")]
    groups = [g for name in attributes for g in result.groups if g.attribute == name]
    rows: list[Row] = [
        {
            "attribute": title(g.attribute),
            "group": group_label(g.attribute, g.group),
            "note": f"few {task.items}" if g.small else "",
        }
        for g in groups
    ]
    rows.append({"attribute": "", "group": f"All {task.items}", "note": ""})
    for share in SHOWN:
        key = f"fdr_at_{share:g}"
        columns.append(Column(key, f"If {percent(share, 0)} are {task.positives}", "of 1,000", "fdr"))
        columns.append(Column(f"{key}_interval", "Interval", "of 1,000 interval", "interval"))
        found = _of_flagged([*groups, result.overall], share, result.config.confidence)
        for row, flagged in zip(rows, found, strict=True):
            row |= {key: flagged.rate, f"{key}_interval": flagged.limits}
    columns.append(Column("note", "Note"))
    caption = f"Of 1,000 {task.items} {task.flagged} at the audited threshold, {task.wronged}"
    return Table(f"{task.flagged}-{task.negative_word}", caption, columns, _sorted(rows))


def _sorted(rows: list[Row]) -> list[Row]:
    """Attribute by attribute, most first; the last row stays the last."""
    place = {name: i for i, name in enumerate(dict.fromkeys(row["attribute"] for row in rows))}
    rates = [row[f"fdr_at_{SHOWN[0]:g}"] for row in rows]
    order = sorted(
        range(len(rows)),
        key=lambda i: (place[rows[i]["attribute"]], -rates[i] if math.isfinite(rates[i]) else 1.0),
    )
    return [rows[i] for i in order]


def context(result: AuditResult, attributes: list[str]) -> dict[str, Any]:
    """Names for the template."""
    return {
        "rare_sentence": sentence(result),
        "rare_table": discovery_table(result, attributes),
        "rare_shares": [(f"{100 * share:g}", percent(share, 0)) for share in SHARES],
    }


def mix_of_measures(result: AuditResult) -> str:
    """Beside precision, F1 and their like."""
    task = result.task
    return (
        f"Accuracy, precision, F1 and AP depend on the share of {task.positives} among the {task.items}, "
        f"{_share(result)} here: where {task.positives} are rarer, precision is lower. {task.fpr}, "
        f"{task.fnr}, AUC and EER do not."
    )


def mix_of_disparities(result: AuditResult) -> str:
    """Beside demographic parity, disparate impact and accuracy equality, as far as the task has them."""
    task = result.task
    mixed = f"each group’s share of {task.positives} in this data set, {_share(result)} over all; gaps in"
    if "demographic_parity" in task.without_terms:
        return f"Accuracy equality (F_OAE) depends on {mixed} {task.fpr} and {task.fnr} do not."
    return (
        "Demographic parity, disparate impact and accuracy equality (F_DP, F_OAE) count "
        f"{task.negative_word} and {task.positive_word} {task.items} together, so they depend on {mixed} "
        f"{task.fpr} and {task.fnr} do not."
    )


def _share(result: AuditResult) -> str:
    return percent(result.data.n_fake / result.data.n_images if result.data.n_images else float("nan"), 0)
