"""`audit shortcuts`, from files to the page: planted shortcuts are found and named, equal files are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from audit.cli import main
from audit.config import AuditConfig
from audit.errors import ConfigError, ScoreTableError
from audit.metrics import held_out_auc
from audit.runs.shortcuts_run import independent_units, shortcuts
from detectors import Detector
from detectors.data.datasets import read_images
from detectors.data.labelled_images import LabelledImages, to_table
from detectors.data.preprocessing import Preprocessing
from detectors.errors import EmptyDataset
from detectors.models.detector import Output
from detectors.scoring.exchange_scores import ALIKE, EXCHANGED, LOSSLESS, counterparts
from detectors.scoring.score_table import NO_SCORE
from reports.errors import RecordFormatError, RunNotFound
from reports.pages.shortcuts_page import lines, write_shortcuts_page
from reports.text.shortcuts_text import exchange_sentence, overall_flips

SIZE = 32


def blob(seed: int) -> np.ndarray:
    """Soft grey shapes of one tint with noise in every channel, uint8 [32, 32, 3]."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(60, 220, (8, 8)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=float)
    tinted = smooth[..., None] * (1, 0.97, 0.94)
    return (tinted + rng.normal(0, 8, tinted.shape)).clip(0, 255).astype(np.uint8)


def make(
    root: Path,
    n: int,
    real: tuple[str, dict] = ("png", {}),
    fake: tuple[str, dict] = ("jpg", {"quality": 80}),
    paired: bool = True,
    seed: int = 0,
) -> LabelledImages:
    """n real and n fake images that differ in nothing but how they are written."""
    root.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        for label, (suffix, options) in enumerate((real, fake)):
            path = root / f"{('real', 'fake')[label]}-{number:04d}.{suffix}"
            Image.fromarray(blob(seed + 2 * number + label)).save(path, **options)
            rows.append(
                {
                    "image_id": path.name, "path": str(path), "label": label, "kind": ("real", "fake")[label],
                    "pair_id": f"p{number}" if paired else None,
                    "origin": f"o{number}" if paired else path.name, "race": "AB"[number % 2],
                }
            )  # fmt: skip
    return LabelledImages(to_table(rows, ("race",)), ("race",), "folders", root)


def detector(network: Callable[[torch.Tensor], torch.Tensor], name: str = "stub") -> Detector:
    """A detector of two logits from a function of [B, 3, 32, 32] in 0-1."""
    preprocessing = Preprocessing(size_px=SIZE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Detector(name, "", "stub", preprocessing, Output("logit"), network)


def reads_the_file(batch: torch.Tensor) -> torch.Tensor:
    """Positive where colours do not change from pixel to pixel, as in a JPEG: the file, not the face."""
    colour = batch[:, 0] - batch[:, 1]
    return 8 / 255 - (colour[..., 1:] - colour[..., :-1]).abs().mean(dim=(1, 2))


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch, request):
    """The classifier in short, but where it is what is tested."""
    if "told_apart" not in request.node.name and "named" not in request.node.name:
        monkeypatch.setattr(held_out_auc, "TREES", 4)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> LabelledImages:
    return make(tmp_path_factory.mktemp("planted"), 40)


def run(images: LabelledImages, out: Path, *given, **more):
    return shortcuts(images, out, *given, progress=False, workers=1, **more)


def test_fakes_saved_as_jpeg_80_beside_png_are_found_and_the_format_named(planted, tmp_path):
    found = run(planted, tmp_path)
    assert found.finding == "files"
    assert found.part("file").auc >= 0.95 and found.part("file").interval[0] > 0.5
    assert found.betrays[0].family == "format"
    assert (found.betrays[0].real, found.betrays[0].fake) == ("PNG (100 %)", "JPEG (100 %)")
    assert lines(found)[0].startswith("This data set can be solved by its files: file type and quantisation")
    table = pd.read_csv(tmp_path / "shortcuts.csv")
    assert len(table) == 80 and table["file_score"].groupby(table["label"]).mean().diff()[1] > 0.4


@pytest.mark.parametrize("paired", [True, False])
def test_classes_written_alike_are_not_told_apart(tmp_path, paired):
    alike = ("jpg", {"quality": 90})
    found = run(make(tmp_path / "images", 40, alike, alike, paired), tmp_path / "out")
    low, high = found.part("all").interval
    assert found.finding == "not shown" and low <= 0.5 <= high and not found.betrays
    assert lines(found)[0].startswith("Not shown: neither files nor statistics of the picture")
    assert found.n_units == (40 if paired else 80)


