"""Each group's error rate, and beside it its difference to one group with the interval that decides.

Enters: one verdict of an `AuditResult`. Leaves: rows of text and small drawings for the page, and the same
as one SVG file to be saved.

Why differences stand beside the rates: two intervals of rates may overlap where their difference is proven,
and stay apart where, among many groups, it is not. Only the difference says which groups are unequal.
Why a table and not a drawn figure: its numbers can be read aloud, copied and printed; it needs no script,
fits any width, and no label is ever cut off.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from audit.judge.usefulness import unanswered
from audit.schema.result import CROSSED, AuditResult, GroupResult, RateName, Verdict
from audit.wording.criterion_text import in_ratios
from audit.wording.numbers import count, percent, percent_interval, point_interval, points
from audit.wording.verdict_text import deciding, deciding_pair, differences, group_label
from reports.figures import palette
from reports.text.participation import n_of, takes_part

MAX_ROWS = 40
"""Groups drawn for one attribute; the table in the appendix has them all."""

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
MOST_TICKS = 5
TRACK_PX = 20
"""Height of one row's drawing."""


@dataclass(frozen=True)
class Axis:
    """A scale of proportions, with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """A value's place from 0 (left end) to 1; values beyond an end are drawn at it."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, tick: float) -> str:
        """A tick in percent or points, without its unit."""
        return f"{100 * tick:.4g}".replace("-", "−")


@dataclass(frozen=True)
class Mark:
    """An estimate with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class GapRow:
    """One group."""

    group: str
    taken: bool
    """Whether it takes part in the verdict."""
    counts: str
    rate: str
    interval: str
    difference: str
    difference_interval: str
    decides: bool
    """Whether its difference is the one that the verdict rests on."""
    proven: bool
    """Whether its difference is proven above 0; only then is it drawn in the colour of a disparity."""
    rate_mark: Mark | None
    difference_mark: Mark | None


@dataclass(frozen=True)
class GapPlot:
    """One attribute and one kind of error."""

    name: str
    """Stem of the picture's file name."""
    title: str
    attribute: str
    reference: str | None
    """The group that the others are compared with; None where no two groups are compared."""
    base: str
    """What that group is: "lowest", or "reference" where a smaller group has a lower rate still."""
    overall: float
    rates: Axis
    differences: Axis
    tolerance: float
    rows: list[GapRow]
    n_hidden: int

    def rate_track(self, row: GapRow) -> Markup:
        """The row's drawing of its rate."""
        return _cell(_rate_marks(self, row, _share))

    def difference_track(self, row: GapRow) -> Markup:
        """The row's drawing of its difference."""
        return _cell(_difference_marks(self, row, _share))

    def scale(self, axis: Axis, unit: str) -> Markup:
        """Tick labels above a column of drawings."""
        return _cell(_labels(axis, unit, _share, 14))

    def data_uri(self) -> str:
        """The whole picture as an SVG file in a link's target."""
        return "data:image/svg+xml;base64," + base64.b64encode(picture(self).encode()).decode()


def worst_first(groups: Sequence[GroupResult], rate: str) -> list[GroupResult]:
    """Groups by falling rate; those with no data last."""
    defined = [g for g in groups if math.isfinite(getattr(g, rate))]
    return sorted(defined, key=lambda g: -getattr(g, rate)) + [g for g in groups if g not in defined]


def axis_over(values: Sequence[float]) -> Axis:
    """An axis from the smallest to the largest finite rate or difference of rates, 0 among them, widened to
    whole ticks; a record that somebody changed may hold numbers that are none.

    >>> axis_over([0.02, 0.252]).ticks
    (0.0, 0.1, 0.2, 0.3)
    """
    known = [min(max(v, -1.0), 1.0) for v in values if math.isfinite(v)] + [0.0, 0.01]
    low, high = min(known), max(known)
    step = next((s for s in STEPS if (high - low) / s <= MOST_TICKS - 1), 0.5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 6) for i in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def proven_unequal(result: AuditResult, verdict: Verdict) -> set[str]:
    """The groups proven to err more often than the one that all are compared with.

    Within a tolerance of points none is coloured: there they differ by little.
    """
    if deciding_pair(result, verdict) is None:
        return set()
    reference, _ = differences(verdict)
    return {one.group for one in verdict.worse_groups if one.than == reference}


def _may_err(group: GroupResult, rate: RateName) -> bool:
    """Whether a group can have images of this class: one person never has two groups."""
    return group.group != CROSSED or math.isfinite(getattr(group, rate))


def _mark(value: float, interval: tuple[float, float] | None) -> Mark | None:
    if interval is None or not all(map(math.isfinite, (value, *interval))):
        return None
    return Mark(value, *interval)


