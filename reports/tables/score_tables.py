"""Scores by group, whatever the threshold: shift, calibration, missed fakes at one FPR for all.

Enters: an `AuditResult`. Leaves: three tables an attribute, and the sentence that names who is shifted.

Why a shift is named only where its interval excludes one half: all these intervals of an audit hold together,
so that no group is named wrongly in more than 5 of 100 audits (`audit.metrics.score_shift`).
"""

from __future__ import annotations

from audit.schema.result import OVERALL, AuditResult, ScoreShift
from audit.task import Task
from audit.wording.numbers import listing, percent, percent_interval
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Row, Table


def _classes(task: Task) -> dict[str, str]:
    """The record's words for the classes to the task's."""
    return {"real": task.negatives, "fake": task.positives}


def shift_table(result: AuditResult, attribute: str) -> Table:
    """A row a group: how often its images score higher than those of the others, reals and fakes apart."""
    task = result.task
    columns, rows = [Column("group", title(attribute))], dict[str, Row]()
    for label, word in _classes(task).items():
        columns += [
            Column(f"{label}_higher", f"Its {word} score higher", "percent", "score_shift"),
            Column(f"{label}_interval", "Interval", "percent interval", "interval"),
            Column(f"{label}_median", f"Median score, {word}", "number"),
            Column(f"{label}_median_of_others", "of the others", "number"),
        ]
    for shift in result.score_shifts:
        if shift.attribute == attribute:
            row = rows.setdefault(shift.group, {"group": group_label(attribute, shift.group)})
            row |= {
                f"{shift.label}_higher": shift.higher,
                f"{shift.label}_interval": shift.interval,
                f"{shift.label}_median": shift.median,
                f"{shift.label}_median_of_others": shift.median_of_others,
            }
    caption = f"Scores of each {attribute} group against those of all others"
    return Table(f"score-shift-{attribute}", caption, columns, list(rows.values()))


def fixed_fpr_table(result: AuditResult, attribute: str) -> Table:
    """A row a group: share of its fakes that pass at one threshold for all, for each FPR."""
    task = result.task
    columns, rows = [Column("group", title(attribute))], dict[str, Row]()
    for found in result.fnr_at_fpr:
        if found.attribute != attribute:
            continue
        row = rows.setdefault(
            found.group, {"group": group_label(attribute, found.group), "n_fake": found.n_fake}
        )
        row |= {f"fnr {found.level:g}": found.fnr, f"interval {found.level:g}": found.interval}
    columns.append(Column("n_fake", task.positives.capitalize(), "count"))
    for level in dict.fromkeys(found.level for found in result.fnr_at_fpr):
        columns += [
            Column(
                f"fnr {level:g}",
                f"{task.fnr} where the {task.fpr} of all is {percent(level, 0)}",
                "percent",
                "fnr",
            ),
            Column(f"interval {level:g}", "Interval", "percent interval", "interval"),
        ]
    caption = f"Missed {task.positives} by {attribute} at one threshold for all"
    return Table(f"{task.fnr}-at-{task.fpr}-{attribute}".lower(), caption, columns, list(rows.values()))


def calibration_table(result: AuditResult, attribute: str) -> Table:
    """All images, then a row a group: mean score against share of fakes, expected calibration error."""
    task = result.task
    columns = [
        Column("group", title(attribute)),
        Column("n", task.items.capitalize(), "count"),
        Column("mean_score", "Mean score", "percent"),
        Column("share_fake", f"Share of {task.positives}", "percent"),
        Column("difference", "Difference", "points", "calibration"),
        Column("difference_interval", "Interval", "points interval", "interval"),
        Column("ece", "Expected calibration error", "percent", "ece"),
        Column("ece_interval", "Interval", "percent interval", "interval"),
    ]
    rows = [
        dict(one)
        | {"group": f"All {task.items}" if one.attribute == OVERALL else group_label(attribute, one.group)}
        for one in result.calibration
        if one.attribute in (OVERALL, attribute)
    ]
    return Table(f"calibration-{attribute}", f"Calibration by {attribute}", columns, rows)


