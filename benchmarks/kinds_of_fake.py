"""Measure kinds of fake on real labelled photos: rejects, realism, files, speed; and draw a contact sheet.

    python benchmarks/kinds_of_fake.py FAIRFACE --out FOLDER [--limit 300] [--finish png jpeg=92 source]

Makes one dataset a finish, with the kinds small, swap and self-blend (or those of --kinds), and prints for
each a table in Markdown: pairs, rejects, PSNR, MS-SSIM, face found, distance of spectra, AUC of files
alone, and the AUC of the fixed small detector ("difficulty"). The contact sheet shows faces that every kind
has.
"""

import argparse
import json
import time
from pathlib import Path

from PIL import Image

from pipelines.dataset.manifest import OK, read_manifest, read_provenance
from pipelines.jobs.generation import generate_pairs

KINDS = ("small", "swap", "self-blend")
SIDE_PX, COLUMNS = 112, 12


def table(folder: Path) -> str:
    """One line a kind, and the worst race group beside the face found."""
    summary = json.loads((folder / "summary.json").read_text())["kinds"]
    files = read_provenance(folder)["finish"]["file_auc"]
    head = (
        "kind|pairs|rejects|PSNR dB|MS-SSIM|face found|worst race|lost|gained|spectrum dB|file AUC|difficulty"
    )
    lines = [head, "|".join("-" * 3 for _ in head.split("|"))]
    for kind, record in summary.items():
        whole, hard = record["overall"], record["difficulty"] or {}
        races = [g["fake_face_found"] for g in record["groups"] if g["attribute"] == "race"]
        worst = min((r for r in races if r is not None), default=None)
        cells = [
            kind, whole["n_pairs"], whole["n_attempted"] - whole["n_pairs"], _text(whole["psnr_db"], 1),
            _text(whole["mean_reconstruction_ms_ssim"], 3), _text(whole["fake_face_found"], 3),
            _text(worst, 3), whole["n_face_lost"], whole["n_face_gained"],
            _text(whole["mean_spectrum_db"], 2), _text(files[kind], 3),
            f"{_text(hard.get('auc'), 3)} ± {_text(hard.get('standard_error'), 3)}",
        ]  # fmt: skip
        lines.append("|".join(map(str, cells)))
    return "\n".join(f"| {line.replace('|', ' | ')} |" for line in lines)


def _text(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"


def rejects_by_race(folder: Path) -> str:
    """Share of photos without a fake, by kind and race."""
    manifest = read_manifest(folder)
    share = manifest.assign(no=manifest["status"] != OK).pivot_table("no", "kind", "race")
    return share.map(lambda v: f"{v:.0%}").to_string()


def contact_sheet(folder: Path, out: Path, n_faces: int = 48) -> None:
    """Faces that every kind has: a block of rows, the real half first, then each kind by name."""
    manifest = read_manifest(folder)
    ok = manifest[manifest["status"] == OK]
    kinds = sorted(set(ok["kind"]))
    whole = ok.groupby("pair_id")["kind"].nunique()
    chosen = whole[whole == len(kinds)].index
    chosen = chosen[:: max(1, len(chosen) // n_faces)][:n_faces]
    rows = ok.set_index(["pair_id", "kind"])
    blocks = -(-len(chosen) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE_PX, blocks * ((1 + len(kinds)) * SIDE_PX + 8)), "white")
    for place, pair_id in enumerate(chosen):
        x, y = place % COLUMNS * SIDE_PX, place // COLUMNS * ((1 + len(kinds)) * SIDE_PX + 8)
        names = [rows.loc[(pair_id, kinds[0]), "real"], *(rows.loc[(pair_id, k), "fake"] for k in kinds)]
        for turn, name in enumerate(names):
            with Image.open(folder / name) as image:
                small = image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            sheet.paste(small, (x, y + turn * SIDE_PX))
    sheet.save(out, quality=88)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("fairface", type=Path)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--limit", type=int, default=300)
    asked.add_argument("--finish", nargs="+", default=["png", "jpeg=92", "source"])
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
        print(f"\nPhotos without a fake, by race:\n\n{rejects_by_race(folder)}")
        contact_sheet(folder, folder / "contact-sheet.png")


if __name__ == "__main__":
    main()
