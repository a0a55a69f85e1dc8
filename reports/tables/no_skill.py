"""The detector beside three that look at nothing: every figure of the first screen in one table.

Enters: an `AuditResult`. Leaves: a `Table`.

Why: flagging nothing, everything or at random treats all groups alike. A gap of 0 is worth something only
beside a balanced accuracy that these do not reach.
"""

from __future__ import annotations

from audit.judge.usefulness import usefulness_in
from audit.schema.gates import NoSkill
from audit.schema.result import AuditResult, Gap, RateName
from audit.wording.numbers import number, percent, points
from audit.wording.verdict_text import by
from reports.tables.table import Column, Row, Table

NAMES = {"always_real": "nothing", "always_fake": "everything", "random": "at random"}
"""What systems that look at nothing flag, by the keys of the record."""
RATES: tuple[RateName, ...] = ("fpr", "fnr")


def no_skill_table(result: AuditResult) -> Table:
    """Error rates, balanced accuracy, AUC and the gaps of single attributes, of four detectors."""
    task = result.task
    columns = [Column("figure", "Figure"), Column("own", f"This {task.system}")]
    columns += [Column(key, f"{task.flags.capitalize()} {name}") for key, name in NAMES.items()]
    return Table("baselines", "Compared with guessing", columns, [*_overall(result), *_gaps(result)])


def _overall(result: AuditResult) -> list[Row]:
    task = result.task
    figures = {"fpr": task.fpr, "fnr": task.fnr, "balanced_accuracy": "Balanced accuracy", "auc": "AUC"}
    others = {one.name.replace(" ", "_"): one for one in usefulness_in(result).baselines}
    return [
        {"figure": name, "own": _show(key, getattr(result.overall, key))}
        | {other: _show(key, getattr(one, key)) for other, one in others.items()}
        for key, name in figures.items()
    ]


def _show(key: str, value: float) -> str:
    return number(value) if key == "auc" else percent(value)


def _gaps(result: AuditResult) -> list[Row]:
    """One row an attribute and rate, from records that hold the three."""
    found = {(gap.attribute, gap.measure): gap for gap in result.gaps if gap.no_skill is not None}
    wanted = [(a, rate) for a in result.config.attributes for rate in RATES]
    known = [(a, rate, found.get((a, f"{rate}_difference"))) for a, rate in wanted]
    return [
        _gap_row(f"{result.task.rate(rate)} gap {by(a)}", gap) for a, rate, gap in known if gap is not None
    ]


def _gap_row(figure: str, gap: Gap) -> Row:
    assert gap.no_skill is not None
    return {"figure": figure, "own": points(gap.value)} | {
        key: points(getattr(gap.no_skill, key)) for key in NAMES
    }


def in_one_cell(no_skill: NoSkill | None) -> str | None:
    """'0.000 / 0.000 / 0.012', in the order of the table."""
    return None if no_skill is None else " / ".join(number(getattr(no_skill, key)) for key in NAMES)
