"""A run folder as `audit run` would leave it, drawn from a seeded population: no detector, no torch.

Enters: attributes, group-wise shifts of the scores, sizes. Leaves: an `AuditResult` whose every number is
counted from the drawn scores, and a folder with `audit.json`, `run.json` and thumbnails.

Why not only `audit.run.audit_scores`: the words of the report depend on the verdicts, and here a test can
plant each of the three outcomes, odd labels and undefined rates at will.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from audit.result import (
    AuditResult,
    Config,
    Confusion,
    Curve,
    DataSummary,
    Dropout,
    Gap,
    GroupResult,
    Histogram,
    Measures,
    Provenance,
    Sample,
    Sweep,
    Verdict,
)

AGES = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
RACES = ["White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern"]
FAIRFACE = {"age": AGES, "gender": ["Female", "Male"], "race": RACES}
AGE_SHARE = [0.03, 0.12, 0.12, 0.3, 0.21, 0.12, 0.06, 0.03, 0.01]
GRID = [round(i / 200, 4) for i in range(201)]
NAN = math.nan


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % score interval, written out so that the fixtures lean on nothing under test."""
    if n == 0:
        return (NAN, NAN)
    z = 1.959963984540054
    centre, spread = (k + z * z / 2) / (n + z * z), z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return (max(0.0, centre - spread), min(1.0, centre + spread))


