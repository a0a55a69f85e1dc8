"""The training loop's parts for PyTorch Lightning: data, network with its loss, and a record of the epochs.

Enters: the table of `labelled`, a network, `Settings`. Leaves: objects for `lightning.Trainer`.

`Learner` learns from any examples; `ImageLearner` adds what is true of images. Speaker verifiers have theirs
in `detectors.voices`.

Why this module imports Lightning at its top and no other does: Lightning is an optional extra; `train`
imports this module when training really starts.

Why samplers hand out (epoch, row): augmentation then depends on nothing but the seed, the epoch and the row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, cast

import lightning
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset, Sampler

from detectors.data.image_batches import Unreadable, read_fitted
from detectors.data.preprocessing import Preprocessing, normalise, to_unit
from detectors.errors import DatasetLayoutError, TrainingError
from detectors.models.architectures import architecture
from detectors.progress import progress_bar
from detectors.training.augmentation import augment
from detectors.training.fair import fair_loss
from detectors.training.settings import FitSettings, Settings

AUXILIARY_WEIGHT = 0.4
"""Weight of Inception's auxiliary loss. Source: torchvision's reference training of inception_v3."""


Batch = tuple[Tensor, Tensor, Tensor]
"""Examples [B, ...] (images: [B, 3, S, S] uint8), classes [B] and groups [B], both int64."""


class TrainingImages(Dataset[tuple[Tensor, int, int]]):
    """Images of one part of the split: uint8 [3, S, S], their class and their group."""

    def __init__(
        self,
        paths: list[str],
        classes: list[int],
        preprocessing: Preprocessing,
        cache: Tensor | None = None,
        augmentations: tuple[str, ...] = (),
        seed: int = 0,
        groups: list[int] | None = None,
    ) -> None:
        self.groups = groups if groups is not None else [0] * len(paths)
        self.paths, self.classes, self.preprocessing = paths, classes, preprocessing
        self.cache, self.augmentations, self.seed = cache, augmentations, seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int, int]:
        epoch, row = key
        image = self._image(row)
        if self.augmentations:
            image = augment(image, self.augmentations, np.random.default_rng((self.seed, epoch, row)))
        return image, self.classes[row], self.groups[row]

    def _image(self, row: int) -> Tensor:
        if self.cache is not None:
            return self.cache[row]
        found = read_fitted(self.paths[row], [self.preprocessing])
        if isinstance(found, Unreadable):
            raise DatasetLayoutError(f"cannot train on {found.detail}: repair or remove it")
        return found[0]


class EpochSampler(Sampler[tuple[int, int]]):
    """Rows in an order drawn anew each epoch from (seed, epoch), by weight where weights differ.

    Lightning calls `set_epoch` before each epoch, after an interruption too. Where several processes train
    together, each takes every k-th row of the one order; the order is lengthened to a multiple of k.
    """

    def __init__(self, weights: pd.Series, seed: int, shuffle: bool = True) -> None:
        self.weights = weights.to_numpy(dtype=float)
        self.seed, self.shuffle, self.epoch = seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.weights) / _rank_and_world()[1])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rank, world = _rank_and_world()
        rows = np.resize(self._rows(), len(self) * world)[rank::world]
        return iter([(self.epoch, int(row)) for row in rows])

    def _rows(self) -> npt.NDArray[np.int64]:
        n = len(self.weights)
        random = np.random.default_rng((self.seed, self.epoch))
        if not self.shuffle:
            return np.arange(n)
        if np.ptp(self.weights) == 0:
            return random.permutation(n)
        return random.choice(n, n, p=self.weights / self.weights.sum())


def _rank_and_world() -> tuple[int, int]:
    """Which of how many training processes this is."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class Learner(lightning.LightningModule):
    """A network with its loss, optimiser and schedule.

    Attributes:
        head: Prefixes of the parameters that learn at the head's own rate.
        objective: Turns the losses of a batch into one, see `fair`; the plain mean where None.
        class_weights: float32 [n_classes], or [1] for all alike: how much an image of each class counts where
            the epoch is chosen.
    """

    class_weights: Tensor

    def __init__(
        self,
        network: nn.Module,
        head: tuple[str, ...],
        settings: FitSettings,
        warm: bool,
        objective: nn.Module | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        weights = torch.tensor(class_weights or [1.0], dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.objective = objective or fair_loss("none", 1, [])
        self.network, self.head, self.settings, self.warm = network, head, settings, warm
        if settings.freeze_body:
            for parameter in self._head_and_body()[1]:
                parameter.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        """Keep the batch norm of a frozen body as it is."""
        if self.settings.freeze_body:
            self.network.eval()

    def on_train_batch_start(self, *_: Any) -> None:
        """Make dropout depend on the seed and the step alone, so that a resumed training is the same one."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one batch, the auxiliary one of Inception included."""
        outputs, classes, groups = self._forward(batch)
        auxiliary = getattr(outputs, "aux_logits", None)
        logits = outputs if isinstance(outputs, Tensor) else outputs.logits
        loss = self._loss(logits, classes, groups, learn=True)
        self._record("train", logits, classes, loss)
        return loss if auxiliary is None else loss + AUXILIARY_WEIGHT * self._loss(auxiliary, classes, groups)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Plain loss and accuracy of one batch: epochs are ranked alike whatever the training looks at.

        Classes weigh as they do in training: of several fakes a photo, "always fake" must not look good.
        """
        logits, classes, _groups = self._forward(batch)
        weights = self.class_weights[classes] if len(self.class_weights) > 1 else self.class_weights
        self._record("valid", logits, classes, (self.losses(logits, classes) * weights).mean(), weights)

    def _forward(self, batch: Batch) -> tuple[Any, Tensor, Tensor]:
        examples, classes, groups = batch
        return self.network(self.prepared(examples)), classes, groups

    def prepared(self, examples: Tensor) -> Tensor:
        """What the network is given for a batch of examples."""
        raise NotImplementedError

    def predicted(self, outputs: Tensor) -> Tensor:
        """int64 [B], the class that each output says."""
        return outputs.argmax(1)

    def _loss(self, logits: Tensor, classes: Tensor, groups: Tensor, learn: bool = False) -> Tensor:
        """One loss from those of a batch; only its first use in a step may change the objective's state."""
        losses, fake = self.losses(logits, classes), (classes > 0).long()
        return cast(Tensor, self.objective(losses, fake, groups, logits.float(), learn))

    def losses(self, logits: Tensor, classes: Tensor) -> Tensor:
        """float32 [B], the loss of every example: cross entropy unless a learner says otherwise."""
        return functional.cross_entropy(
            logits.float(), classes, label_smoothing=self.settings.label_smoothing, reduction="none"
        )

    def _record(
        self, part: str, logits: Tensor, classes: Tensor, loss: Tensor, weights: Tensor | float = 1.0
    ) -> None:
        accuracy = ((self.predicted(logits) == classes).float() * weights).mean()
        for name, value in (("loss", loss.detach()), ("accuracy", accuracy)):
            self.log(
                f"{part}_{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=len(classes),
                sync_dist=True,
                prog_bar=name == "accuracy",
            )

    def on_validation_epoch_end(self) -> None:
        """Rank epochs by accuracy, ties by loss: what `ModelCheckpoint` and early stopping look at.

        Accuracies differ by at least 1 / n, so half of that can carry the loss without changing their order.
        """
        metrics = self.trainer.callback_metrics
        n = max(1, int(sum(self.trainer.num_val_batches)) * self.settings.batch_size)
        loss = metrics["valid_loss"]
        self.log("valid_rank", metrics["valid_accuracy"] - loss / (1 + loss) / (2 * n), sync_dist=True)

    def _head_and_body(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        named = list(self.network.named_parameters())
        head = [p for name, p in named if name.startswith(self.head)]
        return head, [p for name, p in named if not name.startswith(self.head)]

    def configure_optimizers(self) -> Any:
        """Optimiser with the head's rate and the body's, and the schedule by epoch."""
        s = self.settings
        head, body = self._head_and_body()
        groups = [{"params": [*head, *self.objective.parameters()], "lr": s.learning_rate}]
        if not s.freeze_body:
            rate = s.learning_rate / (s.head_factor if self.warm else 1)
            groups.append({"params": body, "lr": rate})
        optimiser = _optimiser(s, groups)
        schedule = _schedule(s, optimiser)
        return optimiser if schedule is None else {"optimizer": optimiser, "lr_scheduler": schedule}


class ImageLearner(Learner):
    """A detector of the zoo, with its preprocessing."""

    def __init__(
        self,
        network: nn.Module,
        arch: str,
        preprocessing: Preprocessing,
        settings: Settings,
        warm: bool,
        objective: nn.Module | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.preprocessing = preprocessing
        super().__init__(network, architecture(arch).head, settings, warm, objective, class_weights)

    def prepared(self, examples: Tensor) -> Tensor:
        """Images [B, 3, S, S] uint8 as the network's normalised input."""
        unit = normalise(to_unit(examples), self.preprocessing)
        return unit.contiguous(memory_format=torch.channels_last)


def _optimiser(s: FitSettings, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if s.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=s.learning_rate, momentum=0.9, weight_decay=s.weight_decay)
    kind = torch.optim.AdamW if s.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=s.learning_rate, weight_decay=s.weight_decay)


def _schedule(s: FitSettings, optimiser: torch.optim.Optimizer) -> Any:
    if s.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, s.epochs)
    if s.schedule == "step":
        return torch.optim.lr_scheduler.StepLR(optimiser, max(1, s.epochs // 3), gamma=0.1)
    if s.schedule == "exponential":
        return torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=0.01 ** (1 / s.epochs))
    return None


class EpochBar(lightning.Callback):
    """One progress bar for the whole training, in batches."""

    def on_train_start(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        """Show the bar, in one process; a resumed training begins where it stopped."""
        total = int(trainer.num_training_batches)
        self.stack = ExitStack()
        bar = progress_bar("Training (batches)", total * (trainer.max_epochs or 1), trainer.is_global_zero)
        self.advance = self.stack.enter_context(bar)
        self.advance(total * trainer.current_epoch)

    def on_train_batch_end(self, *_: Any) -> None:
        """One batch further."""
        self.advance(1)

    def teardown(self, *_: Any, **__: Any) -> None:
        """Take the bar away, after an error too."""
        if hasattr(self, "stack"):
            self.stack.close()


class History(lightning.Callback):
    """Loss and accuracy of each epoch, kept through interruptions."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Note the epoch that has just ended."""
        names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
        values = {name: float(trainer.callback_metrics[name]) for name in names}
        if not all(map(math.isfinite, values.values())):
            raise TrainingError(
                f"the training diverged in epoch {trainer.current_epoch + 1} (its loss is no number): "
                "use a lower learning rate"
            )
        self.epochs.append({"epoch": trainer.current_epoch + 1, **values})

    def state_dict(self) -> dict[str, Any]:
        """For Lightning's checkpoint."""
        return {"epochs": list(self.epochs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From Lightning's checkpoint."""
        self.epochs = list(state_dict["epochs"])
