"""One architecture trained once for each kind of fake and once on all of them, on the same photos.

Enters: a pairs dataset of several kinds, an architecture, `Settings`. Leaves: a folder with a checkpoint a
training, and `Parts`: which photos learned, chose the epoch and are held out.

Why photos that lack a kind are left out: two rows of a cross table shall differ in the kind of fake and in
nothing else, so every training sees the same real photos and as many fakes.

Why donors are looked at: a swap shows the face of a second photo. Where that photo, or another swap with its
face, is in another part of the split, a held-out image would show a face from the training. The photo that
was swapped into is then left out, and counted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.data.datasets import is_pairs, read_images
from detectors.data.image_batches import contents_of
from detectors.data.labelled_images import REAL, LabelledImages
from detectors.errors import DatasetLayoutError, DatasetNotFound, OutputExists
from detectors.training.settings import Settings
from detectors.training.splits import split
from detectors.training.train_detector import Say, train
from pipelines.dataset.manifest import read_manifest
from pipelines.storage import write_json

ALL_KINDS = "all kinds"
"""Name of the training that sees every kind."""
MIN_KINDS = 2
LACKS_A_KIND = "photo with fakes of some kinds only"
DONOR_ELSEWHERE = "photo whose swap shows a face of another part of the split"
_KEY = "cross-table.key.json"


@dataclass(frozen=True)
class Parts:
    """Photos of which every kind has a fake, dealt out by photo."""

    images: LabelledImages
    """`part` is set in every row: "train", "valid" or "test"."""
    kinds: tuple[str, ...]
    """Kinds of fake by name."""
    n_left_out: dict[str, int]
    """Reason to number of photos."""

    def n_photos(self, part: str) -> int:
        """Photos of a part."""
        table = self.images.table
        return int(((table["part"] == part) & (table["kind"] == REAL)).sum())

    def learning(self, trained_on: str) -> LabelledImages:
        """What one training sees: the real halves and one kind, or `ALL_KINDS`.

        With all kinds a real half weighs as much as its fakes together, and each photo of the part that
        chooses the epoch has one fake, of each kind in turn: accuracy there means the same in every row.
        """
        table = self.images.table
        wanted = table["part"].isin(("train", "valid"))
        if trained_on == ALL_KINDS:
            valid_fake = (table["part"] == "valid") & (table["kind"] != REAL)
            turn = table["pair_id"].rank(method="dense").astype(int) % len(self.kinds)
            its_turn = table["kind"] == turn.map(dict(enumerate(self.kinds)))
            return self.images.only(wanted & (~valid_fake | its_turn))
        one = self.images.only(wanted & table["kind"].isin((REAL, trained_on)))
        return replace(one, table=one.table.assign(weight=1.0))

    def held_out(self) -> LabelledImages:
        """Photos no training sees, with all their fakes."""
        return self.images.only(self.images.table["part"] == "test")


def deal_out(data: str | Path, settings: Settings) -> Parts:
    """Read a pairs dataset and deal its photos out to the parts.

    Args:
        data: A pairs dataset with at least two kinds of fake.
        settings: For the fractions and the seed.

    Raises:
        DatasetNotFound: no such folder.
        DatasetLayoutError: not a pairs dataset, fewer than two kinds, or no photo of which each has a fake.
        SplitError: too few photos for the fractions.
    """
    root = Path(data)
    if not root.is_dir():
        raise DatasetNotFound(f"no folder {root}: make pairs with `audit generate-pairs --out {root}`")
    if not is_pairs(root):
        raise DatasetLayoutError(f"{root} holds no manifest.parquet: a cross table takes a pairs dataset")
    images = read_images(root)
    kinds = tuple(images.kinds[1:])
    if len(kinds) < MIN_KINDS:
        raise DatasetLayoutError(
            f"{root} holds {len(kinds)} kind of fake ({', '.join(kinds)}), and a cross table takes two or "
            "more: repeat --generator in `audit generate-pairs`"
        )
    n_kinds = images.table.groupby("pair_id")["image_id"].transform("size") - 1
    whole = images.only(n_kinds == len(kinds))
    if whole.table.empty:
        raise DatasetLayoutError(
            f"{root}: no photo has a fake of every kind ({', '.join(kinds)}): make pairs of more photos"
        )
    whole = replace(whole, table=whole.table.assign(part=split(whole, settings.fractions, settings.seed)))
    parted = whole.only(~_shares_a_face_across(whole.table, _donors(root)))
    n_all, n_whole, n_kept = (s.table["pair_id"].nunique() for s in (images, whole, parted))
    left_out = dict(images.n_left_out) | {LACKS_A_KIND: n_all - n_whole, DONOR_ELSEWHERE: n_whole - n_kept}
    parts = Parts(parted, kinds, {reason: n for reason, n in left_out.items() if n})
    _check_sizes(parts, root, settings)
    return parts


def _check_sizes(parts: Parts, root: Path, settings: Settings) -> None:
    for part, fraction in zip(("train", "valid", "test"), settings.fractions, strict=True):
        if not parts.n_photos(part):
            raise DatasetLayoutError(
                f"{root}: no photo is left for the {part} part (its share: {fraction:g}): make pairs of more "
                "photos, or give it a larger share"
            )


def _donors(root: Path) -> pd.Series:
    """pair_id of the photo whose face a fake shows, by the fake's image_id; those that have one."""
    manifest = read_manifest(root)
    donors = manifest.dropna(subset=["donor", "fake"])
    return pd.Series(donors["donor"].astype(str).to_numpy(), index=donors["fake"].astype(str))


