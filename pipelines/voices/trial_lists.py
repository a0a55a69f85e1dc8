"""Trial lists: which clip is compared with which.

Usable clips enter; one row a trial leaves:

    trial_id                  str, unique
    part                      "train", "valid" or "test": speakers are dealt whole, nobody is in two
    clip_a, clip_b            the enrolled clip and the probe
    speaker_a, speaker_b
    same                      1 = the same speaker, 0 = different speakers
    hard                      bool: two speakers of one cell (the same value in every attribute)
    ATTRIBUTE_a, ATTRIBUTE_b  the attributes of both speakers

Why half of the different pairs are hard: to tell a woman from a man is easy, and a verifier that learns only
that looks good on random pairs. Impostors are not so obliging.
Why 37.26 to 62.26 in training: the project that this task was taken from trained on that mixture, given there
in percent as it stands here; same and different are taken in this proportion. Tests are half and half, so
that a threshold's accuracy is what it seems.
Why the proportion is kept where clips run out: fewer trials, not another mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isqrt
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.errors import SettingError, TooFewSpeakers
from pipelines.parts import PART_NAMES, split_origins

TRAIN_SAME_SHARE: Final = 37.26 / (37.26 + 62.26)
TEST_SAME_SHARE: Final = 0.5
MIN_SPEAKERS: Final = 2
"""Of a part: with one there are no different pairs."""
_TRIES: Final = 20
"""Draws for one different pair, before that speaker's turn is passed on."""
_ROOM: Final = 20
"""Same pairs that a speaker offers, for each one a speaker has on average: thousands of clips have millions
of pairs, and nobody asks for them.
"""


@dataclass(frozen=True)
class TrialSettings:
    """How trials are made.

    Attributes:
        trials_per_speaker: In each part, on average; fewer where clips run out.
        train_same_share: Of the training trials, those of one speaker; tests have one half.
        hard_share: Of the different pairs, those within one cell, where a cell has two speakers.
        fractions: Of the speakers, for train, valid and test.
        seed: Equal seeds give equal lists.
    """

    trials_per_speaker: int = 60
    train_same_share: float = TRAIN_SAME_SHARE
    hard_share: float = 0.5
    fractions: tuple[float, float, float] = (0.5, 0.1, 0.4)
    seed: int = 0

    def __post_init__(self) -> None:
        faults = []
        if self.trials_per_speaker < 2:
            faults.append(f"trials_per_speaker is {self.trials_per_speaker}, it must be 2 or more")
        if not 0 < self.train_same_share < 1:
            faults.append(f"train_same_share is {self.train_same_share}, it must lie between 0 and 1")
        if not 0 <= self.hard_share <= 1:
            faults.append(f"hard_share is {self.hard_share}, it must be from 0 to 1")
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            faults.append(f"fractions are {self.fractions}, they must be three from 0 that add up to 1")
        if faults:
            raise SettingError("cannot make trials: " + "; ".join(faults))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "trials_per_speaker": self.trials_per_speaker,
            "train_same_share": self.train_same_share,
            "test_same_share": TEST_SAME_SHARE,
            "hard_share": self.hard_share,
            "fractions": list(self.fractions),
            "seed": self.seed,
        }


