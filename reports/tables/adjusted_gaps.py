"""Gaps held against a property of the images, in words and tables.

Enters: the adjusted gaps of an `AuditResult`. Leaves: a line under each verdict, and the tables behind it.

Why the words follow the interval and not the two numbers: an adjusted gap is less certain than a raw one, and
"it is explained" is what a vendor would most like to read. What is inconclusive is called so. That a part of
the gap goes with a column is said only where the interval of that part excludes 0: a raw and an adjusted gap
differ beside a column that has nothing to do with the errors too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit.schema.result import AdjustedGap, AuditResult
from audit.wording.numbers import count, percent, point_interval, points
from audit.wording.verdict_text import DISPARITY, by, group_label, title
from reports.tables.table import Column, Row, Table

NOUNS = {
    "reconstruction_ms_ssim": ("fakes of equal quality (MS-SSIM)", "the quality of the fake (MS-SSIM)"),
    "reconstruction_l1": (
        "fakes equally close to their photos (L1)",
        "how close the fake is to its photo (L1)",
    ),
    "real_confidence": ("equally clear faces", "how clear the face is (confidence of finding it)"),
    "fake_confidence": ("fakes with equally clear faces", "how clear the face in the fake is"),
    "confidence": ("equally clear faces in the source photo", "how clear the face in the source photo is"),
    "file_score": ("images whose files look equally fake", "what the files show"),
    "border_share": ("images with an equal share of invented border", "the share of invented border"),
}
"""What the columns of a pairs dataset record: what images alike in it are called, and the column itself;
other
columns go by their own names."""

ABOUT_EQUAL = 0.2
"""An adjusted gap that differs from the raw one by less than this share is called as large."""


@dataclass(frozen=True)
class Held:
    """What stands under one verdict: its raw gap, and what becomes of it at equal value of each column."""

    raw: str
    adjusted: list[str]


def alike(gap: AdjustedGap) -> str:
    """The images that are compared, to stand behind "among"."""
    known = [NOUNS[c][0] if c in NOUNS else f"images of equal “{c}”" for c in gap.columns or [gap.column]]
    return " and ".join(known)


def nouns(gap: AdjustedGap) -> str:
    """All that is held constant, to stand behind "explained by"."""
    known = [NOUNS[c][1] if c in NOUNS else f"“{c}”" for c in gap.columns or [gap.column]]
    return " and ".join(known)


def told(gap: AdjustedGap) -> str:
    """One adjusted gap in words: how large, what that means, how many images took part."""
    if not gap.separable:
        return f"Whether it comes from {nouns(gap)} cannot be told: {_why_not(gap)}."
    interval = point_interval(gap.interval)
    size = f"{points(gap.adjusted)} ({interval}) among {alike(gap)}."
    return f"{size} {meaning(gap)} {_took_part(gap)}"


def _why_not(gap: AdjustedGap) -> str:
    """Why the two cannot be separated; what is held constant was named just before."""
    why = (gap.reason or "").removesuffix(": the two cannot be separated")
    names = " and ".join(gap.columns or [gap.column])
    return why.replace(f"alike in {names}", "alike in it").replace(f"overlap in {names}", "overlap in it")


def meaning(gap: AdjustedGap) -> str:
    """What an adjusted gap says beside the raw one, never more than its interval allows."""
    what = nouns(gap)
    if gap.adjusted != gap.adjusted:
        return f"Not adjusted: {gap.reason}."
    if gap.interval is None:
        return "Almost no image is judged wrongly, or almost none rightly: the adjustment says nothing."
    low, high = gap.interval
    if high < 0:
        return f"Among {alike(gap)}, the other group fares worse."
    kept = gap.adjusted / gap.raw_taking_part if gap.raw_taking_part > 0 else math.inf
    if low <= 0:
        return _unproven(gap, what, kept)
    if _goes_with(gap, kept):
        return f"{_share(gap, kept)} goes with {what}; the rest remains."
    if 1 - ABOUT_EQUAL <= kept <= 1 + ABOUT_EQUAL:
        return f"The gap is not explained by {what}: among images alike in it, it remains."
    if gap.part_interval is not None and gap.part_interval[1] < 0:
        return f"The gap is not explained by {what}; differences in it hid part of the gap."
    return (
        f"The gap is not explained by {what} alone: among images alike in it, one remains. Whether it has a "
        "part in the gap cannot be told."
    )


def _unproven(gap: AdjustedGap, what: str, kept: float) -> str:
    if gap.raw_interval[0] <= 0:
        return "Neither the raw nor the adjusted gap is shown to differ from zero."
    if _goes_with(gap, kept):
        return (
            f"{_share(gap, kept)} goes with {what}; among images alike in it, a gap is neither shown nor "
            "ruled out."
        )
    return (
        f"Inconclusive: too few {alike(gap)} to say whether the gap remains, or whether a part of it goes "
        f"with {what}."
    )


def _goes_with(gap: AdjustedGap, kept: float) -> bool:
    """Whether a part of the gap is shown to go with the columns, and one worth telling."""
    return gap.part_interval is not None and gap.part_interval[0] > 0 and kept < 1 - ABOUT_EQUAL


def _share(gap: AdjustedGap, kept: float) -> str:
    return f"About {percent(min(1 - kept, 1.0), 0)} of the gap ({point_interval(gap.part_interval)} points)"


def _took_part(gap: AdjustedGap) -> str:
    if gap.n_taking_part == gap.n_images:
        return f"All {count(gap.n_images)} images of the two groups were used."
    text = f"{count(gap.n_taking_part)} of {count(gap.n_images)} images of the two groups were used"
    why = [f"{count(gap.n_missing)} have no value"] if gap.n_missing else []
    lone = gap.n_images - gap.n_missing - gap.n_taking_part
    why += [f"{count(lone)} have no counterpart in the other group"] if lone else []
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
        Column("column", "Among"),
        Column("raw", "Raw gap", "points", "gap"),
        Column("raw_interval", "Its interval", "points interval", "simultaneous"),
        Column("adjusted", "Adjusted gap", "points", "adjusted"),
        Column("interval", "Its interval", "points interval", "simultaneous"),
        Column("part_interval", "Goes with it", "points interval", "simultaneous"),
        Column("n_taking_part", "Images used", "count"),
        Column("n_images", "Of images", "count"),
        Column("meaning", "What it says"),
    ]
    rows = [
        dict(gap)
        | {
            "attribute": title(gap.attribute),
            "rate": result.task.rate(gap.rate),
            "groups": _groups(gap),
            "column": alike(gap),
            "meaning": meaning(gap),
        }
        for gap in result.adjusted_gaps
    ]
    return Table("adjusted-gaps", "Gaps, raw and among images alike in another column", columns, rows)


def strata_table(result: AuditResult) -> Table:
    """The rates of both groups in every stratum."""
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("column", "Column"),
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
        shared = {"attribute": title(gap.attribute), "rate": result.task.rate(gap.rate), "column": nouns(gap)}
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
    """For the first screen: disparities of which less than half is left at equal value, where a part is shown
    to be gone, or that cannot be told from what another column does.
    """
    disparities = {(v.attribute, v.rate) for v in result.verdicts if v.verdict == DISPARITY}
    inseparable = [
        f"Whether the gap {by(gap.attribute)} in {result.task.rate_name(gap.rate).lower()} comes from "
        f"{nouns(gap)} cannot be told: {_why_not(gap)}."
        for gap in result.adjusted_gaps
        if (gap.attribute, gap.rate) in disparities and not gap.separable
    ]
    return inseparable + [
        f"{result.task.rate_name(gap.rate)}, {by(gap.attribute)}: of the gap of {points(gap.raw)}, "
        f"{points(gap.adjusted)} ({point_interval(gap.interval)}) remain among {alike(gap)}."
        for gap in result.adjusted_gaps
        if (gap.attribute, gap.rate) in disparities
        and gap.part_interval is not None
        and gap.part_interval[0] > 0
        and gap.adjusted < gap.raw_taking_part / 2
    ]


def context(result: AuditResult) -> dict[str, object]:
    """Names for the templates."""
    return {
        "held": lines(result),
        "held_doubts": doubts(result),
        "held_tables": [held_table(result), strata_table(result)] if result.adjusted_gaps else [],
    }
