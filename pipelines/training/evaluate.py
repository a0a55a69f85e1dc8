"""How good the embedded generator is on photos that its training never saw, and how its fakes can be told.

Enters: finished weights and a folder of crops. Leaves: a JSON record and a contact sheet, real above fake.
The record holds, over all faces and by group, PSNR, sharpness, MS-SSIM, spectrum distance and faces still
found; how far styles reach; and the traces by which a reader can tell a fake.

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

from pipelines.dataset.quality import ms_ssim, psnr_db
from pipelines.dataset.spectra import (
    N_BANDS,
    grid_peak_db,
    radial_power,
    ring_power,
    spectrum_distance_db,
)
from pipelines.faces.align import FaceFinder
from pipelines.generators import latents
from pipelines.generators.encoder_decoder import EncoderDecoder, resized
from pipelines.generators.loading import load_generator
from pipelines.generators.mean_latent import centre_of
from pipelines.sources.fairface import read_fairface
from pipelines.training.losses import gradient_magnitude

_BATCH = 32
_GRIDS_PX = (4, 8)
"""Periods of the grids that layers which enlarge four and two times leave in a 256 px image."""
SHEET_COLUMNS, SHEET_ROWS = 12, 4


def held_out(folder: Path) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Rows and exact crops (uint8 [N,S,S,3]) of the photos in a crops folder that training never saw."""
    rows = json.loads((folder / "crops.json").read_text())
    crops = np.load(folder / "crops.npy", mmap_mode="r")
    places = [i for i, row in enumerate(rows) if row["set"] == "held out"]
    return [rows[i] for i in places], np.stack([crops[i, 0] for i in places])


def encoded(network: EncoderDecoder, reals: np.ndarray) -> torch.Tensor:
    """Latents of crops (uint8 [N,S,S,3]), float32 [N,n_rows,style_dim]."""
    parts = []
    for start in range(0, len(reals), _BATCH):
        images = resized(_signed(reals[start : start + _BATCH]), network.input_size_px)
        parts.append(network.encode(images).cpu())
    return torch.cat(parts)


def decoded(network: EncoderDecoder, codes: torch.Tensor) -> np.ndarray:
    """Fakes of latents, uint8 [N,S,S,3], S the crop's side."""
    return np.concatenate([network.fakes_from(c, network.crop.size_px).numpy() for c in codes.split(_BATCH)])


