"""Measure kinds of fake on real labelled photos: rejects, realism, speed; and draw a contact sheet.

    python benchmarks/kinds_of_fake.py FAIRFACE --out FOLDER [--limit 300] [--finish source jpeg=90 png]

Makes one dataset a finish, with the kinds small, swap and self-blend (or those of --kinds), and prints for
each a table in Markdown: fakes, PSNR, MS-SSIM, face found, distance of spectra, and the AUC of the fixed
simple detector ("difficulty"); then, for each kind, what became of the photos, by reason and race. The
contact sheet shows faces that every kind has. Of datasets that are there already it prints the tables again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipelines.dataset.difficulty import TRACES
from pipelines.dataset.manifest import OK, read_manifest
from pipelines.jobs.generation import generate_pairs

KINDS = ("small", "swap", "self-blend")
SIDE_PX, COLUMNS, FACES_A_SHEET, GAP_PX = 128, 8, 24, 10


def table(folder: Path) -> str:
    """One line a kind. Beside the faces found stands the race with the fewest."""
    summary = json.loads((folder / "summary.json").read_text())["kinds"]
    head = (
        "kind|fakes|PSNR, dB|MS-SSIM|face found|lost / gained|spectrum, dB"
        "|difficulty|by frequencies|by residuals"
    )
    lines = [head, "|".join("-" * 3 for _ in head.split("|"))]
    for kind, record in summary.items():
        whole, hard = record["overall"], record["difficulty"] or {}
        races = [(g["fake_face_found"], g["group"]) for g in record["groups"] if g["attribute"] == "race"]
        found, worst = min((r for r in races if r[0] is not None), default=(None, "no race"))
        cells = [
            f"`{kind}`", whole["n_pairs"], _text(whole["psnr_db"], 1),
            _text(whole["mean_reconstruction_ms_ssim"], 3),
            f"{_percent(whole['fake_face_found'])} ({worst} {_percent(found)})",
            f"{whole['n_face_lost']} / {whole['n_face_gained']}", _text(whole["mean_spectrum_db"], 1),
            f"{_text(hard.get('auc'), 2)} ({_text(hard.get('low'), 2)}–{_text(hard.get('high'), 2)})",
            *(_text(hard.get("traces", {}).get(trace), 2) for trace in TRACES),
        ]  # fmt: skip
        lines.append("|".join(map(str, cells)))
    return "\n".join(f"| {line.replace('|', ' | ')} |" for line in lines)


def _text(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def rejects(folder: Path, kind: str) -> str:
    """What became of the photos for one kind: a line a status, a column a race, counts and shares."""
    manifest = read_manifest(folder)
    rows = manifest[manifest["kind"] == kind]
    counts = pd.crosstab(rows["status"], rows["race"]).assign(all=rows["status"].value_counts())
    counts = counts.sort_values("all", ascending=False)[["all", *sorted(set(rows["race"].dropna()))]]
    share = (counts / counts.sum()).map(lambda v: f"{100 * v:.0f} %")
    cells = counts.astype(str) + " (" + share + ")"
    lines = ["status|" + "|".join(cells.columns), "|".join("---" for _ in range(1 + len(cells.columns)))]
    lines += [
        f"{status}|" + "|".join(line) for status, line in zip(cells.index, cells.to_numpy(), strict=True)
    ]
    return "\n".join(f"| {line.replace('|', ' | ')} |" for line in lines)


def contact_sheets(folder: Path, out: Path, n_faces: int = 48) -> list[Path]:
    """Faces that every kind has and no network learned from, evenly spaced, in blocks of rows.

    The real half first, then each kind by name.

    Returns:
        The sheets written, `OUT-1.jpg`, `OUT-2.jpg` ..., 24 faces on each.
    """
    manifest = read_manifest(folder)
    ok = manifest[manifest["status"] == OK]
    kinds = sorted(set(ok["kind"]))
    whole = ok.groupby("pair_id")["kind"].nunique()
    learned = set(ok.loc[ok["in_generator_training"] == True, "pair_id"])  # noqa: E712, null is not False
    chosen = whole[whole == len(kinds)].index.difference(learned)
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, n_faces).round().astype(int))]
    rows, sheets = ok.set_index(["pair_id", "kind"]), []
    for start in range(0, len(chosen), FACES_A_SHEET):
        names = [
            [rows.loc[(pair, kinds[0]), "real"], *(rows.loc[(pair, kind), "fake"] for kind in kinds)]
            for pair in chosen[start : start + FACES_A_SHEET]
        ]
        sheets.append(out.with_name(f"{out.name}-{start // FACES_A_SHEET + 1}.jpg"))
        _sheet(folder, names).save(sheets[-1], quality=64, optimize=True, progressive=True)
    return sheets


def _sheet(folder: Path, faces: list[list[str]]) -> Image.Image:
    """One sheet: for each face its images below each other."""
    height = len(faces[0]) * SIDE_PX + GAP_PX
    sheet = Image.new("RGB", (COLUMNS * SIDE_PX, -(-len(faces) // COLUMNS) * height), "white")
    for place, names in enumerate(faces):
        x, y = place % COLUMNS * SIDE_PX, place // COLUMNS * height
        for turn, name in enumerate(names):
            with Image.open(folder / name) as image:
                small = image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            sheet.paste(small, (x, y + turn * SIDE_PX))
    return sheet


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("fairface", type=Path)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--limit", type=int, default=300)
    asked.add_argument("--finish", nargs="+", default=["source", "jpeg=90", "png"])
    asked.add_argument("--kinds", nargs="+", default=list(KINDS))
    asked.add_argument("--workers", type=int)
    given = asked.parse_args()
    for finish in given.finish:
        folder, began = given.out / finish.replace("=", "-"), time.perf_counter()
        generate_pairs(
            given.fairface, folder, given.kinds, limit=given.limit, finish=finish, workers=given.workers
        )
        print(f"\n## {finish}: {time.perf_counter() - began:.0f} s for {given.limit} photos\n")
        print(table(folder))
        for kind in given.kinds:
            print(f"\nWhat became of the photos for {kind}:\n\n{rejects(folder, kind)}")
        contact_sheets(folder, folder / "contact-sheet")


if __name__ == "__main__":
    main()
