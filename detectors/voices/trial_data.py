"""Trials made ready for training: clips decoded once, windows cut anew in every epoch.

Enters: `Trials`. Leaves: `TrialData`, and datasets for `detectors.training.fit`.

Why the place of a window comes from (seed, epoch, row): it does not depend on the order or the number of
loading workers, and an interrupted training continues with the windows it would have heard.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detectors.errors import DatasetLayoutError, EmptyDataset
from detectors.progress import progress_bar
from detectors.voices.verifier import as_int16
from pipelines.errors import ClipError
from pipelines.voices.trials_folder import Trials
from pipelines.voices.windows import Listening, centre, random_place, read_voice

CACHE_BYTES = 2 << 30
"""Decoded clips are kept in memory up to this size: eighteen hours at 16 kHz."""
LEARNING = ("train", "valid")
Voice = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TrialData:
    """Trials ready to train on."""

    trials: Trials
    voices: dict[str, Voice] | None
    """clip_id to int16 samples without silent ends, of the parts that are learned from; None where they are
    too large for memory."""
    n_unreadable: int
    """Clips that cannot be read any more; their trials were left out."""

    def describe(self) -> str:
        """One line: how many trials and speakers learn and are held out."""
        table = self.trials.table
        parts = []
        for part in (*LEARNING, "test"):
            rows = table[table["part"] == part]
            n_speakers = len({*rows["speaker_a"], *rows["speaker_b"]})
            parts.append(f"{len(rows):,} {part} ({n_speakers} speakers)")
        left = f"; {self.n_unreadable} clips cannot be read and were left out" if self.n_unreadable else ""
        return f"{self.trials.root}: trials {', '.join(parts)}{left}."


class TrialWindows(Dataset[tuple[Tensor, int, int]]):
    """Trials of one part: int16 [2, n_samples], 1 for the same speaker, and a group, which is always 0."""

    def __init__(self, data: TrialData, part: str, seed: int) -> None:
        trials = data.trials.part(part)
        self.pairs = list(zip(trials.table["clip_a"], trials.table["clip_b"], strict=True))
        self.same = [int(one) for one in trials.table["same"]]
        self.paths, self.voices, self.listening = trials.clips, data.voices, trials.listening
        self.anywhere, self.seed = part == "train", seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int, int]:
        epoch, row = key
        random = np.random.default_rng((self.seed, epoch, row)) if self.anywhere else None
        windows = [self._window(clip, random) for clip in self.pairs[row]]
        return torch.from_numpy(np.stack(windows)), self.same[row], 0

    def _window(self, clip: str, random: np.random.Generator | None) -> Voice:
        known = self.voices
        voice = known[clip] if known is not None else _decode(self.paths[clip], self.listening)
        n = self.listening.n_samples
        return centre(voice, n) if random is None else random_place(voice, n, random)


def _decode(path: Path, listening: Listening) -> Voice:
    try:
        return as_int16(read_voice(path, listening)[0])
    except ClipError as fault:
        raise DatasetLayoutError(f"cannot train on {path}: {fault}; make the trials again") from None


def prepare_trials(trials: Trials, progress: bool) -> TrialData:
    """Decode the clips a verifier learns from, where they fit into memory.

    Raises:
        DatasetLayoutError: The table names no parts.
        EmptyDataset: A part without a trial that can be heard.
    """
    if "part" not in trials.table:
        raise DatasetLayoutError(
            f"{trials.root} names no parts (train, valid, test): make trials with `audit generate-trials`"
        )
    learning = trials.table[trials.table["part"].isin(LEARNING)]
    wanted = sorted({*learning["clip_a"], *learning["clip_b"]})
    voices = _voices({name: trials.clips[name] for name in wanted}, trials.listening, progress)
    if voices is None:
        return TrialData(_not_empty(trials), None, 0)
    gone = set(wanted) - set(voices)
    heard = ~(trials.table["clip_a"].isin(gone) | trials.table["clip_b"].isin(gone))
    return TrialData(_not_empty(trials.only(heard)), voices, len(gone))


def _voices(paths: dict[str, Path], listening: Listening, progress: bool) -> dict[str, Voice] | None:
    """Those that can be read; None where they need more memory than `CACHE_BYTES`."""
    found: dict[str, Voice] = {}
    n_bytes = 0

    def look(name: str) -> tuple[str, Voice | None]:
        try:
            return name, as_int16(read_voice(paths[name], listening)[0])
        except ClipError:
            return name, None

    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        with progress_bar("Decoding clips", len(paths), progress) as advance:
            for name, voice in pool.map(look, paths):
                advance(1)
                if voice is None:
                    continue
                found[name] = voice
                n_bytes += voice.nbytes
                if n_bytes > CACHE_BYTES:
                    return None
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _not_empty(trials: Trials) -> Trials:
    for part in LEARNING:
        if set(trials.table.loc[trials.table["part"] == part, "same"]) != {0, 1}:
            raise EmptyDataset(
                f"{trials.root}: the {part} part lacks trials of the same speaker, or of different ones: "
                "verifiers learn from both"
            )
    return trials
