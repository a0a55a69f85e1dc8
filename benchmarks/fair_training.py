"""The league table: one architecture trained plainly and by every way of `audit train --fair`, judged by one
audit.

    python benchmarks/fair_training.py PAIRS --out FOLDER [--arch spectrum] [--seeds 3] [--epochs 12]

Every method sees the same pairs, the same split, the same number of images and the same architecture; the
seed changes weights and order alone, so each method is trained several times. All detectors of one method are
audited together: the score of an image is the mean over its seeds, so that every image counts once. Printed
are the worst group's rates, the gaps with their intervals, the verdicts, accuracy, the spread of accuracy
over seeds, and the columns of AI-Face-FairnessBench, as its code computes them. Below stand detectors that
look at nothing: they show which columns can be gamed.

Every method's scores are kept in FOLDER, so that a stopped run continues. Detectors are compared with the
plain one by `audit compare` (paired tests, Holm) in FOLDER/comparison.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.runs.compare_runs import compare_runs, write_comparison
from audit.runs.score_audit import Extras, audit_table
from audit.schema.result import AuditResult, Provenance
from detectors import train
from detectors.data.datasets import read_images
from detectors.data.labelled_images import REAL
from detectors.models.checkpoint import load_checkpoint
from detectors.scoring.dataset_scores import Options, score_images
from detectors.scoring.score_table import OK
from detectors.training.fair import METHODS
from detectors.training.splits import split

BASELINES = ("always real", "always fake", "random")
ATTRIBUTES = ("gender", "race")
FRACTIONS = (0.45, 0.1, 0.45)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    result: AuditResult
    frame: pd.DataFrame
    accuracies: list[float]


def scores_of(method: str, args: argparse.Namespace) -> tuple[pd.DataFrame, list[float]]:
    """(one row a held-out image with the mean score over seeds, accuracy of each seed)."""
    tables = []
    for seed in range(args.seeds):
        place = args.out / f"{method}-{seed}.parquet"
        if not place.is_file():
            _train_and_score(method, seed, place, args)
        tables.append(pd.read_parquet(place))
    accuracies = [float(((t["score"] >= 0.5) == (t["label"] == 1)).mean()) for t in tables]
    return tables[0].assign(score=np.mean([t["score"] for t in tables], axis=0)), accuracies


def _train_and_score(method: str, seed: int, place: Path, args: argparse.Namespace) -> None:
    started, images = time.time(), read_images(args.pairs)
    if args.kind:
        images = images.only(images.table["kind"].isin([REAL, args.kind]))
    fixed = images.table.assign(part=split(images, FRACTIONS, 0))
    images = type(images)(fixed, images.attributes, images.layout, images.root, images.provenance)
    path = args.out / f"{method}-{seed}.pt"
    settings = dict(
        fair=method, epochs=args.epochs, size_px=args.size_px, batch_size=16, learning_rate=5e-3,
        fractions=FRACTIONS, precision="32-true", seed=seed,
    )  # fmt: skip
    train(args.arch, images, path, overwrite=True, progress=False, **settings)
    held_out = images.only(fixed["part"] == "test")
    scored = score_images([load_checkpoint(path, "cpu")], held_out, Options(progress=False))[0]
    scored[scored["status"] == OK].sort_values("image_id").to_parquet(place, index=False)
    print(f"{method}, seed {seed}: done in {time.time() - started:.0f} s", flush=True)


def baseline(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A detector that looks at nothing."""
    rng = np.random.default_rng(0)
    constant = {"always real": 0.0, "always fake": 1.0}
    return frame.assign(score=constant[name] if name in constant else rng.random(len(frame)))


def audited(method: str, frame: pd.DataFrame, accuracies: list[float], out: Path) -> Row:
    """Audit one method's scores, and keep the run."""
    config = AuditConfig(ATTRIBUTES, threshold=0.5, n_boot=2000)
    extras = Extras(Provenance(detector={"name": method}, data={"kind": "scores"}))
    found = audit_table(frame, config, extras)
    found.write(out / "runs" / method.replace(" ", "-"), overwrite=True)
    return Row(method, found.result, frame, accuracies)


