"""What a cross table says, in sentences.

Enters: a `CrossTable`. Leaves: a headline and lines, for the page and the command line.

Why a row of a kind that was not learned is set apart: a detector that cannot tell its own kind has nothing to
carry over, so what it does elsewhere is no evidence on transfer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from audit.schema.cross_table import CrossCell, CrossTable
from audit.wording.numbers import count, number, number_interval

GUESSING = 0.5
ALL_KINDS = "all kinds"


def learned(result: CrossTable, kind: str) -> bool:
    """Whether the detector trained on a kind is shown to tell it: the AUC's interval lies above guessing."""
    return result.cell(kind, kind).measures.auc_interval[0] > GUESSING


def headline(result: CrossTable) -> str:
    """The spread of AUC on the kind a detector was trained on, on other kinds, and after all kinds."""
    own = [result.cell(kind, kind) for kind in result.kinds if learned(result, kind)]
    if not own:
        return (
            f"No kind is shown to be learned: with this budget {result.arch} tells none of "
            f"{_listed(result.kinds)} from photos, as far as {result.n_photos['test']} photos show."
        )
    away = [
        result.cell(cell.trained_on, kind) for cell in own for kind in result.kinds if kind != cell.trained_on
    ]
    cured = [result.cell(ALL_KINDS, kind) for kind in result.kinds]
    return (
        f"{result.arch}, trained on one kind of fake, has an AUC of {_spread(own)} on that kind and "
        f"{_spread(away)} on the others; trained on all kinds, {_spread(cured)}."
    )


def _spread(cells: Sequence[CrossCell]) -> str:
    low, high = (number(f(c.measures.auc for c in cells), 2) for f in (min, max))
    return low if low == high else f"{low} to {high}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def lines(result: CrossTable) -> list[str]:
    """One sentence a training: what it tells on its own kind and what is left of that elsewhere."""
    told = [_one_kind(result, kind) for kind in result.kinds]
    return [*told, _all_kinds(result)]


def _one_kind(result: CrossTable, kind: str) -> str:
    own = result.cell(kind, kind)
    shown = f"AUC {_with_interval(own)}"
    if not learned(result, kind):
        return (
            f"Trained on {kind}: {shown} on it, not shown to be better than guessing; so its row says "
            "nothing about other kinds."
        )
    others = "; ".join(_against(result.cell(kind, other)) for other in result.kinds if other != kind)
    return f"Trained on {kind}: {shown} on it; {others}."


def _all_kinds(result: CrossTable) -> str:
    parts = "; ".join(_against(result.cell(ALL_KINDS, kind)) for kind in result.kinds)
    return f"Trained on all kinds: {parts}."


def _against(cell: CrossCell) -> str:
    guessing = "" if cell.measures.auc_interval[0] > GUESSING else ", not shown to be better than guessing"
    return f"on {cell.tested_on} {_with_interval(cell)}{guessing}, {_difference(cell)}"


def _with_interval(cell: CrossCell) -> str:
    return f"{number(cell.measures.auc)} ({number_interval(cell.measures.auc_interval)})"


def _difference(cell: CrossCell) -> str:
    """'0.419 (0.352–0.486) below the detector trained on it'."""
    than = "the detector trained on it"
    if not math.isfinite(cell.difference):
        return f"not comparable with {than}"
    word = "above" if cell.difference > 0 else "below"
    low, high = cell.difference_interval
    size = number(abs(cell.difference))
    if low * high <= 0:
        return f"{size} {word} {than}, which may be chance ({number(low)} to {number(high)})"
    ends = sorted((abs(low), abs(high)))
    return f"{size} ({number(ends[0])}–{number(ends[1])}) {word} {than}"


def left_out(result: CrossTable) -> list[str]:
    """Photos that could not be used; then how many each kind made no fake of, and why."""
    reasons: dict[str, list[tuple[str, int]]] = {}
    photos = []
    for reason, n in result.n_left_out.items():
        kind, _, why = reason.partition(": ")
        if why and kind in result.kinds:
            reasons.setdefault(kind, []).append((why, n))
        else:
            photos.append(f"{reason}: {count(n)}")
    for kind, found in reasons.items():
        found.sort(key=lambda one: -one[1])
        told = ", ".join(f"{why} {count(n)}" for why, n in found)
        photos.append(f"no fake by {kind}: {count(sum(n for _, n in found))} ({told})")
    return photos


def settings(result: CrossTable) -> str:
    """What every training was told, without what was left at nothing: 'epochs 4, batch size 32, ...'."""
    shown = {True: "yes", False: "no"}
    told = []
    for key, value in result.settings.items():
        if value is None or value == []:
            continue
        text = shown[value] if isinstance(value, bool) else value
        text = ", ".join(map(str, value)) if isinstance(value, list) else text
        told.append(f"{key.replace('_', ' ')} {text}")
    return "; ".join(told)


NOTES = (
    "Held-out photos were seen by no training, neither as they are nor as a fake; both halves of a photo are "
    "one unit.",
    "Intervals are over photos, each for itself, for the detectors trained here: another seed gives others.",
    "The detector of all kinds saw more images in all, and fewer of each kind, than one trained on a single "
    "kind; how many is in the table of trainings.",
)
"""What a reader has to know to read the numbers."""
