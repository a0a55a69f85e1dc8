"""Which pairs a reader is shown, and their small pictures.

Enters: scored images, and the manifest where there is one. Leaves: `Sample` records and thumbnails.

Why the most confident errors are taken group by group: the worst twelve of all may be twelve photos of one
group, and a reader wants to see what goes wrong for each. Why a random sample beside them: errors alone show
what the detector gets wrong, not what the data are like.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from audit.schema.result import Config, Sample
from pipelines.errors import PhotoError
from pipelines.sources.photos import read_photo

N_ERRORS, N_RANDOM, N_REJECTS = 12, 6, 12
"""Shown of each kind: 12 + 12 + 6 pairs are 60 pictures."""
SIDE_PX, JPEG_QUALITY = 112, 85
STEM = 64
"""Characters of an image's path in the name of its thumbnail."""

Picked = tuple[Sample, dict[str, str]]
"""A sample, and the half ('real', 'fake') to its image's path below the data's folder."""


@dataclass(frozen=True)
class Pictures:
    """Where full pictures are, and where small ones go."""

    root: Path
    folder: Path
    name: str
    """Of the folder, as written into the record."""

    def small_name(self, path: str) -> str:
        """File name of the thumbnail of an image; any path becomes a plain name, and each another one."""
        plain = "".join(c if c.isalnum() else "-" for c in path.rsplit(".", 1)[0])[-STEM:]
        digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return f"{plain}-{digest}.jpg"

    def write(self, path: str) -> None:
        """Write the thumbnail of one image; what cannot be read, or lies outside the data, has none."""
        source = (self.root / path).resolve()
        if not source.is_relative_to(self.root.resolve()):
            return
        try:
            image = Image.fromarray(read_photo(source).pixels)
        except PhotoError:
            return
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        image.save(self.folder / self.small_name(path), "JPEG", quality=JPEG_QUALITY)


def with_pictures(sample: Sample, paths: Mapping[str, str], pictures: Pictures) -> Sample:
    """The sample, naming the thumbnails that will be written for it."""
    names = {f"{half}_thumbnail": f"{pictures.name}/{pictures.small_name(p)}" for half, p in paths.items()}
    return sample.model_copy(update=names)


def pick_samples(scored: pd.DataFrame, manifest: pd.DataFrame | None, config: Config) -> list[Picked]:
    """Choose what to show: wrongful flags, missed fakes, a random sample, rejects.

    Args:
        scored: score table: image_id, pair_id, label, score and the attributes.
        manifest: the pairs dataset's, for rejects.
        config: attributes, threshold and seed.
    """
    people = _people(scored)
    accused = people[people["real"] >= config.threshold].sort_values(["real", "id"], ascending=[False, True])
    missed = people[people["fake"] < config.threshold].sort_values(["fake", "id"])
    rng = np.random.default_rng(config.seed)
    random = people.sort_values("id")
    random = random.iloc[np.sort(rng.permutation(len(random))[:N_RANDOM])]
    parts = (
        ("false accusation", _spread(accused, config.attributes)),
        ("missed fake", _spread(missed, config.attributes)),
        ("random", random),
    )
    shown = [_picked(kind, row, config) for kind, rows in parts for _, row in rows.iterrows()]
    return shown + ([] if manifest is None else _rejects(manifest, config))


def _people(scored: pd.DataFrame) -> pd.DataFrame:
    """One row a pair, or a single image: id, score and path of each half, attributes."""
    pair_id = scored["pair_id"] if "pair_id" in scored else pd.Series(None, index=scored.index, dtype=object)
    scored = scored.assign(id=pair_id.fillna(scored["image_id"]).astype(str))
    halves = {
        name: scored[scored["label"] == label].set_index("id") for label, name in ((0, "real"), (1, "fake"))
    }
    people = scored.drop_duplicates("id").set_index("id").drop(columns=["score", "image_id"])
    for name, half in halves.items():
        half = half[~half.index.duplicated()]
        people[name] = half["score"]
        people[f"{name}_path"] = half["image_id"]
    return people.reset_index()


def _spread(rows: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """The first rows, going round the cells: each cell's worst, then each cell's second worst ..."""
    present = [name for name in attributes if name in rows]
    if not present or rows.empty:
        return rows.head(N_ERRORS)
    turn = rows.groupby(present, dropna=False, sort=False).cumcount()
    order = np.lexsort((np.arange(len(rows)), turn.to_numpy()))
    return rows.iloc[np.sort(order[:N_ERRORS])]


def _picked(kind: str, row: pd.Series, config: Config) -> Picked:
    paths = {
        half: str(row[f"{half}_path"]) for half in ("real", "fake") if isinstance(row[f"{half}_path"], str)
    }
    sample = Sample(
        kind=kind,
        pair_id=str(row["id"]),
        groups=_groups(row, config),
        real_score=float(row["real"]),
        fake_score=float(row["fake"]),
    )
    return sample, paths


def _rejects(manifest: pd.DataFrame, config: Config) -> list[Picked]:
    rejected = manifest[manifest["status"] != "ok"].sort_values("pair_id")
    rejected = rejected.assign(turn=rejected.groupby("status").cumcount()).sort_values(["turn", "pair_id"])
    return [
        (
            Sample(
                kind="reject",
                pair_id=str(row["pair_id"]),
                groups=_groups(row, config),
                real_score=math.nan,
                fake_score=math.nan,
                reason=": ".join(str(row[k]) for k in ("status", "detail") if row[k]),
            ),
            {},
        )
        for _, row in rejected.head(N_REJECTS).iterrows()
    ]


def _groups(row: pd.Series, config: Config) -> dict[str, str]:
    return {name: str(row[name]) for name in config.attributes if name in row.index}
