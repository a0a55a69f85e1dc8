"""Run folders as `audit run` leaves them, from scores drawn with a seed: no detector, no torch.

Enters: attributes, group-wise shifts of the scores, sizes. Leaves: the `AuditResult` that
`audit.runs.score_audit.audit_scores` makes of them, and a folder with `audit.json`, `run.json` and
thumbnails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from audit.config import AuditConfig
from audit.runs.score_audit import Extras, audit_scores
from audit.schema.result import AuditResult, Dropout, Provenance, Sample, Verdict, WorseGroup
from audit.wording.verdict_text import find

AGES = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
RACES = ["White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern"]
FAIRFACE = {"age": AGES, "gender": ["Female", "Male"], "race": RACES}
AGE_SHARE = [0.03, 0.12, 0.12, 0.3, 0.21, 0.12, 0.06, 0.03, 0.01]
PLANTED = {"Black": 1.1, "Indian": 0.5}
COMMAND = "audit run --detector resnet50.pt --pairs pairs --out runs/resnet50 --threshold 0.5 --seed 0"
NOTE = "The faces in this audit are rendered by a program, not photographs of people."


def draw(
    attributes: Mapping[str, list[str]], n: int, seed: int, shift: Mapping[str, float], skill: float = 2.4
) -> pd.DataFrame:
    """n matched pairs, a row each; `shift` moves the scores of a group on the logit scale."""
    rng = np.random.default_rng(seed)
    columns = {
        name: rng.choice(values, n, p=AGE_SHARE if values is AGES else None)
        for name, values in attributes.items()
    }
    frame = pd.DataFrame(columns)
    move = sum((frame[name].map(shift).fillna(0.0) for name in attributes), start=pd.Series(0.0, frame.index))
    frame["real_score"] = 1 / (1 + np.exp(-(rng.normal(-skill, 1.6, n) + move)))
    frame["fake_score"] = 1 / (1 + np.exp(-(rng.normal(skill, 1.7, n) - 0.35 * move)))
    frame["pair_id"] = [f"val-{i:06d}" for i in range(n)]
    return frame


def score_rows(pairs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row an image, as in scores.parquet."""
    shared = pairs[[*names, "pair_id"]]
    real = shared.assign(label=0, score=pairs.real_score, image_id=pairs.pair_id + "-real")
    fake = shared.assign(label=1, score=pairs.fake_score, image_id=pairs.pair_id + "-fake")
    return pd.concat([real, fake], ignore_index=True)


def make_result(
    attributes: Mapping[str, list[str]] = FAIRFACE,
    n: int = 4000,
    seed: int = 0,
    shift: Mapping[str, float] = PLANTED,
    skill: float = 2.4,
    pairs: bool = True,
    keep: str = "both",
    notes: tuple[str, ...] = (),
    **options: object,
) -> AuditResult:
    """Audit one drawn population."""
    rows, names = draw(attributes, n, seed, shift, skill), list(attributes)
    frame = score_rows(rows, names)
    if keep == "real":
        frame = frame[frame.label == 0]
    if not pairs:
        frame = frame.drop(columns=["pair_id", "image_id"])
    provenance = Provenance(
        command=COMMAND,
        detector={"name": "resnet50", "sha256": "ab" * 32, "preprocessing": {"size_px": 128}},
        data={"kind": "pairs" if pairs else "scores", "path": "pairs", "sha256": "cd" * 32},
        generator={"name": "psp-small", "sha256": "ef" * 32, "output_size_px": 128} if pairs else {},
    )
    extras = Extras(
        provenance=provenance,
        notes=notes,
        left_out={"in the detector's training data": 1200, "no face found": 31} if pairs else {},
        dropout=_dropout(rows, attributes) if pairs else (),
        samples=_samples(rows, names) if pairs else (),
    )
    return audit_scores(frame, AuditConfig(attributes=names, n_boot=500, **options), extras)


def judged(result: AuditResult, *words: tuple[str, str, str]) -> AuditResult:
    """The result with its verdicts replaced by (attribute, rate, verdict), to test words alone."""
    shared = dict(gap=0.1, gap_interval=(0.04, 0.16))
    more = dict(min_detectable_gap=0.05, images_needed=4100, explanation="Planted by the test.")
    verdicts = [
        Verdict(
            attribute=a,
            rate=rate,
            verdict=word,
            worse_groups=[proof(result, a, rate)] if word == "disparity" else [],
            **(chance(word) | shared | ends(result, a, rate) | more),
        )
        for a, rate, word in words
    ]
    return result.model_copy(update={"verdicts": verdicts, "n_tests": len(verdicts)})