def ai_face(frame: pd.DataFrame, columns: list[str]) -> dict[str, float]:
    """F_FPR, F_OAE, F_DP and F_MEO in percent at 0.5, as `training/fairness_metrics.py` of
    AI-Face-FairnessBench has them.

    Spreads (largest minus smallest) over all groups of any size with both classes: of FPR; of accuracy; of
    the share flagged, or not; and the largest of the spreads of FPR, FNR, TNR and TPR. Source: Lin et al.
    2025, CVPR.
    """
    flagged, fake = frame["score"] >= 0.5, frame["label"] == 1
    rows = []
    for _, group in frame.assign(flagged=flagged, fake=fake).groupby(columns):
        if group["fake"].nunique() == 2:
            fpr = group.loc[~group["fake"], "flagged"].mean()
            tpr = group.loc[group["fake"], "flagged"].mean()
            rows.append((fpr, (group["flagged"] == group["fake"]).mean(), group["flagged"].mean(), 1 - tpr))
    fpr, accuracy, positive, fnr = (float(np.ptp(column)) for column in np.array(rows).T)
    return {"F_FPR": 100 * fpr, "F_OAE": 100 * accuracy, "F_DP": 100 * positive, "F_MEO": 100 * max(fpr, fnr)}


def line(row: Row) -> str:
    """A row of the table in Markdown, by race."""
    result = row.result
    cells = [row.method, f"{100 * result.overall.accuracy:.1f}", f"{result.overall.auc:.3f}"]
    spread = f"{100 * min(row.accuracies):.1f}-{100 * max(row.accuracies):.1f}" if row.accuracies else ""
    cells.append(spread)
    for rate in ("fpr", "fnr"):
        verdict = next(v for v in result.verdicts if (v.attribute, v.rate) == ("race", rate))
        worst = max(g.fpr if rate == "fpr" else g.fnr for g in result.groups if g.attribute == "race")
        limits = verdict.gap_interval or (float("nan"), float("nan"))
        cells.append(f"{100 * worst:.1f}")
        cells.append(f"{100 * verdict.gap:.1f} ({100 * limits[0]:.1f} to {100 * limits[1]:.1f})")
        cells.append(verdict.verdict)
    cells += [f"{value:.1f}" for value in ai_face(row.frame, ["race"]).values()]
    cells += [f"{value:.1f}" for value in ai_face(row.frame, list(ATTRIBUTES)).values()]
    return "| " + " | ".join(cells) + " |"


def table(rows: list[Row]) -> str:
    """The league table in Markdown."""
    fields = ["F_FPR", "F_OAE", "F_DP", "F_MEO"]
    head = [
        "method", "accuracy", "AUC", "accuracy by seed", "worst FPR", "FPR gap by race", "verdict",
        "worst FNR",
        "FNR gap by race", "verdict", *fields, *[f"{name} gender x race" for name in fields],
    ]  # fmt: skip
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *(line(row) for row in rows)])


def compared(out: Path) -> str:
    """Every method beside the plain one: changes of the gaps by race, in words."""
    lines = []
    for method in METHODS:
        if method == "none":
            continue
        found = compare_runs([out / "runs" / "none", out / "runs" / method])
        write_comparison(found, out / "comparison" / method)
        for gap in found.gaps:
            if gap.attribute == "race" and gap.interval is not None:
                low, high = gap.interval
                lines.append(
                    f"| {method} | {gap.rate.upper()} | {100 * gap.difference:+.1f} ({100 * low:+.1f} to "
                    f"{100 * high:+.1f}) | {gap.adjusted_p_value:.2f} |"
                )
    return "\n".join(
        ["| method | gap by race | plain minus this, points | p, Holm |", "|---|---|---|---|", *lines]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", help="Of fake, where the pairs have several; all of them without.")
    parser.add_argument("--arch", default="spectrum")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size-px", type=int, default=256)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for method in METHODS:
        frame, accuracies = scores_of(method, args)
        rows.append(audited(method, frame, accuracies, args.out))
    for name in BASELINES:
        rows.append(audited(name, baseline(name, rows[0].frame), [], args.out))
    print(table(rows), compared(args.out), sep="\n\n")


if __name__ == "__main__":
    main()
