"""Run the training: Lightning's trainer, set up so that equal inputs give equal weights.

Enters: a network, `TrainingData`, `Settings`, a folder for Lightning's checkpoints. Leaves: the weights of
the best epoch and the history of all epochs.

Why processes are spawned where several train together: Lightning's other way runs the whole command once more
in each of them, which would read, decode and write everything several times.
Why the history is read from the last checkpoint: with several processes, this one has not seen the epochs.

Why Lightning's messages are silenced: tips and advice about worker counts, in the middle of a progress bar,
for choices made here on purpose. Its errors pass.
"""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from detectors.errors import TrainingError
from detectors.training.fair import fair_loss
from detectors.training.learner import (
    EpochBar,
    EpochSampler,
    History,
    ImageLearner,
    Learner,
    TrainingImages,
)
from detectors.training.settings import FitSettings, Settings
from detectors.training.training_data import LEARNING, TrainingData

MAX_WORKERS = 4
"""Processes that decode in each epoch, for sets too large for the cache."""
_LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning")


def fit(
    network: nn.Module,
    arch: str,
    data: TrainingData,
    settings: Settings,
    work_dir: Path,
    device: str,
    warm: bool,
    progress: bool,
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Train a network, continuing where `work_dir` holds an unfinished training.

    Args:
        network: Changed in place.
        arch: Its name in the zoo.
        data: Split and decoded.
        settings: How.
        work_dir: For Lightning's checkpoints.
        device: "cpu" or "cuda".
        warm: It starts from ImageNet weights, so its body learns more slowly.
        progress: Show a bar.

    Returns:
        Loss and accuracy of each epoch, and the state_dict of the best one.
    """
    objective, weights = _objective(data, settings), data.class_weights("valid")
    learner = ImageLearner(network, arch, data.preprocessing, settings, warm, objective, weights)
    loaders = [_image_loader(data, part, settings) for part in LEARNING]
    return run_training(learner, loaders, work_dir, device, progress)


def run_training(
    learner: Learner, loaders: Sequence[DataLoader[Any]], work_dir: Path, device: str, progress: bool
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Run the epochs of any learner, continuing where `work_dir` holds an unfinished training.

    Args:
        learner: The network in it is changed in place.
        loaders: Of the part it learns from, and of the one that chooses the epoch.
        work_dir: For Lightning's checkpoints.
        device: "cpu" or "cuda".
        progress: Show a bar.

    Returns:
        As `fit`.
    """
    best = _best_epoch(work_dir)
    last = work_dir / "last.ckpt"
    with _quiet():
        trainer = _trainer(
            learner.settings, [History(), best, _every_epoch(work_dir)], work_dir, device, progress
        )
        resume = str(last) if last.is_file() else None
        for kept in sorted(work_dir.glob("*.ckpt")) if resume else ():
            _require_undamaged(kept)
        trainer.fit(
            learner,
            train_dataloaders=loaders[0],
            val_dataloaders=loaders[1],
            ckpt_path=resume,
            weights_only=True,
        )
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    epochs = torch.load(last, map_location="cpu", weights_only=True)["callbacks"]["History"]["epochs"]
    own = "network."
    return epochs, {name.removeprefix(own): value for name, value in state.items() if name.startswith(own)}


def _objective(data: TrainingData, settings: Settings) -> nn.Module:
    """The loss of the chosen method; an adversary's random weights come from the seed."""
    torch.manual_seed(settings.seed)
    return fair_loss(settings.fair, len(data.groups), data.cell_counts())


def _require_undamaged(kept: Path) -> None:
    """See that what an interrupted training left is what it wrote; torch compares no checksums.

    Raises:
        TrainingError: it is not; the caller removes it.
    """
    try:
        with zipfile.ZipFile(kept) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise ValueError(wrong)
        torch.load(kept, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise anything, EOFError too
        raise TrainingError(
            f"{kept} is damaged ({type(error).__name__}), and was removed with its folder: run the same "
            "command again to train from the start"
        ) from None


def _image_loader(data: TrainingData, part: str, settings: Settings) -> DataLoader[tuple[Tensor, int, int]]:
    """Batches of one part; shuffled and augmented for training only."""
    table = data.images.table[data.images.table["part"] == part]
    training = part == "train"
    dataset = TrainingImages(
        paths=table["path"].tolist(),
        classes=data.class_numbers(part),
        preprocessing=data.preprocessing,
        cache=data.caches[part],
        augmentations=settings.augment if training else (),
        seed=settings.seed,
        groups=data.group_numbers(part),
    )
    weights = data.drawn_weights(part, by_cell=training and settings.fair == "resample")
    return loader(dataset, weights, settings, training, in_memory=data.caches[part] is not None)


def loader(
    dataset: Dataset[tuple[Tensor, int, int]],
    weights: pd.Series,
    settings: FitSettings,
    training: bool,
    in_memory: bool,
) -> DataLoader[tuple[Tensor, int, int]]:
    """Batches of a part.

    Args:
        dataset: Its items are asked for by (epoch, row).
        weights: float [n], how often each row is drawn in training.
        settings: For the batch size and the seed.
        training: Shuffle.
        in_memory: Nothing has to be decoded, so that no processes are started for it.
    """
    return DataLoader(
        dataset,
        batch_size=settings.batch_size,
        sampler=EpochSampler(weights, settings.seed, shuffle=training),
        num_workers=0 if in_memory else min(MAX_WORKERS, os.cpu_count() or 1),
        drop_last=training
        and len(weights) % settings.batch_size == 1,  # batch norm cannot train on one example
    )


def _best_epoch(work_dir: Path) -> ModelCheckpoint:
    """Keeps the weights of the best epoch."""
    return ModelCheckpoint(
        work_dir, filename="best", monitor="valid_rank", mode="max", save_on_train_epoch_end=True
    )


def _every_epoch(work_dir: Path) -> ModelCheckpoint:
    """Keeps everything needed to continue after the last epoch."""
    return ModelCheckpoint(
        work_dir, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )


def _trainer(
    settings: FitSettings, callbacks: list[Callback], work_dir: Path, device: str, progress: bool
) -> lightning.Trainer:
    if settings.patience:
        callbacks = [*callbacks, EarlyStopping("valid_rank", patience=settings.patience, mode="max")]
    if progress:
        callbacks = [*callbacks, EpochBar()]
    return lightning.Trainer(
        accelerator="gpu" if device.startswith("cuda") else "cpu",
        devices=settings.devices,
        strategy="ddp_spawn" if settings.devices > 1 else "auto",
        use_distributed_sampler=False,
        precision=choose_precision(settings, device),  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        callbacks=callbacks,
        default_root_dir=work_dir,
        deterministic="warn",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def choose_precision(settings: FitSettings, device: str) -> str:
    """The precision "auto" stands for: bfloat16 where the processor computes with it, else float32."""
    if settings.precision != "auto":
        return settings.precision
    if device.startswith("cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice; restore its loggers afterwards."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
