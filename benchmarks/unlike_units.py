"""How often units with weights, too many to be shuffled, are called unequal although they are equal.

    python benchmarks/unlike_units.py [--n 3000] [--n-shuffled 150]

Each unit has a weight of its own, so no two are alike. Where there are more of them than
`clusters.MOST_SHUFFLED`, the largest |z| is held against its normal limit; here it is also held against
shuffled units. Prints, for both, the share of tests with p <= 0.05 and with p <= 0.05 / 14, which is what the
first of fourteen questions asks; and the power for two true gaps.
"""

from __future__ import annotations

import argparse

import numpy as np

from audit.data.unit_totals import UnitTotals, unit_totals
from audit.inference import clusters

EQUAL = {
    "2,000 and 6 x 50 at 1 %": ([2000] + [50] * 6, 0.01, 1, 0.5),
    "7 x 320 at 0.5 %": ([320] * 7, 0.005, 1, 0.5),
    "1,500 and 20 x 32, five images each, at 2 %": ([1500] + [32] * 20, 0.02, 5, 0.5),
    "1,500 and 20 x 32 at 5 %, logarithms of weights deviate by 1": ([1500] + [32] * 20, 0.05, 1, 1.0),
    "2 x 1,100 at 0.5 %": ([1100] * 2, 0.005, 1, 0.5),
    "2 x 1,100 at 5 %, logarithms of weights deviate by 1.5": ([1100] * 2, 0.05, 1, 1.5),
    "5,700 and 6 x 50 at 1 %": ([5700] + [50] * 6, 0.01, 1, 0.5),
}
"""Units of each group, rate, images a unit (correlation 0.3), deviation of the logarithm of weights."""

UNEQUAL = {
    "2 x 1,100 at 2 and 4 %": ([1100] * 2, [0.02, 0.04], 1, 0.5),
    "1,500 and 6 x 100 at 2 %, one of these at 10 %": ([1500] + [100] * 6, [0.02] * 6 + [0.1], 1, 0.5),
}


def drawn(
    sizes: list[int], rates: float | list[float], images: int, spread: float, rng: np.random.Generator
) -> UnitTotals:
    """Units with log-normal weights whose images err together."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    rate = np.broadcast_to(rates, len(sizes))[group]
    chance = rate if images == 1 else rng.beta(rate * 7 / 3, (1 - rate) * 7 / 3)
    unit = np.repeat(np.arange(len(group)), images)
    wrong = rng.random(len(unit)) < chance[unit]
    weight = rng.lognormal(0, spread, len(group))[unit]
    return unit_totals(unit, group[unit], len(sizes), np.zeros(len(unit), bool), wrong, weight)


def shares(setting: tuple[list[int], float | list[float], int, float], n: int, most: int) -> str:
    """Shares of n tests that reject at 5 % and at 5 % / 14, shuffling up to so many units."""
    clusters.MOST_SHUFFLED = most
    rng = np.random.default_rng(5)
    p = np.array(
        [clusters.unit_equality_test(drawn(*setting, rng), "fpr", 1000, rng).p_value for _ in range(n)]
    )
    return f"{100 * (p <= 0.05).mean():.1f} % | {100 * (p <= 0.05 / 14).mean():.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=3000, help="tests by the normal limit")
    parser.add_argument("--n-shuffled", type=int, default=150, help="tests by shuffling, which take longer")
    asked = parser.parse_args()
    for title, settings in (("equal", EQUAL), ("unequal", UNEQUAL)):
        print(f"| {title} | normal limit: p <= 5 % | p <= 5 % / 14 | shuffled: p <= 5 % | p <= 5 % / 14 |")
        print("|---|---|---|---|---|")
        for name, setting in settings.items():
            normal, shuffled = shares(setting, asked.n, 0), shares(setting, asked.n_shuffled, 10**9)
            print(f"| {name} | {normal} | {shuffled} |", flush=True)


if __name__ == "__main__":
    main()
