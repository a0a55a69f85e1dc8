"""How well a map does, image by image, and where on the face it lies.

Enters: maps, the mask of what was changed in a fake, a detector. Leaves: numbers for each image; no verdict.

    hit           whether the brightest place lies in what was changed (pointing game)
    energy        share of the map that lies in what was changed
    area          share of the image that was changed: what a map that knows nothing gets of both
    deletion      mean decision while the brightest places are greyed first; lower is better
    insertion     mean decision while they are put back first into a blurred image; higher is better
    *_random      the same in a random order, what a map that knows nothing gets
    agreement     rank correlation with the map of the same network with random weights; near 0 is good

Why fakes that the detector calls real, or gives no score, are left out: there is no decision "fake" to
explain. Why the sanity check randomises all weights: a map that stays as it was shows the image's edges and
not the detector.

Source: Zhang et al. 2018, IJCV 126:1084 (pointing game); Wang et al. 2020 (energy-based pointing game);
Petsiuk et al. 2018 (deletion, insertion); Adebayo et al. 2018 (sanity checks).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

from detectors.data.image_batches import Unreadable, read_fitted
from detectors.data.preprocessing import to_unit
from detectors.errors import ExplanationError, NoScoreError
from detectors.explanation.methods import GREY, METHODS, Explanation, explain
from detectors.models.detector import Detector
from detectors.scoring.options import RayCluster
from detectors.scoring.parts import cut, engine_for, in_order
from detectors.scoring.work import Advance, Tools
from pipelines.dataset.manifest import OK as MANIFEST_OK
from pipelines.dataset.manifest import read_manifest
from pipelines.sources.photos import read_photo

Floats = npt.NDArray[np.float64]
FAKES_PER_PART = 4
"""Fakes that are measured together; each time weights are drawn anew."""
STEPS = 10
"""Steps in which an image is greyed or put back."""
BLUR_SHARE = 0.12
"""Sigma of the blur that an insertion starts from, as a share of the side."""
ATTRIBUTES = ("age", "gender", "race")
REGIONS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "forehead and hair": ((0.0, 0.16, 0.0, 1.0),),
    "eyes": ((0.16, 0.38, 0.12, 0.88),),
    "nose": ((0.38, 0.66, 0.34, 0.66),),
    "mouth": ((0.66, 0.88, 0.24, 0.76),),
    "cheeks": ((0.38, 0.66, 0.12, 0.34), (0.38, 0.66, 0.66, 0.88)),
    "chin and jaw": ((0.88, 1.0, 0.0, 1.0), (0.66, 0.88, 0.12, 0.24), (0.66, 0.88, 0.76, 0.88)),
    "sides": ((0.16, 0.88, 0.0, 0.12), (0.16, 0.88, 0.88, 1.0)),
}
"""Parts of an aligned face as boxes (top, bottom, left, right) in shares of the side; together the whole
image. Of the frame "tight" (`pipelines.faces.align`): eyes near 0.26, mouth near 0.79 of the height."""


def masked_fakes(root: Path) -> pd.DataFrame:
    """The fakes of a pairs dataset that carry a mask of what was changed.

    Returns:
        pair_id, kind, path, mask (both files), age, gender, race.

    Raises:
        ExplanationError: there are none: only blending kinds (swap, self-blend) have masks.
    """
    manifest = read_manifest(root)
    rows = manifest[(manifest["status"] == MANIFEST_OK) & manifest["mask"].notna()]
    if rows.empty:
        raise ExplanationError(
            f"no fake in {root} has a mask of what was changed: make pairs of the kinds swap or self-blend"
        )
    chosen = rows[["pair_id", "kind", *ATTRIBUTES]].reset_index(drop=True)
    paths = {column: [str(root / name) for name in rows[source]] for column, source in
             (("path", "fake"), ("mask", "mask"))}  # fmt: skip
    return chosen.assign(**paths)


def region_masks(size_px: int) -> npt.NDArray[np.bool_]:
    """[regions, S, S]: which pixels belong to which of `REGIONS`; each to one."""
    middle = (np.arange(size_px) + 0.5) / size_px
    masks = []
    for boxes in REGIONS.values():
        inside = np.zeros((size_px, size_px), bool)
        for top, bottom, left, right in boxes:
            rows, columns = (middle >= top) & (middle < bottom), (middle >= left) & (middle < right)
            inside |= rows[:, None] & columns[None, :]
        masks.append(inside)
    return np.stack(masks)


def region_shares(values: Tensor) -> Floats:
    """Share of a map in each of `REGIONS`; NaN of a flat map.

    Args:
        values: [S, S] in 0-1.
    """
    found = values.double().numpy()
    total = found.sum()
    if not total > 0:
        return np.full(len(REGIONS), math.nan)
    return (region_masks(len(found)) * found).sum((1, 2)) / total


def pointing(values: Tensor, mask: npt.NDArray[np.bool_]) -> float:
    """Share of a map's brightest places that lie in a mask: 1 or 0, but for ties."""
    found = values.numpy()
    return float(mask[found == found.max()].mean())