def chance(word: str) -> dict[str, float]:
    """p-values that go with a verdict."""
    return (
        dict(p_value=0.0004, adjusted_p_value=0.0024)
        if word == "disparity"
        else dict(p_value=0.1, adjusted_p_value=0.4)
    )


def proof(
    result: AuditResult,
    attribute: str,
    rate: str,
    apart: tuple[float, float] = (0.04, 0.16),
    times: tuple[float, float] = (2.1, 6.3),
) -> WorseGroup:
    """The pair of the highest and the lowest rate, with planted intervals."""
    worst, best = (find(result, attribute, g) for g in ends(result, attribute, rate).values())
    return WorseGroup(
        group=worst.group,
        than=best.group,
        difference=getattr(worst, rate) - getattr(best, rate),
        difference_interval=apart,
        ratio_interval=times,
    )


def ends(result: AuditResult, attribute: str, rate: str) -> dict[str, str]:
    """The groups of the highest and the lowest rate."""
    rows = sorted((g for g in result.groups if g.attribute == attribute), key=lambda g: getattr(g, rate))
    return {"worst_group": rows[-1].group, "best_group": rows[0].group}


def _dropout(rows: pd.DataFrame, attributes: Mapping[str, list[str]]) -> list[Dropout]:
    quality = {"reconstruction_l1": 0.051, "detector_confidence": 0.998, "border_share": 0.03}
    return [
        Dropout(
            attribute=name,
            group=group,
            n_attempted=n_ok + 3 + len(group),
            n_ok=n_ok,
            n_by_status={"ok": n_ok, "no face found": 2 + len(group), "unreadable image": 1},
            quality=quality,
        )
        for name, groups in attributes.items()
        for group in groups
        for n_ok in [int((rows[name] == group).sum())]
    ]


def _samples(rows: pd.DataFrame, names: list[str], per_kind: int = 20) -> list[Sample]:
    order = {
        "false accusation": rows.sort_values("real_score", ascending=False),
        "missed fake": rows.sort_values("fake_score"),
        "random": rows,
    }
    chosen = [
        Sample(
            kind=kind,
            pair_id=row["pair_id"],
            groups={name: row[name] for name in names},
            real_score=row["real_score"],
            fake_score=row["fake_score"],
            real_thumbnail=f"thumbnails/{row['pair_id']}-real.png",
            fake_thumbnail=f"thumbnails/{row['pair_id']}-fake.png",
        )
        for kind, table in order.items()
        for row in table.head(per_kind).to_dict("records")
    ]
    reject = Sample(kind="reject", pair_id="val-009999", groups={names[0]: "?"}, reason="no face found")
    return [*chosen, reject]


def _face(seed: int, size_px: int = 160) -> Image.Image:
    """A drawn face on grain that compresses no better than a photograph."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(120, 150, (size_px, size_px, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    pen.ellipse((35, 20, 125, 145), fill=tuple(int(v) for v in rng.integers((120, 80, 60), (240, 190, 160))))
    for x in (62, 98):
        pen.ellipse((x - 8, 66, x + 8, 76), fill="white")
        pen.ellipse((x - 3, 68, x + 3, 74), fill="black")
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
    return make_result(notes=(NOTE,))


@pytest.fixture(scope="session")
def build() -> Callable[..., AuditResult]:
    """`make_result`, for tests that plant their own population."""
    return make_result


@pytest.fixture(scope="session")
def judge() -> Callable[..., AuditResult]:
    """`judged`, for tests that plant their own verdicts."""
    return judged


@pytest.fixture(scope="session")
def prove() -> Callable[..., WorseGroup]:
    """`proof`, for tests that plant their own proven pair."""
    return proof


@pytest.fixture(scope="session")
def run_dir(result: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with 60 pairs of thumbnails."""
    return write_run(tmp_path_factory.mktemp("reports") / "run", result)


def write_scores(
    attributes: Mapping[str, list[str]], n: int, shift: Mapping[str, float], skill: float, path: Path
) -> Path:
    """Scores of one drawn population as the CSV a user would bring; the same people for the same seed."""
    score_rows(draw(attributes, n, 0, shift, skill), list(attributes)).to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def score_frame() -> Callable[..., pd.DataFrame]:
    """Scores of one drawn population, for tests that compute their own record."""
    return lambda groups, n, shift, skill: score_rows(draw(groups, n, 0, shift, skill), list(groups))


@pytest.fixture(scope="session")
def score_file() -> Callable[..., Path]:
    """`write_scores`, for tests that audit files."""
    return write_scores


@pytest.fixture(scope="session")
def lay_out() -> Callable[[Path, AuditResult], Path]:
    """`write_run`, for tests that choose the folder."""
    return write_run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[AuditResult], Path]:
    """Write a planted result to a folder of its own."""
    return lambda result: write_run(tmp_path / "run", result)