def speakers_of(clips: pd.DataFrame, attributes: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """One row a speaker with its attributes, and what contradicted itself.

    A speaker whose clips name two different words has none: which of them is true, nobody here knows.
    """
    notes = []
    columns = {}
    for name in attributes:
        words = clips.dropna(subset=[name]).groupby("speaker")[name].agg(["nunique", "first"])
        torn = int((words["nunique"] > 1).sum())
        if torn:
            notes.append(
                f"{torn} speakers have clips with different words for {name}; theirs is taken as unknown."
            )
        columns[name] = words["first"].where(words["nunique"] == 1)
    names = sorted(clips["speaker"].unique())
    return pd.DataFrame({name: column.reindex(names) for name, column in columns.items()}, index=names), notes


def cells_of(speakers: pd.DataFrame) -> pd.Series:
    """The cell of each speaker: its attributes joined by ":"."""
    if not speakers.shape[1]:
        return pd.Series("", index=speakers.index)
    return speakers.astype(object).fillna("(missing)").astype(str).agg(":".join, axis=1)


def make_trials(
    clips: pd.DataFrame, attributes: Sequence[str], settings: TrialSettings, whole_speakers: bool = True
) -> tuple[pd.DataFrame, list[str]]:
    """Deal speakers to parts, and make the trials of each.

    Args:
        clips: Usable clips: clip_id, speaker, session and the attributes; every speaker has two or more.
        attributes: Names of the columns that describe a speaker.
        settings: How.
        whole_speakers: False to have every speaker, and every clip, in every part: a random split of as many
            trials, which shows what hearing the same people twice flatters. No trial is in two parts.

    Returns:
        The trials of all parts, and what a person should know.

    Raises:
        TooFewSpeakers: Some part would have fewer than two.
    """
    clips = clips.sort_values("clip_id", ignore_index=True)
    speakers, notes = speakers_of(clips, attributes)
    cells = cells_of(speakers)
    dealt = split_origins(pd.Series(speakers.index), cells, settings.fractions, settings.seed)
    parts = clips["speaker"].map(dict(zip(speakers.index, dealt, strict=True)))
    lists: list[pd.DataFrame] = []
    for number, (part, fraction) in enumerate(zip(PART_NAMES, settings.fractions, strict=True)):
        if fraction == 0:
            continue
        own = clips[parts == part]
        _check_enough(part, own, len(speakers))
        wanted = settings.trials_per_speaker * own["speaker"].nunique()
        share = settings.train_same_share if part == "train" else TEST_SAME_SHARE
        inside, random = own if whole_speakers else clips, np.random.default_rng([settings.seed, 2, number])
        trials = _of_part(inside, cells, wanted, share, settings.hard_share, random)
        if len(trials) < wanted:
            notes.append(
                f"{part}: {len(trials):,} trials instead of {wanted:,}; there are no more clips to pair."
            )
        trials.insert(0, "trial_id", [f"{part}-{i:07d}" for i in range(1, len(trials) + 1)])
        trials.insert(1, "part", part)
        lists.append(trials)
    found = pd.concat(lists, ignore_index=True)
    pairs = pd.Series([frozenset(pair) for pair in zip(found["clip_a"], found["clip_b"], strict=True)])
    found = found[~pairs.duplicated()].reset_index(drop=True)
    for side in ("a", "b"):
        for name in attributes:
            found[f"{name}_{side}"] = found[f"speaker_{side}"].map(speakers[name])
    return found, notes


def _check_enough(part: str, clips: pd.DataFrame, n_speakers: int) -> None:
    n = clips["speaker"].nunique()
    if n < MIN_SPEAKERS:
        raise TooFewSpeakers(
            f"the {part} part has {n} of {n_speakers} speakers with two usable clips, and needs "
            f"{MIN_SPEAKERS}: add speakers, or change --fractions"
        )


Pair = tuple[str, str]


def _of_part(
    clips: pd.DataFrame,
    cells: pd.Series,
    n: int,
    share: float,
    hard_share: float,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Up to n trials, in random order; same and different in the proportion asked for."""
    speaker = dict(zip(clips["clip_id"], clips["speaker"], strict=True))
    n_same = round(n * share)
    n_different = n - n_same
    most = max(_ROOM, _ROOM * n_same // clips["speaker"].nunique())
    same = _same_pairs(clips, n_same, most, random)
    if len(same) < n_same:
        n_different = round(len(same) * (1 - share) / share)
    different = _different_pairs(clips, cells, n_different, hard_share, random)
    if len(different) < n_different:
        same = same[: max(1, round(len(different) * share / (1 - share)))]
    pairs = [*same, *different]
    rows = []
    for place in random.permutation(len(pairs)):
        a, b = pairs[place] if random.random() < 0.5 else pairs[place][::-1]
        one, other = speaker[a], speaker[b]
        rows.append((a, b, one, other, int(one == other), bool(one != other and cells[one] == cells[other])))
    return pd.DataFrame(rows, columns=["clip_a", "clip_b", "speaker_a", "speaker_b", "same", "hard"])


def _same_pairs(clips: pd.DataFrame, n: int, most: int, random: np.random.Generator) -> list[Pair]:
    """Pairs of clips of one speaker, every speaker in turn, about `most` of each; across sessions first."""
    turns = [_pairs_of_speaker(group, most, random) for _, group in clips.groupby("speaker")]
    found: list[Pair] = []
    while turns and len(found) < n:
        left = []
        for turn in random.permutation(len(turns)):
            pair = next(turns[turn], None)
            if pair is not None and len(found) < n:
                found.append(pair)
                left.append(turns[turn])
        turns = left
    return found


def _pairs_of_speaker(clips: pd.DataFrame, most: int, random: np.random.Generator) -> Iterator[Pair]:
    sessions = dict(zip(clips["clip_id"], clips["session"], strict=True))
    names = sorted(sessions)
    enough = isqrt(2 * most) + 1  # so many clips have at least `most` pairs
    if len(names) > enough:
        names = sorted(names[i] for i in random.choice(len(names), enough, replace=False))
    every = list(combinations(names, 2))
    mixed = [every[i] for i in random.permutation(len(every))]
    within = [sessions[a] is not None and sessions[a] == sessions[b] for a, b in mixed]
    return iter([*(p for p, w in zip(mixed, within, strict=True) if not w),
                 *(p for p, w in zip(mixed, within, strict=True) if w)])  # fmt: skip


def _different_pairs(
    clips: pd.DataFrame, cells: pd.Series, n: int, hard_share: float, random: np.random.Generator
) -> list[Pair]:
    """Pairs of clips of two speakers, every speaker in turn; no pair twice."""
    own = {str(name): group["clip_id"].tolist() for name, group in clips.groupby("speaker")}
    names = sorted(own)
    alike = {name: [b for b in names if b != name and cells[b] == cells[name]] for name in names}
    found: dict[Pair, None] = {}
    while len(found) < n:
        before = len(found)
        for turn in random.permutation(len(names)):
            a = names[turn]
            hard = bool(alike[a]) and random.random() < hard_share
            others = alike[a] if hard else [b for b in names if b != a]
            for _ in range(_TRIES):
                b = others[int(random.integers(len(others)))]
                clip_a, clip_b = (own[who][int(random.integers(len(own[who])))] for who in (a, b))
                pair = (clip_a, clip_b) if clip_a < clip_b else (clip_b, clip_a)
                if pair not in found:
                    found[pair] = None
                    break
            if len(found) == n:
                break
        if len(found) == before:
            break
    return list(found)
