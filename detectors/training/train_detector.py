"""Train a detector: labelled images in, one checkpoint out, with the record of how it came about.

Enters: an architecture's name, a data set, `Settings`. Leaves: `OUT.pt`, and beside it `OUT.training.json`
with the settings, the data's fingerprint, the environment, the loss and accuracy of each epoch and the
accuracy on the held-out part; `OUT.training.csv` holds the epochs alone.

Why the checkpoint names its source photos: an audit on photos a detector has learned from flatters it. Names
and hashes travel with the weights; scoring leaves those photos out and says how many.

Why a folder `OUT.training` appears meanwhile: it holds Lightning's own checkpoints. A training that was
interrupted and is started again with the same settings and data continues after its last epoch and ends with
the same weights. The folder is removed at the end.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from detectors.data.datasets import read_images
from detectors.data.image_batches import contents_of
from detectors.data.labelled_images import LabelledImages, fingerprint
from detectors.errors import OutputExists, TrainingError
from detectors.models.architectures import IMAGENET, build, load_imagenet
from detectors.models.checkpoint import load_checkpoint, save_checkpoint
from detectors.models.loading import pick_device
from detectors.scoring.dataset_scores import Options, score_images
from detectors.scoring.score_table import OK
from detectors.training.fair import NEEDS_GROUPS
from detectors.training.settings import Settings
from detectors.training.training_data import TrainingData, groups_of, prepare
from pipelines.csv_text import frame_text
from pipelines.errors import MissingExtra, UnreadableFile
from pipelines.storage import remove_tree, write_json, write_text
from pipelines.untrusted import read_json

Say = Callable[[str], None]
"""Takes one line for people."""
_PARTS = {"trained_on": "train", "validated_on": "valid", "held_out": "test"}


def train(
    arch: str,
    data: str | Path | LabelledImages,
    out: str | Path,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> Path:
    """Train a detector.

    Args:
        arch: Name in the zoo.
        data: A pairs dataset, an image folder, or images read before.
        out: The checkpoint to write.
        settings: How; `Settings()` where None.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace an existing checkpoint.
        progress: Show progress bars.
        say: Is given one line for each thing a person should know.

    Returns:
        The path written. Equal data, settings and machine give equal weights.

    Raises:
        TrainingError: impossible settings, all named at once.
        OutputExists: `out` is there already, or holds an unfinished training of something else.
        MissingExtra: Lightning is not installed.
        DataError: the data cannot be read or split.
    """
    started = time.monotonic()
    settings, out, device = settings or Settings(), Path(out), pick_device(device)
    settings.check(arch)
    refuse_existing(out, overwrite)
    images = data if isinstance(data, LabelledImages) else read_images(data)
    prepared = prepare(images, settings.preprocessing(arch), settings, progress)
    say(prepared.describe())
    network, start = _network(arch, prepared, settings)
    say(f"{arch} starts from {start}.")
    epochs, best = _fit(network, arch, prepared, settings, out, device, start == IMAGENET, progress)
    network.load_state_dict(best)
    record = _record(arch, prepared, settings, start, epochs)
    save_checkpoint(
        out, arch, network, prepared.preprocessing, record | _sources(prepared), len(prepared.classes)
    )
    held_out = held_out_accuracy(out, prepared.images, device, progress)
    seconds = round(time.monotonic() - started, 1)
    write_json(training_record_path(out), record | held_out | environment() | {"seconds": seconds})
    write_text(out.with_suffix(".training.csv"), frame_text(pd.DataFrame(epochs), index=False))
    say(summary(epochs, held_out, "images"))
    return out


def refuse_existing(out: Path, overwrite: bool) -> None:
    """See that a checkpoint may be written.

    Raises:
        OutputExists: It is there already, or is a folder, or lies below a file.
    """
    if out.is_dir():
        raise OutputExists(f"{out} is a folder: name the file to write, such as {out / 'detector.pt'}")
    for folder in out.parents:
        if folder.exists() and not folder.is_dir():
            raise OutputExists(f"{folder} is a file, so {out} cannot be written: choose another name")
    if out.exists() and not overwrite:
        raise OutputExists(
            f"{out} exists: choose another name, or overwrite it: --overwrite, in Python overwrite=True"
        )


def training_record_path(out: str | Path) -> Path:
    """Where the record of a training lies: `OUT.training.json` beside `OUT.pt`."""
    return Path(out).with_suffix(".training.json")


def _network(arch: str, data: TrainingData, settings: Settings) -> tuple[nn.Module, str]:
    """The untrained network, its random weights drawn from the seed, and what it starts from in words."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = build(arch, len(data.classes))
    start = load_imagenet(network, arch) if settings.imagenet else "random weights, as asked"
    return network.to(memory_format=torch.channels_last), start


