"""Rows of the calibration table that go through the whole audit: what is named, refused, and said again.

Enters: nothing. Leaves: `STUDIES`, which `benchmarks/calibration.py` runs with its own.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from study import AT_LEAST, AT_MOST, Study

from audit.config import AuditConfig
from audit.errors import UnitError
from audit.judge.attrition import no_scores
from audit.judge.kinds_agreement import DEPENDS, OPEN, kinds_agreement
from audit.runs.score_audit import audit_scores
from reports.text.threshold_text import better

NEVER = (0.0, 0.0)
SEEDS = 5


def flagged(group: np.ndarray, rates: np.ndarray, label: int, rng: np.random.Generator) -> pd.DataFrame:
    """Images of one class, wrong at the rate of their group."""
    wrong = rng.random(len(group)) < rates[group]
    score = np.where(wrong == (label == 0), 0.9, 0.1)
    return pd.DataFrame({"label": label, "score": score, "race": group.astype(str)})


def other_pair_shown(sizes: list[int], rates: list[float], n_sim: int, rng: np.random.Generator) -> float:
    """Of the disparities, those whose named pair is not proven by its own images, at the p printed, or whose
    interval reaches 0.
    """
    wrong = found = 0
    for _ in range(n_sim):
        frame = flagged(np.repeat(np.arange(len(sizes)), sizes), np.array(rates), 0, rng)
        for verdict in audit_scores(frame, AuditConfig(attributes=("race",), n_boot=200)).verdicts:
            if verdict.verdict != "disparity":
                continue
            found += 1
            named = [one for one in verdict.worse_groups if one.group == verdict.worst_group]
            proven = any(
                one.than == verdict.best_group
                and one.p_value <= 0.05
                and one.p_value == verdict.pair_p_value
                and one.difference_interval[0] > 0
                for one in named
            )
            wrong += not proven
    return wrong / max(found, 1)


def reference_family_coverage(
    sizes: list[int], fpr: list[float], fnr: list[float], n_sim: int, rng: np.random.Generator
) -> float:
    """How often the intervals of both rates and two attributes hold together. Gender decides nothing."""
    hits = 0
    config = AuditConfig(attributes=("race", "gender"), n_boot=100, references={"race": "0", "gender": "a"})
    group = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(n_sim):
        parts = [flagged(group, np.array(rates), label, rng) for label, rates in ((0, fpr), (1, fnr))]
        frame = pd.concat(parts, ignore_index=True)
        frame["gender"] = rng.choice(["a", "b", "c"], len(frame))
        held = True
        for gap in audit_scores(frame, config).gaps:
            if not gap.measure.endswith("_to_reference") or gap.interval is None:
                continue
            rates = fpr if gap.measure.startswith("fpr") else fnr
            truth = rates[int(gap.groups[0])] - rates[0] if gap.attribute == "race" else 0.0
            held &= gap.interval[0] <= truth <= gap.interval[1]
        hits += held
    return hits / n_sim


def persons(n: int, each: int, together: float, rng: np.random.Generator, name: str) -> pd.DataFrame:
    """Reals of n persons of two equal groups, wrong at 10 %; errors of one person correlate by `together`."""
    chance = rng.beta(0.1 * (1 / together - 1), 0.9 * (1 / together - 1), n)
    person = np.repeat(np.arange(n), each)
    score = np.where(rng.random(len(person)) < chance[person], 0.9, 0.1) + 0.01 * rng.random(len(person))
    return pd.DataFrame(
        {"label": 0, "score": score, "race": np.where(person % 2, "A", "B"), name: [f"p{i}" for i in person]}
    )


def uneven(sizes: list[int], together: float, shift: bool, n_sim: int, rng: np.random.Generator) -> float:
    """How often two equal groups, of persons with so many images, are told apart: by the test, or a shift."""
    hits, person = 0, np.repeat(np.arange(2 * len(sizes)), sizes * 2)
    config = AuditConfig(attributes=("race",), n_boot=300, unit_column="person")
    race = np.where(person < len(sizes), "A", "B")
    for _ in range(n_sim):
        chance = rng.beta(0.2 * (1 / together - 1), 0.8 * (1 / together - 1), 2 * len(sizes))
        score = np.where(rng.random(len(person)) < chance[person], 0.9, 0.1) + 0.01 * rng.random(len(person))
        found = audit_scores(
            pd.DataFrame({"label": 0, "score": score, "race": race, "person": person}), config
        )
        named = any(verdict.worse_groups for verdict in found.verdicts)
        shifted = any(s.interval and not s.interval[0] <= 0.5 <= s.interval[1] for s in found.score_shifts)
        hits += shifted if shift else named
    return hits / n_sim


def named_without_score(
    sizes: list[int], lost: float, each: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often groups are said to differ in images without a score that lose the same share.

    Args:
        sizes: Images of each class by group, or persons of `each` images.
        lost: Share of images; of a person's, correlated by 0.3 where there are several.
        each: Images of a person.
        n_sim: Simulated audits.
        rng: Source of randomness.
    """
    said, group = 0, np.repeat(np.arange(len(sizes)), sizes).repeat(each)
    config = AuditConfig(n_boot=300, unit_column="person" if each > 1 else None)
    for _ in range(n_sim):
        halves = []
        for label in (0, 1):
            chance = rng.beta(lost * (1 / 0.3 - 1), (1 - lost) * (1 / 0.3 - 1), sum(sizes))
            share = np.repeat(chance, each) if each > 1 else np.full(len(group), lost)
            person = np.repeat(np.arange(sum(sizes)), each)
            halves.append(pd.DataFrame({
                "label": label, "race": group.astype(str), "person": [f"{label}-{i}" for i in person],
                "lost": rng.random(len(group)) < share,
            }))  # fmt: skip
        frame = pd.concat(halves, ignore_index=True)
        found = no_scores(frame[~frame["lost"]], frame[frame["lost"]], ["race"], config)
        said += any(one.more for one in found)
    return said / n_sim


