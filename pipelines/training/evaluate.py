"""How good the small generator is on photos its training never saw.

Enters: the finished weights and the crops folders. Leaves: a JSON record (PSNR, sharpness, faces still found,
by group) and a contact sheet, real above fake.

Measured as the audit uses it: uint8 crops in, uint8 fakes out, float32 on the CPU.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipelines.faces.align import FaceFinder
from pipelines.generators.psp import load_psp
from pipelines.sources.fairface import read_fairface
from pipelines.training.losses import gradient_magnitude, psnr_db

_BATCH = 32


def held_out(folder: Path) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Rows and exact crops (uint8 [N,S,S,3]) of the photos in a crops folder that training never saw."""
    rows = json.loads((folder / "crops.json").read_text())
    crops = np.load(folder / "crops.npy", mmap_mode="r")
    places = [i for i, row in enumerate(rows) if row["set"] == "held out"]
    return [rows[i] for i in places], np.stack([crops[i, 0] for i in places])


def measure(weights: str | Path, reals: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Fakes of crops, and for each: PSNR (dB), mean gradient of both halves, faces found (bool)."""
    network, finder, fakes, parts = load_psp(weights), FaceFinder(), [], []
    for start in range(0, len(reals), _BATCH):
        real = reals[start : start + _BATCH]
        fake, _ = network.fake_twins(real)
        fakes.append(fake)
        a, b = _signed(real), _signed(fake)
        parts.append(
            pd.DataFrame(
                {
                    "psnr_db": psnr_db(b, a).numpy(),
                    "real_gradient": gradient_magnitude(a).mean((1, 2, 3)).numpy(),
                    "fake_gradient": gradient_magnitude(b).mean((1, 2, 3)).numpy(),
                    "real_face": [bool(f) for f in finder.find(list(real))],
                    "fake_face": [bool(f) for f in finder.find(list(fake))],
                }
            )
        )
    return pd.concat(parts, ignore_index=True), np.concatenate(fakes)


def summary(measured: pd.DataFrame) -> dict[str, float | int]:
    """The figures the generator is judged by."""
    seen = measured[measured["real_face"]]
    return {
        "n_faces": len(measured),
        "psnr_db": round(float(measured["psnr_db"].mean()), 3),
        "psnr_db_worst_tenth": round(float(measured["psnr_db"].quantile(0.1)), 3),
        "gradient_ratio": round(
            float(measured["fake_gradient"].mean() / measured["real_gradient"].mean()), 4
        ),
        "fake_face_found": round(float(seen["fake_face"].mean()), 4),
    }


def _signed(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def contact_sheet(reals: np.ndarray, fakes: np.ndarray, columns: int = 12, rows: int = 4) -> Image.Image:
    """Pairs in a grid: each row of reals above the row of their fakes."""
    picks = np.linspace(0, len(reals) - 1, columns * rows).astype(int).reshape(rows, columns)
    lines = [np.concatenate(list(half[line]), axis=1) for line in picks for half in (reals, fakes)]
    return Image.fromarray(np.concatenate(lines, axis=0))


def by_group(rows: list[dict[str, Any]], measured: pd.DataFrame, fairface: Path) -> dict[str, Any]:
    """The summary for each group of each attribute."""
    labels = read_fairface(fairface).rows.set_index("source")
    named = measured.assign(**{k: [labels[k][r["photo"]] for r in rows] for k in ("age", "gender", "race")})
    return {
        attribute: {str(name): summary(part) for name, part in named.groupby(attribute)}
        for attribute in ("age", "gender", "race")
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("weights", help="small.safetensors")
    parser.add_argument(
        "--crops", type=Path, required=True, help="folder written by pipelines.training.crops"
    )
    parser.add_argument("--fairface", type=Path, help="the photos' folder, for figures by group")
    parser.add_argument("--out", type=Path, required=True, help="JSON record; the sheet goes beside it")
    given = parser.parse_args()
    rows, reals = held_out(given.crops)
    measured, fakes = measure(given.weights, reals)
    record: dict[str, Any] = {"overall": summary(measured)}
    if given.fairface:
        record["groups"] = by_group(rows, measured, given.fairface)
    given.out.write_text(json.dumps(record, indent=1) + "\n")
    contact_sheet(reals, fakes).save(given.out.with_suffix(".png"))
    print(json.dumps(record["overall"]))


if __name__ == "__main__":
    main()