def _fit(
    network: nn.Module,
    arch: str,
    data: TrainingData,
    settings: Settings,
    out: Path,
    device: str,
    warm: bool,
    progress: bool,
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Train in a folder beside `out` that survives an interruption; see `fit.fit`."""
    try:
        from detectors.training.fit import fit
    except ImportError:
        raise MissingExtra("training", "lightning", "train") from None
    return in_work_folder(
        out,
        about_training(arch, data, settings, {"device": device, "warm": warm}),
        lambda work: fit(network, arch, data, settings, work, device, warm, progress),
    )


def about_training(
    arch: str, data: TrainingData, settings: Settings, how: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that the weights of a detector depend on but the environment."""
    return {"arch": arch, "settings": settings.as_dict(), **learned_from(data.images), **how}


def in_work_folder(
    out: Path, about: Mapping[str, Any], fitting: Callable[[Path], tuple[list[dict[str, float]], Any]]
) -> tuple[list[dict[str, float]], Any]:
    """Train in a folder beside `out` that survives an interruption.

    Args:
        out: The checkpoint to come.
        about: Everything that the weights depend on; the environment is added.
        fitting: Given the folder, trains and says what `fit.fit` says.

    Raises:
        OutputExists: The folder is that of another training.
    """
    work = _work_dir(out, about)
    try:
        with torch.random.fork_rng(devices=[]):
            found = fitting(work)
    except TrainingError:  # nothing to continue from
        remove_tree(work)
        raise
    remove_tree(work)
    return found


def _work_dir(out: Path, about: Mapping[str, Any]) -> Path:
    """The folder of this training, new or unfinished; never that of another one.

    Its key is everything that the weights depend on, so that a training which continues ends as one that was
    never interrupted.
    """
    work = out.with_suffix(".training")
    key = json.loads(json.dumps({**about, **environment()}))
    path = work / "key.json"
    if path.is_file() and _kept_key(path) != key:
        raise OutputExists(
            f"{work} holds an unfinished training with other settings or data: remove it first"
        )
    work.mkdir(parents=True, exist_ok=True)
    write_json(path, key)
    return work


def _kept_key(path: Path) -> Any:
    try:
        return read_json(path)
    except UnreadableFile:
        return None


def learned_from(images: LabelledImages) -> dict[str, str]:
    """Digests of all that a training takes from a data set: its table, and the bytes of its images.

    The table holds labels, kinds, groups, weights, and what may not straddle a split; the bytes are those of
    both halves of a pair.
    """
    table = images.table.drop(columns="path").to_json(orient="split", double_precision=15)
    contents = "\n".join(contents_of(images.table["path"].tolist()))
    digests = {"data": fingerprint(images), "table": _sha256(table), "images": _sha256(contents)}
    return digests | {"attributes": ", ".join(images.attributes), "added": ", ".join(images.added)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _record(
    arch: str, data: TrainingData, settings: Settings, start: str, epochs: list[dict[str, float]]
) -> dict[str, Any]:
    """What a training was, without anything that differs from run to run."""
    table = data.images.table
    return {
        "arch": arch,
        "classes": data.classes,
        "settings": settings.as_dict(),
        "preprocessing": data.preprocessing.as_dict(),
        "starts_from": start,
        "groups": _groups(data, settings),
        "data": {
            "name": data.images.root.name,
            "layout": data.images.layout,
            "origin": data.images.origin_rule,
            "fingerprint": fingerprint(data.images),
            "held_out_fingerprint": _held_out_fingerprint(table),
            "n_images": {part: int((table["part"] == part).sum()) for part in _PARTS.values()},
            "n_unreadable": data.n_unreadable,
            "n_left_out": data.images.n_left_out,
            "added": list(data.images.added),
        },
        "epochs": epochs,
        "best_epoch": best_epoch(epochs),
    }


def _groups(data: TrainingData, settings: Settings) -> dict[str, Any]:
    """What a training that looks at groups looked at: columns, and images of each group by class."""
    if settings.fair not in NEEDS_GROUPS:
        return {}
    counts = zip(data.groups, data.cell_counts(), strict=True)
    return {
        "by": groups_of(data.images, settings),
        "n_images": {name: {"real": real, "fake": fake} for name, (real, fake) in counts},
    }


def _held_out_fingerprint(table: pd.DataFrame) -> str:
    """SHA-256 over names, labels and source photos of the held-out images, in any order."""
    rows = table[table["part"] == "test"]
    lines = sorted(f"{r.image_id}\t{r.kind}\t{r.source}\t{r.source_sha256}" for r in rows.itertuples())
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def best_epoch(epochs: list[dict[str, float]]) -> int:
    """Number of the epoch with the highest validation accuracy; of equals, the one with the lowest loss."""
    return int(max(epochs, key=lambda e: (e["valid_accuracy"], -e["valid_loss"]))["epoch"])


def _sources(data: TrainingData) -> dict[str, list[str]]:
    """Names and hashes of the source photos of each part."""
    lists: dict[str, list[str]] = {}
    for name, part in _PARTS.items():
        rows = data.images.table[data.images.table["part"] == part]
        lists[name] = sorted(set(rows["source"]))
        lists[f"{name}_sha256"] = sorted(set(rows["source_sha256"].dropna()))
    return lists


def held_out_accuracy(out: Path, images: LabelledImages, device: str, progress: bool) -> dict[str, Any]:
    """Accuracy of a checkpoint on the part it has never seen, at the threshold 0.5, by kind of image.

    Returns:
        {"held_out": {"n": int, "accuracy": float, "by_kind": {kind: float}}}, or no key without such a part.
    """
    held_out = images.only(images.table["part"] == "test")
    if held_out.table.empty:
        return {}
    detector = load_checkpoint(out, device)
    scored = score_images([detector], held_out, Options(progress=progress))[0]
    scored = scored[scored["status"] == OK]
    right = (scored["score"] >= 0.5) == (scored["label"] == 1)
    by_kind = right.groupby(scored["kind"]).mean()
    accuracy = {"accuracy": float(right.mean()), "by_kind": {str(k): float(v) for k, v in by_kind.items()}}
    return {"held_out": {"n": len(scored), **accuracy}}


def environment() -> dict[str, Any]:
    """What a training ran on: Python, the libraries, the processor."""
    names = ("torch", "torchvision", "lightning", "numpy")
    return {
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            **{name: version(name) for name in names},
        }
    }


def summary(epochs: list[dict[str, float]], held_out: dict[str, Any], what: str) -> str:
    """One line: how good it became on held-out images or trials."""
    best = epochs[best_epoch(epochs) - 1]
    line = (
        f"Best epoch {best['epoch']:.0f} of {len(epochs)}: validation accuracy {best['valid_accuracy']:.3f}"
    )
    if "held_out" not in held_out:
        return f"{line}."
    found = held_out["held_out"]
    return f"{line}; accuracy on {found['n']} held-out {what} {found['accuracy']:.3f}."
