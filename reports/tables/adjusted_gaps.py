"""Gaps held against a property of the images, in words and tables.

Enters: the adjusted gaps of an `AuditResult`. Leaves: a line under each verdict, and the tables behind it.

Why the words follow the interval and not the two numbers: an adjusted gap is less certain than a raw one, and
"it is explained" is what a vendor would most like to read. Where the data cannot tell, that is what is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit.schema.result import AdjustedGap, AuditResult
from reports.tables.table import Column, Row, Table
from reports.text.numbers import count, percent, point_interval, points
from reports.text.verdict_text import DISPARITY, RATE_NAMES, by, group_label, title

NOUNS = {
    "reconstruction_ms_ssim": "quality of the fake (MS-SSIM)",
    "reconstruction_l1": "distance of the fake from its photo (L1)",
    "real_confidence": "clearness of the face (confidence of finding it)",
    "fake_confidence": "clearness of the face in the fake (confidence of finding it)",
    "confidence": "clearness of the face in the source photo (confidence of finding it)",
    "border_share": "share of invented border",
}
"""What the columns of a pairs dataset record; other columns go by their own names."""

ABOUT_EQUAL = 0.2
"""An adjusted gap that differs from the raw one by less than this share is called as large."""


@dataclass(frozen=True)
class Held:
    """What stands under one verdict: its raw gap, and what becomes of it at equal value of each column."""

    raw: str
    adjusted: list[str]


def noun(column: str) -> str:
    """What is held constant, to stand behind "at equal"."""
    return NOUNS.get(column, f"“{column}”")


def nouns(gap: AdjustedGap) -> str:
    """All that is held constant, to stand behind "at equal"."""
    return " and ".join(map(noun, gap.columns or [gap.column]))


def told(gap: AdjustedGap) -> str:
    """One adjusted gap in words: how large, what that means, how many images took part."""
    if not gap.separable:
        return f"At equal {nouns(gap)}: {gap.reason}."
    interval = point_interval(gap.interval)
    size = f"{points(gap.adjusted)} ({interval}) at equal {nouns(gap)}."
    return f"{size} {meaning(gap)} {_took_part(gap)}"


def meaning(gap: AdjustedGap) -> str:
    """What an adjusted gap says beside the raw one, never more than its interval allows."""
    what = nouns(gap)
    if gap.adjusted != gap.adjusted:
        return f"Not adjusted: {gap.reason}."
    if gap.interval is None:
        return "Hardly any image is judged wrongly, or hardly any rightly: the adjustment says nothing."
    low, high = gap.interval
    if high < 0:
        return f"Among images of like {what} it is the other group that fares worse."
    if low <= 0:
        return _unproven(gap, what)
    kept = gap.adjusted / gap.raw_taking_part if gap.raw_taking_part > 0 else math.inf
    if kept > 1 + ABOUT_EQUAL:
        return f"The gap is not explained by {what}; differences in it hid a part of the gap."
    if kept >= 1 - ABOUT_EQUAL:
        return f"The gap is not explained by {what}: among images alike in it, it stays."
    return f"About {percent(1 - kept, 0)} of the gap goes along with {what}; the rest stays."


def _unproven(gap: AdjustedGap, what: str) -> str:
    if gap.raw_interval[0] <= 0:
        return "Neither the raw nor the adjusted gap can be told from none."
    if abs(gap.adjusted) <= gap.raw_taking_part / 2:
        return (
            f"Most of the gap goes along with {what}: among images alike in it, no gap is shown, and none "
            "is ruled out."
        )
    return f"Among images of like {what} there are too few to tell whether the gap stays."


def _took_part(gap: AdjustedGap) -> str:
    if gap.n_taking_part == gap.n_images:
        return f"All {count(gap.n_images)} images of the two groups took part."
    text = f"{count(gap.n_taking_part)} of {count(gap.n_images)} images of the two groups took part"
    why = [f"{count(gap.n_missing)} have no value"] if gap.n_missing else []
    lone = gap.n_images - gap.n_missing - gap.n_taking_part
    why += [f"{count(lone)} no counterpart of the other group"] if lone else []
    among = points(gap.raw_taking_part)
    other = "" if among == points(gap.raw) else f"; the raw gap among them is {among}"
    return f"{text} ({', '.join(why)}){other}."


def _groups(gap: AdjustedGap) -> str:
    return " vs ".join(group_label(gap.attribute, name) for name in (gap.worst_group, gap.best_group))


def held_table(result: AuditResult) -> Table:
    """Raw and adjusted gaps beside each other."""
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("groups", "Groups"),
        Column("column", "At equal"),
        Column("raw", "Raw gap", "points", "gap"),
        Column("raw_interval", "Its interval", "points interval", "simultaneous"),
        Column("adjusted", "Adjusted gap", "points", "adjusted"),
        Column("interval", "Its interval", "points interval", "simultaneous"),
        Column("n_taking_part", "Took part", "count"),
        Column("n_images", "Of images", "count"),
        Column("meaning", "What it says"),
    ]
    rows = [
        dict(gap)
        | {
            "attribute": title(gap.attribute),
            "rate": gap.rate.upper(),
            "groups": _groups(gap),
            "column": nouns(gap),
            "meaning": meaning(gap),
        }
        for gap in result.adjusted_gaps
    ]
    return Table("adjusted-gaps", "Gaps, raw and at equal value of another column", columns, rows)


def strata_table(result: AuditResult) -> Table:
    """The rates of both groups in every stratum."""
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("column", "At equal"),
        Column("stratum", "Images with"),
        Column("worst", "Group"),
        Column("worst_images", "Images", "count"),
        Column("worst_rate", "Rate", "percent"),
        Column("best", "Other group"),
        Column("best_images", "Images", "count"),
        Column("best_rate", "Rate", "percent"),
    ]
    rows: list[Row] = []
    for gap in result.adjusted_gaps:
        shared = {"attribute": title(gap.attribute), "rate": gap.rate.upper(), "column": nouns(gap)}
        names = {
            "worst": group_label(gap.attribute, gap.worst_group),
            "best": group_label(gap.attribute, gap.best_group),
        }
        rows += [
            shared
            | names
            | {
                "stratum": s.name,
                "worst_images": s.worst_images,
                "worst_rate": s.worst_errors / s.worst_images if s.worst_images else float("nan"),
                "best_images": s.best_images,
                "best_rate": s.best_errors / s.best_images if s.best_images else float("nan"),
            }
            for s in gap.strata
        ]
    return Table("adjusted-gaps-strata", "Rates of both groups in each part of the column", columns, rows)


def _worth_telling(gap: AdjustedGap) -> bool:
    """Whether a gap is shown, raw or adjusted; where neither is, the table says so."""
    if gap.interval is None:
        return not gap.separable and gap.raw_interval[0] > 0
    return gap.raw_interval[0] > 0 or gap.interval[0] > 0 or gap.interval[1] < 0


def lines(result: AuditResult) -> dict[tuple[str, str], Held]:
    """(attribute, rate) to what stands under its verdict."""
    found: dict[tuple[str, str], Held] = {}
    for gap in filter(_worth_telling, result.adjusted_gaps):
        raw = f"{points(gap.raw)} raw"
        found.setdefault((gap.attribute, gap.rate), Held(raw, [])).adjusted.append(told(gap))
    return found


def doubts(result: AuditResult) -> list[str]:
    """For the first screen: disparities of which less than half is left at equal value, or that cannot be
    told from what another column does.
    """
    disparities = {(v.attribute, v.rate) for v in result.verdicts if v.verdict == DISPARITY}
    inseparable = [
        f"{RATE_NAMES[gap.rate]}, {by(gap.attribute)}: {gap.reason}."
        for gap in result.adjusted_gaps
        if (gap.attribute, gap.rate) in disparities and not gap.separable
    ]
    return inseparable + [
        f"{RATE_NAMES[gap.rate]}, {by(gap.attribute)}: of the gap of {points(gap.raw)}, "
        f"{points(gap.adjusted)} ({point_interval(gap.interval)}) are left among images of equal "
        f"{nouns(gap)}."
        for gap in result.adjusted_gaps
        if (gap.attribute, gap.rate) in disparities
        and gap.interval is not None
        and gap.adjusted < gap.raw_taking_part / 2
    ]


def context(result: AuditResult) -> dict[str, object]:
    """Names for the templates."""
    return {
        "held": lines(result),
        "held_doubts": doubts(result),
        "held_tables": [held_table(result), strata_table(result)] if result.adjusted_gaps else [],
    }
