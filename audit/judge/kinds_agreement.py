"""Does a gap follow the people or the generator? The same photos, several kinds of fake, one detector.

Enters: one row a fake (photo, kind, missed or not, group). Leaves: for each attribute a `KindAgreement`.

Only missed fakes are asked about: the real halves are shared, so wrongful flags are the same for every kind.

How: for each group the shares missed of every kind form a vector, with the covariance of its photos, or of
the persons whom photos share (the fakes of one photo depend on each other). Two questions are asked of it: do
the differences between kinds vary with the group (the interaction: the gap's size or direction depends on the
kind), and do the means over kinds vary with the group (the gap of the people)? The statistic of both is
Cochran's Q for vectors. Its p-value is the larger of two, and all of a run are one Holm family:

- photos are dealt to the groups anew, as many to each as it has: exact where groups are alike in everything.
  Johansen's F alone takes the covariance of thirty photos for nearly known: with two kinds that all groups
  miss at 2 and 5 %, mostly together, one group of 2,000 photos and 15 of 30, it said in 39 to 68 of 100 runs
  that the kind matters.
- Johansen's F, with as many degrees of freedom a group as its errors support: it holds where groups differ in
  what is not asked. Dealing alone gives a small group the rates of a large one: with the same difference
  between kinds in 5,000 photos at 0.5 and 1 % and in 40 at 20 and 20.5 %, it said so in 51 of 100 runs.

What is said of both stands in `benchmarks/README.md`.

Why photos with the same kinds are dealt among themselves: a kind may fail more often for one group, as swaps
do, and a fake that was never made is not one that was missed.

Why "follows the people" asks for three things: a proven mean gap, the same direction in every kind, and no
proven interaction. The last is absence of proof; the words say so.

Sources: Cochran 1954, Biometrics 10:101-129, here by generalised least squares; Pauly, Brunner & Konietschke
2015, JRSS B 77:461-473 (dealt anew, studentised); Johansen 1980, Biometrika 67:85-92 (the F, after Welch and
James); Liang & Zeger 1986, Biometrika 73:13-22 (clusters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import random_table

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.unit_totals import alike_units, enough_units, unit_codes
from audit.inference.equality_test import holm
from audit.inference.proportion_intervals import newcombe, z_value
from audit.schema.result import MISSING, KindAgreement, KindGap

DEPENDS = "depends on the kind"
PEOPLE = "follows the people"
OPEN = "insufficient evidence"

N_DEALT = 1_999
"""Times that photos are dealt to the groups anew: the smallest p-value is 1 in 2,000."""
AT_ONCE = 2_000_000
"""Counts of photos by group that are held at once."""
_PRIOR = 4.0
"""Photos by which correlations between kinds are drawn towards 0: thirty in which two kinds are always missed
together do not prove that they always are."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Group:
    """Shares missed of one group: mean [K], covariance [K,K], fakes n [K]."""

    name: str
    mean: Floats
    covariance: Floats
    n: Floats


