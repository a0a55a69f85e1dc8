"""Which faces MTCNN loses in the embedded generator's fakes, and whether it loses as many in mere copies.

    python benchmarks/lost_faces.py --fairface DIR [--race Black] [--weights FILE] [--sheet FILE.png]

Takes the photos of `val/`, all or those of one race, cut as `audit generate-pairs` cuts them, and prints: of
the crops in which MTCNN finds a face, how many it finds none in once they are mirrored, moved by two pixels,
or made 5 % brighter (changes that nobody sees), and in the fake; how many it finds there alone; and for each
face lost in the fake MTCNN's probability in the photo and in the copies.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from small_generator import BATCH, crops_of

from pipelines.faces.align import FaceFinder
from pipelines.generators.loading import load_generator, weights_of
from pipelines.sources.fairface import read_fairface
from pipelines.training.evaluate import decoded, encoded

COPIES = {
    "mirrored": lambda crops: crops[:, :, ::-1],
    "moved 2 px": lambda crops: np.pad(crops, ((0, 0), (2, 0), (2, 0), (0, 0)), mode="edge")[:, :-2, :-2],
    "5 % brighter": lambda crops: np.rint(crops * 1.05).clip(0, 255).astype(np.uint8),
}


def probabilities(finder: FaceFinder, crops: np.ndarray) -> np.ndarray:
    """MTCNN's for the surest face of each crop, float64 [N]; NaN where it finds none."""
    parts = (np.ascontiguousarray(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH))
    found = [faces for part in parts for faces in finder.find(list(part))]
    return np.array([max((f.confidence for f in faces), default=np.nan) for faces in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairface", type=Path, required=True)
    parser.add_argument("--race", help="one alone")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--sheet", type=Path, help="each lost face above its fake, PNG")
    given = parser.parse_args()
    labels = read_fairface(given.fairface).rows
    labels = labels[labels["source"].str.startswith("val/")].set_index("source").sort_index()
    if given.race:
        labels = labels[labels["race"] == given.race]
    rows, crops = crops_of([given.fairface / name for name in labels.index])
    finder, network = FaceFinder(), load_generator(weights_of(given.weights))
    fakes = decoded(network, encoded(network, crops))
    seen = pd.DataFrame({"photo": probabilities(finder, crops), "fake": probabilities(finder, fakes)})
    for name, copy in COPIES.items():
        seen[name] = probabilities(finder, copy(crops))
    race = labels["race"].loc[[row["photo"] for row in rows]].to_numpy()
    for group in [*sorted(set(race)), *(["all"] if not given.race else [])]:
        of_group = seen if group == "all" else seen[race == group]
        inside = of_group[of_group["photo"].notna()]
        print(f"{group}: {len(of_group)} faces, {len(inside)} found in the photo; lost and gained:")
        gained = of_group[of_group["photo"].isna()].notna().sum()
        print(pd.DataFrame({"lost": inside.isna().sum(), "gained": gained}).T.to_string(), flush=True)
    inside = seen[seen["photo"].notna()]
    lost = inside[inside["fake"].isna()]
    print(lost.assign(name=[rows[i]["photo"] for i in lost.index]).round(3).to_string(index=False))
    if given.sheet:
        halves = [np.concatenate(half[lost.index], axis=1) for half in (crops, fakes)]
        Image.fromarray(np.concatenate(halves)).save(given.sheet)


if __name__ == "__main__":
    main()
