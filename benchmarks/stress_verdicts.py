"""How often a stress test names a group wrongly: `python benchmarks/stress_verdicts.py [--runs 200]`.

Simulated detectors, three transformations at five severities. Where blur harms one group more than the others
it is convicted and nobody else; where it harms all alike, "disparity" is said in at most 5 % of stress tests.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.judge.damage import Stressed, damage

CONFIG = AuditConfig(attributes=("race",), tolerance=0.02)
KINDS = ("blur", "noise", "jpeg")
ALL = "all"
"""Whom the share under this name harms: everybody who is not named."""


def simulated(
    seed: int, harmed: Mapping[str, float], sizes: Mapping[str, int], start: float = 0.05
) -> Stressed:
    """A detector that errs on `start` of everything; blur turns this share of a group's images into errors.

    Args:
        seed: Of all chance.
        harmed: Group to share at severity 5, less in proportion below; "all" for the rest, and for noise and
            JPEG.
        sizes: Group to pairs.
        start: Error rate of both classes before.
    """
    rng = np.random.default_rng(seed)
    race = np.repeat(list(sizes), list(sizes.values()))
    n = len(race)
    frame = pd.DataFrame({"race": np.tile(race, 2), "label": np.repeat([0, 1], n)})
    frame["pair_id"] = [f"p{i}" for i in range(n)] * 2
    frame["image_id"] = frame["pair_id"] + "-" + frame["label"].astype(str)
    fake = frame["label"].to_numpy() == 1
    wrong = rng.random(2 * n) < start
    frame["score"] = np.where(wrong != fake, 0.9, 0.1)
    table = score_table(frame, CONFIG)
    share = np.array([harmed.get(one, harmed[ALL]) for one in frame["race"]])
    luck = rng.random(2 * n)
    variants = {}
    for kind in KINDS:
        for severity in range(1, 6):
            hit = luck < (share if kind == "blur" else harmed[ALL]) * severity / 5
            variants[kind, severity] = np.where((wrong | hit) != fake, 0.9, 0.1)
    return Stressed("d", table, 0.5, variants, np.tile(np.arange(n), 2))


EQUAL = {
    "3 x 300, harmed by 20 %": ({ALL: 0.2}, {"A": 300, "B": 300, "C": 300}, 0.05),
    "3,000 and 4 x 60, by 5 %": ({ALL: 0.05}, {"A": 3000, "B": 60, "C": 60, "D": 60, "E": 60}, 0.01),
    "3,000 and 200, by 2 %": ({ALL: 0.02}, {"A": 3000, "B": 200}, 0.3),
}
UNEQUAL = {
    "3 x 400, one by 30 %, others by 5 %": ({ALL: 0.05, "C": 0.3}, {"A": 400, "B": 400, "C": 400}, 0.05),
    "7 x 200, one by 25 %, others by 5 %": ({ALL: 0.05, "C": 0.25}, dict.fromkeys("ABCDEFG", 200), 0.05),
}


def said(
    seed: int, harmed: Mapping[str, float], sizes: Mapping[str, int], start: float
) -> tuple[bool, bool, bool]:
    """Whether anything is called unequal; whether anything but C under blur is; whether C under blur is."""
    _, verdicts = damage(simulated(seed, harmed, sizes, start), CONFIG)
    unequal = [v for v in verdicts if v.verdict == "disparity"]
    right = [v.transformation == "blur" and v.worse_group == "C" for v in unequal]
    return bool(unequal), not all(right), any(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print("| case | stress tests | false | blur and the right group named |\n|---|---|---|---|")
    for cases, equal in ((EQUAL, True), (UNEQUAL, False)):
        for name, case in cases.items():
            found = np.array([said(seed, *case) for seed in range(runs)])
            false = found[:, 0 if equal else 1].mean()
            named = "" if equal else f"{found[:, 2].mean():.1%}"
            print(f"| {name} | {runs} | {false:.1%} | {named} |", flush=True)


if __name__ == "__main__":
    main()
