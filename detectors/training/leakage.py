"""How much a random split would have flattered a detector.

Enters: images whose origins hold several images each. Leaves: a detector trained on a split by origin, and
the accuracy that a split of single images would have shown.

Why it takes a second training: only a network that was allowed to see other pictures of the same origin can
show what that is worth. Its weights are thrown away.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from detectors.data.labelled_images import LabelledImages
from detectors.errors import TrainingError
from detectors.training.settings import Settings
from detectors.training.train_detector import Say, train, training_record_path
from pipelines.storage import write_json


def train_by_origin(
    arch: str,
    images: LabelledImages,
    out: str | Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> Path:
    """Train a detector on a split by origin, then once more on a random split, and say what that flatters.

    Args:
        arch: As for `train.train`.
        images: With origins, see `origins.by_origin`.
        out: As for `train.train`.
        settings: As for `train.train`.
        device: As for `train.train`.
        overwrite: As for `train.train`.
        progress: As for `train.train`.
        say: As for `train.train`.

    Returns:
        The checkpoint of the training by origin. Its record beside it gains `random_split`, with `accuracy`
        and `flattery`, the difference of the two held-out accuracies.

    Raises:
        ExpectedError: as `train.train` does.
    """
    settings = settings or Settings()
    if settings.fractions[2] == 0:
        raise TrainingError(
            "comparing with a random split needs a held-out part: fractions such as 0.6,0.1,0.3"
        )
    path = train(arch, images, out, settings, device=device, overwrite=overwrite, progress=progress, say=say)
    say(f"Training once more on a random split, to see what splitting by {images.origin_rule} is worth.")
    random = random_split_accuracy(arch, images, settings, device=device, progress=progress)
    record_path = training_record_path(path)
    record = json.loads(record_path.read_text(encoding="utf-8"))
    honest = record["held_out"]["accuracy"]
    write_json(record_path, record | {"random_split": {"accuracy": random, "flattery": random - honest}})
    say(
        f"Held-out accuracy by origin {honest:.3f}; a random split of the same images would have said "
        f"{random:.3f}, flattering it by {100 * (random - honest):.1f} points."
    )
    return path


def random_split_accuracy(
    arch: str, images: LabelledImages, settings: Settings, *, device: str = "auto", progress: bool = False
) -> float:
    """Held-out accuracy (0-1) of a detector trained on a split in which every image is its own origin."""
    table = images.table.assign(origin=images.table["image_id"], part=None)
    alone = replace(images, table=table, origin_rule="image")
    with tempfile.TemporaryDirectory() as folder:
        path = train(arch, alone, Path(folder) / "random.pt", settings, device=device, progress=progress)
        record = json.loads(training_record_path(path).read_text(encoding="utf-8"))
    return float(record["held_out"]["accuracy"])
