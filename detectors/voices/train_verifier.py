"""Train a speaker verifier: a trials folder in, one checkpoint out, with the record of how it came about.

Enters: a name in `architectures.VERIFIERS`, `Trials`, `FitSettings`. Leaves: `OUT.pt`, and beside it
`OUT.training.json` and `OUT.training.csv`, in the form of a detector's training, so that `audit experiments`
and the page of learning curves read both.

Why the checkpoint names the speakers it heard and the hashes of their clips: an audit on speakers that a
verifier knows flatters it. `trial_scores` leaves them out, by the hashes, whatever they are called there.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from detectors.errors import TrainingError
from detectors.models.loading import pick_device
from detectors.training.settings import FitSettings
from detectors.training.train_detector import (
    Say,
    best_epoch,
    environment,
    in_work_folder,
    refuse_existing,
    summary,
    training_record_path,
)
from detectors.voices.architectures import TASK, verifier_architecture
from detectors.voices.trial_data import LEARNING, TrialData, TrialWindows, prepare_trials
from detectors.voices.trial_scores import OK, ScoringOptions, score_trials
from detectors.voices.verifier import load_verifier, save_verifier
from pipelines.csv_text import frame_text
from pipelines.errors import MissingExtra
from pipelines.storage import file_sha256, write_json, write_text
from pipelines.voices.trial_lists import TrialSettings, make_trials
from pipelines.voices.trials_folder import Trials, read_trials

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

_PARTS = {"trained_on": "train", "validated_on": "valid", "held_out": "test"}


def settings_for(arch: str, **given: Any) -> FitSettings:
    """The settings an architecture is trained with, unless the user says otherwise.

    Raises:
        UnknownArchitecture: no such verifier.
        TrainingError: impossible settings, all named at once.
    """
    usual = verifier_architecture(arch).settings
    known = {field.name for field in fields(FitSettings)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise TrainingError(f"no setting '{unknown[0]}' of a verifier; there are {', '.join(sorted(known))}")
    chosen = FitSettings(**{**usual, **given})
    faults = list(chosen.fit_faults())
    if faults:
        raise TrainingError("cannot train: " + "; ".join(faults))
    return chosen


def train_verifier(
    arch: str,
    data: str | Path | Trials,
    out: str | Path,
    settings: FitSettings | None = None,
    *,
    compare_random_split: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> Path:
    """Train a verifier.

    Args:
        arch: Name in `architectures.VERIFIERS`.
        data: A trials folder, or trials read before.
        out: The checkpoint to write.
        settings: How; those of the architecture where None.
        compare_random_split: Train a second time, with trials instead of speakers dealt to the parts, and say
            what that would have flattered; its weights are thrown away.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace an existing checkpoint.
        progress: Show progress bars.
        say: Is given one line for each thing a person should know.

    Returns:
        The path written. Equal data, settings and machine give equal weights.

    Raises:
        UnknownArchitecture, TrainingError: no such verifier, or impossible settings.
        OutputExists: `out` is there already, or holds an unfinished training of something else.
        VoicesError, DataError: the trials cannot be read or learned from.
    """
    started = time.monotonic()
    settings, out, device = settings or settings_for(arch), Path(out), pick_device(device)
    refuse_existing(out, overwrite)
    trials = data if isinstance(data, Trials) else read_trials(data)
    prepared = prepare_trials(trials, progress)
    say(prepared.describe())
    epochs, best = _fit(arch, prepared, settings, out, device, progress)
    hashes = _hashes(prepared.trials)
    record = _record(arch, prepared, settings, epochs, hashes)
    network = verifier_architecture(arch).build()
    network.load_state_dict(best)
    save_verifier(out, arch, network, trials.listening, record | _heard(prepared.trials, hashes))
    held_out = held_out_accuracy(out, prepared.trials, device, progress)
    seconds = round(time.monotonic() - started, 1)
    more = held_out | environment() | {"seconds": seconds}
    say(summary(epochs, held_out, "trials"))
    if compare_random_split:
        more |= _random_split(arch, trials, settings, held_out, device, progress, say)
    write_json(training_record_path(out), record | more)
    write_text(out.with_suffix(".training.csv"), frame_text(pd.DataFrame(epochs), index=False))
    return out


def _fit(
    arch: str, data: TrialData, settings: FitSettings, out: Path, device: str, progress: bool
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Train in a folder beside `out` that survives an interruption."""
    try:
        from detectors.training.fit import loader, run_training
        from detectors.voices.trial_learner import TrialLearner
    except ImportError:
        raise MissingExtra("training", "lightning", "train") from None
    chosen = verifier_architecture(arch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = chosen.build()

    def fitting(work: Path) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
        learner = TrialLearner(network, chosen, settings)
        loaders: list[DataLoader[Any]] = []
        for part in LEARNING:
            windows = TrialWindows(data, part, settings.seed)
            weights = pd.Series(1.0, index=range(len(windows)))
            loaders.append(loader(windows, weights, settings, part == "train", data.voices is not None))
        return run_training(learner, loaders, work, device, progress)

    about = {"arch": arch, "settings": settings.as_dict(), "device": device, **learned_from(data.trials)}
    return in_work_folder(out, about, fitting)


def learned_from(trials: Trials) -> dict[str, Any]:
    """Digests of all that a training takes from trials: the table, the window and the bytes of the clips."""
    table = trials.table.drop(columns=["score"], errors="ignore").to_json(orient="split")
    clips = json.dumps(sorted(_hashes(trials).items(), key=str))
    return {
        "task": TASK,
        "table": hashlib.sha256(table.encode("utf-8", "surrogatepass")).hexdigest(),
        "clips": hashlib.sha256(clips.encode("utf-8", "surrogatepass")).hexdigest(),
        "listening": trials.listening.as_dict(),
    }


def _hashes(trials: Trials) -> dict[str, str | None]:
    """SHA-256 of the clips that trials name; None for a file that cannot be read."""
    names = sorted({*trials.table["clip_a"], *trials.table["clip_b"]})
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(lambda name: _sha256(trials.clips[name]), names), strict=True))


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def _record(
    arch: str,
    data: TrialData,
    settings: FitSettings,
    epochs: list[dict[str, float]],
    hashes: dict[str, str | None],
) -> dict[str, Any]:
    """What a training was, without anything that differs from run to run."""
    table = data.trials.table
    digests = learned_from(data.trials)
    n_trials = {part: int((table["part"] == part).sum()) for part in _PARTS.values()}
    return {
        "task": TASK,
        "arch": arch,
        "settings": settings.as_dict(),
        "listening": data.trials.listening.as_dict(),
        "starts_from": "random weights",
        "data": {
            "name": data.trials.root.name,
            "layout": str(data.trials.provenance.get("layout", "table")),
            "rendered": bool(data.trials.provenance.get("rendered", False)),
            "origin": "speaker",
            "fingerprint": digests["table"],
            "held_out_fingerprint": _of_part(table, "test", hashes),
            "n_images": n_trials,
            "n_unreadable": data.n_unreadable,
        },
        "epochs": epochs,
        "best_epoch": best_epoch(epochs),
    }