def trials_named_without_score(
    speakers: list[int], lost: float, each: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often groups of speakers are said to differ in trials without a score, who lose the same share.

    Args:
        speakers: Of each group.
        lost: Share of trials; a speaker's are lost together, correlated by 0.3 through either voice.
        each: Trials of one speaker with himself, and with others of the group, for each speaker.
        n_sim: Simulated audits.
        rng: Source of randomness.
    """
    said, n = 0, sum(speakers)
    group, first = np.repeat(np.arange(len(speakers)), speakers), np.repeat(np.arange(n), each)
    starts = np.concatenate([[0], np.cumsum(speakers)])[group[first]]
    config = AuditConfig(task="speaker-verification", n_boot=300)
    one_voice = 1 - np.sqrt(1 - lost)
    for _ in range(n_sim):
        chance = rng.beta(one_voice * (1 / 0.3 - 1), (1 - one_voice) * (1 / 0.3 - 1), n)
        other = starts + rng.integers(np.asarray(speakers)[group[first]])
        halves = []
        for label, second in (
            (1, first),
            (0, np.where(other == first, np.maximum(starts, first - 1), other)),
        ):
            kept = second == first if label else second != first
            missed = rng.random(len(first)) < 1 - (1 - chance[first]) * (1 - chance[second])
            halves.append(pd.DataFrame({
                "label": label, "accent": group[first].astype(str), "speaker": first, "other_speaker": second,
                "lost": missed,
            })[kept])  # fmt: skip
        frame = pd.concat(halves, ignore_index=True)
        found = no_scores(frame[~frame["lost"]], frame[frame["lost"]], ["accent"], config)
        said += any(one.more for one in found)
    return said / n_sim


def said_of_kinds(
    sizes: list[int], rates: tuple[float, float], share: float, n_sim: int, rng: np.random.Generator
) -> float:
    """How often a gap is said to follow the people, or the kind, of groups that miss two kinds alike, at
    these rates of photos, of which a share decides for both kinds at once.
    """
    said, group = 0, np.repeat(np.arange(len(sizes)), sizes)
    config, n = AuditConfig(attributes=("race",)), len(group)
    for _ in range(n_sim):
        common, together = rng.random(n), rng.random(n) < share
        halves = [
            pd.DataFrame({
                "pair_id": np.arange(n), "kind": kind, "race": group.astype(str),
                "missed": np.where(together, common, rng.random(n)) < rate,
            })
            for kind, rate in zip(("small", "swap"), rates, strict=True)
        ]  # fmt: skip
        said += kinds_agreement(pd.concat(halves, ignore_index=True), ["race"], config)[0].verdict != OPEN
    return said / n_sim


def said_of_levels(
    sizes: list[int], rates: list[tuple[float, ...]], n_sim: int, rng: np.random.Generator
) -> float:
    """How often a gap is said to depend on the kind where kinds differ by as much in every group, though the
    groups lie at other levels: rates of each group, one a kind.
    """
    said, group = 0, np.repeat(np.arange(len(sizes)), sizes)
    config, n = AuditConfig(attributes=("race",)), len(group)
    of_row = np.array(rates)[group]
    for _ in range(n_sim):
        parts = [
            pd.DataFrame({
                "pair_id": np.arange(n), "kind": f"kind {j}", "race": group.astype(str),
                "missed": rng.random(n) < of_row[:, j],
            })
            for j in range(of_row.shape[1])
        ]  # fmt: skip
        said += kinds_agreement(pd.concat(parts, ignore_index=True), ["race"], config)[0].verdict == DEPENDS
    return said / n_sim


def another_threshold_advised(n: int, skill: float, n_sim: int, rng: np.random.Generator) -> float:
    """How often another threshold is recommended where the audited one balances both errors in truth: n real
    images and n fakes, whose scores lie `skill` SD higher.
    """
    said = 0
    for _ in range(n_sim):
        fake = np.repeat([0, 1], n)
        frame = pd.DataFrame({"label": fake, "score": rng.normal(size=2 * n) + skill * fake, "race": "all"})
        record = audit_scores(frame, AuditConfig(attributes=("race",), threshold=skill / 2, n_boot=100))
        said += better(record) is not None
    return said / n_sim


def not_refused(n: int, each: int, n_sim: int, rng: np.random.Generator) -> float:
    """How often an audit of frames of persons goes on as if each were a person."""
    went_on = 0
    for _ in range(n_sim):
        try:
            audit_scores(persons(n, each, 0.4, rng, "person"), AuditConfig(attributes=("race",), n_boot=100))
            went_on += 1
        except UnitError:
            pass
    return went_on / n_sim


def fakes_of_a_photo(n: int, each: int, n_sim: int, rng: np.random.Generator) -> float:
    """How often equal groups are called unequal where each photo has `each` fakes, and no option is given."""
    hits = 0
    for _ in range(n_sim):
        fakes = persons(n, each, 0.4, rng, "pair_id").assign(label=1)
        reals = fakes.drop_duplicates("pair_id").assign(label=0, score=0.1)
        frame = pd.concat([fakes, reals], ignore_index=True)
        frame["image_id"] = [f"i{i}" for i in range(len(frame))]
        verdicts = audit_scores(frame, AuditConfig(attributes=("race",), n_boot=200)).verdicts
        hits += any(verdict.verdict == "disparity" for verdict in verdicts)
    return hits / n_sim


def seeds_disagree(n: int, each: int, n_sim: int, rng: np.random.Generator) -> float:
    """How often five seeds give one table two different verdicts or two different pairs."""
    differ = 0
    for _ in range(n_sim):
        frame = persons(n, each, 0.3, rng, "person")
        frame.loc[(frame["race"] == "A") & (rng.random(len(frame)) < 0.08), "score"] = 0.9
        told = set()
        for seed in range(SEEDS):
            config = AuditConfig(attributes=("race",), unit_column="person", seed=seed)
            [verdict, _] = audit_scores(frame, config).verdicts
            told.add((verdict.verdict, verdict.worst_group, verdict.best_group))
        differ += len(told) > 1
    return differ / n_sim


_SMALL = [7_000, 600, 500, 200, 150, 120, 100]

STUDIES = [
    *[
        Study("Disparity whose pair is not the one proven", case, NEVER,
              partial(other_pair_shown, sizes, rates), 200)
        for case, sizes, rates in (
            ("7,000 at 0.5 %, 600 to 100 at 2 %", _SMALL, [0.005] + [0.02] * 6),
            ("7 x 300, 3 to 15 %", [300] * 7, np.linspace(0.03, 0.15, 7).tolist()),
            ("3,000 at 1 %, 12 x 60 at 5 %", [3_000] + [60] * 12, [0.01] + [0.05] * 12),
        )
    ],
    *[
        Study("Reference, both rates and two attributes at once", case, AT_LEAST,
              partial(reference_family_coverage, sizes, fpr, fnr), 400)
        for case, sizes, fpr, fnr in (
            ("5,000 + 6 x 60 at 1 / 0.5 %", [5_000] + [60] * 6, [0.01] + [0.005] * 6, [0.005] + [0.01] * 6),
            ("7 x 200, 5 to 11 %", [200] * 7, np.linspace(0.05, 0.11, 7).tolist(), [0.1] * 7),
        )
    ],
    *[
        Study("Frames of persons audited as persons, no option", f"{n} persons of ten", NEVER,
              partial(not_refused, n, 10), 100)
        for n in (60, 300)
    ],
    Study("Five fakes a photo, disparity although equal, no option", "300 photos", AT_MOST,
          partial(fakes_of_a_photo, 300, 5), 200),
    *[
        Study(f"Persons of unlike size, {'any group shifted' if shift else 'disparity'} although equal",
              case, AT_MOST, partial(uneven, sizes, together, shift), 300)
        for case, sizes, together in (
            ("1 of 1,000 images, 100 of one", [1_000] + [1] * 100, 0.2),
            ("2 of 2,000, 30 of five", [2_000] * 2 + [5] * 30, 0.1),
            ("15 of 300, 40 of ten", [300] * 15 + [10] * 40, 0.1),
        )
        for shift in (False, True)
    ],
    *[
        Study("Kinds of fake, a gap said to follow people or kind although equal", case, AT_MOST,
              partial(said_of_kinds, sizes, rates, share), 1_000)
        for case, sizes, rates, share in (
            ("7 x 1,500 at 10 and 20 %", [1_500] * 7, (0.1, 0.2), 0.5),
            ("10,000 and 6 x 30 at 10 and 20 %", [10_000] + [30] * 6, (0.1, 0.2), 0.5),
            ("2,000 and 15 x 30 at 10 and 20 %", [2_000] + [30] * 15, (0.1, 0.2), 0.5),
            ("2,000 and 15 x 30 at 2 and 5 %, mostly together", [2_000] + [30] * 15, (0.02, 0.05), 0.9),
        )
    ],
    *[
        Study("Kinds of fake, a gap said to depend on the kind though levels alone differ", case, AT_MOST,
              partial(said_of_levels, sizes, rates), 1_000)
        for case, sizes, rates in (
            ("5,000 at 0.5, 0.5, 1 % and 40 at 20, 20, 20.5 %", [5_000, 40],
             [(0.005, 0.005, 0.01), (0.2, 0.2, 0.205)]),
            ("2,000 at 2, 5 % and 6 x 40 at 30, 33 %", [2_000] + [40] * 6,
             [(0.02, 0.05)] + [(0.3, 0.33)] * 6),
            ("2,000 at 1, 3 % and 100 at 12, 14 %", [2_000, 100], [(0.01, 0.03), (0.12, 0.14)]),
        )
    ],
    *[
        Study("Another threshold recommended at the balanced one", f"{n} + {n}", AT_MOST,
              partial(another_threshold_advised, n, 2.0), 400)
        for n in (40, 100, 1_000)
    ],
    *[
        Study("No score, any group said to lack it more often although equal", case, AT_MOST,
              partial(named_without_score, sizes, lost, each), 1_000)
        for case, sizes, lost, each in (
            ("5,000 and 6 x 40, 1 % lost", [5_000] + [40] * 6, 0.01, 1),
            ("7 x 300, 10 % lost", [300] * 7, 0.1, 1),
            ("400 and 12 x 30, 20 % lost", [400] + [30] * 12, 0.2, 1),
            ("200 and 3 x 30 persons of five, 10 % lost", [200, 30, 30, 30], 0.1, 5),
        )
    ],
    *[
        Study("No score, any group of speakers said to lack it more often although equal", case, AT_MOST,
              partial(trials_named_without_score, speakers, lost, each), 1_000)
        for case, speakers, lost, each in (
            ("200 and 3 x 30 speakers, 10 trials, 10 % lost", [200, 30, 30, 30], 0.1, 10),
            ("6 x 40 speakers, 20 trials, 2 % lost", [40] * 6, 0.02, 20),
        )
    ],
    Study("Units, verdicts that differ by seed", "100 persons of ten, near the edge", NEVER,
          partial(seeds_disagree, 100, 10), 40),
]  # fmt: skip
