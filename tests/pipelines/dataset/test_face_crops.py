"""Photos to crops: which face, which reason, and a lost folder told from a lost photo."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.dataset.face_crops import at_size, prepare
from pipelines.errors import SourceLost
from pipelines.faces.align import TIGHT, FaceFinder
from pipelines.sources.photos import read_photo


@pytest.fixture(scope="module")
def finder():
    return FaceFinder()


@pytest.fixture
def photos(drawn, tmp_path):
    """Five drawn faces in a folder of their own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(1, 6):
        shutil.copy(drawn / "train" / f"{i}.jpg", folder)
    return [folder / f"{i}.jpg" for i in range(1, 6)]


def run(photos, finder, crop=TIGHT, batch_size=2, told=lambda n: None):
    rows = [{"pair_id": p.stem} for p in photos]
    probes = [photos[0].parent]
    with ThreadPoolExecutor(2) as pool:
        return prepare(rows, photos, probes, finder, crop, batch_size, pool, told)


def test_order_is_kept_and_sizes_are_the_crops(photos, finder):
    attempts = run(photos, finder, at_size(TIGHT, 48))
    assert [a.row["pair_id"] for a in attempts] == ["1", "2", "3", "4", "5"]
    assert {a.crop.shape for a in attempts if a.crop is not None} == {(48, 48, 3)}
    assert {a.row["status"] for a in attempts} == {"ok"}


def test_a_missing_photo_is_a_row(photos, finder):
    photos[2].unlink()
    told = []
    attempts = run(photos, finder, told=told.append)
    assert [a.row["status"] for a in attempts] == ["ok", "ok", "missing photo", "ok", "ok"]
    assert sum(told) == 1


def test_a_missing_folder_stops(photos, finder):
    shutil.rmtree(photos[0].parent)
    with pytest.raises(SourceLost, match="went away in the middle of the run"):
        run(photos, finder)


def test_an_emptied_mount_point_stops(photos, finder):
    for photo in photos:
        photo.unlink()
    with pytest.raises(SourceLost, match="bring it back"):
        run(photos, finder)


def test_too_many_open_files_stop_instead_of_marking_photos(photos, finder, monkeypatch):
    def read_bytes(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(SourceLost, match=r"Too many open files.*same command again to continue"):
        run(photos, finder)


def test_too_much_invented_border_is_a_reason(photos, finder):
    strict = replace(TIGHT, reach=3.0, max_border_share=0.05)
    attempts = run(photos, finder, strict)
    assert {a.row["status"] for a in attempts} == {"face cut off by the photo's edge"}
    assert all("the limit is 5%" in a.row["detail"] for a in attempts)
    assert all(a.row["border_share"] > 0.05 for a in attempts)
    assert all(a.crop is None for a in attempts)


def test_of_several_faces_the_one_nearest_the_centre(photos, finder):
    """Three copies in a row; the middle one is mirrored, and its crop must come out."""
    face = read_photo(photos[1]).pixels
    Image.fromarray(np.concatenate([face, face[:, ::-1], face], 1)).save(photos[0], quality=98)
    Image.fromarray(face[:, ::-1].copy()).save(photos[1], quality=98)
    both = run(photos[:2], finder, at_size(TIGHT, 64))
    assert both[0].row["n_faces"] == 3
    gap = np.abs(both[0].crop.astype(int) - both[1].crop.astype(int)).mean()
    mirrored = np.abs(both[0].crop[:, ::-1].astype(int) - both[1].crop.astype(int)).mean()
    assert gap < mirrored
    assert gap < 12