def _shares_a_face_across(table: pd.DataFrame, donors: pd.Series) -> pd.Series:
    """bool [n]: rows of photos whose swap shows a face that is also in another part.

    A donor that is itself among the photos is in its part; any other is in the part of the first photo, by
    name, that uses it.
    """
    part = table.drop_duplicates("pair_id").set_index("pair_id")["part"]
    used = table.assign(donor=table["image_id"].map(donors)).dropna(subset=["donor"]).sort_values("pair_id")
    home = used.drop_duplicates("donor").set_index("donor")["part"]
    home = part.combine_first(home)
    across = used.loc[used["donor"].map(home) != used["part"], "pair_id"]
    return table["pair_id"].isin(set(across))


def train_each(
    parts: Parts,
    arch: str,
    out_dir: str | Path,
    settings: Settings,
    *,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> dict[str, Path]:
    """Train an architecture on each kind of fake and on all kinds.

    Args:
        parts: From `deal_out`.
        arch: Name in the zoo.
        out_dir: For the checkpoints; an interrupted call continues there, finished trainings are kept.
        settings: Of every training.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace what other settings or data left there.
        progress: Show progress bars.
        say: Is given one line for each thing a person should know.

    Returns:
        What each was trained on to its checkpoint: the kinds by name, then `ALL_KINDS`.

    Raises:
        OutputExists: The folder holds trainings with other settings or data.
        TrainingError: Impossible settings, all named at once.
    """
    settings.check(arch)
    out = Path(out_dir)
    _open(out, _key(parts, arch, settings), overwrite)
    # the parts are given with the images, so none is left to cut
    fractions = (settings.fractions[0], 1 - settings.fractions[0], 0.0)
    one = replace(settings, fractions=fractions)
    paths: dict[str, Path] = {}
    for number, trained_on in enumerate((*parts.kinds, ALL_KINDS)):
        path = out / f"{number}-{_file_name(trained_on)}.pt"
        paths[trained_on] = path
        if path.is_file():
            say(f"Trained on {trained_on}: kept, {path}.")
            continue
        say(f"Training {arch} on {trained_on} ({number + 1} of {len(parts.kinds) + 1}).")
        train(arch, parts.learning(trained_on), path, one, device=device, progress=progress, say=say)
    return paths


def _key(parts: Parts, arch: str, settings: Settings) -> dict[str, Any]:
    """What a finished training depends on; hashes of every image's content included."""
    table = parts.images.table
    contents = contents_of(table["path"].tolist())
    rows = zip(table["image_id"], table["part"], contents, strict=True)
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\t".join(row).encode("utf-8", "surrogatepass") + b"\n")
    plain = {"arch": arch, "settings": settings.as_dict(), "images": digest.hexdigest()}
    return dict(json.loads(json.dumps(plain)))


def _open(out: Path, key: dict[str, Any], overwrite: bool) -> None:
    """See that the folder is new or holds trainings of this very kind."""
    path = out / _KEY
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != key:
        if not overwrite:
            raise OutputExists(
                f"{out} holds trainings with other settings or data: choose another folder, or overwrite it: "
                "--overwrite, in Python overwrite=True"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, key)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
