"""Detectors in one call: load one, score images with it, train one.

Enters: a path, a factory or images. Leaves: a `LoadedDetector`, a table of scores, a checkpoint's path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from detectors.data.datasets import read_sets
from detectors.data.face_crops import SharedFinder, framed
from detectors.data.labelled_images import LabelledImages
from detectors.data.origins import parse_group_by
from detectors.data.preprocessing import fit
from detectors.errors import DatasetLayoutError, TrainingError
from detectors.models.detector import Detector
from detectors.models.loading import load_detector, pick_device
from detectors.scoring.dataset_scores import score_files
from detectors.scoring.network_threads import forward
from detectors.scoring.options import Options
from detectors.scoring.score_table import OK, with_reasons
from pipelines.place_urls import is_url
from pipelines.places import local

if TYPE_CHECKING:
    from detectors.training.train_detector import Say

ImageLike = str | Path | Image.Image | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LoadedDetector:
    """A detector that scores whatever holds a face."""

    detector: Detector

    def score(self, images: ImageLike | Sequence[ImageLike], batch_size: int = 32) -> pd.DataFrame:
        """How fake each image is.

        Args:
            images: Files, PIL images or uint8 arrays [H, W, 3] (RGB), or one of them.
            batch_size: Images in a batch; on a CPU a thread computes up to eight of them.

        Returns:
            One row an image, in the order given: image (its path, or its position), score (0-1, higher = more
            fake, NaN where there is none), status ("ok", or why there is no score), detail.

        Raises:
            DatasetLayoutError: What is no image, or an array that is not uint8 [H, W, 3].
            SettingError: A batch size below 1.
            DatasetNotFound: No images.
        """
        if isinstance(images, str | Path | Image.Image | np.ndarray):
            listed = [images]
        elif isinstance(images, Iterable) and not isinstance(images, bytes | pd.DataFrame):
            listed = list(images)
        else:
            raise DatasetLayoutError(f"images is a {type(images).__name__}; give files, images or arrays")
        options = Options(batch_size=batch_size, progress=False)
        files = {number: one for number, one in enumerate(listed) if isinstance(one, str | Path)}
        pictures = {number: one for number, one in enumerate(listed) if not isinstance(one, str | Path)}
        for number, one in pictures.items():
            _refuse_other_arrays(number, one)
        if files or not listed:
            table = score_files(self.detector, list(files.values()), options=options)
            table = table.rename(columns={"path": "image"})
            if not pictures:
                return table
            rows = dict(zip(files, table.to_dict("records"), strict=True))
        else:
            rows = {}
        finder, numbers = SharedFinder(), list(pictures)
        for start in range(0, len(numbers), batch_size):
            some = numbers[start : start + batch_size]
            rows |= self._in_memory({number: pictures[number] for number in some}, finder)
        return with_reasons(pd.DataFrame([rows[number] for number in range(len(listed))]))

    def _in_memory(
        self, pictures: Mapping[int, Image.Image | npt.NDArray[np.uint8]], finder: SharedFinder
    ) -> dict[int, dict[Hashable, Any]]:
        """Rows of one batch, by the pictures' positions."""
        from pipelines.errors import PhotoError
        from pipelines.sources.photos import pixels_of

        rows: dict[int, dict[Hashable, Any]] = {}
        fitted: dict[int, Tensor] = {}
        preprocessing = self.detector.preprocessing
        for number, one in pictures.items():
            rows[number] = {"image": str(number), "score": np.nan, "status": OK, "detail": ""}
            try:
                pixels = pixels_of(one, f"image {number}")[0] if isinstance(one, Image.Image) else one
                seen = framed(pixels, preprocessing, finder)
            except PhotoError as error:
                rows[number] |= {"status": error.reason, "detail": str(error)}
            else:
                fitted[number] = fit(torch.from_numpy(np.array(seen)).permute(2, 0, 1), preprocessing)
        scores = forward(self.detector, torch.stack(list(fitted.values()))) if fitted else ()
        for number, score in zip(fitted, scores, strict=True):
            rows[number]["score"] = float(score)
        return rows


def _refuse_other_arrays(number: int, image: Image.Image | npt.NDArray[np.uint8]) -> None:
    """Refuse what is no picture of 8 bits a colour."""
    if isinstance(image, Image.Image):
        return
    if not isinstance(image, np.ndarray):
        raise DatasetLayoutError(
            f"image {number} is a {type(image).__name__}; give a file, a PIL image or a uint8 array [H, W, 3]"
        )
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DatasetLayoutError(
            f"image {number} is an array of {pixels.dtype} {pixels.shape}; give uint8 [H, W, 3], RGB"
        )


