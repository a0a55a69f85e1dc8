"""Intervals for measures over all groups at once, from intervals that hold for every pair of groups.

Enters: the counts of k groups. Leaves: `Evidence`, which answers what the equality test says of a rate, and
between which limits the largest difference and the smallest ratio among the groups lie.

Why this way: if the intervals of all pairwise differences cover the truth together, the largest difference
lies between the largest lower and the largest upper limit. So the interval of a max-min gap reaches 0 when
the data cannot tell the groups apart, which no bootstrap of the gap itself can do. Measures of two rates
split alpha between them (Bonferroni).

GARBE and the maximum over the geometric mean grow with noise too, and follow from
`audit.inference.convex_limits`.

Why F_EO has no interval: it sums distances from a common rate over all groups, grows with their number even
where nothing differs, and is meant for comparing like with like. It comes with what equal groups would show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audit.data.counts import Counts, Floats, Ints, bootstrap
from audit.inference.clusters import unit_equality_test
from audit.inference.convex_limits import gini_limits, max_over_geometric_mean_limits
from audit.inference.effective_sample_size import (
    accuracy_worth,
    fnr_worth,
    fpr_worth,
    positive_rate_worth,
)
from audit.inference.equality_test import EqualityTest, equality_test, max_abs_z
from audit.inference.pairwise import pair_critical
from audit.inference.two_proportions import extreme_limit
from audit.metrics.disparity import WEIGHT, group_rates_of

Limits = tuple[float, float]

NO_INTERVAL = "no interval with known coverage exists; compare with the value expected if all were equal"


@dataclass(frozen=True)
class Evidence:
    """What k >= 2 groups show together.

    Attributes:
        counts: Of the k groups that take part.
        n_boot: Permutations and bootstrap replicates.
        seed: Entropy of everything random here.
    """

    counts: Counts
    n_boot: int
    seed: tuple[int, ...]

    @cached_property
    def ordered(self) -> Counts:
        """The groups sorted by their counts, so that names and order cannot change a random draw."""
        flat = np.concatenate(
            [self.counts.pairs.reshape(len(self.counts), 4), self.counts.reals, self.counts.fakes], axis=1
        )
        return self.counts.take(np.lexsort(flat.T))

    @cached_property
    def fpr(self) -> EqualityTest:
        """Equality of the false positive rates."""
        rng = np.random.default_rng([*self.seed, 0])
        if self.counts.units is not None:
            return unit_equality_test(self.counts.units, "fpr", self.n_boot, rng)
        return equality_test(self.counts.fp, self.counts.n_real, self.n_boot, rng)

    @cached_property
    def fnr(self) -> EqualityTest:
        """Equality of the false negative rates."""
        rng = np.random.default_rng([*self.seed, 1])
        if self.counts.units is not None:
            return unit_equality_test(self.counts.units, "fnr", self.n_boot, rng)
        return equality_test(self.counts.fn, self.counts.n_fake, self.n_boot, rng)

    def rng(self, place: int) -> np.random.Generator:
        """Source of randomness of one purpose."""
        return np.random.default_rng([*self.seed, place])

    @cached_property
    def nulls(self) -> dict[str, Floats]:
        """Largest |z| of bootstrap deviations of the positive rate and the accuracy (max-t bootstrap)."""
        rng = np.random.default_rng([*self.seed, 2])
        drawn = group_rates_of(bootstrap(self.ordered, self.n_boot, rng))
        known = group_rates_of(self.ordered)
        worths = {"positive_rate": positive_rate_worth, "accuracy": accuracy_worth}
        nulls = {}
        for name, worth in worths.items():
            rate, n = getattr(known, name), worth(self.ordered)
            near = (rate * n + 2) / (n + 4)
            nulls[name] = np.sort(max_abs_z(getattr(drawn, name) - rate, near * (1 - near) / n))
        return nulls

    def critical(self, rate: str, alpha: float) -> float:
        """z that makes the intervals of all pairs of groups hold together with probability 1 - alpha.

        Of FPR and FNR it is that of the studentised range, as for the test of a pair; where both halves of a
        pair of images count, the bootstrap may ask for more.
        """
        normal = pair_critical(len(self.counts), alpha)
        if rate in {"fpr", "fnr", "tpr", "tnr"} or self.counts.units is not None:
            return normal
        return max(normal, float(np.quantile(self.nulls[rate], 1 - alpha, method="higher")))

    def rate(self, name: str) -> tuple[Floats, Floats]:
        """(rate, images it is worth) of each group."""
        rates, counts = group_rates_of(self.counts), self.counts
        return {
            "fpr": lambda: (rates.fpr, fpr_worth(counts)),
            "fnr": lambda: (rates.fnr, fnr_worth(counts)),
            "tpr": lambda: (1 - rates.fnr, fnr_worth(counts)),
            "tnr": lambda: (1 - rates.fpr, fpr_worth(counts)),
            "positive_rate": lambda: (rates.positive_rate, positive_rate_worth(counts)),
            "accuracy": lambda: (rates.accuracy, accuracy_worth(counts)),
        }[name]()

    def difference(self, name: str, alpha: float) -> Limits:
        """Limits of max - min of a rate."""
        return self.difference_at(name, self.critical(name, alpha))

    def difference_at(self, name: str, z: float) -> Limits:
        """The same from the limits of all pairs at z. A gap is never negative, so 0 is its least limit."""
        return self._once(("difference", name, z), self._difference)

    def ratio(self, name: str, alpha: float) -> Limits:
        """Limits of min / max of a rate."""
        return self.ratio_at(name, self.critical(name, alpha))

    def ratio_at(self, name: str, z: float) -> Limits:
        """The same from the limits of all pairs at z."""
        return self._once(("ratio", name, z), self._ratio)

    @cached_property
    def _known(self) -> dict[tuple[str, str, float], Limits]:
        """Limits already found: several measures ask for the same."""
        return {}

    def _once(self, key: tuple[str, str, float], find: Callable[[str, float], Limits]) -> Limits:
        if key not in self._known:
            self._known[key] = find(*key[1:])
        return self._known[key]

    def _difference(self, name: str, z: float) -> Limits:
        rate, n = self.rate(name)
        g, h = _ordered_pairs(rate)
        pairs = (rate[g], n[g], rate[h], n[h])
        low = extreme_limit("difference", *pairs, z, smallest=False)
        high = extreme_limit("difference", *pairs, -z, smallest=False)
        reverse = extreme_limit("difference", *pairs, z, smallest=True)
        return max(0.0, low), max(high, -reverse)

    def _ratio(self, name: str, z: float) -> Limits:
        rate, n = self.rate(name)
        h, g = _ordered_pairs(rate)
        pairs = (rate[g], n[g], rate[h], n[h])
        low = extreme_limit("ratio", *pairs, z, smallest=True)
        high = extreme_limit("ratio", *pairs, -z, smallest=True)
        reverse = extreme_limit("ratio", *pairs, -z, smallest=False)
        return min(low, 1 / reverse), min(1.0, high)


def _ordered_pairs(rate: Floats) -> tuple[Ints, Ints]:
    """Every pair of groups once, the larger rate first; the reverse pair's limits follow from these."""
    order = np.argsort(-rate, kind="stable")
    first, second = np.triu_indices(len(rate), 1)
    return order[first], order[second]


