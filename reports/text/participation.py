"""Which groups take part in gaps and verdicts, and why others do not.

Enters: a `GroupResult` and the smallest number of images. Leaves: yes or no, or the reason in words.
"""

from __future__ import annotations

from audit.schema.result import CROSSED, MISSING, UNCOMPARED, GroupResult
from audit.task import Task


def n_of(group: GroupResult, rate: str) -> int:
    """Images that the rate is a share of."""
    return group.n_real if rate == "fpr" else group.n_fake


def takes_part(group: GroupResult, rate: str, min_n: int) -> bool:
    """Whether the group enters gaps and verdicts: enough images and units of the class, and a label."""
    enough = n_of(group, rate) >= min_n and rate not in group.few_units
    return enough and not UNCOMPARED & set(group.group.split(":"))


def remark(group: GroupResult, min_n: int, task: Task) -> str:
    """Why a group takes no part in the verdicts on both rates, or on one; nothing where it does in both."""
    if group.n_real + group.n_fake == 0:
        return "no data"
    if MISSING in group.group.split(":"):
        return "no label"
    if CROSSED in group.group.split(":"):
        return "two groups"
    few = [
        what for what, rate in ((task.negatives, "fpr"), (task.positives, "fnr")) if n_of(group, rate) < min_n
    ]
    if few:
        return f"few {task.items}" if len(few) == 2 else f"few {few[0]}"
    return "few units" if group.few_units else ""