def measure(reals: np.ndarray, fakes: np.ndarray) -> pd.DataFrame:
    """Quality of each pair of uint8 [N,S,S,3]: a row a pair, columns as the code has them."""
    finder, parts = FaceFinder(), []
    for start in range(0, len(reals), _BATCH):
        real, fake = reals[start : start + _BATCH], fakes[start : start + _BATCH]
        parts.append(
            pd.DataFrame(
                {
                    "psnr_db": psnr_db(real, fake),
                    "ms_ssim": ms_ssim(real, fake),
                    "spectrum_db": spectrum_distance_db(real, fake),
                    "real_gradient": gradient_magnitude(_signed(real)).mean((1, 2, 3)).numpy(),
                    "fake_gradient": gradient_magnitude(_signed(fake)).mean((1, 2, 3)).numpy(),
                    "real_face": [bool(f) for f in finder.find(list(real))],
                    "fake_face": [bool(f) for f in finder.find(list(fake))],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def summary(measured: pd.DataFrame) -> dict[str, float | int]:
    """The figures the generator is judged by."""
    seen = measured[measured["real_face"]]
    return {
        "n_faces": len(measured),
        "psnr_db": round(float(measured["psnr_db"].mean()), 2),
        "psnr_db_worst_tenth": round(float(measured["psnr_db"].quantile(0.1)), 2),
        "gradient_ratio": round(
            float(measured["fake_gradient"].mean() / measured["real_gradient"].mean()), 3
        ),
        "ms_ssim": round(float(measured["ms_ssim"].mean()), 4),
        "spectrum_db": round(float(measured["spectrum_db"].mean()), 2),
        "n_real_face_found": len(seen),
        "fake_face_found": round(float(seen["fake_face"].mean()), 4),
    }


def by_group(rows: list[dict[str, Any]], measured: pd.DataFrame, fairface: Path) -> dict[str, Any]:
    """The summary for each group of each attribute."""
    labels = read_fairface(fairface).rows.set_index("source")
    named = measured.assign(**{k: [labels[k][r["photo"]] for r in rows] for k in ("age", "gender", "race")})
    return {
        attribute: {str(name): summary(part) for name, part in named.groupby(attribute)}
        for attribute in ("age", "gender", "race")
    }


def reach_of_styles(network: EncoderDecoder, codes: torch.Tensor, weights: Path) -> dict[str, float]:
    """Mean absolute change of an image, in levels of 255, when its styles are another's or the mean's."""
    n_styles, own = network.style_shape[0], decoded(network, codes)
    swapped = codes.clone()
    swapped[:, :n_styles] = codes.roll(1, 0)[:, :n_styles]
    other = np.roll(np.arange(len(codes)), 1)
    centre = centre_of(weights, network)
    changed = {
        "all_styles_swapped": swapped,
        "fine_styles_swapped": latents.mix(codes, other, 1.0, n_styles),
        "truncation_0.5": latents.truncate(codes, centre, 0.5),
        "truncation_0": latents.truncate(codes, centre, 0.0),
    }
    return {
        name: round(float(np.abs(decoded(network, c).astype(int) - own.astype(int)).mean()), 2)
        for name, c in changed.items()
    }


def traces(reals: np.ndarray, fakes: np.ndarray) -> dict[str, Any]:
    """By what a fake can be told: power missing at high frequencies, grids, and what its photo has more."""
    real, fake = radial_power(reals).mean(0), radial_power(fakes).mean(0)
    residual = reals.astype(np.float64) - fakes
    power = ring_power(residual.mean(3)).mean(0) * (np.arange(N_BANDS) + 0.5)  # a ring's area grows outwards
    return {
        "power_ratio_db": {
            f"{k / 2 / N_BANDS:.3f}-{(k + 4) / 2 / N_BANDS:.3f}": round(
                float(10 * np.log10(fake[k : k + 4].sum() / real[k : k + 4].sum())), 2
            )
            for k in range(0, N_BANDS, 4)
        },
        "grid_peak_db": {
            f"{period} px": {
                "real": round(grid_peak_db(reals, period), 2), "fake": round(grid_peak_db(fakes, period), 2)
            }
            for period in _GRIDS_PX
        },
        "residual_rms_levels": round(float(np.sqrt((residual**2).mean())), 2),
        "residual_mean_levels": [round(float(v), 2) for v in residual.mean((0, 1, 2))],
        "residual_share_above_quarter_cycle": round(float(power[N_BANDS // 2 :].sum() / power.sum()), 3),
    }  # fmt: skip


def contact_sheet(reals: np.ndarray, fakes: np.ndarray, side_px: int = 128) -> Image.Image:
    """48 pairs in a grid: each row of reals above the row of their fakes."""
    picks = np.linspace(0, len(reals) - 1, SHEET_COLUMNS * SHEET_ROWS).astype(int)
    lines = [
        np.concatenate([_shrunk(image, side_px) for image in half[line]], axis=1)
        for line in picks.reshape(SHEET_ROWS, SHEET_COLUMNS)
        for half in (reals, fakes)
    ]
    return Image.fromarray(np.concatenate(lines, axis=0))


def _shrunk(image: np.ndarray, side_px: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side_px, side_px), Image.Resampling.BOX))


def _signed(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("weights", type=Path, help="small.safetensors, its mean latent beside it")
    parser.add_argument(
        "--crops", type=Path, required=True, help="folder written by pipelines.training.crops"
    )
    parser.add_argument("--fairface", type=Path, help="the photos' folder, for figures by group")
    parser.add_argument("--out", type=Path, required=True, help="JSON record")
    parser.add_argument("--sheet", type=Path, help="contact sheet, PNG or JPEG")
    given = parser.parse_args()
    rows, reals = held_out(given.crops)
    network = load_generator(given.weights)
    codes = encoded(network, reals)
    fakes = decoded(network, codes)
    measured = measure(reals, fakes)
    record: dict[str, Any] = {"overall": summary(measured)}
    if given.fairface:
        record["groups"] = by_group(rows, measured, given.fairface)
    record["styles"] = reach_of_styles(network, codes[:: max(1, len(codes) // 64)], given.weights)
    record["traces"] = traces(reals, fakes)
    given.out.write_text(json.dumps(record, indent=1) + "\n")
    if given.sheet:
        contact_sheet(reals, fakes).save(given.sheet, quality=88)
    print(json.dumps({k: v for k, v in record.items() if k != "groups"}, indent=1))


if __name__ == "__main__":
    main()