def _difference(*names: str) -> Callable[[Evidence, float], Limits]:
    """Limits of the largest of several ranges."""

    def limits(evidence: Evidence, alpha: float) -> Limits:
        parts = [evidence.difference(name, alpha / len(names)) for name in names]
        return max(low for low, _ in parts), max(high for _, high in parts)

    return limits


def _ratio(*names: str) -> Callable[[Evidence, float], Limits]:
    """Limits of the smallest of several min / max ratios."""

    def limits(evidence: Evidence, alpha: float) -> Limits:
        parts = [evidence.ratio(name, alpha / len(names)) for name in names]
        return min(low for low, _ in parts), min(high for _, high in parts)

    return limits


def _fdr(evidence: Evidence, alpha: float) -> Limits:
    (low1, high1), (low2, high2) = (evidence.difference(name, alpha / 2) for name in ("fpr", "fnr"))
    return 1 - WEIGHT * high1 - (1 - WEIGHT) * high2, 1 - WEIGHT * low1 - (1 - WEIGHT) * low2


def _inequity(evidence: Evidence, alpha: float) -> Limits:
    (low1, high1), (low2, high2) = (evidence.ratio(name, alpha / 2) for name in ("fpr", "fnr"))
    low, high = high1**WEIGHT * high2 ** (1 - WEIGHT), low1**WEIGHT * low2 ** (1 - WEIGHT)
    return 1 / low if low else math.inf, 1 / high if high else math.inf


def _garbe(evidence: Evidence, alpha: float) -> Limits:
    """Of both coefficients at half of alpha, so that FPR and FNR may depend on each other."""
    halves = []
    for place, name in enumerate(("fpr", "fnr")):
        rate, n = evidence.rate(name)
        halves.append(gini_limits(rate, n, alpha / 2, evidence.rng(4 + place)))
    (low1, high1), (low2, high2) = halves
    return WEIGHT * low1 + (1 - WEIGHT) * low2, WEIGHT * high1 + (1 - WEIGHT) * high2


def _over_geometric_mean(name: str) -> Callable[[Evidence, float], Limits]:
    def limits(evidence: Evidence, alpha: float) -> Limits:
        rate, n = evidence.rate(name)
        return max_over_geometric_mean_limits(rate, n, alpha, evidence.rng(6))

    return limits


LIMITS: Mapping[str, Callable[[Evidence, float], Limits]] = {
    "fpr_difference": _difference("fpr"),
    "fnr_difference": _difference("fnr"),
    "fpr_ratio": _ratio("fpr"),
    "fnr_ratio": _ratio("fnr"),
    "demographic_parity_difference": _difference("positive_rate"),
    "demographic_parity_ratio": _ratio("positive_rate"),
    "equalized_odds_difference": _difference("fpr", "fnr"),
    "equalized_odds_ratio": _ratio("fpr", "tpr"),
    "f_oae": _difference("accuracy"),
    "f_dp": _difference("positive_rate"),
    "f_meo": _difference("fpr", "fnr"),
    "fairness_discrepancy_rate": _fdr,
    "inequity_rate": _inequity,
    "garbe": _garbe,
    "fpr_max_over_geometric_mean": _over_geometric_mean("fpr"),
    "fnr_max_over_geometric_mean": _over_geometric_mean("fnr"),
}
"""How the interval of a measure follows from simultaneous ones; a measure not here has none."""
