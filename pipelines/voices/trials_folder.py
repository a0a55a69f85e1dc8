"""The trials folder: clips, trials and where they came from; one writer, one reader.

    clips.parquet     one row a clip that was looked at, those that cannot be used with their reason
    trials.parquet    one row a trial, see `trial_lists`
    provenance.json   layout, folder of the clips, window, settings, counts, notes

A `ClipTable` enters and the folder leaves; the folder, a table of trials or a published list enters and
`Trials` leave.

Why clips stay where they are: VoxCeleb is 40 GB. `clips.parquet` keeps the SHA-256 of each, so that one that
was replaced is noticed when it is scored.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from pipelines.errors import (
    ClipsNotFound,
    ClipTableError,
    OutputHoldsAnotherRun,
    SettingError,
    UnreadableFile,
)
from pipelines.storage import storing, write_bytes, write_json
from pipelines.untrusted import csv_separator, read_csv, read_json, read_parquet, read_text
from pipelines.voices.clip_checks import OK, check_clips, chosen
from pipelines.voices.clip_table import ClipTable, read_clips
from pipelines.voices.trial_lists import TrialSettings, make_trials
from pipelines.voices.windows import Listening

CLIPS: Final = "clips.parquet"
TRIALS: Final = "trials.parquet"
PROVENANCE: Final = "provenance.json"
VERSION: Final = 1
NEEDED: Final = ("clip_a", "clip_b", "speaker_a", "speaker_b", "same")
_NOTES_KEPT: Final = 50
Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""From how much there is to do to a context that is told of each step."""


@dataclass(frozen=True)
class Trials:
    """Trials, and where their clips lie."""

    root: Path
    """The folder or table they were read from."""
    table: pd.DataFrame
    """One row a trial, the columns of `trial_lists`; `part` may be missing."""
    clips: dict[str, Path]
    """clip_id to the file."""
    attributes: tuple[str, ...]
    """Names without _a and _b."""
    listening: Listening
    provenance: dict[str, Any] = field(default_factory=dict)
    """What the folder says about itself."""
    n_left_out: dict[str, int] = field(default_factory=dict)
    """Reason to number of clips that no trial has."""

    def only(self, keep: pd.Series) -> Trials:
        """The same with the trials marked in `keep`."""
        return replace(self, table=self.table[keep].reset_index(drop=True))

    def part(self, name: str) -> Trials:
        """The trials of one part; all where the table names no parts."""
        return self.only(self.table["part"] == name) if "part" in self.table else self


def generate_trials(
    place: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    settings: TrialSettings | None = None,
    listening: Listening | None = None,
    max_speakers: int | None = None,
    max_clips: int | None = 50,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = lambda total: nullcontext(lambda n: None),
) -> Trials:
    """Read clips, look at each, make trials, and write the folder.

    Args:
        place: See `clip_table.read_clips`.
        out: The folder to write.
        labels: A table of speakers' labels, for plain folders.
        settings: How trials are made.
        listening: Rate and window.
        max_speakers: Draw so many.
        max_clips: Of each speaker draw so many; None for all.
        overwrite: Replace another trials folder.
        workers: Threads that read.
        progress: Given the number of clips, a context that is told of each that was looked at.

    Returns:
        What was written.

    Raises:
        VoicesError: No clips, no usable clips, or too few speakers.
        OutputHoldsAnotherRun: The folder holds something else.
    """
    settings, listening, folder = settings or TrialSettings(), listening or Listening(), Path(out)
    refuse_other(folder, overwrite)
    for name, limit in (("max_speakers", max_speakers), ("max_clips", max_clips)):
        if limit is not None and limit < 2:
            raise SettingError(f"{name} is {limit}; it must be 2 or more")
    clips = chosen(read_clips(place, labels), max_speakers, max_clips, settings.seed)
    with progress(len(clips.table)) as advance:
        checked = check_clips(clips, listening, workers, advance)
    usable = checked[checked["status"] == OK]
    if usable.empty:
        first = checked.iloc[0]
        raise ClipsNotFound(
            f"{clips.root}: none of {len(checked)} clips can be used; {first['clip_id']}: {first['detail']}"
        )
    trials, notes = make_trials(usable, clips.attributes, settings)
    return _write(folder, clips, checked, trials, settings, listening, [*clips.notes, *notes])