def gap_plot(result: AuditResult, attribute: str, rate: RateName, verdict: Verdict | None) -> GapPlot:
    """The picture of one attribute and rate, the highest rate first.

    Args:
        result: The record.
        attribute: One audited attribute, or an intersection.
        rate: "fpr" or "fnr".
        verdict: Of this attribute and rate, if there is one.
    """
    groups = worst_first([g for g in result.groups if g.attribute == attribute and _may_err(g, rate)], rate)
    reference, apart = differences(verdict) if verdict else (None, {})
    answered = verdict is not None and not unanswered(result)
    decisive = deciding(result, verdict).group if verdict is not None and answered else None
    proven = proven_unequal(result, verdict) if verdict is not None and answered else set()
    judged_rates = {g.group: getattr(g, rate) for g in groups if takes_part(g, rate, result.config.min_n)}
    lowest = reference in judged_rates and judged_rates[reference] == min(judged_rates.values())
    base = "lowest" if lowest else "reference"
    rows = [_row(result, g, rate, (reference, base), apart, decisive, proven) for g in groups[:MAX_ROWS]]
    judged = [r.rate_mark.high for r in rows if r.rate_mark and r.taken]
    seen = [r.rate_mark.value if judged else r.rate_mark.high for r in rows if r.rate_mark]
    overall = getattr(result.overall, rate)
    offsets = [r.difference_mark for r in rows if r.difference_mark]
    return GapPlot(
        name=f"{attribute}-{result.task.rate_name(rate)}".lower().replace(" ", "-").replace(":", "-"),
        title=f"{result.task.rate_name(rate)}, by {attribute.replace(':', ' × ')}",
        attribute=attribute,
        reference=None if reference is None or not offsets else group_label(attribute, reference),
        base=base,
        overall=overall,
        rates=axis_over([*judged, *seen, overall]),
        differences=axis_over([v for m in offsets for v in (m.low, m.high)] + [result.config.tolerance]),
        tolerance=0.0 if in_ratios(result) else result.config.tolerance,
        rows=rows,
        n_hidden=max(0, len(groups) - MAX_ROWS),
    )


def _row(
    result: AuditResult,
    group: GroupResult,
    rate: RateName,
    compared_with: tuple[str | None, str],
    apart: dict[str, tuple[float, tuple[float, float]]],
    decisive: str | None,
    proven: set[str],
) -> GapRow:
    value, interval = getattr(group, rate), getattr(group, f"{rate}_interval")
    errors = group.confusion.fp if rate == "fpr" else group.confusion.fn
    taken = takes_part(group, rate, result.config.min_n)
    reference, base = compared_with
    difference, limits = apart.get(group.group, (math.nan, None))
    found = _mark(difference, limits)
    return GapRow(
        group=group_label(group.attribute, group.group),
        taken=taken,
        counts=f"{count(errors)} of {count(n_of(group, rate))}",
        rate=percent(value),
        interval=percent_interval(interval) if math.isfinite(value) else "",
        difference=_signed(difference) if found else base if taken and group.group == reference else "",
        difference_interval=point_interval(limits) if found else "",
        decides=decisive is not None and group.group == decisive,
        proven=group.group in proven,
        rate_mark=_mark(value, interval),
        difference_mark=found,
    )


def _signed(difference: float) -> str:
    shown = points(difference).split()[0]
    return shown if difference <= 0 else f"+{shown}"


Place = Callable[[float], str]
"""A share of the drawing's width as a coordinate."""


def _share(place: float) -> str:
    return f"{100 * place:.2f}%"


def _cell(elements: str) -> Markup:
    return Markup(f'<svg class="track" aria-hidden="true">{elements}</svg>')


def _line(css: str, x1: str, x2: str, y1: float, y2: float) -> str:
    return f'<line class="{css}" x1="{x1}" x2="{x2}" y1="{y1:g}" y2="{y2:g}"/>'


def _estimate(axis: Axis, mark: Mark | None, css: str, at: Place, top: float) -> str:
    if mark is None:
        return ""
    low, value, high = (at(axis.place(v)) for v in (mark.low, mark.value, mark.high))
    middle = top + TRACK_PX / 2
    return _line(f"bar {css}", low, high, middle, middle) + (
        f'<circle class="dot {css}" cx="{value}" cy="{middle:g}" r="4.5"/>'
    )


def _grid(axis: Axis, at: Place, top: float) -> str:
    places = [at(axis.place(tick)) for tick in axis.ticks]
    return "".join(_line("tick", x, x, top, top + TRACK_PX) for x in places)


