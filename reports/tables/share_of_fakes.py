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
    fp, fn = ([getattr(m.confusion, name) for m in measured] for name in ("fp", "fn"))
    n_real, n_fake = ([getattr(m, name) for m in measured] for name in ("n_real", "n_fake"))
    rate, (low, high) = false_discovery(fp, n_real, fn, n_fake, share, z_value(confidence))
    columns = (rate.tolist(), low.tolist(), high.tolist())
    return [_Flagged(value, (lower, upper)) for value, lower, upper in zip(*columns, strict=True)]


def sentence(result: AuditResult) -> str:
    """Over all images, at the audited threshold."""
    told = [(s, _of_flagged([result.overall], s, result.config.confidence)[0]) for s in SHOWN]
    if any(math.isnan(flagged.rate) for _, flagged in told):
        return "Undefined at the audited threshold: no image is flagged, or one kind of image is missing."
    parts = [
        f"{of_thousand(f.rate)} ({of_thousand_interval(f.limits)}) are real people if {percent(share, 0)} of "
        "the images are fakes"
        for share, f in told
    ]
    return f"Of 1,000 images flagged at the audited threshold, {' and '.join(parts)}."


def discovery_table(result: AuditResult, attributes: list[str]) -> Table:
    """Of 1,000 images flagged at the audited threshold, real people: by group of each single attribute."""
    columns = [Column("attribute", "Attribute"), Column("group", "Group")]
    groups = [g for name in attributes for g in result.groups if g.attribute == name]
    rows: list[Row] = [
        {
            "attribute": title(g.attribute),
            "group": group_label(g.attribute, g.group),
            "note": "few images" if g.small else "",
        }
        for g in groups
    ]
    rows.append({"attribute": "", "group": "All images", "note": ""})
    for share in SHOWN:
        key = f"fdr_at_{share:g}"
        columns.append(Column(key, f"If {percent(share, 0)} are fakes", "of 1,000", "fdr"))
        columns.append(Column(f"{key}_interval", "Interval", "of 1,000 interval", "interval"))
        found = _of_flagged([*groups, result.overall], share, result.config.confidence)
        for row, flagged in zip(rows, found, strict=True):
            row |= {key: flagged.rate, f"{key}_interval": flagged.limits}
    columns.append(Column("note", "Note"))
    caption = "Of 1,000 images flagged at the audited threshold, real people"
    return Table("flagged-real", caption, columns, _sorted(rows))


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
    return (
        "Accuracy, precision, F1 and AP depend on the share of fakes among the images, "
        f"{_share(result)} here: where fakes are rarer, precision is lower. FPR, FNR, AUC and EER do not."
    )


def mix_of_disparities(result: AuditResult) -> str:
    """Beside demographic parity, disparate impact and accuracy equality."""
    return (
        "Demographic parity, disparate impact and accuracy equality (F_DP, F_OAE) count real and fake images "
        f"together, so they depend on each group’s share of fakes in this data set, {_share(result)} over "
        "all; gaps in FPR and FNR do not."
    )


def _share(result: AuditResult) -> str:
    return percent(result.data.n_fake / result.data.n_images if result.data.n_images else float("nan"), 0)