def test_a_detector_that_reads_the_file_changes_its_mind_and_is_told_so(planted, tmp_path):
    found = run(planted, tmp_path, detector(reads_the_file)).detector
    by = {(f.group, f.half): f for f in found.flips}
    # a real PNG can be written like the fake's JPEG; the fake's JPEG past cannot be undone
    assert found.exchange == {EXCHANGED: 40, LOSSLESS: 40}
    assert by["overall", "real"].n == 40 and by["overall", "fake"].n == 0
    assert by["overall", "real"].flipped > 0.9 and by["overall", "real"].interval[0] > 0.8
    assert by["overall", "real"].toward == by["overall", "real"].flipped
    assert by["A", "real"].n == by["B", "real"].n == 20
    assert exchange_sentence(found) == (
        "40 images were written like their counterpart; 40 were left as they are (its counterpart is "
        "lossless, and its own past cannot be undone)."
    )
    real, fake = overall_flips(found)
    assert real.startswith("Written like the other class, ") and fake.startswith("No decision about fakes ")
    assert found.at_equal_files.interval is None and "do not overlap" in found.at_equal_files.reason


def test_a_detector_that_looks_at_the_light_does_not(planted, tmp_path):
    bright = detector(lambda batch: 40 * (batch.mean(dim=(1, 2, 3)) - 0.5))
    found = run(planted, tmp_path, bright)
    overall = next(f for f in found.detector.flips if (f.group, f.half) == ("overall", "real"))
    assert overall.flipped < 0.1
    told = [line for line in lines(found) if "Written like the other class" in line]
    assert len(told) == 1 and "of 40 real images change their decision" in told[0]


def test_at_equal_files_a_real_difference_stays_and_one_of_the_files_goes(tmp_path):
    """Half of the fakes and a quarter of the reals are JPEGs; one detector sees the JPEG, the other a
    mark.
    """
    rows = []
    rng = np.random.default_rng(5)
    (tmp_path / "images").mkdir()
    for number in range(160):
        label = number % 2
        jpeg = rng.random() < (0.75 if label else 0.25)
        pixels = blob(number).copy()
        if label and rng.random() < 0.8:
            pixels[:4, :4] = 255
        path = tmp_path / "images" / f"{number}.{'jpg' if jpeg else 'png'}"
        Image.fromarray(pixels).save(path, **({"quality": 70} if jpeg else {}))
        rows.append(
            {"image_id": path.name, "path": str(path), "label": label, "kind": "x", "origin": path.name}
        )
    images = LabelledImages(to_table(rows), (), "folders", tmp_path)
    mark = detector(lambda batch: 100 * (batch[:, :, :3, :3].mean(dim=(1, 2, 3)) - 0.93))
    found = run(images, tmp_path / "out", mark).detector.at_equal_files
    assert found.raw > 0.7 and (found.interval is None or found.interval[0] > 0.3)


def test_what_cannot_be_used_is_a_row_with_a_reason(tmp_path):
    images = make(tmp_path / "images", 24)
    folder = tmp_path / "images"
    deep = (
        np.asarray(Image.open(folder / "real-0000.png", formats=["PNG"]).convert("L")).astype("<u2")
    ) * 257
    Image.fromarray(deep).save(folder / "real-0000.png")
    alpha = np.dstack([blob(1), np.full((SIZE, SIZE), 90, dtype=np.uint8)])
    Image.fromarray(alpha).save(folder / "real-0001.png")
    Image.new("RGB", (1, 1)).save(folder / "real-0002.png")
    Image.new("RGB", (SIZE, SIZE)).save(folder / "real-0003.png")
    (folder / "fake-0004.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")

    def nan_on_black(batch: torch.Tensor) -> torch.Tensor:
        light = batch.mean(dim=(1, 2, 3))
        return torch.where(light > 0.01, light - 0.5, torch.nan)

    found = run(images, tmp_path / "out", detector(nan_on_black))
    assert found.n_left_out == {"unreadable image": 1} and (found.n_real, found.n_fake) == (24, 23)
    assert found.detector.n_left_out[NO_SCORE] == 2  # the black one, and the black pixel
    assert found.detector.n_left_out["unreadable image"] == 1
    rows = pd.read_csv(tmp_path / "out" / "shortcuts.csv").set_index("image_id")
    assert rows.loc["real-0000.png", "bits"] == 16 and rows.loc["real-0001.png", "alpha"] == 1
    assert np.isnan(rows.loc["real-0002.png", "band_high"]) and rows.loc["real-0002.png", "status"] == "ok"
    assert "is not a readable image" in rows.loc["fake-0004.jpg", "detail"]
    assert np.isfinite(rows.loc["real-0001.png", "score"]) and np.isnan(rows.loc["real-0003.png", "score"])


def test_one_class_too_few_images_and_unknown_columns_are_one_line(planted, tmp_path):
    with pytest.raises(EmptyDataset, match="holds no fake images"):
        run(planted.only(planted.table["label"] == 0), tmp_path / "out")
    few = planted.only(planted.table["pair_id"].isin([f"p{i}" for i in range(19)]))
    with pytest.raises(
        ScoreTableError, match=r"19 independent real and 19 independent fake .* needs 20 of each"
    ):
        run(few, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"has no column 'tone'; it has race"):
        run(planted, tmp_path / "out", None, AuditConfig(attributes=("tone",)))
    silent = detector(lambda batch: torch.full((len(batch),), torch.nan))
    with pytest.raises(ScoreTableError, match=r"stub gives no score to any .* run `audit check`"):
        run(planted, tmp_path / "out", silent)
    assert not (tmp_path / "out" / "shortcuts.json").exists()


