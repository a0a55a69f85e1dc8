"""Any detector from a file or a name, by what it is.

Enters: a path, or `module:factory`. Leaves: a `Detector`.

    NAME.pt, NAME.pth   a checkpoint of ours; TorchScript; or plain weights, with the architecture's name
    NAME.onnx           onnxruntime
    NAME.pt2            torch.export
    module:factory      somebody's Python, imported because its name was given

Why two ways: weights are plain numbers, read with `weights_only=True` in this process. ONNX, torch.export and
TorchScript are programs, and run in an isolated one unless trusted by their SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectors.errors import DetectorNotFound, DeviceNotFound, NotTrusted, SidecarError
from detectors.isolation.child import Limits
from detectors.models.checkpoint import is_checkpoint, load_checkpoint
from detectors.models.detector import Detector, Source
from detectors.models.foreign_files import kind_of, load_foreign, look_at
from detectors.models.foreign_formats import load_factory, load_state_dict
from detectors.models.sidecar import Sidecar, agreeing, read_sidecar, without
from pipelines.devices import choose_device
from pipelines.errors import SettingError
from pipelines.storage import file_sha256


def pick_device(device: str) -> str:
    """What "auto" stands for: "cuda" where there is a graphics processor, else "cpu".

    Raises:
        DeviceNotFound: Another word, or "cuda" where PyTorch sees no graphics processor.
    """
    try:
        return choose_device(device)
    except SettingError as error:
        raise DeviceNotFound(str(error).removeprefix("--")) from None


def load_detector(
    source: str | Path,
    *,
    arch: str | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    trust: str | None = None,
    limits: Limits | None = None,
) -> Detector:
    """Load a detector.

    Args:
        source: A file, or `module:factory`.
        arch: Name in the zoo, for a plain state_dict.
        options: Keys of `sidecar`, which override `NAME.toml` beside the file; None values are ignored.
        device: "auto", "cpu" or "cuda".
        trust: SHA-256 of the file, to run a foreign model in this process with all its rights.
        limits: Memory and time of the isolated process of a foreign model.

    Returns:
        The detector, ready to score.

    Raises:
        DetectorNotFound: no such file.
        NotTrusted: the file's hash is another one than `trust`.
        IsolationUnavailable: a foreign model that is not trusted, where the system cannot isolate it.
        DetectorError: a file that cannot be loaded or called; each condition has its own class.
        MissingExtra: an ONNX file where onnxruntime is not installed.
    """
    if not isinstance(source, str | Path):
        raise DetectorNotFound(
            f"the detector is a {type(source).__name__}; give its file, module:factory, or what "
            "detectors.load returned"
        )
    if options is not None and not isinstance(options, Mapping):
        raise SidecarError(f"settings is {options!r}; give a mapping, such as {{'size_px': 224}}")
    given = dict(options or {})
    made = _load(source, given | ({"arch": arch} if arch else {}), pick_device(device), trust, limits)
    return replace(made, source=Source(str(source), arch, given, trust, limits))


def load_source(source: Source, device: str) -> Detector:
    """Load a detector again, in whatever process, as it was loaded before.

    Args:
        source: Of the detector.
        device: "auto", "cpu" or "cuda".

    Raises:
        ExpectedError: as `load_detector` does.
    """
    return load_detector(
        source.name, arch=source.arch, options=source.options, device=device, trust=source.trust,
        limits=source.limits,
    )  # fmt: skip


def _load(
    source: str | Path, given: dict[str, Any], device: str, trust: str | None, limits: Limits | None
) -> Detector:
    path = Path(source)
    if not path.exists() and ":" in str(source):
        if trust is not None:
            raise NotTrusted(f"{source} is Python that you named, and needs no --trust; files have a SHA-256")
        sidecar = read_sidecar(None, given)
        return _of_factory(load_factory(str(source), sidecar, device), sidecar, str(source))
    if path.is_dir():
        raise DetectorNotFound(f"{path} is a folder; give the detector's file in it, or module:factory")
    if path.suffix == ".py" and path.is_file():
        raise DetectorNotFound(
            f"{path} is Python: name the function in it that makes the detector, such as {path}:load"
        )
    if not path.is_file():
        raise DetectorNotFound(
            f"no detector at {path}: train one with `audit train --out {path}`, or name module:factory"
        )
    sidecar, kind = read_sidecar(path, given), kind_of(path)
    if kind is not None:
        for key in ("arch", "classes"):
            without(sidecar, key, str(path), "is for plain weights, and this file brings its own network")
        return _given(load_foreign(path, kind, sidecar, device, trust, limits), sidecar)
    return _given(_load_weights(path, sidecar, device, trust), sidecar)


def load_detectors(
    sources: Sequence[str | Path | Detector],
    *,
    arch: str | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    trust: Sequence[str] = (),
) -> list[Detector]:
    """Load several detectors; those in memory are passed on.

    Args:
        sources: Files, `module:factory`, or detectors.
        arch: Name in the zoo, for plain state_dicts.
        options: As for `load_detector`, of every file.
        device: "auto", "cpu" or "cuda".
        trust: SHA-256 of the files to run in this process.

    Raises:
        NotTrusted: a hash that is of none of the files.
        ExpectedError: as `load_detector` does.
    """
    trusted = {text.strip().lower() for text in trust}
    hashes = [None if isinstance(s, Detector) or not trusted else _fingerprint(Path(s)) for s in sources]
    for text in sorted(trusted - set(hashes)):
        raise NotTrusted(f"--trust {text[:80]}: none of the detector files has this SHA-256")
    return [
        source if isinstance(source, Detector)
        else load_detector(
            source, arch=arch, options=options, device=device, trust=found if found in trusted else None
        )
        for source, found in zip(sources, hashes, strict=True)
    ]  # fmt: skip


def _of_factory(detector: Detector, sidecar: Sidecar, name: str) -> Detector:
    """What a factory made, its user's options in it: a whole `Detector` says itself how it is used."""
    if "assumed" in detector.provenance:  # a bare network, to which the sidecar was applied
        for key in ("arch", "classes"):
            without(sidecar, key, name, "is for plain weights, and a factory brings its own network")
        return _given(detector, sidecar)
    return agreeing(detector, sidecar, name)


def _given(detector: Detector, sidecar: Sidecar) -> Detector:
    return replace(detector, given=sidecar.values)


def _fingerprint(path: Path) -> str | None:
    """SHA-256 of a model file and what belongs to it; None where there is no file."""
    if not path.is_file():
        return None
    kind = kind_of(path)
    return look_at(path, kind).sha256 if kind else file_sha256(path)


def _load_weights(path: Path, sidecar: Sidecar, device: str, trust: str | None) -> Detector:
    """Plain weights need no trust; a hash that was given must fit all the same."""
    if trust is not None and trust.strip().lower() != (found := file_sha256(path)):
        raise NotTrusted(f"{path} has the SHA-256 {found}, not the trusted {trust.strip()[:80]!r}")
    if sidecar.arch and not is_checkpoint(path):
        without(sidecar, "layout", str(path), "is for networks of unknown code, and this one is of the zoo")
        return load_state_dict(path, sidecar, device)
    return agreeing(load_checkpoint(path, device), sidecar, str(path))