def refuse_other(folder: Path, overwrite: bool) -> None:
    """See that a folder is free, or holds trials that may be replaced.

    Raises:
        OutputHoldsAnotherRun: it does not.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputHoldsAnotherRun(f"{folder} is a file, and is to be a folder: name another place")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / TRIALS).is_file():
        raise OutputHoldsAnotherRun(f"{folder} holds files of something else: name another folder")
    if not overwrite:
        raise OutputHoldsAnotherRun(f"{folder} holds trials already: name another folder, or say --overwrite")


def _write(
    folder: Path,
    clips: ClipTable,
    checked: pd.DataFrame,
    trials: pd.DataFrame,
    settings: TrialSettings,
    listening: Listening,
    notes: list[str],
) -> Trials:
    root = clips.root.resolve()
    names = [_below(root, path) for path in checked["path"]]
    left_out = {
        str(k): int(n) for k, n in checked.loc[checked["status"] != OK, "status"].value_counts().items()
    }
    about = {
        "version": VERSION,
        "task": "speaker-verification",
        "layout": clips.layout,
        "root": str(root),
        "attributes": list(clips.attributes),
        "rendered": (root / "RENDERED.txt").is_file(),
        "listening": listening.as_dict(),
        "settings": settings.as_dict(),
        "n_clips": len(checked),
        "n_speakers": int(checked["speaker"].nunique()),
        "n_left_out": dict(sorted(left_out.items())),
        "notes": notes[:_NOTES_KEPT],
    }
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / CLIPS, checked.assign(path=names).to_parquet(index=False))
        write_json(folder / PROVENANCE, about)
        write_bytes(folder / TRIALS, trials.to_parquet(index=False))
    paths = dict(zip(checked["clip_id"], map(Path, checked["path"]), strict=True))
    return Trials(folder, trials, paths, clips.attributes, listening, about, left_out)


def _below(root: Path, path: str) -> str:
    """A path as it is kept: below the clips' folder where it lies there."""
    whole = Path(path).resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def read_trials(place: str | Path, clips: str | Path | None = None) -> Trials:
    """Read trials.

    Args:
        place: A folder that `generate_trials` wrote; a CSV or Parquet table with the columns `NEEDED`, and
            clips as paths; or a list as VoxCeleb publishes it ("1 CLIP CLIP" a line, .txt).
        clips: Where the clips lie, if not where the folder or the table says.

    Raises:
        ClipsNotFound: nothing there.
        ClipTableError: a table that lacks a column, or holds a trial that contradicts itself.
    """
    root = Path(place)
    try:
        if root.is_dir():
            return _of_folder(root, Path(clips) if clips is not None else None)
        if not root.is_file():
            raise ClipsNotFound(f"no trials at {root}: make them with `audit generate-trials`")
        return _of_file(root, Path(clips) if clips is not None else root.parent)
    except (UnreadableFile, ValueError) as fault:
        raise ClipTableError(str(fault)) from None


def _of_folder(root: Path, clips: Path | None) -> Trials:
    for name in (TRIALS, CLIPS, PROVENANCE):
        if not (root / name).is_file():
            raise ClipsNotFound(
                f"{root} holds no {name}: make trials with `audit generate-trials --out {root}`"
            )
    about = read_json(root / PROVENANCE)
    if (
        not isinstance(about, dict)
        or about.get("version") != VERSION
        or not isinstance(about.get("root"), str)
    ):
        raise ClipTableError(f"{root / PROVENANCE} is not the record of a trials folder of version {VERSION}")
    table, known = read_parquet(root / TRIALS), read_parquet(root / CLIPS)
    for frame, name, columns in ((table, TRIALS, NEEDED), (known, CLIPS, ("clip_id", "path"))):
        _require_columns(root / name, frame, columns)
    base = clips or Path(about["root"])
    paths = {str(name): base / str(path) for name, path in zip(known["clip_id"], known["path"], strict=True)}
    listening = Listening(**{key: about.get("listening", {}).get(key) for key in ("rate_hz", "n_samples")})
    return _checked(
        Trials(root, table, paths, attributes_of(table), listening, about, about.get("n_left_out", {}))
    )


def _of_file(path: Path, clips: Path) -> Trials:
    if path.suffix == ".txt":
        table = _published_list(path)
    else:
        table = read_parquet(path) if path.suffix == ".parquet" else read_csv(path, csv_separator(path))
    _require_columns(path, table, NEEDED)
    names = sorted({*table["clip_a"].astype(str), *table["clip_b"].astype(str)})
    if "trial_id" not in table:
        table.insert(0, "trial_id", [f"trial-{i:07d}" for i in range(1, len(table) + 1)])
    return _checked(
        Trials(path, table, {name: clips / name for name in names}, attributes_of(table), Listening())
    )


def _published_list(path: Path) -> pd.DataFrame:
    """VoxCeleb's veri_test.txt and its like: 1 or 0, and two clips whose first folder is the speaker."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if words and (len(words) != 3 or words[0] not in ("0", "1")):
            raise ClipTableError(f"{path} line {number} is not 0 or 1 and two clips: {line[:80]!r}")
        if words:
            rows.append((words[1], words[2], words[1].split("/")[0], words[2].split("/")[0], int(words[0])))
    return pd.DataFrame(rows, columns=list(NEEDED))


def attributes_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Names of the attributes of a table of trials: those with a column for each side."""
    taken = {"clip", "speaker", "path", "sha256"}
    names = [str(c)[:-2] for c in table.columns if str(c).endswith("_a") and f"{str(c)[:-2]}_b" in table]
    return tuple(name for name in names if name not in taken)


def _require_columns(path: Path, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    absent = [name for name in columns if name not in frame]
    if absent:
        raise ClipTableError(
            f"{path} has no column {absent[0]!r}; it has {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise ClipTableError(f"{path} has no rows")


def _checked(trials: Trials) -> Trials:
    """The same, its labels numbers, if no trial contradicts itself."""
    same = pd.to_numeric(trials.table["same"], errors="coerce")
    table = trials.table.assign(same=same)
    wrong = ~same.isin((0, 1))
    if wrong.any():
        row = table.index[wrong][0]
        raise ClipTableError(
            f"{trials.root} row {row + 1}: same is {trials.table['same'][row]!r}; it is 1 or 0"
        )
    torn = (table["speaker_a"] == table["speaker_b"]) != (same == 1)
    if torn.any():
        row = table[torn].iloc[0]
        raise ClipTableError(
            f"{trials.root}: trial {row['trial_id']} says same = {int(row['same'])} of the speakers "
            f"{row['speaker_a']} and {row['speaker_b']}"
        )
    if table["trial_id"].duplicated().any():
        raise ClipTableError(f"{trials.root}: a trial_id comes twice; each needs its own")
    absent = {*table["clip_a"].astype(str), *table["clip_b"].astype(str)} - set(trials.clips)
    if absent:
        raise ClipTableError(f"{trials.root}: the clip {min(absent)} of a trial is not in {CLIPS}")
    return replace(trials, table=table.assign(same=same.astype("int64")))
