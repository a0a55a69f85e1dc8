"""Numbers as a reader wants to see them.

Enters: rates in 0-1, counts, intervals, p-values, NaN among them. Leaves: short text.

Why an undefined number is written out as "no data" wherever it appears: an empty cell or a zero would be
read as "no errors".
"""

from __future__ import annotations

import math

NO_DATA = "no data"
FAR_ABOVE = 10
"""Where the limits of a ratio lie so many times apart, only the lower one says something."""


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage: 0.1234 -> '12.3%'; more digits where rounding would say zero or all.

    >>> percent(0.1234), percent(0.0004), percent(0.9996), percent(0.0), percent(float("nan"))
    ('12.3%', '0.04%', '99.96%', '0%', 'no data')
    """
    return f"{_hundredths(value, digits)}%" if math.isfinite(value) else NO_DATA


def _hundredths(value: float, digits: int = 1) -> str:
    """100 * value with so many digits that only what is zero or all reads as zero or all."""
    rest = min(abs(value), abs(1 - abs(value)))
    if rest == 0:
        text = f"{100 * value:.0f}"
    elif round(100 * rest, digits) != 0:
        text = f"{100 * value:.{digits}f}"
    elif rest < 1e-9:  # nearer to zero or all than any count of images can be
        text = "<0.0000001" if abs(value) < 0.5 else ">99.9999999"
    else:
        text = f"{100 * value:.{-math.floor(math.log10(100 * rest))}f}"
    return text.replace("-", "−")


def points(value: float) -> str:
    """A difference of proportions in percentage points: 0.092 -> '9.2 points'.

    >>> points(0.092), points(0.02), points(0.0004), points(float("nan"))
    ('9.2 points', '2 points', '0.04 points', 'no data')
    """
    if not math.isfinite(value):
        return NO_DATA
    text = _hundredths(value).removesuffix(".0")
    return f"{text} point{'' if text == '1' else 's'}"


def percent_interval(interval: tuple[float, float] | None) -> str:
    """(0.101, 0.148) -> '10.1–14.8%'; 'to' where an end is negative; 'no interval' where there is none.

    Digits as in `percent`: an end that is not zero never reads as zero.

    >>> percent_interval((0.101, 0.148)), percent_interval((-0.01, 0.02)), percent_interval((0.0, 0.0004))
    ('10.1–14.8%', '−1.0 to 2.0%', '0–0.04%')
    """
    if interval is None or not all(math.isfinite(v) for v in interval):
        return "no interval"
    low, high = (_hundredths(v) for v in interval)
    return f"{low}{' to ' if interval[0] < 0 else '–'}{high}%"


def point_interval(interval: tuple[float, float] | None) -> str:
    """(−0.01, 0.022) -> '−1 to 2.2', in points; the unit stands beside the estimate.

    >>> point_interval((-0.01, 0.022))
    '−1 to 2.2'
    """
    if interval is None or not all(math.isfinite(v) for v in interval):
        return "no interval"
    return " to ".join(points(v).split()[0] for v in interval)


def number(value: float, digits: int = 3) -> str:
    """A plain number such as an AUC: 0.98765 -> '0.988'.

    >>> number(0.98765), number(float("nan"))
    ('0.988', 'no data')
    """
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else NO_DATA


def number_interval(interval: tuple[float, float] | None) -> str:
    """(0.97, 0.99) -> '0.970–0.990'.

    >>> number_interval((0.97, 0.99))
    '0.970–0.990'
    """
    if interval is None or not all(math.isfinite(v) for v in interval):
        return "no interval"
    return f"{number(interval[0])}{' to ' if interval[0] < 0 else '–'}{number(interval[1])}"


def count(value: int) -> str:
    """An integer with thousands separated: 12000 -> '12,000'."""
    return f"{value:,}"


def counted(value: int, one: str, several: str) -> str:
    """A number of things: "1 image", "12,000 images".

    >>> counted(1, "image", "images"), counted(12000, "image", "images")
    ('1 image', '12,000 images')
    """
    return f"{count(value)} {one if value == 1 else several}"


def of_thousand(value: float) -> str:
    """A proportion as so many of 1,000, never as none or all where it is not.

    >>> of_thousand(0.0843), of_thousand(0.0002), of_thousand(0.99996), of_thousand(1.0)
    ('84', 'under 1', 'over 999', '1,000')
    """
    if not math.isfinite(value):
        return NO_DATA
    if 0 < value < 0.001:
        return "under 1"
    return "over 999" if 0.999 < value < 1 else f"{math.floor(1000 * value + 0.5):,}"


def of_thousand_interval(interval: tuple[float, float] | None) -> str:
    """(0.0711, 0.1) -> '71–100'.

    >>> of_thousand_interval((0.0711, 0.1)), of_thousand_interval((0.0, 0.0004))
    ('71–100', '0 to under 1')
    """
    if interval is None or not all(math.isfinite(v) for v in interval):
        return "no interval"
    low, high = map(of_thousand, interval)
    return f"{low} to {high}" if " " in low + high else f"{low}–{high}"


def p_value(value: float) -> str:
    """A p-value, never as zero and never as one.

    >>> p_value(0.0000001), p_value(0.034), p_value(1.0)
    ('< 0.001', '0.034', '> 0.99')
    """
    if not math.isfinite(value):
        return NO_DATA
    if value > 0.99:
        return "> 0.99"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_equals(value: float) -> str:
    """The same with its letter.

    >>> p_equals(0.0000001), p_equals(0.034)
    ('p < 0.001', 'p = 0.034')
    """
    shown = p_value(value)
    return f"p {shown}" if shown.startswith(("<", ">")) else f"p = {shown}"


def times(value: float, interval: tuple[float, float] | None = None) -> str:
    """A ratio of rates, with its interval: 3.04 -> '3.0 times'; 'at least' where little bounds it above.

    >>> times(3.04), times(24.2, (9.3, 61.0)), times(float("inf"), (4.1, float("nan")))
    ('3.0 times', '24 (9.3–61) times', 'at least 4.1 times')
    >>> times(40.0, (10.86, float("inf")))  # a least that is rounded up is not proven
    'at least 10 times'
    >>> times(8.9, (1.4, 543.0))
    'at least 1.4 times'
    """
    if interval is None:
        return f"{_multiple(value)} times"
    low, high = interval
    if not (math.isfinite(value) and math.isfinite(high)) or high > FAR_ABOVE * low:
        return f"at least {multiple_down(low)} times"
    return f"{_multiple(value)} ({_multiple(low)}–{_multiple(high)}) times"


def _multiple(value: float) -> str:
    """Two digits, or all before the point."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def multiple_down(value: float) -> str:
    """The same for what is said to be at least so much: rounded down.

    >>> multiple_down(2.88), multiple_down(1.4), multiple_down(10.86)
    ('2.8', '1.4', '10')
    """
    step = 0.1 if value < 10 else 1.0
    return _multiple(math.floor(value / step + 1e-9) * step)