def _of_part(table: pd.DataFrame, part: str, hashes: dict[str, str | None]) -> str:
    """SHA-256 over the trials of a part, by the contents of their clips, in any order."""
    rows = table[table["part"] == part]
    lines = sorted(
        f"{hashes[a]}\t{hashes[b]}\t{s}"
        for a, b, s in zip(rows["clip_a"], rows["clip_b"], rows["same"], strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _heard(trials: Trials, hashes: dict[str, str | None]) -> dict[str, list[str]]:
    """Speakers of each part, and the hashes of their clips."""
    lists: dict[str, list[str]] = {}
    for name, part in _PARTS.items():
        rows = trials.table[trials.table["part"] == part]
        lists[name] = sorted({*rows["speaker_a"], *rows["speaker_b"]})
        clips = {*rows["clip_a"], *rows["clip_b"]}
        lists[f"{name}_sha256"] = sorted({found for clip in clips if (found := hashes[clip])})
    return lists


def held_out_accuracy(out: Path, trials: Trials, device: str, progress: bool) -> dict[str, Any]:
    """Accuracy of a checkpoint on trials of speakers it has never heard, at the threshold 0.5.

    Returns:
        {"held_out": {"n": int, "accuracy": float, "n_speakers": int, "by_kind": {...}}}, or no key without
        such a part.
    """
    held_out = trials.part("test")
    if held_out.table.empty:
        return {}
    options = ScoringOptions(progress=progress, include_seen=True)
    scored = score_trials(load_verifier(out, device), held_out, options).table
    scored = scored[scored["status"] == OK]
    right = (scored["score"] >= 0.5) == (scored["same"] == 1)
    kinds = scored["same"].map({1: "same", 0: "different"})
    found = {
        "n": len(scored),
        "accuracy": float(right.mean()),
        "n_speakers": len({*scored["speaker_a"], *scored["speaker_b"]}),
        "by_kind": {str(k): float(v) for k, v in right.groupby(kinds).mean().items()},
    }
    return {"held_out": found}


def _random_split(
    arch: str,
    trials: Trials,
    settings: FitSettings,
    held_out: dict[str, Any],
    device: str,
    progress: bool,
    say: Say,
) -> dict[str, Any]:
    """Accuracy that a split of trials, not of speakers, would have shown."""
    if "held_out" not in held_out:
        raise TrainingError("comparing with a random split needs a held-out part: make trials with one")
    say("Training once more on a random split, to see what splitting by speaker is worth.")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "random.pt"
        train_verifier(arch, dealt_at_random(trials), out, settings, device=device, progress=progress)
        found = json.loads(training_record_path(out).read_text(encoding="utf-8"))
    random, honest = found["held_out"]["accuracy"], held_out["held_out"]["accuracy"]
    say(
        f"Held-out accuracy on unheard speakers {honest:.3f}; a random split of the same clips would have "
        f"said {random:.3f}, flattering it by {100 * (random - honest):.1f} points."
    )
    return {"random_split": {"accuracy": random, "flattery": random - honest}}


def dealt_at_random(trials: Trials) -> Trials:
    """As many trials of the same clips, dealt at random: every speaker is in every part.

    Raises:
        TrainingError: The folder does not say how its trials were made.
    """
    made = trials.provenance.get("settings")
    if not isinstance(made, dict):
        raise TrainingError(
            f"{trials.root} does not say how its trials were made: for a random split make them with "
            "`audit generate-trials`"
        )
    given = {key: value for key, value in made.items() if key not in ("test_same_share", "fractions")}
    how = TrialSettings(fractions=tuple(made["fractions"]), **given)
    rows = []
    for side in ("a", "b"):
        names = {f"clip_{side}": "clip_id", f"speaker_{side}": "speaker"}
        names |= {f"{name}_{side}": name for name in trials.attributes}
        rows.append(trials.table[list(names)].rename(columns=names))
    clips = pd.concat(rows).drop_duplicates("clip_id").sort_values("clip_id", ignore_index=True)
    clips["session"] = None
    table, _ = make_trials(clips, trials.attributes, how, whole_speakers=False)
    return replace(trials, table=table)