def draw(attributes: dict[str, list[str]], n: int, seed: int, shift: dict[str, float]) -> pd.DataFrame:
    """n matched pairs; `shift` moves the real half's score (on the logit scale) of a group by name."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            name: rng.choice(values, n, p=AGE_SHARE if values is AGES else None)
            for name, values in attributes.items()
        }
    )
    move = sum((frame[name].map(shift).fillna(0.0) for name in attributes), start=pd.Series(0.0, frame.index))
    frame["real_score"] = 1 / (1 + np.exp(-(rng.normal(-2.6, 1.6, n) + move)))
    frame["fake_score"] = 1 / (1 + np.exp(-(rng.normal(2.2, 1.7, n) - 0.35 * move)))
    frame["pair_id"] = [f"val-{i:06d}" for i in range(n)]
    return frame


def _ratio(a: float, b: float) -> float:
    return a / b if b else NAN


def measure(rows: pd.DataFrame, threshold: float = 0.5) -> dict:
    """All fields of `Measures`, counted from rows."""
    n = len(rows)
    fp, fn = int((rows.real_score >= threshold).sum()), int((rows.fake_score < threshold).sum())
    fpr, fnr = _ratio(fp, n), _ratio(fn, n)
    auc = float((rows.fake_score.to_numpy()[:, None] > rows.real_score.to_numpy()).mean()) if n else NAN
    recall, precision = 1 - fnr, _ratio(n - fn, n - fn + fp)
    return dict(
        n_real=n,
        n_fake=n,
        confusion=Confusion(tp=n - fn, fp=fp, tn=n - fp, fn=fn),
        fpr=fpr,
        fpr_interval=wilson(fp, n),
        fnr=fnr,
        fnr_interval=wilson(fn, n),
        positive_rate=_ratio(n - fn + fp, 2 * n),
        accuracy=1 - _ratio(fp + fn, 2 * n),
        accuracy_interval=wilson(2 * n - fp - fn, 2 * n),
        balanced_accuracy=1 - (fpr + fnr) / 2,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if n else NAN,
        auc=auc,
        auc_interval=(auc - 0.01, min(1.0, auc + 0.01)),
        eer=(fpr + fnr) / 2,
        apcer_at_bpcer={"0.01": fnr * 2, "0.05": fnr * 1.2, "0.10": fnr * 0.8},
        bpcer_at_apcer={"0.01": fpr * 2, "0.05": fpr * 1.2, "0.10": fpr * 0.8},
    )


def verdict_of(attribute: str, rate: str, groups: list[GroupResult]) -> Verdict:
    """A stand-in judgement: the largest gap of the well-filled groups against its own normal interval."""
    rows = sorted((g for g in groups if not g.small), key=lambda g: -getattr(g, rate))
    if len(rows) < 2:
        return Verdict(
            attribute=attribute, rate=rate, verdict="insufficient evidence", p_value=NAN, adjusted_p_value=NAN,
            gap=NAN, gap_interval=None, worst_group=None, best_group=None, min_detectable_gap=NAN,
            explanation="Fewer than two groups have enough images.",
        )  # fmt: skip
    worst, best = rows[0], rows[-1]
    p, q = getattr(worst, rate), getattr(best, rate)
    se = math.sqrt(p * (1 - p) / worst.n_real + q * (1 - q) / best.n_real)
    low, high = p - q - 2.8 * se, p - q + 2.8 * se
    word = "disparity" if low > 0 and p - q > 0.02 else "insufficient evidence"
    word = "within tolerance" if high < 0.02 else word
    return Verdict(
        attribute=attribute, rate=rate, verdict=word,
        p_value=(tail := 2 * (1 - NormalDist().cdf((p - q) / se))), adjusted_p_value=min(1.0, 6 * tail),
        gap=p - q, gap_interval=(low, high), worst_group=worst.group, best_group=best.group,
        min_detectable_gap=3.6 * se,
        images_needed=4100 if word == "insufficient evidence" else None, explanation="Planted by the test.",
    )  # fmt: skip


def make_result(
    attributes: dict[str, list[str]] | None = None,
    n: int = 4000,
    seed: int = 0,
    shift: dict[str, float] | None = None,
    pairs: bool = True,
    notes: list[str] | None = None,
) -> AuditResult:
    """Count one drawn population into the record that the report renders."""
    attributes = FAIRFACE if attributes is None else attributes
    rows = draw(attributes, n, seed, {"Black": 1.1, "Indian": 0.5} if shift is None else shift)
    joins = [(name,) for name in attributes] + ([tuple(attributes)] if len(attributes) > 1 else [])
    groups, curves, histograms, sweep = [], [], [], []

    def add(attribute: str, group: str, part: pd.DataFrame, full: bool) -> None:
        fields = measure(part)
        if attribute != "overall":
            groups.append(GroupResult(attribute=attribute, group=group, small=len(part) < 30, **fields))
        if not full:
            return
        fp = [int((part.real_score >= t).sum()) for t in GRID]
        fn = [int((part.fake_score < t).sum()) for t in GRID]
        size, label = len(part), dict(attribute=attribute, group=group)
        curves.append(
            Curve(**label, thresholds=GRID, fpr=[_ratio(k, size) for k in fp], fnr=[_ratio(k, size) for k in fn])
        )
        edges = np.linspace(0, 1, 41)
        counts = [np.histogram(part[c], edges)[0].tolist() for c in ("real_score", "fake_score")]
        histograms.append(Histogram(**label, edges=edges.tolist(), real=counts[0], fake=counts[1]))
        sweep.append(Sweep(**label, n_real=size, n_fake=size, fp=fp, fn=fn))

    add("overall", "overall", rows, True)
    for names in joins:
        for values in itertools.product(*(attributes[name] for name in names)):
            part = rows[np.logical_and.reduce([rows[k] == v for k, v in zip(names, values, strict=True)])]
            add(":".join(names), ":".join(values), part, len(names) == 1)
    verdicts = [
        verdict_of(name, rate, [g for g in groups if g.attribute == name])
        for name in attributes
        for rate in ("fpr", "fnr")
    ]
    return AuditResult(
        config=Config(attributes=list(attributes), threshold=0.5, threshold_rule="fixed"),
        provenance=Provenance(
            command="audit run --detector resnet50.pt --pairs pairs --out runs/resnet50 --threshold 0.5 --seed 0",
            versions={"python": "3.12.3", "numpy": "2.4.6", "fairlearn": "0.15.0"},
            detector={"name": "resnet50", "sha256": "ab" * 32, "preprocessing": {"size": 128}},
            data={"kind": "pairs" if pairs else "scores", "path": "pairs", "sha256": "cd" * 32},
            generator={"name": "psp-small", "sha256": "ef" * 32, "output_size_px": 128},
        ),
        data=DataSummary(
            n_images=2 * n, n_real=n, n_fake=n, n_pairs=n if pairs else 0,
            n_left_out={"in the detector's training data": 1200, "no face found": 31} if pairs else {},
        ),
        notes=notes or [],
        overall=Measures(**measure(rows)),
        groups=groups,
        gaps=[
            Gap(attribute=name, measure=word, value=0.12, interval=(0.05, 0.19), groups=[values[0]])
            for name, values in attributes.items()
            for word in ("demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference")
        ]
        + [Gap(attribute=name, measure="ir", value=NAN, interval=None, reason="a rate is zero") for name in attributes],
        verdicts=verdicts,
        curves=curves,
        histograms=histograms,
        sweep_thresholds=GRID,
        sweep=sweep,
        dropout=[_dropout(k, v, int((rows[k] == v).sum())) for k, vs in attributes.items() for v in vs] if pairs else [],
        samples=_samples(rows, list(attributes)) if pairs else [],
        n_tests=len(verdicts),
    )  # fmt: skip


def _dropout(attribute: str, group: str, n_ok: int) -> Dropout:
    lost = 3 + len(group)
    quality = {"reconstruction_l1": 0.051, "detector_confidence": 0.998, "border_share": 0.03}
    return Dropout(
        attribute=attribute, group=group, n_attempted=n_ok + lost, n_ok=n_ok,
        n_by_status={"ok": n_ok, "no face found": lost - 1, "unreadable image": 1}, quality=quality,
    )  # fmt: skip


def _samples(rows: pd.DataFrame, names: list[str], per_kind: int = 20) -> list[Sample]:
    order = {
        "false accusation": rows.sort_values("real_score", ascending=False),
        "missed fake": rows.sort_values("fake_score"),
        "random": rows,
    }
    chosen = [
        Sample(
            kind=kind, pair_id=row["pair_id"], groups={k: row[k] for k in names},
            real_score=row["real_score"], fake_score=row["fake_score"],
            real_thumbnail=f"thumbnails/{row['pair_id']}-real.png",
            fake_thumbnail=f"thumbnails/{row['pair_id']}-fake.png",
        )
        for kind, table in order.items()
        for row in table.head(per_kind).to_dict("records")
    ]  # fmt: skip
    reject = Sample(kind="reject", pair_id="val-x", groups={names[0]: "?"}, reason="no face found")
    return [*chosen, reject]


def _face(seed: int, size: int = 160) -> Image.Image:
    rng = np.random.default_rng(seed)
    skin = tuple(int(v) for v in rng.integers((90, 60, 40), (240, 200, 180)))
    image = Image.fromarray(rng.integers(90, 150, (size, size, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    pen.ellipse((35, 20, 125, 145), fill=skin)
    for x in (62, 98):
        pen.ellipse((x - 8, 66, x + 8, 76), fill="white")
        pen.ellipse((x - 3, 68, x + 3, 74), fill="black")
    pen.line((80, 75, 76, 100, 84, 100), fill=(60, 40, 40), width=2)
    pen.arc((62, 95, 98, 125), 20, 160, fill=(150, 40, 40), width=4)
    return image


def write_run(folder: Path, result: AuditResult) -> Path:
    """Lay a run folder out as `audit run` does."""
    (folder / "thumbnails").mkdir(parents=True)
    (folder / "audit.json").write_text(result.to_json(), encoding="utf-8")
    run = {"started": "2026-03-01T12:00:00Z", "seconds": 41.2, "machine": "x86_64, 2 cores"}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    for i, sample in enumerate(result.samples):
        for name in (sample.real_thumbnail, sample.fake_thumbnail):
            if name and not (folder / name).exists():
                _face(i).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def result() -> AuditResult:
    """FairFace's attributes with a planted disparity by race."""
    return make_result(notes=["The faces in this audit are rendered by a program, not photographs of people."])


@pytest.fixture(scope="session")
def build() -> Callable[..., AuditResult]:
    """`make_result`, for tests that plant their own."""
    return make_result


@pytest.fixture(scope="session")
def run_dir(result: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with 60 pairs of thumbnails."""
    return write_run(tmp_path_factory.mktemp("reports") / "run", result)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[AuditResult], Path]:
    """Write a planted result to a folder of its own."""
    return lambda result: write_run(tmp_path / "run", result)
