"""Whether maps of one group rest on another part of the face than those of everybody else.

Enters: for every unit (a source photo) the share of its map in each region, and its group. Leaves: for each
group and region a difference and a p-value, adjusted for all groups and regions.

Test: Welch's t of one group against all others, for every group and region; groups are permuted over units,
and each |t| is compared with the largest of the permuted table (max-T). Where no group differs, the chance
that any is named is at most the level; a group is compared with all others, so where one differs the others
do from those that include it. Shares of one map add up to 1: the regions are not independent, which max-T
allows for.

Why a p-value is never below that of Welch's t by its own degrees of freedom (Bonferroni): permutations take
groups for exchangeable, and what is said is about means. Where one large group stands beside small ones that
vary more, the permuted t is too short.

Sources: Westfall and Young 1993, Resampling-Based Multiple Testing, section 2.3 (single-step max-T); Phipson
and Smyth 2010 (p-values of permutation tests are never 0); Welch 1947, Biometrika 34:28-35.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MapDifference:
    """One group and region."""

    group: str
    region: int
    n: int
    """Units of the group."""
    share: float
    """Mean share of its maps in the region, 0-1."""
    share_others: float
    p_value: float
    """Adjusted for all groups and regions of this call."""


def map_differences(
    shares: Floats,
    groups: Sequence[str],
    *,
    min_n: int = 10,
    n_permutations: int = 999,
    seed: int = 0,
) -> list[MapDifference]:
    """Compare each group with all others, region by region.

    Args:
        shares: [N, R], rows finite; one row a unit.
        groups: [N] names.
        min_n: Groups with fewer units, or with fewer others, are not compared.
        n_permutations: Drawn.
        seed: Of the draws.

    Returns:
        One row a compared group and region; none where fewer than two groups are there.

    Raises:
        ValueError: a share that is not finite.

    >>> rng = np.random.default_rng(0)
    >>> shares = rng.normal(0.2, 0.02, (60, 2)) + np.outer(np.repeat([0, 1], 30), [0.1, 0.0])
    >>> [d.p_value < 0.05 for d in map_differences(shares, ["A"] * 30 + ["B"] * 30)]
    [True, False, True, False]
    """
    values, names = np.asarray(shares, dtype=np.float64), np.asarray(groups, dtype=object)
    if not np.isfinite(values).all():
        raise ValueError("a share of a map is not finite: leave flat maps out")
    counts = {name: int((names == name).sum()) for name in sorted(set(groups))}
    compared = [name for name, n in counts.items() if min_n <= n <= len(names) - min_n]
    if not compared:
        return []
    members = np.stack([names == name for name in compared]).astype(np.float64)
    seen, df = (np.abs(one) for one in _welch(members, values))
    rng = np.random.default_rng(seed)
    dealt = (members[:, rng.permutation(len(names))] for _ in range(n_permutations))
    largest = np.array([np.abs(_welch(one, values)[0]).max() for one in dealt])
    n_tests = seen.size if len(counts) > 2 else values.shape[1]  # of two groups each is the other's others
    permuted = (1 + (largest[:, None, None] >= seen[None] - 1e-12).sum(0)) / (1 + n_permutations)
    p_values = np.maximum(permuted, np.minimum(1.0, n_tests * 2 * student.sf(seen, df)))
    means, others = _means(members, values)
    return [
        MapDifference(
            name, region, counts[name], float(means[g, region]), float(others[g, region]),
            float(p_values[g, region]),
        )
        for g, name in enumerate(compared)
        for region in range(values.shape[1])
    ]  # fmt: skip


def _means(members: Floats, values: Floats) -> tuple[Floats, Floats]:
    """[G, R] means of the groups, and of all others."""
    n = members.sum(1)[:, None]
    sums = members @ values
    return sums / n, (values.sum(0) - sums) / (len(values) - n)


def _welch(members: Floats, values: Floats) -> tuple[Floats, Floats]:
    """[G, R] each: Welch's t of a group against all others, 0 where nothing varies; degrees of freedom."""
    n = members.sum(1)[:, None]
    m = len(values) - n
    mean, other = _means(members, values)
    squares = members @ values**2
    own = np.maximum(squares / n - mean**2, 0) / (n - 1)
    rest = np.maximum(((values**2).sum(0) - squares) / m - other**2, 0) / (m - 1)
    error = np.sqrt(own + rest)
    t = np.divide(mean - other, error, out=np.zeros_like(mean), where=error > 1e-12)
    parts = own**2 / (n - 1) + rest**2 / (m - 1)
    return t, np.divide((own + rest) ** 2, parts, out=np.ones_like(mean), where=parts > 0)
