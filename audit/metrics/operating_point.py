"""Operating points: a threshold given as a number, or by a rule fixed on images that are not audited.

Enters: a `ThresholdRule` and a score table. Leaves: the threshold, and which images remain to be audited.

Why a split: a threshold chosen on the audited images makes their error rates look better than they are, most
of all where the rule is about those rates. The calibration images are left out of everything that follows.

Why the split is by a hash of the pair's name: both halves of a pair fall on the same side, the same pairs are
chosen whatever the order of the rows, and adding pairs moves few of the others.

Why a rule with a promise: a threshold at which 1 % of 1,000 real images were flagged flags more than 1 % of
all others about every second time. `fpr<=0.01@95%` leaves as many of them flagged as keep the true rate at 1
% with 95 % confidence, whatever the scores are distributed like: 4 of 1,000 (the Neyman-Pearson umbrella
algorithm). It needs 299 real images, or no threshold can keep such a promise. The images must be independent.

Source: Tong, Feng & Li 2018, Science Advances 4:eaao1659.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from audit.config import ThresholdRule
from audit.data.score_table import ScoreTable
from audit.data.spans import spans
from audit.errors import ScoreTableError
from audit.metrics.error_curves import ROUNDING, ErrorCurve, eer_threshold, error_curve
from audit.task import Task


@dataclass(frozen=True)
class Sides:
    """Which images fix the threshold of a rule, and which are audited.

    Attributes:
        fixing: bool [N].
        audited: bool [N]; of trials some are neither.
    """

    fixing: NDArray[np.bool_]
    audited: NDArray[np.bool_]

    @classmethod
    def of(cls, table: ScoreTable, share: float, seed: int) -> Sides:
        """The arguments are those of `calibration_rows`."""
        return cls(calibration_rows(table, share, seed), audited_rows(table, share, seed))


def operating_point(
    table: ScoreTable, rule: ThresholdRule, share: float, seed: int, task: Task, sides: Sides | None = None
) -> tuple[float, ScoreTable]:
    """The threshold, and the part of the table it may be audited on.

    Args:
        table: All images.
        rule: From `parse_rule`.
        share: Share of the units used to fix the threshold, in 0-1.
        seed: Chooses which.
        task: Whose words are used.
        sides: What share and seed choose, of a table that has lost its keys; else they are asked.

    Raises:
        ScoreTableError: If the calibration images are all of one class or too few for the rule's promise, or
            nothing remains to audit.
    """
    if rule.kind == "fixed":
        return as_scores_have_it(rule.value, table.score), table
    if rule.confidence is not None and (table.weight is not None or _shares_units(table)):
        raise ScoreTableError(
            f"threshold rule '{rule}' promises something of {task.items} that are independent and count "
            f"alike, which weights or several {task.items} of one unit break; use "
            f"'{rule.kind}={rule.value:g}', or give a table without them"
        )
    sides = sides or Sides.of(table, share, seed)
    held_out = table.take(sides.fixing)
    if len(held_out) == len(table) or held_out.fake.all() or not held_out.fake.any():
        raise ScoreTableError(
            f"threshold rule '{rule}' needs {task.negative_word} and {task.positive_word} {task.items} both "
            f"to fix it and to audit it; {len(table)} {task.items} are too few, give a number instead"
        )
    n_fake = int(held_out.fake.sum())
    _refuse_too_few(rule, len(held_out) - n_fake if rule.kind == "fpr" else n_fake, share, task)
    held_out = held_out.by_score()
    curve = error_curve(held_out.score, held_out.fake, held_out.weight)
    if not curve.two_sided:
        raise ScoreTableError(
            f"threshold rule '{rule}' needs {task.negative_word} and {task.positive_word} {task.items} of "
            "weight above 0 to be fixed on; give a number instead"
        )
    threshold = pick_threshold(curve, rule)
    del curve, held_out  # before as many images again are taken
    return threshold, table.take(sides.audited)


def as_scores_have_it(threshold: float, score: NDArray[np.float64]) -> float:
    """A threshold in the precision of scores that lie on it: in a float32 column 0.7 is 0.699999988.

    Args:
        threshold: As it was given.
        score: float64 [N], as read.

    >>> as_scores_have_it(0.7, np.array([0.7, 0.2]))
    0.7
    >>> as_scores_have_it(0.7, np.array([0.7, 0.2], dtype=np.float32).astype(np.float64))
    0.699999988079071
    """
    with np.errstate(over="ignore"):
        single = float(np.float32(threshold))
    return single if single < threshold and bool((score == single).any()) else threshold


def _shares_units(table: ScoreTable) -> bool:
    """Whether two images of one class share a unit."""
    if table.unit is None:
        return False
    return len(np.unique(table.unit * 2 + table.fake)) < len(table)


def calibration_rows(table: ScoreTable, share: float, seed: int) -> NDArray[np.bool_]:
    """bool [N], True for the images that fix the threshold: a share of the pairs, chosen by hash; trials of
    two speakers where both are chosen.
    """
    fixing = _chosen(table.key, share, seed)
    return fixing if table.partner_key is None else fixing & _chosen(table.partner_key, share, seed)


def _chosen(key: NDArray[np.uint64], share: float, seed: int) -> NDArray[np.bool_]:
    """bool [N], True for a share of the keys."""
    found = np.empty(len(key), dtype=bool)
    for part in spans(len(key)):
        mixed = key[part] ^ np.uint64((seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        found[part] = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53 < share
    return found


def audited_rows(table: ScoreTable, share: float, seed: int) -> NDArray[np.bool_]:
    """bool [N], True for what is audited: all that does not fix the threshold, but for trials between a
    speaker who does and one who does not, which would make the two parts depend on each other.
    """
    fixing = _chosen(table.key, share, seed)
    return ~fixing if table.partner_key is None else ~fixing & ~_chosen(table.partner_key, share, seed)


def pick_threshold(curve: ErrorCurve, rule: ThresholdRule) -> float:
    """The threshold a rule picks on a curve with images of both classes.

    fpr=x: the lowest with FPR <= x; fnr=x: the highest with FNR <= x; youden: the largest TPR - FPR, the
    lower FPR deciding a tie (Youden 1950); eer: see `audit.metrics.error_curves.eer_threshold`.
    With a promise, x is what `errors_allowed` leaves of it.
    """
    if rule.kind == "eer":
        return eer_threshold(curve)
    if rule.kind == "fpr":
        most = _most(rule, curve.n_real)
        return float(curve.threshold(curve.first(lambda fpr, fnr: fpr <= most + ROUNDING)))
    if rule.kind == "fnr":
        most = _most(rule, curve.n_fake)
        return float(curve.threshold(curve.first(lambda fpr, fnr: fnr > most + ROUNDING) - 1))
    least, best = np.inf, 0
    for part in spans(len(curve)):
        flagged, missed = curve.errors(part)
        loss = np.round(flagged / curve.n_real + missed / curve.n_fake, 12)
        if loss.min() <= least:
            least, best = loss.min(), part.stop - 1 - int(np.argmin(loss[::-1]))
    return float(curve.threshold(best))


def _most(rule: ThresholdRule, n: float) -> float:
    """The largest rate that a rule allows among n images."""
    if rule.confidence is None:
        return rule.value
    return errors_allowed(int(n), rule.value, rule.confidence) / n


def errors_allowed(n: int, level: float, confidence: float) -> int:
    """Errors among n images of a class up to which the true rate keeps the level with this confidence.

    The largest m with P(at most m errors of n at a rate of `level`) <= 1 - confidence; -1 where even none is
    too many to promise anything.

    >>> errors_allowed(1000, 0.01, 0.95), errors_allowed(299, 0.01, 0.95), errors_allowed(298, 0.01, 0.95)
    (4, 0, -1)
    """
    m = int(binom.ppf(1 - confidence, n, level))
    return m if binom.cdf(m, n, level) <= 1 - confidence else m - 1


def images_for_promise(rule: ThresholdRule) -> int:
    """Images of the class concerned without which a rule's promise cannot be kept; 0 without one."""
    if rule.confidence is None:
        return 0
    return math.ceil(round(math.log(1 - rule.confidence) / math.log1p(-rule.value), 9))


