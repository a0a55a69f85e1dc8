"""Scoring: every image once, seen photos left out, unreadable files kept as rows, interruptions survived."""

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.data.datasets import read_images
from detectors.data.image_batches import read_batches
from detectors.errors import EmptyDataset
from detectors.models.loading import load_detector
from detectors.scoring.dataset_scores import SEEN, leave_out_seen, score_pairs
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options


def test_photos_it_learned_from_are_left_out_and_counted(checkpoint, pairs_dir):
    scored = score_pairs(checkpoint, pairs_dir, options=Options(progress=False))
    assert scored.n_left_out == {"no face found": 1, SEEN: 28}
    assert len(scored.table) == 24 and scored.attributes == ("age", "gender", "race")
    assert scored.table.columns.tolist() == [
        *("image_id", "pair_id", "label", "score", "status", "detail", "source", "kind", "sha256"),
        *("age", "gender", "race"),
    ]
    assert scored.detector["provenance"]["trained_on"] == 24
    assert scored.data["provenance"]["generator"] == {"name": "checkerboard"}


def test_photos_are_known_by_their_bytes_whatever_their_name(checkpoint, pairs_dir):
    detector = load_detector(checkpoint)
    images = read_images(pairs_dir)
    images.table["source"] = "renamed/" + images.table["source"]
    kept, n_seen = leave_out_seen(images, detector)
    assert n_seen == 28 and len(kept.table) == 24


def test_other_pairs_are_all_scored_as_the_detector_itself_scores(checkpoint, pairs_factory):
    folder = pairs_factory(10, 5)
    scored = score_pairs(checkpoint, folder, options=Options(progress=False, batch_size=3))
    detector = load_detector(checkpoint)
    pixels = [np.asarray(Image.open(folder / name)) for name in scored.table["image_id"]]
    batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    np.testing.assert_allclose(scored.table["score"], detector.score(batch).numpy(), atol=1e-6)
    assert scored.n_left_out == {"no face found": 1}
    assert scored.table.groupby("label")["score"].mean().diff().iloc[1] > 0.3


def test_nothing_left_to_score_says_so(checkpoint, pairs_dir):
    detector = load_detector(checkpoint)
    detector.provenance["validated_on_sha256"] += detector.provenance["held_out_sha256"]
    with pytest.raises(EmptyDataset, match=r"every source photo of .* was in the training data of simple"):
        score_pairs(detector, pairs_dir, options=Options(progress=False))
    assert (
        len(score_pairs(detector, pairs_dir, options=Options(progress=False), include_seen=True).table) == 80
    )


def test_missing_and_damaged_files_are_rows_with_a_reason(checkpoint, pairs_factory):
    folder = pairs_factory(4, 6)
    (folder / "fake" / "train-000001.png").unlink()
    (folder / "real" / "train-000002.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    table = score_pairs(checkpoint, folder, options=Options(progress=False, batch_size=2)).table.set_index(
        "image_id"
    )
    assert len(table) == 8 and table["score"].notna().sum() == 6
    assert table.loc["fake/train-000001.png", "status"] == "missing photo"
    assert table.loc["real/train-000002.png", "status"] == "unreadable image"
    assert table.loc["real/train-000002.png", "detail"] != ""
    assert (table["status"] != "ok").sum() == 2


def test_several_detectors_decode_once_and_score_as_alone(checkpoint, pairs_factory):
    images = read_images(pairs_factory(5, 7))
    detectors = [load_detector(checkpoint), load_detector(checkpoint)]
    together = score_images(detectors, images, Options(progress=False))
    alone = score_images(detectors[:1], images, Options(progress=False))[0]
    for table in together:
        np.testing.assert_array_equal(table["score"], alone["score"])
    batch = next(read_batches(images.table["path"].tolist(), [detectors[0].preprocessing], 4))
    assert batch.images[0].shape == (4, 3, 32, 32) and batch.images[0].dtype == torch.uint8


def test_interrupted_run_continues_and_gives_the_same_bytes(checkpoint, pairs_factory, tmp_path, monkeypatch):
    from detectors.scoring import engine

    monkeypatch.setattr(engine, "BATCHES_PER_PART", 2)
    images = read_images(pairs_factory(12, 8))
    detector = load_detector(checkpoint)
    whole = score_images([detector], images, Options(batch_size=3, progress=False))[0]
    score_part, calls = engine.ImageWork.part, []

    def stop_at_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("power cut")
        return score_part(*arguments)

    monkeypatch.setattr(engine.ImageWork, "part", stop_at_third)
    options = Options(batch_size=3, progress=False, work_dir=tmp_path / "work")
    with pytest.raises(RuntimeError, match="power cut"):
        score_images([detector], images, options)
    again = score_images([detector], images, options)[0]
    assert len(calls) == 5  # two parts were kept, the third and fourth were left to do
    assert again.to_parquet() == whole.to_parquet()
    assert not list((tmp_path / "work").rglob("*.parquet"))