def energy(values: Tensor, mask: npt.NDArray[np.bool_]) -> float:
    """Share of a map that lies in a mask."""
    found = values.double().numpy()
    return float(found[mask].sum() / found.sum())


def decision_curve(detector: Detector, image: Tensor, order: Tensor, answer: str, insertion: bool) -> float:
    """Mean decision (0-1) while pixels are greyed, or put back, in an order.

    Args:
        detector: The detector.
        image: [3, S, S] in 0-1.
        order: [S * S], pixels, first to last.
        answer: Decision whose strength is taken: the score, or 1 minus it.
        insertion: Whether pixels are put back into a blurred image.
    """
    from torchvision.transforms.functional import gaussian_blur

    size = image.shape[-1]
    sigma = max(1.0, BLUR_SHARE * size)
    radius = min(int(3 * sigma), (size - 1) // 2)
    blurred = gaussian_blur(image, [2 * radius + 1] * 2, [sigma, sigma])
    start, end = (blurred, image) if insertion else (image, torch.full_like(image, GREY))
    flat_start, flat_end = start.flatten(1), end.flatten(1)
    frames = []
    for step in range(STEPS + 1):
        frame = flat_start.clone()
        chosen = order[: round(step * len(order) / STEPS)]
        frame[:, chosen] = flat_end[:, chosen]
        frames.append(frame.view_as(image))
    scores = detector.score(torch.stack(frames))
    strength = scores if answer == "fake" else 1 - scores
    return float(torch.trapezoid(strength) / STEPS)


def randomised(detector: Detector, seed: int = 0) -> Detector | None:
    """The same detector with all weights drawn anew; None where its network is not of torch."""
    if not isinstance(detector.network, nn.Module):
        return None
    network = copy.deepcopy(detector.network)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in network.parameters():
            scale = float(values.std()) if values.numel() > 1 else 1.0
            values.copy_(torch.randn(values.shape, generator=draw) * (scale or 1.0))
    return replace(detector, network=network.eval(), sha256="")


def agreement(first: Explanation, second: Explanation) -> float:
    """Rank correlation of two maps, -1 to 1; NaN where one is flat."""
    if first.is_flat or second.is_flat:
        return math.nan
    return float(spearmanr(first.map.flatten().numpy(), second.map.flatten().numpy()).statistic)


def measure(
    detector: Detector,
    fakes: pd.DataFrame,
    methods: Sequence[str],
    threshold: float = 0.5,
    seed: int = 0,
    cluster: RayCluster | None = None,
) -> pd.DataFrame:
    """Measure methods on fakes of which is known what was changed.

    Args:
        detector: The detector.
        fakes: As `masked_fakes` gives them.
        methods: Keys of `METHODS`.
        threshold: Fake if score >= threshold; fakes called real are left out.
        seed: Of random orders, random weights and LIME.
        cluster: Where to measure; None for this process.

    Returns:
        One row an image and method: method, pair_id, kind, the attributes, flat, and the numbers of the
        module's docstring; a flat map has no hit (0), energy as a map that knows nothing.
    """
    values = [{str(name): value for name, value in row.items()} for row in fakes.to_dict("records")]
    parts = cut(len(values), FAKES_PER_PART)
    work = MeasuringWork(values, list(methods), threshold, seed)
    with engine_for(cluster, [detector], work, parts) as engine:
        return pd.DataFrame([row for part in in_order(engine, parts) for row in part])


@dataclass(frozen=True)
class MeasuringWork:
    """Measures on fakes, see `detectors.scoring.work`.

    Attributes:
        fakes: As `masked_fakes` gives them, as plain values.
        methods: Keys of `METHODS`.
        threshold: As for `measure`.
        seed: As for `measure`.
    """

    fakes: list[dict[str, Any]]
    methods: list[str]
    threshold: float
    seed: int

    def part(
        self, detectors: Sequence[Detector], tools: Tools, rows: range, advance: Advance
    ) -> list[dict[str, Any]]:
        """A row for each method on each fake that is called fake."""
        other = randomised(detectors[0], self.seed)
        made = []
        for row in rows:
            made += self._of(detectors[0], other, row)
            advance(1)
        return made

    def _of(self, detector: Detector, other: Detector | None, row: int) -> list[dict[str, Any]]:
        values = self.fakes[row]
        seen = read_fitted(values["path"], [detector.preprocessing])
        if isinstance(seen, Unreadable):
            raise ExplanationError(f"{values['path']} cannot be explained: {seen.detail}")
        image = to_unit(seen[0])
        if not self.threshold <= float(detector.score(image[None])[0]) < math.inf:
            return []
        mask = _mask(Path(values["mask"]), image.shape[-1])
        draw = np.random.default_rng([self.seed, row])  # of its own, so that fakes can be shared out
        order = torch.from_numpy(draw.permutation(mask.size))
        chance = {
            f"{name}_random": decision_curve(detector, image, order, "fake", name == "insertion")
            for name in ("deletion", "insertion")
        }
        about = {name: values[name] for name in ("pair_id", "kind", *ATTRIBUTES)}
        made = []
        for method in self.methods:
            found = explain(detector, seen[0], method, self.threshold, self.seed)
            twin = self._twin(other, seen[0], method)
            made.append(
                about
                | {"method": method, "area": float(mask.mean())}
                | _numbers(detector, image, mask, found)
                | chance
                | {"agreement": agreement(found, twin) if twin else math.nan}
            )
        return made

    def _twin(self, other: Detector | None, image: Tensor, method: str) -> Explanation | None:
        """The map of random weights; None where there are none, or they give no number."""
        try:
            return explain(other, image, method, self.threshold, self.seed) if other else None
        except NoScoreError:
            return None


def _numbers(
    detector: Detector, image: Tensor, mask: npt.NDArray[np.bool_], found: Explanation
) -> dict[str, float | bool]:
    order = found.map.flatten().argsort(descending=True, stable=True)
    return {
        "flat": found.is_flat,
        "hit": 0.0 if found.is_flat else pointing(found.map, mask),
        "energy": float(mask.mean()) if found.is_flat else energy(found.map, mask),
        "deletion": decision_curve(detector, image, order, found.answer, insertion=False),
        "insertion": decision_curve(detector, image, order, found.answer, insertion=True),
    }


def _mask(path: Path, size_px: int) -> npt.NDArray[np.bool_]:
    """[S, S]: where at least half was changed."""
    values = (
        Image.fromarray(read_photo(path).pixels).convert("L").resize((size_px, size_px), Image.Resampling.BOX)
    )
    return np.asarray(values) > 127


def usable_methods(detector: Detector) -> list[str]:
    """The methods that a detector can be explained by."""
    network = detector.network if isinstance(detector.network, nn.Module) else None
    is_torch = network is not None
    has_convolution = network is not None and any(isinstance(m, nn.Conv2d) for m in network.modules())
    return [
        name
        for name, method in METHODS.items()
        if (is_torch or not method.needs_gradients) and (name != "grad-cam" or has_convolution)
    ]