def _rate_marks(plot: GapPlot, row: GapRow, at: Place, top: float = 0) -> str:
    """Ticks, all images (dashed), the group's rate and interval."""
    drawn = _grid(plot.rates, at, top)
    if math.isfinite(plot.overall):
        x = at(plot.rates.place(plot.overall))
        drawn += _line("all", x, x, top, top + TRACK_PX)
    return drawn + _estimate(plot.rates, row.rate_mark, "" if row.taken else "thin", at, top)


def _difference_marks(plot: GapPlot, row: GapRow, at: Place, top: float = 0) -> str:
    """The tolerance (band), ticks, no difference (line), the difference and its interval."""
    axis = plot.differences
    left, right = axis.place(-plot.tolerance), axis.place(plot.tolerance)
    parts = [_band(at(left), at(right), top)]
    zero = at(axis.place(0.0))
    parts += [_grid(axis, at, top), _line("zero", zero, zero, top, top + TRACK_PX)]
    parts.append(_estimate(axis, row.difference_mark, "decides" if row.proven else "", at, top))
    return "".join(parts)


def _band(x1: str, x2: str, top: float) -> str:
    """A line as thick as the row: its ends, unlike a rectangle's width, may be shares or pixels alike."""
    middle = top + TRACK_PX / 2
    return (
        f'<line class="band" x1="{x1}" x2="{x2}" y1="{middle:g}" y2="{middle:g}" stroke-width="{TRACK_PX}"/>'
    )


def _labels(axis: Axis, unit: str, at: Place, y: float) -> str:
    texts = []
    for i, tick in enumerate(axis.ticks):
        anchor = "start" if i == 0 else "end" if i == len(axis.ticks) - 1 else "middle"
        shown = axis.label(tick) + (unit if i == len(axis.ticks) - 1 else "")
        texts.append(f'<text x="{at(axis.place(tick))}" y="{y:g}" text-anchor="{anchor}">{shown}</text>')
    return "".join(texts)


LEFT, TRACK_WIDTH, RIGHT, ROW_PX, HEAD_PX = 190, 300, 130, 26, 62
STYLE = (
    f"text{{font:13px system-ui,sans-serif;fill:{palette.TEXT}}}.tick{{stroke:{palette.GRID}}}"
    f".all{{stroke:{palette.MUTED};stroke-dasharray:4 3}}.zero{{stroke:{palette.TEXT}}}"
    f".band{{stroke:{palette.BAND}}}"
    f".bar{{stroke:{palette.BLUE};stroke-width:2}}.dot{{fill:{palette.BLUE}}}"
    f".bar.thin{{stroke:{palette.MUTED}}}.dot.thin{{fill:#fff;stroke:{palette.MUTED};stroke-width:2}}"
    f".bar.decides{{stroke:{palette.ORANGE}}}.dot.decides{{fill:{palette.ORANGE}}}"
)


def picture(plot: GapPlot) -> str:
    """The plot as one SVG file in light colours, with every number written out."""
    second = LEFT + TRACK_WIDTH + RIGHT
    width, height = second + TRACK_WIDTH + RIGHT, HEAD_PX + ROW_PX * len(plot.rows) + 12
    parts = [
        _text(12, 22, plot.title, "font-weight:600"),
        _head(plot.rates, LEFT, "%", "rate (interval)"),
        *[_drawn_row(plot, row, HEAD_PX + ROW_PX * i) for i, row in enumerate(plot.rows)],
    ]
    if plot.reference is not None:
        parts.append(_head(plot.differences, second, " points", f"minus {plot.reference}, points"))
    else:
        width = second
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" style="{style}">{html.escape(text)}</text>'


def _pixels(left: float) -> Place:
    return lambda place: f"{left + TRACK_WIDTH * place:.1f}"


def _head(axis: Axis, left: float, unit: str, title: str) -> str:
    return _text(left, 40, title) + _labels(axis, unit, _pixels(left), 57)


def _drawn_row(plot: GapPlot, row: GapRow, top: float) -> str:
    second, base = LEFT + TRACK_WIDTH + RIGHT, top + 15
    parts = [
        _text(12, base, f"{row.group}{'' if row.taken else ' *'}"),
        _rate_marks(plot, row, _pixels(LEFT), top),
        _text(LEFT + TRACK_WIDTH + 8, base, f"{row.rate} ({row.interval})" if row.interval else row.rate),
    ]
    if plot.reference is not None:
        parts.append(_difference_marks(plot, row, _pixels(second), top))
        limits = f" ({row.difference_interval})" if row.difference_interval else ""
        parts.append(_text(second + TRACK_WIDTH + 8, base, f"{row.difference}{limits}"))
    return "".join(parts)
