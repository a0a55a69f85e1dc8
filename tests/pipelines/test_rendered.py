"""Drawn faces: reproducible, varied, and faces to a real face detector."""

import csv
import hashlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.labels import AGES, GENDERS, RACES
from pipelines.rendered import MARKER, render_face, render_population
from pipelines.rendered.head import lay_out, meet, relief
from pipelines.rendered.people import draw_person
from pipelines.rendered.population import drawn_cells

labels = st.tuples(st.sampled_from(AGES), st.sampled_from(GENDERS), st.sampled_from(RACES))


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(11)
    return [render_face(AGES[i % 9], GENDERS[i % 2], RACES[i % 7], rng) for i in range(60)]


def test_face_detector_finds_drawn_faces(faces):
    torch.set_num_threads(1)
    _, confidences = MTCNN(keep_all=True).detect(faces)
    found = [max((c for c in each if c is not None), default=0.0) >= 0.9 for each in confidences]
    assert np.mean(found) >= 0.95


def test_faces_differ_from_each_other(faces):
    flat = np.stack(faces).reshape(len(faces), -1).astype(np.float32)
    gaps = [np.abs(a - b).mean() for a, b in pairwise(flat)]
    assert min(gaps) > 10


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(labels, st.integers(0, 2**32 - 1))
def test_same_seed_same_face(cell, seed):
    one, two = (render_face(*cell, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (224, 224, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, two)
    assert one.std() > 5


def test_size_is_respected():
    assert render_face("20-29", "Male", "White", np.random.default_rng(0), size_px=96).shape == (96, 96, 3)


def test_unknown_label_is_refused():
    with pytest.raises(ValueError, match="age='21'"):
        render_face("21", "Male", "White", np.random.default_rng(0))


def test_skin_tones_overlap_between_groups():
    rng = np.random.default_rng(0)
    tones = {r: np.array([draw_person("20-29", "Female", r, rng).tone for _ in range(400)]) for r in RACES}
    assert tones["White"].mean() < tones["Indian"].mean() < tones["Black"].mean()
    assert np.quantile(tones["Black"], 0.1) < np.quantile(tones["Indian"], 0.9)
    assert np.quantile(tones["Latino_Hispanic"], 0.1) < np.quantile(tones["White"], 0.9)


def test_normals_are_the_slopes_of_the_surface():
    """Foreign check: analytic normals against differences of the points themselves."""
    person = draw_person("40-49", "Male", "White", np.random.default_rng(3))
    at = lay_out(person)
    ramp = np.linspace(-0.3, 0.3, 241, dtype=np.float32)
    grid = np.stack(np.meshgrid(ramp, -ramp))
    face = meet(at, relief(person, at), np.eye(3, dtype=np.float32), grid)
    rows, columns = np.gradient(face.point, axis=(1, 2))
    crossed = -np.cross(columns, rows, axis=0)
    crossed /= np.linalg.norm(crossed, axis=0)
    crossed *= np.sign(crossed[2])
    assert np.median((crossed * face.normal).sum(0)) > 0.99


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    return render_population(tmp_path_factory.mktemp("drawn"), n_train=4, n_val=3, seed=5)


def test_population_has_fairface_layout(population):
    with (population / "fairface_label_train.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["file", "age", "gender", "race", "service_test"]
    assert [(r["age"], r["gender"], r["race"]) for r in rows] == drawn_cells(4, "train", 5)
    photo = Image.open(population / rows[0]["file"])
    assert (photo.format, photo.size, photo.mode) == ("JPEG", (224, 224), "RGB")
    assert (population / MARKER).exists()
    assert len(list((population / "val").iterdir())) == 3


def test_population_is_reproducible(population, tmp_path):
    def digest(folder):
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return [(str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]

    again = render_population(tmp_path, n_train=4, n_val=3, seed=5)
    assert digest(again) == digest(population)


@given(st.integers(0, 400), st.sampled_from(["train", "val"]), st.integers(0, 2**32 - 1))
def test_the_first_of_a_population_are_balanced_however_many_follow(n, split, seed):
    drawn = drawn_cells(n, split, seed)
    assert len(drawn) == n and drawn == drawn_cells(400, split, seed)[:n]
    counts = Counter(drawn)
    assert max(counts.values(), default=0) - (min(counts.values()) if len(counts) == 126 else 0) <= 1


def test_negative_count_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n_val=-1"):
        render_population(tmp_path, n_train=1, n_val=-1, seed=0)