def points_down(value: float) -> str:
    """A difference that is said to be at least so much: rounded down.

    >>> points_down(0.0609), points_down(0.07), points_down(0.0004)
    ('6 points', '7 points', '0.04 points')
    """
    return points(math.floor(1000 * value + 1e-9) / 1000 if value >= 0.001 else value)


def about(value: int) -> str:
    """A planned number of images, rounded up to three digits, since a plan is no count: 10337 -> '10,400'.

    >>> about(10337), about(960), about(12717)
    ('10,400', '960', '12,800')
    """
    step = 10 ** max(len(str(value)) - 3, 0)
    return count(-(-value // step) * step)


def listing(words: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'.

    >>> listing(["age", "gender", "race"])
    'age, gender and race'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def threshold_text(value: float) -> str:
    """A threshold as every page spells it: four digits, more where those would decide otherwise.

    Rounded down, as a threshold that was found is some image's score, which must lie at what is shown. Scores
    near 1 lie close together, and a threshold just beyond the highest score flags none of those that are
    exactly that.

    >>> threshold_text(0.5), threshold_text(7 / 9), threshold_text(0.999987), threshold_text(12345.6)
    ('0.5', '0.7777', '0.999987', '12345')
    >>> threshold_text(math.nextafter(1.0, 2.0)), threshold_text(0.699999988)  # 0.7 in single precision
    ('1.0000000000000002', '0.7')
    """
    if not math.isfinite(value):
        return NO_DATA
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"
    near = float(f"{value:.4g}")
    if value == near or 0 < abs(value - near) < 1e-15 * abs(value):
        return f"{value:.4g}" if value == near and abs(value) < 1e4 else repr(float(value)).removesuffix(".0")
    rest = abs(1 - value)
    digits = 1 - math.floor(math.log10(rest)) if rest < 0.01 else 3 - math.floor(math.log10(abs(value)))
    digits = max(digits, 0)
    down = math.floor(value * 10**digits + 1e-3) / 10**digits
    text = f"{down:.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def images_for_margin(errors: float, n: int, margin: float, z: float = 1.96) -> int:
    """Images that pin a rate to within +-`margin`, given `errors` seen among `n` images.

    n = z^2 p (1 - p) / margin^2 with p = (errors + z^2/2) / (n + z^2), the centre of the Wilson interval,
    so that a rate seen as 0 does not ask for 0 images. Source: Agresti and Coull, American Statistician 52
    (1998).

    >>> images_for_margin(5, 40, 0.02)
    1277
    """
    p = (errors + z * z / 2) / (n + z * z)
    return math.ceil(z * z * p * (1 - p) / margin**2)