def load(
    source: str | Path,
    *,
    arch: str | None = None,
    device: str = "auto",
    trust: str | None = None,
    **settings: Any,
) -> LoadedDetector:
    """Load a detector: a checkpoint of ours, ONNX, TorchScript, `.pt2`, a state_dict, or Python.

    Args:
        source: A file, or `module:factory`.
        arch: For a plain state_dict: its architecture.
        device: "auto", "cpu" or "cuda".
        trust: SHA-256 of a foreign model file to run in this process instead of an isolated one.
        **settings: What a foreign detector does not say itself: size_px=224, output="logit", mean, std ...
            (`detectors.models.sidecar` lists them).

    Raises:
        DetectorError: No such file, or one that cannot be trusted, loaded or called.
        SidecarError: An unknown setting.
        MissingExtra: A format whose library is not installed.
    """
    return LoadedDetector(loaded(source, settings, arch=arch, device=device, trust=trust))


def loaded(
    source: str | Path | Detector | LoadedDetector,
    settings: Mapping[str, Any] | None = None,
    *,
    arch: str | None = None,
    device: str = "auto",
    trust: str | None = None,
) -> Detector:
    """The detector itself, loaded where it is not yet; the arguments are those of `load`.

    Why the settings are one mapping: they come from strangers' options, and "arch" may be among them.
    """
    if isinstance(source, LoadedDetector):
        return source.detector
    if isinstance(source, Detector):
        return source
    here = local(source) if is_url(source) else source
    return load_detector(here, arch=arch, options=settings, device=device, trust=trust)


def train(
    arch: str,
    data: str | Path | LabelledImages | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    group_by: str | None = None,
    augment_data: Sequence[str | Path] = (),
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say | None = None,
    **settings: Any,
) -> Path:
    """Train a detector; both halves of a pair stay in one part, and a held-out part is kept for the audit.

    Args:
        arch: Name in the zoo, such as "resnet50".
        data: A pairs dataset, an image folder or a table; several, each with an optional weight
            ("pairs=3"); or images read before.
        out: The checkpoint to write; ARCH.pt where None.
        group_by: What may not straddle the split, see `detectors.data.origins.parse_group_by`; trains a
            second time, to say what a random split would flatter.
        augment_data: Data sets added to the training part alone, each with an optional weight ("faces=0.5"),
            relative to `data`.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace an existing checkpoint.
        progress: Show progress bars.
        say: Is given one line for each thing a person should know.
        **settings: Fields of `detectors.training.settings.Settings`: epochs, learning_rate, seed ...

    Returns:
        The checkpoint's path. It names its source photos, so that an audit leaves them out.

    Raises:
        TrainingError: An unknown setting, or impossible ones, all named at once.
        ExpectedError: As `detectors.training.train_detector.train`.
    """
    from detectors.training.added_data import with_added
    from detectors.training.leakage import train_by_origin
    from detectors.training.settings import Settings
    from detectors.training.train_detector import refuse_existing
    from detectors.training.train_detector import train as train_once

    _refuse_unknown(settings, [field.name for field in fields(Settings)])
    if not isinstance(arch, str):
        raise TrainingError(f"arch is {arch!r}; give the name of an architecture, such as 'resnet50'")
    if not isinstance(data, str | Path | LabelledImages) and not _are_places(data):
        raise TrainingError(f"data is a {type(data).__name__}; give the path of a pairs dataset, or several")
    chosen, target = Settings(**settings), local(out or f"{arch}.pt")
    chosen.check(arch)
    pick_device(device)
    refuse_existing(target, overwrite)
    rule = parse_group_by(group_by) if group_by else None
    sets = [data] if isinstance(data, str | Path) else data
    if not isinstance(sets, LabelledImages):
        sets = [local(one) if is_url(one) else one for one in sets]
    images = sets if isinstance(sets, LabelledImages) else read_sets(sets, group_by=rule)
    if augment_data:
        images = with_added(images, augment_data, chosen)
    run: Callable[..., Path] = train_by_origin if group_by else train_once
    return run(
        arch, images, target, chosen,
        device=device, overwrite=overwrite, progress=progress, say=say or (lambda line: None),
    )  # fmt: skip


def _are_places(data: object) -> bool:
    """Whether it is a list of paths, and not an empty one."""
    return isinstance(data, Sequence) and len(data) > 0 and all(isinstance(one, str | Path) for one in data)


def _refuse_unknown(settings: dict[str, Any], known: Sequence[str]) -> None:
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise TrainingError(f"no setting '{name}'; {hint}")
