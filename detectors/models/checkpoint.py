"""One checkpoint format for detectors trained here: weights, architecture, preprocessing and provenance.

Enters: a network and the record of how it was made. Leaves: a `.pt` file that loads with `weights_only=True`,
and from such a file a `Detector`.

    {"format": "fake-face-detector", "version": 1, "arch": str, "arch_options": {"n_classes": int},
     "state_dict": {name: tensor}, "preprocessing": {...}, "output": {...}, "provenance": {...}}

Why so suspicious: a `.pt` file is a zip of pickles, and people audit detectors they were sent. Before
anything is unpickled the zip's table of contents must fit the file's size (an honest file is stored, not
compressed, so a bomb stands out); unpickling is limited to plain values and tensors; and the weights must fit
the named architecture, built on the meta device, before any memory is taken for it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.data.preprocessing import Preprocessing
from detectors.errors import CheckpointFormatError, CheckpointTooLarge, DetectorNotFound, ExpectedError
from detectors.isolation.zip_archives import MAX_PICKLE_BYTES, Refused, TooLarge, check_size
from detectors.models import architectures as zoo
from detectors.models.detector import Detector, Output
from pipelines.pickled import GrowingPickle, refuse_growing
from pipelines.storage import file_sha256, write_bytes

FORMAT = "fake-face-detector"
OTHER_FORMATS = {
    "speaker-verifier": "a speaker verifier, and compares voices: audit it with "
    "`audit run --task speaker-verification`"
}
"""What our other checkpoints are, for those who mistake one for a detector of faces."""
VERSION = 1
MAX_VALUES = 5_000_000
"""Plain values in the record beside the weights; a million source names and their hashes fit."""
_MAX_DEPTH = 50
_MAX_INTEGER = 1 << 63
_DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
_FIELDS = {
    "format": str,
    "version": int,
    "arch": str,
    "arch_options": dict,
    "state_dict": dict,
    "preprocessing": dict,
    "output": dict,
    "provenance": dict,
}


def save_checkpoint(
    path: str | Path,
    arch: str,
    network: nn.Module,
    preprocessing: Preprocessing,
    provenance: Mapping[str, Any],
    n_classes: int = 2,
) -> Path:
    """Write a checkpoint: to a temporary name, then renamed.

    Args:
        path: Where to; its folder is made.
        arch: Name in the zoo.
        network: The trained network; its weights are stored on the CPU.
        preprocessing: What it was trained with.
        provenance: Plain values only: numbers, strings, lists, dictionaries.
        n_classes: Outputs of the network; class 0 is real.

    Returns:
        The path written. Equal arguments give equal bytes.
    """
    record = {
        "format": FORMAT,
        "version": VERSION,
        "arch": arch,
        "arch_options": {"n_classes": n_classes},
        "state_dict": {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()},
        "preprocessing": preprocessing.as_dict(),
        "output": Output(fake_index=tuple(range(1, n_classes))).as_dict(),
        "provenance": json.loads(json.dumps(provenance)),  # plain, and pickled alike whoever shares a string
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()  # a buffer, because torch writes the file's own name into the zip
    torch.save(record, buffer)
    write_bytes(path, buffer.getvalue())
    return path


def load_checkpoint(path: str | Path, device: str = "cpu") -> Detector:
    """Read a checkpoint of ours.

    Args:
        path: A file that `save_checkpoint` wrote.
        device: Where the network is put.

    Returns:
        The detector, in evaluation mode.

    Raises:
        DetectorNotFound: no such file.
        CheckpointTooLarge: it would unpack to more than 4 GiB.
        CheckpointFormatError: not ours, truncated, carrying code, or with weights that do not fit.
    """
    path = Path(path)
    record = read_record(path)
    network = _network(path, record)
    try:
        preprocessing = Preprocessing.from_dict(record["preprocessing"])
        output = Output.from_dict(record["output"])
    except ExpectedError as error:
        raise CheckpointFormatError(f"{path}: {error}") from None
    return Detector(
        name=path.stem,
        sha256=file_sha256(path),
        arch=record["arch"],
        preprocessing=preprocessing,
        output=output,
        network=network.eval().to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        provenance=record["provenance"],
        device=device,
    )


def is_checkpoint(path: Path) -> bool:
    """Whether a file of weights is a checkpoint of ours; raises as `load_weights_only` does."""
    record = load_weights_only(path)
    _refuse_other_task(path, record)
    return isinstance(record, dict) and record.get("format") == FORMAT


def _refuse_other_task(path: Path, record: Any) -> None:
    found = record.get("format") if isinstance(record, dict) else None
    if isinstance(found, str) and found in OTHER_FORMATS:
        raise CheckpointFormatError(f"{path} is {OTHER_FORMATS[found]}")


def read_record(path: Path) -> dict[str, Any]:
    """The dictionary inside a checkpoint of ours, its fields checked; weights included."""
    record = load_weights_only(path)
    _refuse_other_task(path, record)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise CheckpointFormatError(
            f"{path}: not a checkpoint written by `audit train`; "
            "for a plain state_dict say which architecture it is with --arch"
        )
    check_record(path, record, _FIELDS, VERSION)
    return record


def check_record(path: Path, record: dict[str, Any], fields: Mapping[str, type], version: int) -> None:
    """Refuse a checkpoint's dictionary with a field missing, of another type, or not plain; or too new.

    Raises:
        CheckpointFormatError: naming the field.
    """
    for name, kind in fields.items():
        if not isinstance(record.get(name), kind):
            raise CheckpointFormatError(f"{path}: the field {name!r} is missing or not a {kind.__name__}")
    check_plain(path, {name: value for name, value in record.items() if name != "state_dict"})
    if record["version"] != version:
        raise CheckpointFormatError(
            f"{path}: checkpoint version {record['version']}; this program reads version {version}: update it"
        )


def check_plain(path: Path, record: Mapping[str, Any]) -> None:
    """Refuse a record with anything but numbers, texts, lists and dictionaries, or with too much of them.

    Values that are there many times count each time: a list of lists of lists is small in a file and endless
    when it is written out.

    Raises:
        CheckpointFormatError: naming the field.
    """
    n_values, n_letters = 0, 0
    for name, field in record.items():
        inside: list[Iterator[Any]] = [iter([field])]
        while inside:
            value = next(inside[-1], _NO_MORE)
            if value is _NO_MORE:
                inside.pop()
                continue
            n_values += 1
            n_letters += len(value) if isinstance(value, str) else 0
            if isinstance(value, dict):
                inside.append(chain(value, value.values()))
            elif isinstance(value, list | tuple):
                inside.append(iter(value))
            elif not _is_plain(value):
                raise CheckpointFormatError(
                    f"{path}: the field {name!r} holds a {type(value).__name__}; "
                    "only numbers, texts, lists and dictionaries belong there"
                )
            if n_values > MAX_VALUES or len(inside) > _MAX_DEPTH or n_letters > MAX_PICKLE_BYTES:
                raise CheckpointFormatError(
                    f"{path}: the field {name!r} holds more than {MAX_VALUES:,} values, "
                    f"more than {_MAX_DEPTH} lists in each other, or itself"
                )


_NO_MORE = object()


def _is_plain(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < _MAX_INTEGER
    return value is None or isinstance(value, str | bool | float)


def load_weights_only(path: Path) -> Any:
    """Unpickle plain values and tensors from a `.pt` file; refuse anything else without running it.

    Raises:
        DetectorNotFound, CheckpointTooLarge, CheckpointFormatError: as `load_checkpoint` does.
    """
    if not path.is_file():
        raise DetectorNotFound(f"no detector at {path}: train one with `audit train --out {path}`")
    _check_archive(path)
    try:
        refuse_growing(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except GrowingPickle as refused:
        raise CheckpointFormatError(f"{path}: {refused}") from None
    except Exception as error:  # whatever a hostile file makes the unpickler raise, the file is at fault
        raise CheckpointFormatError(f"{path}: {_why_refused(error)}") from None


def _check_archive(path: Path) -> None:
    """Refuse a file whose table of contents promises more than the file holds."""
    try:
        check_size(path)
    except TooLarge as refused:
        raise CheckpointTooLarge(f"{path}: {refused}") from None
    except Refused as refused:
        raise CheckpointFormatError(f"{path}: {refused}") from None


def _why_refused(error: Exception) -> str:
    """One line about what the unpickler met."""
    found = re.search(r"GLOBAL ([\w.]+)|Unsupported (?:class|global|operand)[^\n]*?([\w.]+)", str(error))
    if found:
        return (
            f"holds code or objects ({found.group(1) or found.group(2)}), not only weights; "
            "refused, nothing of it was run"
        )
    return f"cannot be read as weights ({type(error).__name__}): damaged, truncated or not a checkpoint"


def _network(path: Path, record: Mapping[str, Any]) -> nn.Module:
    """Build the named architecture and fill in the weights, once they are known to fit."""
    arch, options = record["arch"], record["arch_options"]
    if set(options) != {"n_classes"}:
        raise CheckpointFormatError(f"{path}: arch_options are {sorted(options)}; expected n_classes alone")
    try:
        with torch.device("meta"):
            plan = zoo.build(arch, options["n_classes"])
    except ExpectedError as error:
        raise CheckpointFormatError(f"{path}: {error}") from None
    check_fits(path, arch, plan.state_dict(), record["state_dict"])
    network = zoo.build(arch, options["n_classes"])
    network.load_state_dict(record["state_dict"])
    return network


def check_fits(path: Path, arch: str, wanted: Mapping[str, Tensor], given: Mapping[str, Any]) -> None:
    """Refuse weights whose names, shapes or values do not fit an architecture.

    Args:
        path: For the message.
        arch: For the message.
        wanted: The architecture's own state_dict; only shapes are read.
        given: What the file holds.

    Raises:
        CheckpointFormatError: naming the first thing that does not fit.
    """
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted), key=str)
    if missing or extra:
        which = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} besides"
        count = f"{len(missing)} missing, {len(extra)} extra"
        raise CheckpointFormatError(f"{path}: weights do not fit {arch}: the file {which} ({count})")
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor) or tensor.shape != wanted[name].shape:
            shape = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise CheckpointFormatError(
                f"{path}: weights do not fit {arch}: {name!r} is {shape}, wanted {tuple(wanted[name].shape)}"
            )
        if not _is_dense(tensor):
            raise CheckpointFormatError(
                f"{path}: {name!r} is {_form(tensor)}; weights must be plain dense numbers: "
                "save the network's state_dict before quantising or pruning it"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointFormatError(f"{path}: {name!r} holds NaN or infinity: the training went wrong")


def _is_dense(tensor: Tensor) -> bool:
    return not tensor.is_meta and tensor.layout == torch.strided and tensor.dtype in _DTYPES


def _form(tensor: Tensor) -> str:
    """What a tensor is instead of plain numbers."""
    if tensor.is_meta:
        return "a shape without values (meta)"
    return str(tensor.layout if tensor.layout != torch.strided else tensor.dtype).removeprefix("torch.")
