"""Whether an audit can be believed: drop-out, multiplicity, limits, what was not measured.

Enters: an `AuditResult`. Leaves: the texts and tables of that section.

Why limits are chosen by what is in the record: a fixed list is not read; a sentence about labels that the
audit does not use is wrong.
"""

from __future__ import annotations

import math
from typing import Any

from audit.schema.result import AuditResult, Dropout
from audit.wording.numbers import count, percent
from audit.wording.verdict_text import by
from reports.tables.report_tables import dropout_table, no_score_table
from reports.tables.table import Table
from reports.text.answer import rendered
from reports.text.photo_pool import from_fairface


def _labels(result: AuditResult) -> list[str]:
    """What the words for groups are worth; nothing where no person's attribute is audited."""
    if rendered(result):
        return []
    if result.task.makes_pairs and from_fairface(result):
        return [
            "FairFace’s labels of age, gender and race are what crowd workers perceived, not what people say "
            "about themselves. Two genders and seven race words do not describe everyone."
        ]
    return [
        "The groups are those of the data. Whether people chose these words themselves, and how often they "
        "are wrong, is not on record; wrong labels blur gaps between groups."
    ]


def _closeness(result: AuditResult) -> str:
    """How closely images of one unit go together, and what they are worth, where that is known."""
    task = result.task
    units = result.data.units
    if units is None:
        return ""
    told = [
        f"{name} {correlation:.2f} ({kind} count for 1 in {effect:.1f})"
        for name, kind, correlation, effect in (
            (task.fpr, task.negatives, units.fpr_correlation, units.fpr_design_effect),
            (task.fnr, task.positives, units.fnr_correlation, units.fnr_design_effect),
        )
        if not math.isnan(correlation) and not math.isnan(effect)
    ]
    return f" (correlation of the errors within one {units.column}: {', '.join(told)})" if told else ""


def _independence(result: AuditResult) -> str:
    """What intervals, tests and verdicts take for granted."""
    task = result.task
    if name := result.config.unit_column:
        return (
            f"Every {name} counts as independent of the others; the {task.items} of one {name} do not. "
            f"{task.two_units}Rates are shares of all {task.items}, and intervals, tests and verdicts follow "
            f"from how {name} values vary{_closeness(result)}."
        )
    unit = "matched pair" if result.data.n_pairs else task.item
    return (
        f"Every {unit} counts as independent of the others. Several photos of one person, frames of one "
        f"video or copies of one {task.item} are not independent: they make intervals too narrow and "
        "verdicts too certain. Name what they share with --unit-column."
    )


def limits(result: AuditResult) -> list[str]:
    """What bounds the conclusions."""
    task = result.task
    told = []
    if rendered(result):
        told.append(task.rendered)
    told += _labels(result)
    if result.data.n_pairs:
        maker = result.provenance.generator.get("name")
        made = f"All fakes come from {maker}" if maker else "Every fake belongs to one of the real images"
        told.append(
            f"{made}. Other kinds of fakes may be caught or missed differently, and affect other groups."
        )
    told += [
        _independence(result),
        f"The verdicts hold for {_these(result)} at this threshold. {task.population}",
        "A gap shows that groups are treated unequally here, not why.",
    ]
    return told


def not_measured(result: AuditResult) -> list[str]:
    """What a reader might expect and will not find."""
    task = result.task
    told = [task.no_labels]
    if len(result.config.attributes) == 1:
        told.append("Intersections: one attribute alone was audited.")
    if not result.data.n_pairs and task.makes_pairs:
        told.append(
            f"Matched pairs: {task.negatives} and {task.positives} show different people, so differences in "
            "content can look like differences between groups."
        )
    if not result.dropout:
        told.append(
            f"Drop-out: the record does not say which {task.items} were lost before they were scored."
        )
    told += [
        task.not_covered,
        f"The harm that an error does, and how people use {task.a_decision}.",
    ]
    return told


def dropout_sentence(rows: list[Dropout]) -> str:
    """Loss overall and its spread over the groups of the first attribute."""
    first = [d for d in rows if d.attribute == rows[0].attribute]
    attempted, ok = sum(d.n_attempted for d in first), sum(d.n_ok for d in first)
    lost = {d.group: 1 - d.n_ok / d.n_attempted for d in first if d.n_attempted}
    text = f"{count(attempted - ok)} of {count(attempted)} source photos did not become a usable pair"
    if len(lost) < 2:
        return text + "."
    worst, best = max(lost, key=lambda g: lost[g]), min(lost, key=lambda g: lost[g])
    spread = f"from {percent(lost[best])} ({best}) to {percent(lost[worst])} ({worst})"
    return f"{text}; by {rows[0].attribute}, {spread}."


def multiplicity(result: AuditResult) -> str:
    """How many looks were taken, and what was done about it."""
    compared = [v for v in result.verdicts if v.p_value == v.p_value]
    if not compared:
        return "No comparison was made."
    n = result.n_tests or len(compared)
    names = ", ".join(by(a) for a in dict.fromkeys(v.attribute for v in compared))
    cells = "Rates of single cells were not tested one by one."
    if n == 1:
        return f"One comparison was made ({names}). {cells}"
    return (
        f"{count(n)} comparisons were made ({names}). The p-values are corrected for all of them by Holm’s "
        f"method. {cells}"
    )


def _these(result: AuditResult) -> str:
    """The items of an audit: "these 1,200 images", "this 1 image" being "this image"."""
    task, n = result.task, result.data.n_images
    return f"this {task.item}" if n == 1 else f"these {count(n)} {task.items}"


def context(result: AuditResult) -> dict[str, Any]:
    """Names for the template."""
    attributes = list(dict.fromkeys(d.attribute for d in result.dropout))
    dropout: list[Table] = [
        dropout_table([d for d in result.dropout if d.attribute == name], name) for name in attributes
    ]
    return {
        "limits": limits(result),
        "main_limits": [line for line in limits(result) if line != _independence(result)],
        "not_measured": not_measured(result),
        "dropout": dropout,
        "dropout_sentence": dropout_sentence(list(result.dropout)) if result.dropout else "",
        "no_scores": [(one.sentence, no_score_table(result, one)) for one in result.no_scores],
        "multiplicity": multiplicity(result),
    }
