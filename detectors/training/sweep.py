"""Search for good hyperparameters with Optuna; continues where it stopped, on several machines if need be.

Enters: an architecture, data, a space to search. Leaves: `best.pt`, the record of every trial, and the study
in a database.

Why validation accuracy and never the held-out part: choosing among trials by the held-out part would use it
up.
Why all trials share one split: otherwise the search would look for a lucky split.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from detectors.data.datasets import read_images
from detectors.data.labelled_images import LabelledImages
from detectors.errors import TrainingError
from detectors.training.experiments import read_record, results
from detectors.training.settings import Settings
from detectors.training.train_detector import Say, learned_from, train, training_record_path
from pipelines.errors import MissingExtra

if TYPE_CHECKING:
    import optuna

LogRange = tuple[float, float]
SPACE: dict[str, LogRange | list[Any]] = {
    "learning_rate": (1e-4, 1e-2),
    "weight_decay": (1e-5, 1e-1),
    "optimiser": ["adamw", "adam", "sgd"],
    "schedule": ["cosine", "step", "exponential", "none"],
    "batch_size": [16, 32, 64],
    "label_smoothing": [0.0, 0.05, 0.1],
}
"""Setting to a range, searched on a log scale, or to a list of choices."""
HEARTBEAT_S = 60
"""Trials whose process has been silent for twice as long count as failed."""


def sweep(
    arch: str,
    data: str | Path | LabelledImages,
    out_dir: str | Path,
    n_trials: int = 20,
    settings: Settings | None = None,
    *,
    space: Mapping[str, LogRange | list[Any]] | None = None,
    storage: str | None = None,
    device: str = "auto",
    progress: bool = True,
    say: Say = lambda line: None,
) -> pd.DataFrame:
    """Search hyperparameters; call it again to continue.

    Args:
        arch: Name in the zoo.
        data: As for `train.train`.
        out_dir: For the checkpoints, the records and the study (`sweep.db`).
        n_trials: Finished trials wanted, those of earlier calls included.
        settings: What the search does not touch.
        space: What it does; `SPACE` where None.
        storage: Database URL shared by several machines; None for `out_dir/sweep.db`.
        device: As for `train.train`.
        progress: Show progress bars.
        say: Is given one line a trial.

    Returns:
        One row a finished trial: trial, valid_accuracy, held_out_accuracy and its settings, best first.
        `out_dir/best.pt` is the checkpoint of the best one.

    Raises:
        MissingExtra: Optuna or Lightning is not installed.
        TrainingError: a space with unknown settings, or another architecture in the same study.
        DataError: as `train.train` does.
    """
    settings, out, space = settings or Settings(), Path(out_dir), dict(space or SPACE)
    _check_space(space)
    settings.check(arch)
    out.mkdir(parents=True, exist_ok=True)
    images = data if isinstance(data, LabelledImages) else read_images(data)
    searched = {"settings": settings.as_dict(), **learned_from(images), "space": space, "device": device}
    study = _study(arch, storage or f"sqlite:///{(out / 'sweep.db').resolve()}", searched)
    import optuna  # which is installed, as there is a study

    def objective(trial: optuna.Trial) -> float:
        chosen = replace(settings, **_suggest(trial, space))
        path = out / f"trial-{trial.number:04d}.pt"
        train(arch, images, path, chosen, device=device, overwrite=True, progress=progress)
        found = results(read_record(path))
        say(f"Trial {trial.number}: validation accuracy {found['valid_accuracy']:.3f} with {trial.params}")
        return found["valid_accuracy"]

    while len(_finished(study)) < n_trials:
        # a seed for each trial: a search that continues proposes what one that never stopped would; where
        # several machines search together, those still running count, so that no two propose the same
        n_begun = len(_finished(study) if storage is None else study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=settings.seed + n_begun)
        study.optimize(objective, n_trials=1)
    _keep_best(study, out)
    return trial_table(study, out)


def _check_space(space: Mapping[str, Any]) -> None:
    unknown = sorted(set(space) - set(Settings().as_dict()))
    if unknown:
        raise TrainingError(f"cannot search {unknown[0]!r}: it is no setting of a training")


def _study(arch: str, url: str, searched: Mapping[str, Any]) -> optuna.Study:
    """The study of an architecture, new or continued; never one on other data or settings."""
    try:
        import optuna
    except ImportError:
        raise MissingExtra("`audit sweep`", "optuna", "train") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats are new
            storage = optuna.storages.RDBStorage(
                url, heartbeat_interval=HEARTBEAT_S, grace_period=2 * HEARTBEAT_S
            )
        study = optuna.create_study(
            storage=storage, study_name="sweep", direction="maximize", load_if_exists=True
        )
    except Exception as error:  # each database driver has its own
        raise TrainingError(f"the study at {url} cannot be opened: {str(error).splitlines()[0]}") from None
    earlier = study.user_attrs.setdefault("arch", arch)
    if earlier != arch:
        raise TrainingError(f"the study at {url} searches {earlier}, not {arch}: use another folder")
    for what, value in json.loads(json.dumps(searched)).items():
        if study.user_attrs.get(what, value) != value:
            raise TrainingError(
                f"the study at {url} has trials with other {what}, not comparable: use another folder"
            )
        study.set_user_attr(what, value)
    study.set_user_attr("arch", arch)
    return study


def _suggest(trial: optuna.Trial, space: Mapping[str, LogRange | list[Any]]) -> dict[str, Any]:
    return {
        name: trial.suggest_categorical(name, choice)
        if isinstance(choice, list)
        else trial.suggest_float(name, *choice, log=True)
        for name, choice in space.items()
    }


def _finished(study: optuna.Study) -> list[Any]:
    return [trial for trial in study.trials if trial.state.name == "COMPLETE"]


def _keep_best(study: optuna.Study, out: Path) -> None:
    """Copy the best checkpoint; drop the weights of the others, keep their records."""
    best = out / f"trial-{study.best_trial.number:04d}.pt"
    if best.is_file():  # on another machine it may not be here
        shutil.copyfile(best, out / "best.pt")
        shutil.copyfile(training_record_path(best), training_record_path(out / "best.pt"))
    for path in out.glob("trial-*.pt"):
        if path != best:
            path.unlink()


def trial_table(study: optuna.Study, out: Path) -> pd.DataFrame:
    """One row a finished trial, best first."""
    rows = []
    for trial in _finished(study):
        record = out / f"trial-{trial.number:04d}.training.json"
        held_out = results(read_record(record))["held_out_accuracy"] if record.is_file() else float("nan")
        row = {"trial": trial.number, "valid_accuracy": trial.value, "held_out_accuracy": held_out}
        rows.append(row | trial.params)
    table = pd.DataFrame(rows)
    return table.sort_values(["valid_accuracy", "trial"], ascending=[False, True], ignore_index=True)
