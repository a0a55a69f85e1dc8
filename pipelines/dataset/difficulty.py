"""How hard a kind of fake is to tell: the held-out AUC of a fixed small detector after a fixed budget.

A finished dataset and the rows of one kind enter; a record leaves, for `summary.json`.

Why fixed in everything: the number is there to be compared, between kinds, datasets and versions of a
generator, so network, crops, steps and seed never change with the data. It says what *this* detector learns
in *this* budget. A kind near 0.5 is hard for it, which is no proof that a larger one learns nothing.

Why crops at full resolution: what a blend or a network leaves behind is fine, and shrinking removes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch import nn

from pipelines.dataset.file_traces import auc
from pipelines.labels import ATTRIBUTES
from pipelines.sources.photos import read_photo

N_PAIRS: Final = 400
"""At most, evenly spaced over the dataset; two of three train, the third is held out."""
MIN_PAIRS: Final = 60
N_STEPS: Final = 150
BATCH: Final = 16
CROP_PX: Final = 64
LEARNING_RATE: Final = 2e-3
SEED: Final = 0
BUDGET: Final = (
    f"4 convolutions of 8 to 32 channels, {N_STEPS} steps of {BATCH} crops of {CROP_PX} px from at most "
    f"{N_PAIRS * 2 // 3} pairs"
)


def difficulty_of(folder: Path, pairs: pd.DataFrame) -> dict[str, Any]:
    """Train the fixed detector on two thirds of a kind's pairs and judge the rest.

    Args:
        folder: the dataset, its images in place.
        pairs: the manifest's "ok" rows of one kind.

    Returns:
        auc (None for fewer than 60 pairs), standard_error, n_train and n_held_out (pairs), budget, and
        groups: {attribute, group, auc, n_held_out} of groups with 10 held-out pairs.
    """
    chosen = (
        pairs.iloc[np.unique(np.linspace(0, len(pairs) - 1, N_PAIRS).round().astype(int))]
        if len(pairs)
        else pairs
    )
    held = np.arange(len(chosen)) % 3 == 2
    about = {"n_train": int((~held).sum()), "n_held_out": int(held.sum()), "budget": BUDGET}
    if len(chosen) < MIN_PAIRS:
        return {"auc": None, "standard_error": None, **about, "groups": []}
    halves = [_read([folder / name for name in chosen[half]]) for half in ("real", "fake")]
    net = _trained([[image for image, out in zip(half, held, strict=True) if not out] for half in halves])
    scores = [_scores(net, [image for image, out in zip(half, held, strict=True) if out]) for half in halves]
    rest = chosen[held]
    return {
        "auc": round(auc(*scores), 4),
        "standard_error": round(_standard_error(*scores), 4),
        **about,
        "groups": _by_group(rest, *scores),
    }


def _read(paths: Sequence[Path]) -> list[np.ndarray]:
    return [read_photo(path).pixels for path in paths]


def _network() -> nn.Sequential:
    """Four convolutions at falling resolution, then the mean over places: it sees texture, not who it is."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, 8, 1), (8, 16, 2), (16, 32, 2), (32, 32, 2)):
        layers += [
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))


def _trained(halves: Sequence[Sequence[np.ndarray]]) -> nn.Sequential:
    """The detector after its budget; each batch holds as many real as fake crops, of the same photos."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = _network().train()
    rng = np.random.default_rng(SEED)
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE)
    labels = torch.tensor([0.0] * (BATCH // 2) + [1.0] * (BATCH // 2))
    for step in range(N_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / N_STEPS)
        rows = rng.integers(0, len(halves[0]), BATCH // 2)
        batch = _as_batch([_crop(half[i], rng) for half in halves for i in rows])
        loss = nn.functional.binary_cross_entropy_with_logits(net(batch)[:, 0], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def _crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square of `CROP_PX` at a random place, mirrored half of the time; small images are continued."""
    lack = [max(0, CROP_PX - side) for side in image.shape[:2]]
    if any(lack):
        image = np.pad(image, ((0, lack[0]), (0, lack[1]), (0, 0)), mode="symmetric")
    y, x = (int(rng.integers(0, side - CROP_PX + 1)) for side in image.shape[:2])
    cut = image[y : y + CROP_PX, x : x + CROP_PX]
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def _as_batch(images: Sequence[np.ndarray]) -> torch.Tensor:
    """uint8 [H,W,3] images to float32 [B,3,H,W] in [-1,1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.inference_mode()
def _scores(net: nn.Sequential, images: Sequence[np.ndarray]) -> np.ndarray:
    """One score an image, the whole of it seen; float64 [N]."""
    return np.array([float(net(_as_batch([image]))[0, 0]) for image in images])


def _standard_error(real: np.ndarray, fake: np.ndarray) -> float:
    """Of the AUC, after DeLong et al., Biometrics 1988; halves of a pair are taken for independent."""
    wins = (fake[:, None] > real[None, :]) + 0.5 * (fake[:, None] == real[None, :])
    return float(np.sqrt(wins.mean(1).var(ddof=1) / len(fake) + wins.mean(0).var(ddof=1) / len(real)))


def _by_group(rows: pd.DataFrame, real: np.ndarray, fake: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for attribute in ATTRIBUTES:
        for group in sorted(set(rows[attribute].dropna())):
            inside = (rows[attribute] == group).to_numpy()
            if inside.sum() >= 10:
                found.append(
                    {
                        "attribute": attribute,
                        "group": str(group),
                        "auc": round(auc(real[inside], fake[inside]), 4),
                        "n_held_out": int(inside.sum()),
                    }
                )
    return found
