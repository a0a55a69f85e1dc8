"""How often a stress test names a group wrongly: `python benchmarks/stress_verdicts.py [--runs 200]`.

Simulated detectors, three transformations at five severities. Where blur harms one group more than the others
it is convicted and nobody else; where it harms all alike, "disparity" is said in at most 5 % of stress tests,
of persons with several photos too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.judge.damage import Stressed, damage

CONFIG = AuditConfig(attributes=("race",), tolerance=0.02)
WITH_PERSONS = replace(CONFIG, unit_column="person")
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
    frame = _images(np.repeat(list(sizes), list(sizes.values())))
    n = len(frame) // 2
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


def _images(race: np.ndarray) -> pd.DataFrame:
    """A real image and a fake of each pair."""
    n = len(race)
    frame = pd.DataFrame({"race": np.tile(race, 2), "label": np.repeat([0, 1], n)})
    frame["pair_id"] = [f"p{i}" for i in range(n)] * 2
    return frame.assign(image_id=frame["pair_id"] + "-" + frame["label"].astype(str))


def of_persons(
    seed: int, harmed: Mapping[str, float], persons: Mapping[str, tuple[int, int, int]], rho: float
) -> Stressed:
    """The same of persons with several photos, which are harmed together; 5 % are errors before.

    Args:
        seed: Of all chance.
        harmed: As for `simulated`, on average over persons.
        persons: Group to persons, and the fewest and most photos of one.
        rho: Correlation of harm between photos of one person.
    """
    rng = np.random.default_rng(seed)
    of_person = np.repeat(list(persons), [n for n, _, _ in persons.values()])
    photos = np.concatenate([rng.integers(low, high + 1, n) for n, low, high in persons.values()])
    person = np.tile(np.repeat(np.arange(len(photos)), photos), 2)
    frame = _images(np.repeat(of_person, photos)).assign(person=person.astype(str))
    fake = frame["label"].to_numpy() == 1
    wrong = rng.random(len(frame)) < 0.05
    frame["score"] = np.where(wrong != fake, 0.9, 0.1)
    table = score_table(frame, WITH_PERSONS)
    variants = {}
    for kind in KINDS:
        of_group = [harmed.get(one, harmed[ALL]) if kind == "blur" else harmed[ALL] for one in of_person]
        mean, many = np.array(of_group), 1 / rho - 1
        share = rng.beta(mean * many, (1 - mean) * many, (2, len(photos)))[fake.astype(int), person]
        luck = rng.random(len(frame))
        for severity in range(1, 6):
            hit = luck < share * severity / 5
            variants[kind, severity] = np.where((wrong | hit) != fake, 0.9, 0.1)
    assert table.unit is not None
    return Stressed("d", table, 0.5, variants, table.unit)


EQUAL = {
    "3 x 300, harmed by 20 %": ({ALL: 0.2}, {"A": 300, "B": 300, "C": 300}, 0.05),
    "3,000 and 4 x 60, by 5 %": ({ALL: 0.05}, {"A": 3000, "B": 60, "C": 60, "D": 60, "E": 60}, 0.01),
    "3,000 and 200, by 2 %": ({ALL: 0.02}, {"A": 3000, "B": 200}, 0.3),
}
EQUAL_PERSONS = {
    "2 x 20 persons of 2 to 50, by 20 %": ({ALL: 0.2}, dict.fromkeys("AB", (20, 2, 50)), 0.33),
    "2 x 20 persons of 20, by 20 %": ({ALL: 0.2}, dict.fromkeys("AB", (20, 20, 20)), 0.67),
    "6 x 12 persons of 20, by 20 %": ({ALL: 0.2}, dict.fromkeys("ABCDEF", (12, 20, 20)), 0.67),
    "300 persons of 20 and 3 x 12, by 5 %": (
        {ALL: 0.05}, {"Z": (300, 20, 20)} | dict.fromkeys("ABC", (12, 20, 20)), 0.67
    ),
    "300 persons of 1 to 3 and 3 x 15 of 2 to 50, by 5 %": (
        {ALL: 0.05}, {"Z": (300, 1, 3)} | dict.fromkeys("ABC", (15, 2, 50)), 0.67
    ),
}  # fmt: skip
UNEQUAL_PERSONS = {
    "3 x 40 persons of 20, one by 40 %, others by 5 %": (
        {ALL: 0.05, "C": 0.4}, dict.fromkeys("ABC", (40, 20, 20)), 0.33
    ),
    "3 x 100 persons of 1 to 5, one by 25 %, others by 5 %": (
        {ALL: 0.05, "C": 0.25}, dict.fromkeys("ABC", (100, 1, 5)), 0.33
    ),
    "3 x 40 persons of 2 to 50, one by 40 %, others by 5 %": (
        {ALL: 0.05, "C": 0.4}, dict.fromkeys("ABC", (40, 2, 50)), 0.33
    ),
}  # fmt: skip
UNEQUAL = {
    "3 x 400, one by 30 %, others by 5 %": ({ALL: 0.05, "C": 0.3}, {"A": 400, "B": 400, "C": 400}, 0.05),
    "7 x 200, one by 25 %, others by 5 %": ({ALL: 0.05, "C": 0.25}, dict.fromkeys("ABCDEFG", 200), 0.05),
}


def said(stressed: Stressed) -> tuple[bool, bool, bool]:
    """Whether anything is called unequal; whether anything but C under blur is; whether C under blur is."""
    _, verdicts = damage(stressed, CONFIG)
    unequal = [v for v in verdicts if v.verdict == "disparity"]
    right = [v.transformation == "blur" and v.worse_group == "C" for v in unequal]
    return bool(unequal), not all(right), any(right)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print("| case | stress tests | false | blur and the right group named |\n|---|---|---|---|")
    tables: list[tuple[Mapping[str, tuple], Callable[..., Stressed], bool]] = [
        (EQUAL, simulated, True), (EQUAL_PERSONS, of_persons, True),
        (UNEQUAL, simulated, False), (UNEQUAL_PERSONS, of_persons, False),
    ]  # fmt: skip
    for cases, simulate, equal in tables:
        for name, case in cases.items():
            found = np.array([said(simulate(seed, *case)) for seed in range(runs)])
            false = found[:, 0 if equal else 1].mean()
            named = "" if equal else f"{found[:, 2].mean():.1%}"
            print(f"| {name} | {runs} | {false:.1%} | {named} |", flush=True)


if __name__ == "__main__":
    main()
