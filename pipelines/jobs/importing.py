"""Brings pairs made by any other generator into a pairs dataset.

Two folders and a label table enter; a pairs dataset leaves, with the same checks, the same writer
and the same measurements as for pairs made here, so that diffusion or face-swap fakes can be
audited too.

Why both halves are written anew: a real half that is a JPEG beside a fake that is a PNG would be
told apart by its file. Traces of an earlier compression stay in the pixels, so the provenance says
which file types each half had.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pandas as pd

from pipelines.dataset.job import Job
from pipelines.dataset.settings import PairSettings
from pipelines.devices import choose_device
from pipelines.errors import FairFaceNotFound, LabelColumnError, PhotoError, SettingError
from pipelines.generators.kinds import about_kind, slug
from pipelines.jobs.generation import PairsSummary, run_job
from pipelines.labels import ATTRIBUTES, VOCABULARY
from pipelines.places import local, name_of
from pipelines.sources.photos import read_bytes
from pipelines.untrusted import read_csv

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_LONGEST_ID: Final = 200
"""Bytes of a pair_id; with ".png" and what other tools add it stays below the 255 of a file name."""
_READERS: Final = 4


def import_pairs(
    real_dir: str | Path,
    fake_dir: str | Path,
    labels: str | Path,
    out_dir: str | Path,
    *,
    generator_name: str = "unknown",
    size_px: int | None = None,
    any_labels: bool = False,
    device: str = "auto",
    workers: int | None = None,
    progress: bool = True,
) -> PairsSummary:
    """Import pairs, or continue where an earlier call stopped.

    Args:
        real_dir: real images, in any folders below it.
        fake_dir: fake images of the same relative names; extensions may differ.
        labels: CSV with a column `file` (relative to `real_dir`, extension optional) and at least
            one of age, gender, race.
        out_dir: the dataset's folder; new, empty, or holding the same run.
        generator_name: what made the fakes, for the report.
        size_px: bring both halves to this square; None keeps each pair's own size.
        any_labels: accept other words than FairFace's.
        device: for the face detector: "auto", "cpu" or "cuda".
        workers: as in `pipelines.generate_pairs`.
        progress: draw a progress bar.

    Returns:
        What was imported; pairs that fail a check are rows with a reason.

    Raises:
        FairFaceNotFound: a folder or the label table is not there.
        LabelColumnError: a label table that cannot be used.
        ExpectedError: as `pipelines.generate_pairs`.
    """
    job = plan_import(
        local(real_dir), local(fake_dir), local(labels), local(out_dir),
        generator_name=generator_name, size_px=size_px, any_labels=any_labels, device=device,
    )  # fmt: skip
    return run_job(job, workers=workers, progress=progress)


def plan_import(
    real_dir: str | Path,
    fake_dir: str | Path,
    labels: str | Path,
    out_dir: str | Path,
    *,
    generator_name: str = "unknown",
    size_px: int | None = None,
    any_labels: bool = False,
    device: str = "auto",
) -> Job:
    """Plan an import.

    Args:
        real_dir: real images.
        fake_dir: fake images of the same relative names.
        labels: CSV, as in `import_pairs`.
        out_dir: the dataset's folder.
        generator_name: what made the fakes.
        size_px: as in `import_pairs`.
        any_labels: as in `import_pairs`.
        device: as in `import_pairs`.

    Returns:
        The job. Its generator's sha256 is of every fake's bytes and the pair it is in: other fakes
        under the same labels are another run.

    Raises:
        FairFaceNotFound: a folder or the label table is not there.
        LabelColumnError: a label table that cannot be used.
        SourceLost: the machine cannot read the fakes for now.
    """
    folders = (Path(real_dir), Path(fake_dir))
    for folder in folders:
        if not folder.is_dir():
            raise FairFaceNotFound(f"{folder} is not a folder; name one of images")
    if size_px is not None and not 16 <= size_px <= 4096:
        raise SettingError(f"--size-px is {size_px}; it must lie from 16 to 4096 px")
    table = _read_labels(Path(labels), any_labels)
    plan, notes = _match(table, folders)
    settings = PairSettings(size_px=size_px or 0, device=choose_device(device))
    source = {
        "kind": "imported",
        "path": name_of(real_dir),
        "fake_path": name_of(fake_dir),
        "sha256": hashlib.sha256(Path(labels).read_bytes()).hexdigest(),
        "repaired_ages": 0,
        "probes": [str(f.resolve()) for f in folders],
        "notes": notes,
    }
    digest = _digest(plan)
    generator = {
        **about_kind("imported", slug(generator_name)),
        "name": generator_name, "sha256": digest, "path": None, "crop": None,
    }  # fmt: skip
    return Job(Path(out_dir).resolve(), "given", settings, (generator,), source, plan)


def _read_labels(path: Path, any_labels: bool) -> pd.DataFrame:
    """The label table, checked."""
    if not path.is_file():
        raise FairFaceNotFound(f"label table {path} is not there")
    try:
        table = read_csv(path)
    except ValueError as fault:
        raise LabelColumnError(f"{path} is not a readable CSV table: {fault}") from fault
    given = [a for a in ATTRIBUTES if a in table]
    if "file" not in table or not given:
        raise LabelColumnError(f"{path} needs a column file and one of {', '.join(ATTRIBUTES)}")
    if table.empty:
        raise LabelColumnError(f"{path} has a header but no rows")
    for row, name in enumerate(table["file"]):
        if not _is_inside(name):
            raise LabelColumnError(
                f"{path} line {row + 2}: file is {name!r}; it must name an image below the folder of real "
                "images, without control characters"
            )
    for attribute in given:
        for row, word in enumerate(table[attribute]):
            if not _is_plain(word) or not (any_labels or word in VOCABULARY[attribute]):
                hint = "" if any_labels else f"; FairFace's words are {', '.join(VOCABULARY[attribute])}"
                raise LabelColumnError(f"{path} line {row + 2}: {attribute} is {word!r}{hint}")
    return table


def _is_plain(text: str) -> bool:
    """Some text, without control characters."""
    return bool(text) and not any(unicodedata.category(c) == "Cc" for c in text)


def _is_inside(name: str) -> bool:
    """A plain relative name that does not climb out of its folder."""
    path = PurePosixPath(name)
    return _is_plain(name) and not path.is_absolute() and ".." not in path.parts and path.name != ""


def _by_stem(folder: Path) -> dict[str, Path]:
    """Images below a folder by relative name without extension."""
    found: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise LabelColumnError(
                f"{folder} holds both {found[stem].name} and {path.name}; keep one of them"
            )
        found[stem] = path
    return found


def _match(table: pd.DataFrame, folders: tuple[Path, Path]) -> tuple[pd.DataFrame, list[str]]:
    """One row a labelled image, and sentences on what has no label."""
    reals, fakes = (_by_stem(folder) for folder in folders)
    stems = [_stem(f) for f in table["file"]]
    ids = _pair_ids(stems)
    plan = pd.DataFrame(
        {
            "pair_id": ids,
            "source": table["file"],
            **{a: table[a] if a in table else pd.array([None] * len(table), dtype="str") for a in ATTRIBUTES},
            "path": [str(reals.get(s, folders[0] / f"{s}.*").resolve()) for s in stems],
            "fake_path": [str(fakes.get(s, folders[1] / f"{s}.*").resolve()) for s in stems],
            "seed": 0,
        }
    )
    notes = [_types("real", reals), _types("fake", fakes)]
    for folder, images in zip(folders, (reals, fakes), strict=True):
        unlabelled = len(set(images) - set(stems))
        if unlabelled:
            notes.append(f"{unlabelled} images in {folder} have no label and were left out.")
    return plan.sort_values("pair_id", ignore_index=True), notes


def _pair_ids(stems: list[str]) -> list[str]:
    """One plain file name each, short enough for every disk.

    Raises:
        LabelColumnError: two rows would have the same.
    """
    owners: dict[str, str] = {}
    for stem in stems:
        pair_id = _short(stem.replace("/", "-"))
        if pair_id in owners:
            raise LabelColumnError(
                f"the label table lists {stem!r} twice"
                if owners[pair_id] == stem
                else f"{owners[pair_id]!r} and {stem!r} would both be called {pair_id!r}; rename one"
            )
        owners[pair_id] = stem
    return list(owners)


def _short(name: str) -> str:
    """A name of at most `_LONGEST_ID` bytes: one that is longer is cut and ends with its digest."""
    data = name.encode()
    if len(data) <= _LONGEST_ID:
        return name
    ending = "-" + hashlib.sha256(data).hexdigest()[:16]
    return data[: _LONGEST_ID - len(ending)].decode(errors="ignore") + ending


def _digest(plan: pd.DataFrame) -> str:
    """sha256 of the bytes of every fake and the pair it is in; a fake that is not there counts, too."""
    whole = hashlib.sha256()
    with ThreadPoolExecutor(_READERS) as pool:
        for pair_id, fake in zip(plan["pair_id"], pool.map(_digest_of, plan["fake_path"]), strict=True):
            whole.update(json.dumps([pair_id, *fake]).encode())
    return whole.hexdigest()


def _digest_of(path: str) -> tuple[str, int, str]:
    """A file's type, size in bytes and sha256; in place of the latter why it cannot be read."""
    kind = Path(path).suffix.lower()
    try:
        data = read_bytes(Path(path))
    except PhotoError as fault:
        return kind, 0, fault.reason
    return kind, len(data), hashlib.sha256(data).hexdigest()


def _stem(name: str) -> str:
    """A label table's file name without extension."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).as_posix()


def _types(half: str, images: dict[str, Path]) -> str:
    """Which file types a half came as."""
    kinds: Any = Counter(p.suffix.lower().lstrip(".") for p in images.values())
    return f"Imported {half} halves were files of type {', '.join(sorted(kinds)) or 'none'}; all are PNG now."
