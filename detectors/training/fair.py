"""Ways of training that look at groups, or at the worst-treated images: what becomes of the losses of one
step.

Enters: the loss of every image of a batch, its class and its group. Leaves: one loss to descend.

    reweight      every cell (group and class) counts alike: weights of one over its number of images
    resample      the same by drawing images instead of weighting them; the loss is the plain mean
    dag           mean of the worst half of the losses (CVaR .5), whoever they belong to; needs no group
    daw           mean of the worst half of the groups (CVaR .5), each by the mean of the worst nine tenths of
                  its losses (CVaR .9)
    group-dro     a weighted mean over cells whose weights grow where the loss is large
    adversarial   a second network guesses the group from the answer and the true class, and the first learns
                  to leave it nothing to guess by (its gradient is reversed)

Why CVaR by sorting: the mean of the worst share of finitely many losses is the minimum over a bound that the
papers search for in an inner loop (Rockafellar & Uryasev 2000); sorted, it is exact.

Why the groups are not in the network's input, nor needed when it decides: they change how it learns, no more.

Sources: Idrissi et al. 2022, CLeaR (reweight and resample by class and attribute); Ju et al. 2024, WACV
(DAG-FDD and DAW-FDD, here with cross entropy as their loss); Sagawa et al. 2020, ICLR (group DRO, its online
algorithm 1); Zhang, Lemoine & Mitchell 2018, AIES (adversary on the answer and the class: equalised odds);
Ganin et al. 2016, JMLR 17:59 (gradient reversal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Fair = Literal["none", "reweight", "resample", "dag", "daw", "group-dro", "adversarial"]
METHODS: tuple[str, ...] = get_args(Fair)
NEEDS_GROUPS = frozenset(METHODS) - {"none", "dag"}

WORST_IMAGES = 0.5
"""Share of a batch that `dag` learns from."""
WORST_GROUPS, WORST_OF_GROUP = 0.5, 0.9
"""Share of the groups, and of the images within each, that `daw` learns from."""
STEP = 0.01
"""Step size of the weights of `group-dro`, as in the paper's code."""


def cvar(losses: Tensor, share: float) -> Tensor:
    """Mean of the worst share of losses; where the share cuts an image in two, that image counts in part.

    Args:
        losses: float [n], n >= 1.
        share: In 0-1, above 0.

    >>> round(float(cvar(torch.tensor([1.0, 4.0, 2.0, 3.0]), 0.5)), 6)
    3.5
    >>> round(float(cvar(torch.tensor([1.0, 4.0, 2.0]), 0.5)), 6)
    3.333333
    """
    wanted = share * len(losses)
    ordered = losses.sort(descending=True).values
    taken = (wanted - torch.arange(len(losses), device=losses.device, dtype=losses.dtype)).clamp(0, 1)
    return (ordered * taken).sum() / wanted


class PlainLoss(nn.Module):
    """The mean over images, each with the weight of its cell.

    Attributes:
        weights: float [n_groups, 2], by group and by (real, fake); 1 everywhere for the plain mean.
    """

    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, losses: Tensor, fake: Tensor, group: Tensor, logits: Tensor, learn: bool) -> Tensor:
        """One loss from those of a batch.

        Args:
            losses: float [n], of every image.
            fake: int64 [n], 1 = fake.
            group: int64 [n].
            logits: float [n, n_classes], class 0 being real.
            learn: Whether the method's own state may follow; not for Inception's second output.
        """
        return (self.weights[group, fake] * losses).mean()


class WorstImages(nn.Module):
    """CVaR over the images of a batch (DAG-FDD)."""

    def forward(self, losses: Tensor, fake: Tensor, group: Tensor, logits: Tensor, learn: bool) -> Tensor:
        """See `PlainLoss.forward`."""
        return cvar(losses, WORST_IMAGES)


class WorstGroups(nn.Module):
    """CVaR over the groups of a batch of CVaR over the images of each (DAW-FDD)."""

    def forward(self, losses: Tensor, fake: Tensor, group: Tensor, logits: Tensor, learn: bool) -> Tensor:
        """See `PlainLoss.forward`."""
        each = [cvar(losses[group == g], WORST_OF_GROUP) for g in group.unique()]
        return cvar(torch.stack(each), WORST_GROUPS)


class GroupDro(nn.Module):
    """Cells weighted by how badly they fare.

    Attributes:
        weights: float [2 * n_groups], adding up to 1; part of the training's own checkpoint.
    """

    weights: Tensor

    def __init__(self, n_groups: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((2 * n_groups,), 1 / (2 * n_groups)))

    def forward(self, losses: Tensor, fake: Tensor, group: Tensor, logits: Tensor, learn: bool) -> Tensor:
        """See `PlainLoss.forward`. A cell without images in the batch keeps its weight and adds nothing."""
        cell = 2 * group + fake
        n = torch.bincount(cell, minlength=len(self.weights))
        sums = torch.zeros(len(self.weights), dtype=losses.dtype, device=losses.device).index_add(
            0, cell, losses
        )
        means = sums / n.clamp(min=1)
        if learn:
            grown = self.weights * torch.exp(STEP * means.detach())
            self.weights = grown / grown.sum()
        return (self.weights * means).sum()


class Reversed(torch.autograd.Function):
    """The identity, with the gradient's sign turned."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        """The values."""
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """Minus the gradient."""
        return -gradients[0]


class Adversary(nn.Module):
    """The plain mean, and an adversary that guesses the group from the answer and the true class."""

    def __init__(self, n_groups: int) -> None:
        super().__init__()
        self.guess = nn.Linear(3, n_groups)

    def forward(self, losses: Tensor, fake: Tensor, group: Tensor, logits: Tensor, learn: bool) -> Tensor:
        """See `PlainLoss.forward`. The adversary sees p, y and p * y, p being the probability of a fake."""
        odds = logits[:, 1:].logsumexp(1) - logits[:, 0]
        p, y = Reversed.apply(torch.sigmoid(odds)), fake.to(losses.dtype)
        guessed = self.guess(torch.stack([p, y, p * y], dim=1))
        return losses.mean() + functional.cross_entropy(guessed, group)


def fair_loss(method: str, n_groups: int, counts: Sequence[Sequence[int]]) -> nn.Module:
    """The loss of a method.

    Args:
        method: One of METHODS.
        n_groups: Groups of the training part; 1 where the method needs none.
        counts: [n_groups][2], real and fake images of each in the training part.
    """
    if method == "dag":
        return WorstImages()
    if method == "daw":
        return WorstGroups()
    if method == "group-dro":
        return GroupDro(n_groups)
    if method == "adversarial":
        return Adversary(n_groups)
    weights = cell_weights(counts) if method == "reweight" else np.ones((n_groups, 2))
    return PlainLoss(torch.tensor(weights, dtype=torch.float32))


def cell_weights(counts: Sequence[Sequence[int]]) -> np.ndarray:
    """float64 [n_groups, 2]: one over the images of a cell, of mean 1 over all images; 0 for a cell without
    any.

    >>> cell_weights([[6, 2], [2, 2]]).round(3).tolist()
    [[0.5, 1.5], [1.5, 1.5]]
    """
    n = np.asarray(counts, dtype=float)
    return np.divide(n.sum() / (n > 0).sum(), n, out=np.zeros_like(n), where=n > 0)
