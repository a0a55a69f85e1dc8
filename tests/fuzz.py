"""A mutation loop over every kind of file that strangers may send: each ends as read, or as one line.

    python tests/fuzz.py                 # every target for a minute each, as `make fuzz` does
    python tests/fuzz.py csv --seconds 5 --seed 3

Enters: the files of tests/corpus, and damage drawn from a seed. Leaves: nothing, or the first file that ended
in anything but an expected error, kept under its seed beside the corpus's copy, so that it becomes a test.

Why not a coverage-guided fuzzer: the parsers behind these readers are compiled, so that coverage of Python
says little about them, and the loop needs no further package.

Model files of strangers (model.onnx, script.pt, exported.pt2: one linear layer over the mean of each channel)
are opened and run by `load_detector`, in one isolated process for many of them. Where a file ends that
process, the next file gets a new one.
"""

from __future__ import annotations

import argparse
import atexit
import copy
import io
import json
import random
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipelines.errors import ExpectedError

CORPUS = Path(__file__).resolve().parent / "corpus"


@cache
def original(name: str) -> bytes:
    """A file of the corpus; the detector is made anew, since weights are large."""
    if name != "detector.pt":
        return (CORPUS / name).read_bytes()
    from detectors.data.preprocessing import Preprocessing
    from detectors.models import architectures as zoo
    from detectors.models.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save_checkpoint(path, "simplenet", zoo.build("simplenet"), Preprocessing(32), {"trained_on": ["a"]})
        return path.read_bytes()


WORDS = (
    b"", b'"', b'""', b",", b"\n", b"\r", b"\0", b"NaN", b"-Infinity", b"1e999", b"9" * 400, b"[]", b"{}",
    b"null", b"\xff", "\u202e".encode(), b"=cmd|", b"[" * 3000, b"../../etc/passwd", b"/dev/zero", b"true",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "\u202e\n\0", "9" * 400, [], {},
    [None], "../../etc/passwd", [[[[]]]], 2**63,
)  # fmt: skip


def damaged_bytes(data: bytes, chance: random.Random) -> bytes:
    """A file with a few bytes changed, left out, repeated, or replaced by what parsers dislike."""
    buffer = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, to = sorted((chance.randrange(len(buffer) + 1), chance.randrange(len(buffer) + 1)))
        how = chance.randrange(5)
        if how == 0 and buffer:
            buffer[min(at, len(buffer) - 1)] = chance.randrange(256)
        elif how == 1:
            buffer[at : at + chance.randrange(4)] = chance.choice(WORDS)
        elif how == 2:
            del buffer[at : min(to, at + 64)]
        elif how == 3:
            buffer[at:at] = buffer[at : min(to, at + 64)]
        else:
            del buffer[max(1, to) :]
    return bytes(buffer)


def damaged_record(data: bytes, chance: random.Random) -> bytes:
    """A JSON record with a few of its values replaced: it still parses, and contradicts itself."""
    record = json.loads(data)
    for _ in range(chance.randint(1, 3)):
        node: Any = record
        while isinstance(node, (dict, list)) and node:
            key = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
            if chance.random() < 0.3 or not isinstance(node[key], (dict, list)):
                if chance.random() < 0.25:
                    del node[key]
                else:
                    node[key] = copy.deepcopy(chance.choice(VALUES))
                break
            node = node[key]
    return json.dumps(record).encode()


