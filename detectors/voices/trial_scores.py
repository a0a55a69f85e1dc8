"""Score trials with a verifier: the table that an audit of speaker verification reads.

Enters: a verifier and trials. Leaves: one row a trial: its columns, and

    score     float64 in 0-1, higher = more likely the same speaker; NaN where a clip cannot be heard
    status    "ok", or why there is no score
    detail    a sentence about that, or ""

Why speakers are left out and not only counted: a verifier has heard its training speakers, and trials with
them measure memory. They are recognised by the bytes of their clips, whatever they are called here, and a
speaker with one known clip is known.

Why shards: as in `detectors.scoring.engine`, an interrupted run continues and ends with the same scores.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from detectors.errors import EmptyDataset
from detectors.progress import progress_bar
from detectors.scoring.resume import Shards, identity_of, run_key
from detectors.scoring.score_table import OK, with_reasons
from detectors.voices.verifier import Verifier, as_int16
from pipelines.errors import ClipError
from pipelines.storage import file_sha256
from pipelines.voices.trials_folder import Trials
from pipelines.voices.windows import centre, read_voice

__all__ = ["OK", "ScoredTrials", "ScoringOptions", "score_trials"]

SEEN = "trials with a speaker from the verifier's training data"
BATCHES_PER_SHARD = 32
KEPT_WINDOWS = 4096
"""Windows kept in memory: 200 MB of 25,000 samples."""
_UNKNOWN = "unknown"
"""Stands for the contents of a file that cannot be hashed."""


@dataclass(frozen=True)
class ScoringOptions:
    """How scoring runs; nothing here changes a score."""

    batch_size: int = 64
    workers: int | None = None
    work_dir: Path | None = None
    progress: bool = True
    include_seen: bool = False
    """Keep speakers the verifier was trained or validated on."""


@dataclass(frozen=True)
class ScoredTrials:
    """What a verifier says about trials."""

    table: pd.DataFrame
    """One row a trial, the columns of the module's docstring."""
    attributes: tuple[str, ...]
    n_left_out: dict[str, int] = field(default_factory=dict)
    """Reason to number: of clips, and of trials with speakers the verifier knows."""


def score_trials(verifier: Verifier, trials: Trials, options: ScoringOptions | None = None) -> ScoredTrials:
    """Score every trial of speakers the verifier has not learned from.

    Args:
        verifier: The verifier; clips are brought to what it listens to.
        trials: From `trials_folder.read_trials`.
        options: Batch size, threads, where an interrupted run continues, progress bar.

    Raises:
        EmptyDataset: All speakers were in the verifier's training data, or there are no trials.
    """
    options = options or ScoringOptions()
    contents = _contents(trials, options.workers)
    kept, n_seen = (trials, 0) if options.include_seen else _unheard(trials, verifier, contents)
    table = kept.table.reset_index(drop=True)
    pairs = list(zip(table["clip_a"], table["clip_b"], strict=True))
    files = [f"{a}\n{b}" for a, b in pairs]
    key = run_key(identity_of([verifier]), files, (options.batch_size, BATCHES_PER_SHARD, "trials"))
    shards, windows = Shards(options.work_dir, key, 1), _Windows(verifier, kept)
    per_shard, parts = options.batch_size * BATCHES_PER_SHARD, []
    with progress_bar("Scoring trials", len(pairs), options.progress) as advance:
        for start in range(0, len(pairs), per_shard):
            some = pairs[start : start + per_shard]
            now = [f"{contents[a]}:{contents[b]}" for a, b in some]
            part = shards.read(start, len(some), lambda now=now: now)  # type: ignore[misc]
            if part is None:
                part = _score(verifier, some, windows, options, advance).assign(content=now)
                shards.write(start, part)
            else:
                advance(len(part))
            parts.append(part)
    shards.remove()
    found = pd.concat(parts, ignore_index=True)
    table = table.assign(score=found["score_0"], status=found["status"], detail=found["detail"])
    table = with_reasons(table)
    left_out = dict(trials.n_left_out) | ({SEEN: n_seen} if n_seen else {})
    return ScoredTrials(table, trials.attributes, left_out)


def _contents(trials: Trials, workers: int | None) -> dict[str, str]:
    """SHA-256 of every clip that a trial names."""
    names = sorted({*trials.table["clip_a"], *trials.table["clip_b"]})

    def look(name: str) -> str:
        try:
            return file_sha256(trials.clips[name])
        except OSError:
            return _UNKNOWN

    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(look, names), strict=True))


def _unheard(trials: Trials, verifier: Verifier, contents: dict[str, str]) -> tuple[Trials, int]:
    """Trials of speakers none of whose clips was learned from, and how many others there were."""
    lists = (verifier.provenance.get(f"{name}_sha256", []) for name in ("trained_on", "validated_on"))
    known = {sha256 for names in lists for sha256 in names}
    table = trials.table
    heard: set[str] = set()
    for side in ("a", "b"):
        seen = table[f"clip_{side}"].map(contents).isin(known)
        heard |= set(table.loc[seen, f"speaker_{side}"])
    keep = ~(table["speaker_a"].isin(heard) | table["speaker_b"].isin(heard))
    if not keep.any():
        raise EmptyDataset(
            f"every trial of {trials.root} has a speaker from the training data of {verifier.name}: make "
            "trials of other speakers, or hold some out (`audit generate-trials` holds 40 % out)"
        )
    return trials.only(keep), int((~keep).sum())


class _Windows:
    """The middle window of every clip, decoded once while it is wanted."""

    def __init__(self, verifier: Verifier, trials: Trials) -> None:
        self.listening, self.paths = verifier.listening, trials.clips
        self.kept: OrderedDict[str, np.ndarray | ClipError] = OrderedDict()

    def load(self, names: list[str], pool: ThreadPoolExecutor) -> None:
        """Decode those that are not there; the longest unused go where they are too many."""
        wanted = dict.fromkeys(names)
        absent = [name for name in wanted if name not in self.kept]
        self.kept |= zip(absent, pool.map(self._decode, absent), strict=True)
        for name in wanted:
            self.kept.move_to_end(name)
        while len(self.kept) > max(KEPT_WINDOWS, len(wanted)):
            self.kept.popitem(last=False)

    def _decode(self, name: str) -> np.ndarray | ClipError:
        try:
            voice, _ = read_voice(self.paths[name], self.listening)
        except ClipError as fault:
            return fault
        return centre(as_int16(voice), self.listening.n_samples)


def _score(
    verifier: Verifier,
    pairs: list[tuple[str, str]],
    windows: _Windows,
    options: ScoringOptions,
    advance: Callable[[int], None],
) -> pd.DataFrame:
    """Scores of some trials, with reasons for those of which a clip cannot be heard."""
    found = pd.DataFrame({"status": OK, "detail": "", "score_0": np.nan}, index=range(len(pairs)))
    with ThreadPoolExecutor(options.workers or min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(pairs), options.batch_size):
            some = pairs[start : start + options.batch_size]
            windows.load([name for pair in some for name in pair], pool)
            rows, batch = [], []
            for row, pair in enumerate(some, start=start):
                heard = [windows.kept[name] for name in pair]
                faults = [one for one in heard if isinstance(one, ClipError)]
                if faults:
                    found.loc[row, ["status", "detail"]] = [faults[0].reason, str(faults[0])]
                else:
                    rows.append(row)
                    batch.append(np.stack(heard))  # type: ignore[arg-type]
            if rows:
                found.loc[rows, "score_0"] = verifier.score(torch.from_numpy(np.stack(batch)))
            advance(len(some))
    return found
