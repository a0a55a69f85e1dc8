"""Tables of a cure: what was tried, gaps and groups before and after.

Enters: a `MitigationResult`. Leaves: `Table`s.
"""

from __future__ import annotations

from typing import Any

from audit.schema.mitigation import GroupShift, MitigationResult, Trial
from audit.wording.criterion_text import HEADLINES
from audit.wording.numbers import threshold_text
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Table
from reports.text.mitigation_text import METHODS, RATES


def gaps_table(record: MitigationResult, trial: Trial, name: str) -> Table:
    """Every gap before and after, with the verdicts of both."""
    columns = [
        Column("attribute", "By"), Column("rate", "Errors"), Column("before", "Gap before", "points", "gap"),
        Column("verdict_before", "Verdict before"), Column("after", "Gap after", "points"),
        Column("verdict_after", "Verdict after"), Column("change", "Change", "points"),
        Column("interval", "Interval of the change", "points interval", "interval"),
        Column("p", "p, corrected", "p", "holm"), Column("told", "On unseen images"),
    ]  # fmt: skip
    before, after = _verdicts(record.verdicts), _verdicts(trial.verdicts)
    rows: list[dict[str, Any]] = []
    for gap in trial.gaps:
        key = (gap.attribute, gap.rate)
        told = "shrinks" if gap.shrinks else "grows" if gap.grows else gap.reason or "no change proven"
        p = gap.adjusted_p_value if gap.target else None
        rows.append(
            {
                "attribute": title(gap.attribute), "rate": RATES[gap.rate], "before": gap.before,
                "after": gap.after,
                "change": gap.change, "interval": gap.interval, "p": p, "told": told,
                "verdict_before": before.get(key), "verdict_after": after.get(key),
            }
        )  # fmt: skip
    return Table(f"{name}-gaps", "Gaps before and after, on the images set aside", columns, rows)


def _verdicts(verdicts: list[Any]) -> dict[tuple[str, str], str]:
    return {(v.attribute, v.rate): HEADLINES[v.verdict] for v in verdicts}


def groups_table(trial: Trial, attribute: str, name: str) -> Table:
    """Both error rates of every group of one attribute, before and after."""
    columns = [
        Column("group", "Group"), Column("rate", "Errors"), Column("n", "Images", "count"),
        Column("before", "Before", "percent"), Column("after", "After", "percent"),
        Column("change", "Change", "points"),
        Column("interval", "Interval of the change, this group alone", "points interval", "interval"),
    ]  # fmt: skip
    rows = [_group(shift) for shift in trial.groups if shift.attribute == attribute]
    caption = f"{title(attribute)}: before and after, on the images set aside"
    return Table(f"{name}-groups-{attribute}", caption, columns, rows)


def _group(shift: GroupShift) -> dict[str, Any]:
    return {
        "group": group_label(shift.attribute, shift.group), "rate": RATES[shift.rate], "n": shift.n,
        "before": shift.before, "after": shift.after, "change": shift.change, "interval": shift.interval,
    }  # fmt: skip


def candidates_table(record: MitigationResult) -> Table:
    """What was tried on the fitting part."""
    columns = [
        Column("method", "How it was found"), Column("threshold", "Threshold", "number"),
        Column("unfairness", "Gaps, held out", "points"), Column("error", "Mean of FPR and FNR, held out",
        "percent"),
        Column("told", "Choice"),
    ]  # fmt: skip
    rows = [
        {
            "method": METHODS[one.method].capitalize(), "threshold": one.threshold,
            "unfairness": one.unfairness,
            "error": one.error, "told": "chosen, and judged" if one.chosen else one.reason or "not the best",
        }
        for one in record.candidates
    ]  # fmt: skip
    return Table("candidates", "Candidates, compared on the fitting part alone (five folds)", columns, rows)


def rules_table(trial: Trial) -> Table:
    """The thresholds of every group."""
    columns = [Column("group", "Group"), Column("rule", "An image counts as fake if its score is at least")]
    rows = [
        {
            "group": group_label(str(trial.attribute), rule.group),
            "rule": "; ".join(
                _part(t, s) for t, s in zip(rule.thresholds, rule.shares, strict=True) if s > 0
            ),
        }
        for rule in trial.rules
    ]
    return Table("rules", "Thresholds by group, as fairlearn fits them", columns, rows)


def _part(threshold: float, share: float) -> str:
    limit = "never" if threshold >= 1e299 else "any" if threshold <= -1e299 else threshold_text(threshold)
    return limit if share >= 1 else f"{limit} (in {100 * share:.0f}% of images)"
