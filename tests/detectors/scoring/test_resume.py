"""Nothing stale may count: whatever changed since an interruption, resuming equals a clean run."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detectors.data.labelled_images import LabelledImages, to_table
from detectors.data.preprocessing import Preprocessing
from detectors.models.detector import Detector, Output
from detectors.models.loading import load_detector
from detectors.scoring import engine, resume
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.scoring.resume import identity_of, run_key

N_IMAGES, SIDE_PX = 8, 8


class PowerCut(Exception):
    pass


def linear(seed):
    """Two logits that lean on every pixel; its weights stand in for a file of weights."""
    weights = torch.randn(2, 3 * SIDE_PX * SIDE_PX, generator=torch.Generator().manual_seed(seed))
    return lambda batch: batch.flatten(1) @ weights[:, : batch[0].numel()].T


def detector(seed=0, **changes):
    made = Detector(
        name="linear",
        sha256=hashlib.sha256(str(seed).encode()).hexdigest(),
        arch="own",
        preprocessing=Preprocessing(SIDE_PX),
        output=Output("logits", (1,)),
        network=linear(seed),
    )
    return replace(made, **changes)


def preparation(**changes):
    return detector(preprocessing=Preprocessing(SIDE_PX, **changes))


DETECTORS = {
    "the same": detector(),
    "weights": detector(1),
    "inverted": detector(output=Output("logits", (1,), inverted=True)),
    "fake_index": detector(output=Output("logits", (0,))),
    "output": detector(output=Output("probabilities", (1,))),
    "mean": preparation(mean=(0.4, 0.5, 0.5)),
    "std": preparation(std=(0.2, 0.3, 0.2)),
    "colour": preparation(colour="bgr"),
    "gray": preparation(colour="gray"),
    "resize": preparation(resize="nearest"),
    "renamed": detector(name="other"),
}


def picture(path, seed):
    """An uncompressed picture: equal sizes, whatever is on it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (11, 13, 3), np.uint8)
    Image.fromarray(pixels).save(path, "BMP")


def labelled(folder, names):
    rows = [{"image_id": n, "path": str(folder / n), "label": i % 2} for i, n in enumerate(names)]
    return LabelledImages(to_table(rows), (), "files", folder)


def change_file(folder, row, how):
    """Change one file, keeping size and time where that can be done."""
    path = folder / f"{row}.bmp"
    before = path.stat()
    if how == "bytes":
        picture(path, 1000 + row)
        assert path.stat().st_size == before.st_size
    elif how == "damaged":
        path.write_bytes(b"no picture" * (before.st_size // 10))
    elif how == "gone":
        path.unlink()
        return
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = st.fixed_dictionaries(
    {
        "detector": st.sampled_from(sorted(DETECTORS)),
        "file": st.tuples(
            st.integers(0, N_IMAGES - 1), st.sampled_from(["as it was", "bytes", "damaged", "gone"])
        ),
        "images": st.sampled_from(["all", "one fewer", "renamed"]),
        "batch_size": st.sampled_from([2, 4]),
        "second": st.booleans(),
        "stop_after": st.integers(1, 3),
    }
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=CHANGES)
def test_resuming_after_any_change_equals_a_clean_run(change, tmp_path_factory):
    folder, work = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("work")
    names = [f"{i}.bmp" for i in range(N_IMAGES)]
    for i, name in enumerate(names):
        picture(folder / name, i)
    interrupted([detector()], labelled(folder, names), Options(2, 1, work, False), change["stop_after"])

    change_file(folder, *change["file"])
    if change["images"] == "one fewer":
        names = names[1:]
    elif change["images"] == "renamed" and (folder / names[0]).exists():
        os.rename(folder / names[0], folder / "a.bmp")
        names = ["a.bmp", *names[1:]]
    detectors = [DETECTORS[change["detector"]], *([detector(5)] if change["second"] else [])]
    images = labelled(folder, names)
    resumed = score_images(detectors, images, Options(change["batch_size"], 1, work, False))
    clean = score_images(detectors, images, Options(change["batch_size"], 1, None, False))
    for one, other in zip(resumed, clean, strict=True):
        assert one.to_parquet() == other.to_parquet()


def interrupted(detectors, images, options, stop_after):
    """Score until `stop_after` parts are done, then lose power."""
    whole, calls = engine.ImageWork.part, []

    def stops(*arguments):
        calls.append(1)
        if len(calls) > stop_after:
            raise PowerCut
        return whole(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(PowerCut, match=r"^$"):
        patch.setattr(engine, "BATCHES_PER_PART", 1)
        patch.setattr(engine.ImageWork, "part", stops)
        score_images(detectors, images, options)


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A run of eight images in parts of two, interrupted after two parts."""
    monkeypatch.setattr(engine, "BATCHES_PER_PART", 1)
    names = [f"{i}.bmp" for i in range(N_IMAGES)]
    for i, name in enumerate(names):
        picture(tmp_path / name, i)
    images, options = labelled(tmp_path, names), Options(2, 1, tmp_path / "work", False)

    def run(detectors):
        interrupted(detectors, images, options, 2)
        return images, options

    return run


def n_parts_scored(monkeypatch, detectors, images, options):
    whole, calls = engine.ImageWork.part, []
    monkeypatch.setattr(engine.ImageWork, "part", lambda *a: (calls.append(1), whole(*a))[1])
    score_images(detectors, images, options)
    return len(calls)


def test_what_did_not_change_is_not_scored_again(cut, monkeypatch):
    assert n_parts_scored(monkeypatch, [detector()], *cut([detector()])) == 2


def test_a_detector_without_a_file_is_never_continued(cut, monkeypatch):
    nameless = [detector(sha256="")]
    assert n_parts_scored(monkeypatch, nameless, *cut(nameless)) == 4


def test_only_the_part_with_the_changed_file_is_scored_again(cut, monkeypatch, tmp_path):
    images, options = cut([detector()])
    change_file(tmp_path, 1, "bytes")
    assert n_parts_scored(monkeypatch, [detector()], images, options) == 3


def test_a_damaged_part_is_scored_again(cut, monkeypatch):
    images, options = cut([detector()])
    part = sorted(options.work_dir.rglob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:50])
    assert n_parts_scored(monkeypatch, [detector()], images, options) == 3


def test_other_libraries_and_threads_are_another_run(monkeypatch):
    def key(how="32 at once"):
        return run_key(identity_of([detector()]), ["a"], (how,))

    here = key()
    monkeypatch.setattr(resume.metadata, "version", lambda name: "0.0.1")
    assert key() != here
    monkeypatch.undo()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert key() != here
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another processor")
    assert key() != here
    monkeypatch.undo()
    assert key() == here
    assert key("16 at once") != here


def test_options_of_a_loaded_file_are_part_of_its_fingerprint(tmp_path):
    from detectors.models import architectures as zoo

    torch.save(zoo.build("simplenet").state_dict(), tmp_path / "plain.pth")
    said = [{}, {"inverted": True}, {"fake_index": 0}, {"output": "probabilities"}, {"mean": [0.1, 0.1, 0.1]}]
    prints = {
        load_detector(tmp_path / "plain.pth", arch="simplenet", options=options).fingerprint
        for options in said
    }
    assert len(prints) == len(said)


def test_scores_carry_the_hash_of_the_bytes_that_were_scored(cut):
    images, options = cut([detector()])
    table = score_images([detector()], images, options)[0]
    for row, path in zip(table.itertuples(), images.table["path"], strict=True):
        assert row.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