def kinds_table(result: AuditResult, attribute: str) -> Table:
    """All fakes, then a row a group: APCER of every kind of fake, and the worst of them."""
    task = result.task
    kinds = list(dict.fromkeys(one.kind for one in result.kind_rates))
    columns = [Column("group", title(attribute))]
    for kind in kinds:
        columns += [
            Column(f"apcer {kind}", f"APCER, {kind}", "percent", "apcer"),
            Column(f"interval {kind}", "Interval", "percent interval", "interval"),
        ]
    columns += [
        Column("worst", "Missed most"),
        Column("worst_apcer", "Worst case", "percent", "worst_kind"),
        Column("worst_interval", "Interval", "percent interval", "interval"),
    ]
    rows: dict[tuple[str, str], Row] = {}
    for one in result.kind_rates:
        if one.attribute in (OVERALL, attribute):
            name = f"All {task.positives}" if one.attribute == OVERALL else group_label(attribute, one.group)
            row = rows.setdefault((one.attribute, one.group), {"group": name})
            row |= {f"apcer {one.kind}": one.apcer, f"interval {one.kind}": one.interval}
    for worst in result.worst_kinds:
        if (worst.attribute, worst.group) in rows:
            rows[worst.attribute, worst.group] |= {
                "worst": worst.kind or worst.reason,
                "worst_apcer": worst.apcer,
                "worst_interval": worst.interval,
            }
    caption = f"Missed {task.positives} by kind and {attribute}"
    return Table(f"kinds-{attribute}", caption, columns, list(rows.values()))


def kinds_sentence(result: AuditResult) -> str:
    """The kind that passes most, over all fakes, and the group in which its worst case is highest."""
    task = result.task
    known = [one for one in result.worst_kinds if one.interval]
    overall = [one for one in known if one.attribute == OVERALL]
    if not overall:
        return ""
    told = (
        f"By kind of fake, {overall[0].kind} passes most as seen: {percent(overall[0].apcer)} of its "
        f"{task.positives} ({percent_interval(overall[0].interval)} for the worst of all kinds)."
    )
    groups = [one for one in known if one.attribute != OVERALL]
    if not groups:
        return told
    worst = max(groups, key=lambda one: one.apcer)
    return (
        f"{told} The highest of any group, as seen: {worst.kind} of {worst.attribute} "
        f"{group_label(worst.attribute, worst.group)}, {percent(worst.apcer)} "
        f"({percent_interval(worst.interval)}); the highest of many is too high on average."
    )


def shifted(result: AuditResult) -> list[ScoreShift]:
    """Groups whose scores are proven to lie higher or lower than those of the others, furthest first."""
    proven = [one for one in result.score_shifts if one.interval and not _holds_half(one.interval)]
    return sorted(proven, key=lambda one: -abs(one.higher - 0.5))


def score_sentence(result: AuditResult) -> str:
    """What the scores show apart from any threshold; nothing for records without it."""
    if not any(one.interval for one in result.score_shifts):
        return ""
    task, told = result.task, []
    for label, word in _classes(task).items():
        named = [one for one in shifted(result) if one.label == label]
        if named:
            told.append(f"among {word}, {listing([_told(one) for one in named[:3]])}{_more(len(named) - 3)}")
    confidence = percent(result.config.confidence, 0)
    if not told:
        return (
            "Whatever the threshold: no group’s scores are proven to lie higher or lower than those of the "
            f"others ({confidence}, all groups and both classes together)."
        )
    return (
        f"Whatever the threshold, scores are proven to be shifted ({confidence}, all groups and both classes "
        f"together): {'; '.join(told)}. Without a shift this would be 50.0 %."
    )


def calibration_sentence(result: AuditResult) -> str:
    """Why there is no calibration, where there is none."""
    if result.calibration_reason:
        return f"Calibration by group is not given: {result.calibration_reason}."
    return ""


def _holds_half(interval: tuple[float, float]) -> bool:
    return interval[0] <= 0.5 <= interval[1]


def _told(one: ScoreShift) -> str:
    interval = percent_interval(one.interval)
    group = group_label(one.attribute, one.group)
    return (
        f"one of {one.attribute} {group} scores higher than one of the others {percent(one.higher)} of the "
        f"time ({interval})"
    )


def _more(n: int) -> str:
    return f", and {n} more" if n > 0 else ""