def check_promise(rule: ThresholdRule, n: int, share: float, task: Task) -> None:
    """Refuse a rule whose promise so many images cannot keep, before anything is scored.

    Args:
        rule: From `parse_rule`.
        n: Images of the class concerned, real for "fpr", fake for "fnr".
        share: Share of them that fixes the threshold, in 0-1.
        task: Whose words are used.

    Raises:
        ScoreTableError: If the share is sure to be too small.
    """
    if share * n < images_for_promise(rule) / 2:
        _refuse_too_few(rule, round(share * n), share, task)


def _refuse_too_few(rule: ThresholdRule, n: int, share: float, task: Task) -> None:
    needed = images_for_promise(rule)
    if n < needed:
        word = task.negatives if rule.kind == "fpr" else task.positives
        raise ScoreTableError(
            f"threshold rule '{rule}' needs {needed:,} {word} to be fixed on, and a share of {share:g} of "
            f"this data has {n:,}; raise --calibration-share, or give more {task.items} or a lower confidence"
        )


def exceeded_note(rule: ThresholdRule, n: int, task: Task) -> str | None:
    """How often the true rate exceeds the level of a rule fixed on n images; None of a rule with a promise.

    Between the count of errors at which the rule stops and one fewer: the next score may be of either class.
    """
    if rule.kind not in {"fpr", "fnr"} or rule.confidence is not None or n == 0:
        return None
    most = math.floor(n * rule.value + 1e-9)
    often = 100 * float(binom.cdf([most - 1, most], n, rule.value).mean())
    word = task.negatives if rule.kind == "fpr" else task.positives
    level = f"{rule.kind}<={rule.value:g}@95%"
    if task.of_trials:
        return (
            f"The threshold was fixed on {n:,} {word} ({task.rule(str(rule))}), which share speakers: about "
            f"every second time the true {task.rate(rule.kind)} exceeds {100 * rule.value:g} %, and by more "
            "than independent trials would let it."
        )
    return (
        f"The threshold was fixed on {n:,} {word} ({rule}): in about {often:.0f} of 100 such samples the "
        f"true {rule.kind.upper()} exceeds {100 * rule.value:g} %. The rule '{level}' keeps it in 95 of 100."
    )