def test_images_of_one_pair_or_one_origin_are_one_unit():
    table = to_table(
        {"image_id": str(i), "path": "", "label": 0, "pair_id": pair, "origin": origin}
        for i, (pair, origin) in enumerate(
            [("a", "x"), ("a", "y"), ("b", "y"), ("c", "z"), (None, "z"), (None, "w")]
        )
    )
    unit = independent_units(table)
    assert len({*unit[:3]}) == 1 and unit[3] == unit[4] and len({*unit}) == 3


def test_the_counterpart_is_the_other_half_else_drawn_from_the_other_class(planted):
    table = planted.table.reset_index(drop=True)
    other = counterparts(table, 0)
    assert (table["pair_id"].to_numpy()[other] == table["pair_id"]).all()
    assert (table["label"].to_numpy()[other] != table["label"]).all()
    alone = table.assign(pair_id=None)
    drawn = counterparts(alone, 0)
    assert (table["label"].to_numpy()[drawn] != table["label"]).all()
    assert len(set(drawn)) > 20 and (drawn == counterparts(alone, 0)).all()


def test_alike_files_leave_nothing_to_exchange(tmp_path):
    alike = ("jpg", {"quality": 90})
    found = run(
        make(tmp_path / "images", 20, alike, alike), tmp_path / "out", detector(reads_the_file)
    ).detector
    assert overall_flips(found) == [
        "No decision could be tried with the files exchanged (40 images: written like its counterpart "
        "already)."
    ]
    assert found.exchange == {ALIKE: 40} and all(f.n == 0 and np.isnan(f.flipped) for f in found.flips)


@pytest.mark.slow
def test_the_command_leaves_record_table_and_page(checkpoint, pairs_dir, tmp_path, capsys):
    given = ["shortcuts", "--pairs", str(pairs_dir), "--detector", str(checkpoint), "--out", str(tmp_path),
             "--include-seen"]  # fmt: skip
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main([*given, "--json"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads((tmp_path / "shortcuts.json").read_text())
    record = json.loads(printed)
    assert record["finding"] == "picture"  # the fakes' checkerboard
    assert record["detector"]["exchange"] == {ALIKE: 80}
    page = (tmp_path / "shortcuts.html").read_text()
    assert "Can real and fake be told without a look at the face?" in page and "Size in bytes" in page
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main([*given, "--quiet"])  # the same search again
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit, match="2"):
        main([*given, "--seed", "3"])
    assert "already holds another search for shortcuts" in " ".join(capsys.readouterr().err.split())


def test_settings_of_a_foreign_detector_reach_it(pairs_dir, tmp_path, capsys):
    (tmp_path / "width.py").write_text(
        "def load():\n    return lambda batch: batch.new_full((len(batch),), batch.shape[-1] / 100)\n"
    )
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main(["shortcuts", "--pairs", str(pairs_dir), "--detector", f"{tmp_path / 'width.py'}:load",
              "--set", "size_px=40", "--set", "output=probability", "--out", str(tmp_path / "out"),
              "--json"])  # fmt: skip
    assert set(pd.read_csv(tmp_path / "out" / "shortcuts.csv")["score"].round(6)) == {0.4}


def test_options_of_a_detector_need_one(pairs_dir, tmp_path, capsys):
    for more in (["--threshold", "0.6"], ["--include-seen"], ["--set", "size_px=64"], ["--arch", "resnet18"]):
        with pytest.raises(SystemExit, match="2"):
            main(["shortcuts", "--pairs", str(pairs_dir), "--out", str(tmp_path), *more])
        assert f"{more[0]} cannot be given without --detector" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit, match="2"):
        main(["shortcuts", "--pairs", str(pairs_dir), "--images", "t.csv"])
    assert "name one data set" in capsys.readouterr().err


def test_a_page_needs_its_record(tmp_path):
    with pytest.raises(RunNotFound, match=r"no shortcuts\.json in .*: make one with `audit shortcuts"):
        write_shortcuts_page(tmp_path)
    (tmp_path / "shortcuts.json").write_text("{}")
    with pytest.raises(RecordFormatError, match=r"shortcuts\.json is not a search for shortcuts"):
        write_shortcuts_page(tmp_path)


def test_a_table_of_images_is_read_as_well(planted, tmp_path):
    folder = planted.root
    table = pd.DataFrame({"image": planted.table["image_id"], "label": planted.table["label"]})
    table.to_csv(folder / "list.csv", index=False)
    assert run(read_images(folder / "list.csv"), tmp_path).finding == "files"
