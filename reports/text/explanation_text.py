"""What measured explanations say in words, never stronger than what was measured.

Enters: the content of `summary.json` (`audit.api.explanations`). Leaves: sentences, rows of a table.

Why a method is "not shown to be" trusted and not "wrong": on few fakes nothing can be shown.
"""

from __future__ import annotations

from typing import Any

from audit.schema.explanations import LEAST_FAKES
from audit.wording.numbers import count, listing, p_equals, percent
from audit.wording.verdict_text import people
from pipelines.visible import visible

LABELS = {
    "saliency": "Saliency", "integrated-gradients": "Integrated gradients", "grad-cam": "Grad-CAM",
    "occlusion": "Occlusion", "lime": "LIME",
}  # fmt: skip
COLUMNS = (
    "Method", "Brightest place in what was changed", "Share of the map there", "Like random weights",
    "Deletion gain", "Insertion gain", "Trusted",
)  # fmt: skip
MOST_DIFFERENCES = 6
LEVEL = 0.05


def trust_sentence(summary: dict[str, Any]) -> str:
    """Which methods can be trusted for this detector, or that none is shown to be."""
    rows = summary["trust"]
    if not rows:
        return (
            f"No method could be tested: of {count(summary['fakes_with_mask'])} fakes with a mask of what "
            "was changed, the detector calls none a fake."
        )
    n, area = rows[0]["n"], percent(rows[0]["area"], 0)
    fakes = f"{count(n)} fake{'' if n == 1 else 's'}"
    tested = f"Tested on {fakes}, in which {area} of the image was changed on average"
    if n < LEAST_FAKES:
        return f"{tested}: too few to trust any method; it takes {LEAST_FAKES} that the detector calls fake."
    trusted = [LABELS.get(row["method"], visible(row["method"])) for row in rows if row["trusted"]]
    if trusted:
        return f"{tested}: {listing(trusted)} can be trusted for this detector by these tests."
    return f"{tested}: no method is shown to find what was changed. Do not believe a map of this detector."


def trust_rows(summary: dict[str, Any], of: str = "trust") -> list[tuple[str, ...]]:
    """One row a method, in the order of `COLUMNS`; of groups, the group stands after the method."""
    return [_row(row) for row in summary[of]]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    name = LABELS.get(row["method"], visible(row["method"]))
    if row.get("group") is not None:
        name = f"{name}, {visible(row['attribute'])}: {visible(row['group'])}"
    alike = "no gradients" if row["agreement"] is None else f"{row['agreement']:.2f}".replace("-", "−")
    return (
        name,
        f"{percent(row['hit'], 0)} ({_span(row['hit_interval'])}); chance {percent(row['area'], 0)}",
        f"{percent(row['energy'], 0)}, {_points(row['energy_gain_interval'])} over chance",
        alike,
        _points(row["deletion_gain_interval"]),
        _points(row["insertion_gain_interval"]),
        _trusted(row),
    )


def _trusted(row: dict[str, Any]) -> str:
    if row.get("trusted") is None:
        return ""
    return "yes" if row["trusted"] else "too few" if row["n"] < LEAST_FAKES else "no"


def _span(interval: list[float | None]) -> str:
    low, high = interval
    return "no interval" if low is None or high is None else f"{100 * low:.0f}–{100 * high:.0f}%"


def _points(interval: list[float | None]) -> str:
    low, high = interval
    if low is None or high is None:
        return "no interval"
    ends = [f"{round(100 * value):+d}" if round(100 * value) else "0" for value in (low, high)]
    return f"{' to '.join(ends)} points".replace("-", "−")


def difference_sentences(summary: dict[str, Any]) -> list[str]:
    """Where the maps of a group rest on another part of the face, beyond chance; or that they do nowhere."""
    found = [row for row in summary["differences"] if row["p_value"] <= LEVEL]
    found.sort(key=lambda row: (row["p_value"], -abs(row["share"] - row["share_others"])))
    if not found:
        if not summary["differences"]:
            return ["No two groups have enough images to compare their maps."]
        return [
            "Between groups, no part of the face carries more or less of the map than chance allows for; "
            "that does not prove that the maps are alike."
        ]
    told = [_difference(row) for row in found[:MOST_DIFFERENCES]]
    more = len(found) - len(told)
    return [*told, *([f"{count(more)} more differences stand in summary.json."] if more else [])]


def _difference(row: dict[str, Any]) -> str:
    whose = people(row["attribute"], row["group"])
    more = "more" if row["share"] > row["share_others"] else "less"
    return (
        f"In {row['half']} faces {whose} the decision rests {more} on the {row['region']}: "
        f"{percent(row['share'], 0)} of the map, {percent(row['share_others'], 0)} for all others "
        f"({p_equals(row['p_value'])}, corrected)."
    )