@dataclass(frozen=True)
class _Outcomes:
    """What U photos (or persons who have several) of the groups that are compared had made and missed.

    Attributes:
        names: Of the G groups.
        made: float64 [U, K], fakes of each kind.
        missed: float64 [U, K], those that pass.
        group: int64 [U], 0 to G - 1.
        n_units: float64 [G], photos (or persons) of equal size as many as those of a group are worth.
    """

    names: list[str]
    made: Floats
    missed: Floats
    group: Ints
    n_units: Floats

    def groups(self) -> list[_Group]:
        """Each group's shares missed."""
        mean, covariance = _estimates(self._counts @ _features(*self._patterns[:2]), self.made.shape[1])
        n = np.stack([self.made[self.group == g].sum(axis=0) for g in range(len(self.names))])
        return [_Group(*one) for one in zip(self.names, mean, covariance, n, strict=True)]

    def p_values(self, contrasts: Sequence[Floats], seed: Sequence[int]) -> list[float]:
        """Of each contrast [m, K]: that it is the same in all groups."""
        made, missed, _ = self._patterns
        counts, features, k = self._counts, _features(made, missed), made.shape[1]
        _, kinds = np.unique(made > 0, axis=0, return_inverse=True)
        strata = [np.flatnonzero(kinds.reshape(-1) == one) for one in range(kinds.max() + 1)]
        observed = [_q(*_estimates(counts @ features, k), one) for one in contrasts]
        reached, rng = np.zeros(len(contrasts)), np.random.default_rng(list(seed))
        step = max(1, AT_ONCE // counts.size)
        for low in range(0, N_DEALT, step):
            n = min(step, N_DEALT - low)
            sums = np.zeros((n, len(self.names), features.shape[1]))
            for own in strata:
                sums += _dealt(counts[:, own], n, rng) @ features[own]
            estimates = _estimates(sums, k)
            for place, (contrast, q) in enumerate(zip(contrasts, observed, strict=True)):
                reached[place] += np.count_nonzero(_q(*estimates, contrast) >= q * (1 - _ROUNDING))
        estimates = _estimates(counts @ features, k)
        varying = [johansen_p(*estimates, one, self._freedom(one)) for one in contrasts]
        return np.maximum((1 + reached) / (1 + N_DEALT), varying).tolist()

    def _freedom(self, contrast: Floats) -> Floats:
        """float64 [G], degrees of freedom of each group's covariance of a contrast [m, K].

        Two for each photo that the contrast finds other than most, and two more: so many has the variance of
        a rare share, as that of a Poisson count; never more than there are photos less one.
        """
        share = np.divide(self.missed, self.made, out=np.zeros_like(self.missed), where=self.made > 0)
        found = share @ contrast.T
        differs = np.abs(found - np.median(found, axis=0)).max(axis=1) > _ROUNDING
        n = np.bincount(self.group[differs], minlength=len(self.names))
        return np.maximum(np.minimum(self.n_units - 1, 2.0 * (n + 1)), 1.0)

    @cached_property
    def _patterns(self) -> tuple[Floats, Floats, Ints]:
        """What was made and missed of the P different photos, [P, K] each, and which of them each is, [U]."""
        both, place = np.unique(np.hstack([self.made, self.missed]), axis=0, return_inverse=True)
        k = self.made.shape[1]
        return both[:, :k], both[:, k:], place.reshape(-1)

    @cached_property
    def _counts(self) -> Ints:
        """int64 [G, P], photos of each group and pattern."""
        *_, place = self._patterns
        counts = np.zeros((len(self.names), int(place.max()) + 1), dtype=np.int64)
        np.add.at(counts, (self.group, place), 1)
        return counts


def kinds_agreement(
    fakes: pd.DataFrame, attributes: Sequence[str], config: AuditConfig
) -> list[KindAgreement]:
    """Judge for every attribute whether the gap in missed fakes agrees across kinds.

    Args:
        fakes: columns pair_id, kind, missed (bool) and the attributes; one row a fake. Also "unit", where
            photos share something that is independent, such as a person.
        attributes: single attributes to ask about.
        config: confidence, seed and min_n: groups with fewer fakes of a kind are left out, and named.

    Returns:
        One record an attribute; empty for fewer than two kinds.
    """
    kinds = sorted(set(fakes["kind"]))
    if len(kinds) < 2:
        return []
    parts = {name: _outcomes(fakes, name, kinds, config.min_n) for name in attributes if name in fakes}
    tests = {name: _tested(found, name, config.seed) for name, (found, _) in parts.items()}
    adjusted = iter(holm([p for pair in tests.values() for p in pair]))
    records = []
    for name, (found, left_out) in parts.items():
        groups = found.groups() if found.names else []
        p_values = next(adjusted), next(adjusted)
        records.append(_record(name, kinds, groups, left_out, p_values, config))
    return records


def _outcomes(
    fakes: pd.DataFrame, attribute: str, kinds: Sequence[str], min_n: int
) -> tuple[_Outcomes, list[str]]:
    """The photos of groups that have enough fakes of every kind, and the names of the other groups."""
    names: list[str] = []
    left_out: list[str] = []
    worth: list[float] = []
    parts = []
    for name, rows in fakes.groupby(attribute, sort=True):
        made, missed, n_units = _of_units(rows, kinds)
        if str(name) == MISSING or made.sum(axis=0).min() < min_n or not enough_units(n_units, min_n):
            left_out.append(str(name))
        else:
            parts.append((made, missed, np.full(len(made), len(names))))
            names.append(str(name))
            worth.append(n_units)
    if not names:
        nothing = np.zeros((0, len(kinds)))
        parts = [(nothing, nothing, np.zeros(0, dtype=np.int64))]
    made, missed, group = (np.concatenate(one) for one in zip(*parts, strict=True))
    return _Outcomes(names, made, missed, group, np.array(worth)), left_out


def _of_units(rows: pd.DataFrame, kinds: Sequence[str]) -> tuple[Floats, Floats, float]:
    """What each photo, or person, of a group had made and missed, [U, K] each; and as how many of equal size
    they count.
    """
    unit = unit_codes(rows["unit" if "unit" in rows else "pair_id"])
    key = unit * len(kinds) + pd.Index(kinds).get_indexer(pd.Index(rows["kind"]))
    shape = (int(unit.max()) + 1, len(kinds))
    made, missed = (
        np.bincount(key, weights=weights, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for weights in (None, rows["missed"].to_numpy(dtype=np.float64))
    )
    photo = unit[~rows["pair_id"].duplicated().to_numpy()]
    return made, missed, float(alike_units(photo, np.zeros_like(photo), 1, None)[0])


def _tested(found: _Outcomes, attribute: str, seed: int) -> tuple[float, float]:
    """p-values of: the differences between kinds, the mean over kinds are the same in every group."""
    if len(found.names) < 2:
        return math.nan, math.nan
    k = found.made.shape[1]
    differences = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
    first, second = found.p_values([differences, np.full((1, k), 1 / k)], (seed, crc32(attribute.encode())))
    return first, second


def _dealt(counts: Ints, n: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """[n, G, P], photos dealt to the groups anew: sums of rows and columns stay those of counts [G, P]."""
    rows = np.flatnonzero(counts.sum(axis=1))
    found = np.zeros((n, *counts.shape))
    if len(rows) == 1 or counts.shape[1] == 1:
        found[:] = counts
    else:
        table = random_table(counts[rows].sum(axis=1), counts.sum(axis=0))
        found[:, rows] = table.rvs(n, random_state=rng)
    return found


def _features(made: Floats, missed: Floats) -> Floats:
    """[P, 1 + 2 K + 3 K^2]: of a photo 1, its fakes, those missed, and the products whose sums are needed."""
    products = [
        (a[:, :, None] * b[:, None, :]).reshape(len(made), -1)
        for a, b in ((missed, missed), (missed, made), (made, made))
    ]
    return np.hstack([np.ones((len(made), 1)), made, missed, *products])


def _estimates(sums: Floats, k: int) -> tuple[Floats, Floats]:
    """(shares [..., G, K], covariances [..., G, K, K]) from sums over the photos of each group [..., G, F].

    A variance is that of one added hit and one added miss, so that a group without a miss does not count as
    known exactly; and never less than the photos, or persons, themselves show.
    """
    units, n, missed = sums[..., 0], sums[..., 1 : 1 + k], sums[..., 1 + k : 1 + 2 * k]
    both, mixed, made = np.split(sums[..., 1 + 2 * k :].reshape(*sums.shape[:-1], 3 * k, k), 3, axis=-2)
    rate = np.divide(missed, n, out=np.zeros_like(missed), where=n > 0)
    across, along = rate[..., :, None], rate[..., None, :]
    own = both - along * mixed - across * np.swapaxes(mixed, -1, -2) + across * along * made
    spread = np.sqrt(np.maximum(np.diagonal(own, axis1=-2, axis2=-1), 0.0))
    scale = spread[..., :, None] * spread[..., None, :]
    correlation = np.divide(own, scale, out=np.zeros_like(own), where=scale > 0)
    correlation *= (units / (units + _PRIOR))[..., None, None]
    correlation[..., range(k), range(k)] = 1.0
    added = (rate * n + 1) / (n + 2)
    shown = spread**2 / np.maximum(n, 1) ** 2 * (units / np.maximum(units - 1, 1))[..., None]
    error = np.sqrt(np.maximum(added * (1 - added) / np.maximum(n, 1), shown))
    return rate, correlation * error[..., :, None] * error[..., None, :]


def _q(rate: Floats, covariance: Floats, contrast: Floats) -> Floats:
    """[...], Cochran's Q of contrast [m, K] of the groups' shares [..., G, K]."""
    values = rate @ contrast.T
    weights = np.linalg.pinv(contrast @ covariance @ contrast.T, hermitian=True)
    total = np.linalg.pinv(weights.sum(axis=-3), hermitian=True)
    weighted = (weights @ values[..., None]).sum(axis=-3)
    apart = values - np.swapaxes(total @ weighted, -1, -2)
    return np.asarray((apart[..., None, :] @ weights @ apart[..., None]).sum(axis=(-1, -2, -3)))


def johansen_p(rate: Floats, covariance: Floats, contrast: Floats, freedom: Floats) -> float:
    """p-value of Cochran's Q by Johansen's F.

    Args:
        rate: float64 [G, K], shares missed.
        covariance: float64 [G, K, K], of them.
        contrast: float64 [m, K], what is asked to be the same in all groups.
        freedom: float64 [G], degrees of freedom of each covariance.
    """
    weights = np.linalg.pinv(contrast @ covariance @ contrast.T, hermitian=True)
    m = len(contrast)
    rest = np.eye(m) - np.linalg.pinv(weights.sum(axis=0), hermitian=True) @ weights
    trace = np.trace(rest, axis1=-2, axis2=-1)
    unsure = float(((np.trace(rest @ rest, axis1=-2, axis2=-1) + trace**2) / (2 * freedom)).sum())
    n = m * (len(rate) - 1)
    scale = n + 2 * unsure - 6 * unsure / (n + 2)
    return float(fisher.sf(_q(rate, covariance, contrast) / scale, n, n * (n + 2) / max(3 * unsure, 1e-12)))


IT_IS_OPEN = "it is open whether a gap in missed fakes follows the people or the kind of fake"
OF_EVERY_KIND = "fakes of every kind."
"""In what is said where the kinds settle nothing."""


def _record(
    attribute: str,
    kinds: Sequence[str],
    groups: Sequence[_Group],
    left_out: Sequence[str],
    p_values: tuple[float, float],
    config: AuditConfig,
) -> KindAgreement:
    """The record of one attribute."""
    if len(groups) < 2:
        return KindAgreement(
            attribute=attribute, kinds=list(kinds), verdict=OPEN, left_out=list(left_out),
            sentence=f"By {attribute}, fewer than two groups have {config.min_n} {OF_EVERY_KIND}",
        )  # fmt: skip
    ordered = sorted(groups, key=lambda g: float(g.mean.mean()))
    low, high = ordered[0], ordered[-1]
    gaps = [_gap(kind, i, low, high, groups, config) for i, kind in enumerate(kinds)]
    same_way = all(gap.gap > 0 for gap in gaps)
    alpha = 1 - config.confidence
    if p_values[0] <= alpha:
        verdict = DEPENDS
    elif p_values[1] <= alpha and same_way:
        verdict = PEOPLE
    else:
        verdict = OPEN
    return KindAgreement(
        attribute=attribute,
        kinds=list(kinds),
        verdict=verdict,
        p_interaction=p_values[0],
        p_people=p_values[1],
        most_missed=high.name,
        least_missed=low.name,
        same_direction=same_way,
        gaps=gaps,
        worst_kind={g.name: kinds[int(np.argmax(g.mean))] for g in groups},
        left_out=list(left_out),
        sentence=_sentence(attribute, verdict, gaps, high.name, low.name, p_values),
    )


def _gap(
    kind: str, i: int, low: _Group, high: _Group, groups: Sequence[_Group], config: AuditConfig
) -> KindGap:
    """One kind's gap between the two groups that differ most on the mean over kinds."""
    z = z_value(config.confidence)
    ends = [(g.mean[i], _worth(g, i)) for g in (high, low)]
    limits = newcombe(*ends[0], *ends[1], z)
    worst = max(groups, key=lambda g: float(g.mean[i]))
    return KindGap(
        kind=kind,
        gap=float(high.mean[i] - low.mean[i]),
        interval=(float(limits[0]), float(limits[1])),
        fnr=float(sum(g.mean[i] * g.n[i] for g in groups) / sum(g.n[i] for g in groups)),
        worst_group=worst.name,
        worst_fnr=float(worst.mean[i]),
    )


def _worth(group: _Group, i: int) -> float:
    """Independent fakes of a kind that a group's share of them is worth."""
    n, added = group.n[i], (group.mean[i] * group.n[i] + 1) / (group.n[i] + 2)
    return float(min(n, added * (1 - added) / group.covariance[i, i]))


def _sentence(
    attribute: str, verdict: str, gaps: Sequence[KindGap], high: str, low: str, p_values: tuple[float, float]
) -> str:
    """What a reader of the first screen is told."""
    each = ", ".join(f"{gap.kind} {100 * gap.gap:+.1f}" for gap in gaps)
    between = f"{high} minus {low}, in points: {each}"
    if verdict == DEPENDS:
        return f"By {attribute}, the gap in missed fakes depends on the kind of fake ({between})."
    if verdict == PEOPLE:
        return (
            f"By {attribute}, the gap in missed fakes follows the people: the same direction in all "
            f"{len(gaps)} kinds, and nothing shows that its size depends on the kind "
            f"({between}; p = {p_values[0]:.2g})."
        )
    return f"By {attribute}, {IT_IS_OPEN} ({between})."