def damaged_archive(data: bytes, chance: random.Random) -> bytes:
    """A zip archive that is whole as such, with damage inside one or two of its entries or to their names."""
    if chance.random() < 0.2:
        return damaged_bytes(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        whole = [(name, archive.read(name)) for name in archive.namelist()]
    entries = list(whole)
    for _ in range(chance.randint(1, 2)):
        at, how = chance.randrange(len(entries)), chance.random()
        name, content = entries[at]
        if how < 0.1:
            del entries[at]
        elif how < 0.2:
            entries[at] = (chance.choice([name.upper(), name + "x", "../" + name, entries[0][0]]), content)
        elif name.endswith(".json") and how < 0.8 and content == dict(whole).get(name):
            entries[at] = (name, damaged_record(content, chance))
        else:
            entries[at] = (name, damaged_bytes(content, chance))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # a name that is there twice
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def read_scores(path: Path) -> None:
    """A score file, up to the arrays that the statistics work on."""
    from audit.config import AuditConfig
    from audit.data import score_file, score_table

    read = score_file.read_scores(path, AuditConfig())
    table = score_table.score_table(read.frame, read.config)
    read.unaudited(table.cells.attributes)
    list(read.other_columns())


def read_image_table(path: Path) -> None:
    """A table of labelled images."""
    from detectors.data.datasets import read_images

    read_images(path)


def read_layout(path: Path) -> None:
    """How to read such a table."""
    from detectors.data.image_tables import read_table

    table = path.with_name("images.csv")
    table.write_bytes(original("images.csv"))
    read_table(table, path)


def read_sidecar(path: Path) -> None:
    """What a foreign detector does not say itself."""
    from detectors.models import sidecar

    found = sidecar.read_sidecar(path.with_suffix(".onnx"))
    found.preprocessing()
    found.output(2)


def read_manifest(path: Path) -> None:
    """The table of a pairs dataset."""
    from pipelines.dataset import manifest

    (path.parent / manifest.MANIFEST).write_bytes(path.read_bytes())
    manifest.read_manifest(path.parent)


def read_provenance(path: Path) -> None:
    """Where a pairs dataset comes from."""
    from pipelines.dataset import manifest

    (path.parent / manifest.PROVENANCE).write_bytes(path.read_bytes())
    manifest.read_provenance(path.parent)


def read_result(path: Path) -> None:
    """A result: everything `audit report` writes of it."""
    from reports.pages.model_card import write_model_card
    from reports.pages.report_page import write_report
    from reports.tables.report_tables import write_tables

    (path.parent / "audit.json").write_bytes(path.read_bytes())
    write_report(path.parent)
    write_tables(path.parent)
    write_model_card(path.parent)


def read_detector(path: Path) -> None:
    """A detector of any kind."""
    from detectors.models.loading import load_detector

    load_detector(path)


class Shelf:
    """A folder, and one isolated process that may read it, for foreign files one after the other."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)
        self._model: Any = None
        atexit.register(self.close)

    def process(self, *_: object) -> Any:
        """The process, started where there is none or a file has ended it."""
        from detectors.isolation.child import IsolatedModel, Limits
        from detectors.isolation.opening import EXPORTED, ONNX, TORCHSCRIPT

        if self._model is None or not self._model.is_alive:
            limits = Limits(memory_bytes=1 << 30, load_s=30, batch_s=30)
            self._model = IsolatedModel([self.path], [ONNX, TORCHSCRIPT, EXPORTED], limits=limits)
        return self._model

    def close(self) -> None:
        """End the process and remove the folder."""
        if self._model is not None:
            self._model.close()
        self._folder.cleanup()


@cache
def shelf() -> Shelf:
    """One for all files of this run."""
    return Shelf()


def read_foreign(path: Path) -> None:
    """ONNX, TorchScript or .pt2: looked at, opened and run as for any audit, where it can do no harm."""
    from detectors.models.loading import load_detector

    placed = shelf().path / path.name
    placed.write_bytes(path.read_bytes())
    with patch("detectors.models.foreign_files.IsolatedModel", shelf().process):
        load_detector(placed, options={"size_px": 8, "output": "logit"})


Damage = Callable[[bytes, random.Random], bytes]
TARGETS: dict[str, tuple[str, Callable[[Path], None], Damage]] = {
    "csv": ("scores.csv", read_scores, damaged_bytes),
    "parquet": ("scores.parquet", read_scores, damaged_bytes),
    "image table": ("images.csv", read_image_table, damaged_bytes),
    "layout": ("layout.toml", read_layout, damaged_bytes),
    "sidecar": ("sidecar.toml", read_sidecar, damaged_bytes),
    "manifest": ("manifest.parquet", read_manifest, damaged_bytes),
    "provenance": ("provenance.json", read_provenance, damaged_record),
    "result": ("audit.json", read_result, damaged_record),
    "result bytes": ("audit.json", read_result, damaged_bytes),
    "checkpoint": ("detector.pt", read_detector, damaged_bytes),
    "onnx": ("model.onnx", read_foreign, damaged_bytes),
    "torchscript": ("script.pt", read_foreign, damaged_archive),
    "exported": ("exported.pt2", read_foreign, damaged_archive),
}
"""Name to the file it starts from, what reads it, and how it is damaged."""


class Escaped(AssertionError):
    """A file ended in something else than an expected error."""


def try_one(target: str, seed: int, folder: Path) -> bool:
    """Damage one file and read it; whether it could be read.

    Raises:
        Escaped: anything but an expected error of one line came out.
    """
    name, read, damage = TARGETS[target]
    path = folder / name
    path.write_bytes(damage(original(name), random.Random(f"{target} {seed}")))
    try:
        read(path)
    except ExpectedError as error:
        if "\n" in str(error):
            raise Escaped(
                f"{target}, seed {seed}: the message is not one line: {str(error)[:300]!r}"
            ) from error
        return False
    except BaseException as error:
        raise Escaped(f"{target}, seed {seed}: {type(error).__name__}\n{traceback.format_exc()}") from error
    return True


def main() -> None:
    """Run the loop from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first file")
    given = parser.parse_args()
    for target in given.targets:
        end, seed, n_read = time.monotonic() + given.seconds, given.seed, 0
        with tempfile.TemporaryDirectory() as folder:
            while time.monotonic() < end:
                try:
                    n_read += try_one(target, seed, Path(folder))
                except Escaped as escaped:
                    kept = Path(f"fuzz-{target.replace(' ', '-')}-{seed}")
                    kept.write_bytes((Path(folder) / TARGETS[target][0]).read_bytes())
                    sys.exit(f"{escaped}\nkept as {kept}")
                seed += 1
        print(f"{target}: {seed - given.seed} files, {n_read} of them could be read")


if __name__ == "__main__":
    main()
