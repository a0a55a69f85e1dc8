"""How real the fakes are and how hard to tell, by kind of fake and by group.

Enters: an `AuditResult`. Leaves: one table of the kinds, and one an attribute.
"""

from __future__ import annotations

import math
from typing import Any

from audit.schema.result import OVERALL, AuditResult, Realism
from audit.wording.numbers import number
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Table

_MEASURES = [
    Column("n_pairs", "Pairs", "count"),
    Column("psnr_db", "PSNR, dB", "dB"),
    Column("ms_ssim", "MS-SSIM", "number"),
    Column("face_found", "Face found", "percent"),
    Column("n_face_lost", "Faces lost", "count"),
    Column("n_face_gained", "Faces gained", "count"),
    Column("spectrum_db", "Distance of spectra, dB", "dB"),
    Column("difficulty", "Difficulty (AUC)", "number"),
]


def context(result: AuditResult) -> dict[str, Any]:
    """Names for the template."""
    if not result.realism:
        return {"realism_kinds": None, "realism_groups": [], "realism_sentence": ""}
    attributes = [a for a in dict.fromkeys(one.attribute for one in result.realism) if a != OVERALL]
    return {
        "realism_kinds": by_kind(result),
        "realism_groups": [by_group(result, attribute) for attribute in attributes],
        "realism_sentence": sentence(result),
    }


def by_kind(result: AuditResult) -> Table:
    """One row a kind, all pairs together, with what files alone tell."""
    rows = [dict(one) for one in result.realism if one.attribute == OVERALL]
    columns = [
        Column("kind", "Kind of fake"),
        *_MEASURES,
        Column("difficulty_low", "from", "number"),
        Column("difficulty_high", "to", "number"),
        Column("by_frequencies", "By frequencies alone", "number"),
        Column("by_residuals", "By residuals alone", "number"),
        Column("file_auc", "AUC of files alone", "number"),
    ]
    return Table("realism", "How real the fakes are, by kind", columns, rows)


def by_group(result: AuditResult, attribute: str) -> Table:
    """One row a kind and group of an attribute."""
    rows = [
        dict(one) | {"group": group_label(attribute, one.group)}
        for one in result.realism
        if one.attribute == attribute
    ]
    columns = [Column("kind", "Kind of fake"), Column("group", title(attribute)), *_MEASURES]
    columns.append(Column("n_held_out", "Pairs behind the difficulty", "count"))
    return Table(f"realism-{attribute}", f"How real the fakes are, by kind and {attribute}", columns, rows)


def sentence(result: AuditResult) -> str:
    """What the difficulty of each kind says, numbers alone."""
    told = [
        f"{one.kind} {number(one.difficulty, 2)}{_interval(one)}"
        for one in result.realism
        if one.attribute == OVERALL and not math.isnan(one.difficulty)
    ]
    if not told:
        return "There were too few pairs to fit the detector that measures difficulty."
    return f"Difficulty with its 95 % interval: {'; '.join(told)}."


def _interval(one: Realism) -> str:
    """In brackets; nothing for datasets of before there was one."""
    if math.isnan(one.difficulty_low):
        return ""
    return f" ({number(one.difficulty_low, 2)} to {number(one.difficulty_high, 2)})"
