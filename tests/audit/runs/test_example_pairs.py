"""Which pairs are shown, and their thumbnails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.runs.example_pairs import N_ERRORS, N_RANDOM, SIDE_PX, Pictures, pick_samples
from audit.schema.result import Config


@pytest.fixture
def config() -> Config:
    return Config(attributes=["race"], threshold=0.5, threshold_rule="fixed", seed=1)


def scored(n: int) -> pd.DataFrame:
    """n pairs; the first third are wrong in both halves, group A worse than group B."""
    rows = []
    for i in range(n):
        race = "A" if i % 4 else "B"
        wrong = i < n // 3
        real = (0.9 if race == "A" else 0.7) + i / 1000 if wrong else 0.1
        fake = 0.2 - i / 1000 if wrong else 0.8
        rows.append((f"real/{i}.png", f"p{i:03d}", 0, real, race))
        rows.append((f"fake/{i}.png", f"p{i:03d}", 1, fake, race))
    return pd.DataFrame(rows, columns=["image_id", "pair_id", "label", "score", "race"])


def kinds(picked: list) -> dict[str, list]:
    found: dict[str, list] = {}
    for sample, paths in picked:
        found.setdefault(sample.kind, []).append((sample, paths))
    return found


def test_errors_are_errors_and_go_round_the_groups(config: Config):
    shown = kinds(pick_samples(scored(90), None, config))
    accused = [sample for sample, _ in shown["false accusation"]]
    assert len(accused) == N_ERRORS
    assert all(s.real_score >= 0.5 for s in accused)
    assert {s.groups["race"] for s in accused} == {"A", "B"}
    assert sum(s.groups["race"] == "B" for s in accused) >= N_ERRORS // 3
    assert all(s.fake_score < 0.5 for s, _ in shown["missed fake"])
    assert len(shown["random"]) == N_RANDOM


def test_most_confident_first(config: Config):
    shown = kinds(pick_samples(scored(90), None, config))
    scores = [s.real_score for s, _ in shown["false accusation"]]
    assert scores == sorted(scores, reverse=True)


def test_a_score_on_the_threshold_is_flagged(config: Config):
    table = scored(30)
    table["score"] = [0.5 if label else 0.1 for label in table["label"]]
    shown = kinds(pick_samples(table, None, config))
    assert "missed fake" not in shown and "false accusation" not in shown
    table["score"] = [0.9 if label else 0.5 for label in table["label"]]
    shown = kinds(pick_samples(table, None, config))
    assert "missed fake" not in shown and len(shown["false accusation"]) == N_ERRORS


def test_single_images_need_no_pair(config: Config):
    table = scored(30).drop(columns="pair_id")
    shown = kinds(pick_samples(table, None, config))
    sample, paths = shown["false accusation"][0]
    assert np.isnan(sample.fake_score)
    assert set(paths) == {"real"}


def test_rejects_show_every_reason_first(config: Config):
    manifest = pd.DataFrame(
        {
            "pair_id": [f"p{i}" for i in range(40)],
            "status": ["no face found"] * 39 + ["unreadable image"],
            "detail": ["", *[f"line {i}" for i in range(39)]],
            "race": "A",
        }
    )
    rejects = kinds(pick_samples(scored(9), manifest, config))["reject"]
    assert {s.reason.partition(":")[0] for s, _ in rejects} == {"no face found", "unreadable image"}
    assert rejects[0][0].reason == "no face found"


def test_thumbnails_are_small_and_stay_inside(tmp_path: Path):
    (tmp_path / "data" / "real").mkdir(parents=True)
    Image.new("RGB", (400, 300)).save(tmp_path / "data" / "real" / "a.png")
    Image.new("RGB", (40, 30)).save(tmp_path / "secret.png")
    (tmp_path / "out").mkdir()
    pictures = Pictures(tmp_path / "data", tmp_path / "out", "out")
    pictures.write("real/a.png")
    pictures.write("../secret.png")
    pictures.write("real/absent.png")
    name = pictures.small_name("real/a.png")
    assert name.startswith("real-a-") and [p.name for p in (tmp_path / "out").iterdir()] == [name]
    with Image.open(tmp_path / "out" / name) as image:
        assert max(image.size) == SIDE_PX


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.jpg", "1.png"), ("a b.png", "a_b.png"), (f"real/{'x' * 80}.png", f"fake/{'x' * 80}.png")],
)
def test_no_two_images_share_a_thumbnail(tmp_path: Path, one: str, other: str):
    """The second picture replaced the first, and the report showed another face."""
    pictures = Pictures(tmp_path / "data", tmp_path / "out", "out")
    (tmp_path / "out").mkdir()
    for name, colour in ((one, "red"), (other, "blue")):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), colour).save(tmp_path / "data" / name)
        pictures.write(name)
    red, blue = (Image.open(tmp_path / "out" / pictures.small_name(name)) for name in (one, other))
    assert red.getpixel((4, 4))[0] > 200 and blue.getpixel((4, 4))[2] > 200
    assert all(len(p.name) < 100 for p in (tmp_path / "out").iterdir())
