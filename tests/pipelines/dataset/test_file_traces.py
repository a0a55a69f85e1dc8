"""A classifier of files sees file types, compression and size, and nothing of the face."""

import io

import numpy as np
from PIL import Image

from pipelines.dataset.file_traces import file_auc


def write(folder, name, pixels, **options):
    folder.mkdir(exist_ok=True)
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


def textures(n, seed):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (n, 48, 48, 3)) // rng.integers(1, 6, (n, 1, 1, 1))
    return list(noise.astype(np.uint8))


def test_halves_of_one_kind_and_finish_are_not_told_apart(tmp_path):
    reals = [write(tmp_path / "r", f"{i}.png", p) for i, p in enumerate(textures(60, 1))]
    fakes = [write(tmp_path / "f", f"{i}.png", p) for i, p in enumerate(textures(60, 2))]
    assert 0.35 < file_auc(reals, fakes) < 0.65


def test_a_jpeg_beside_a_png_is_told_apart_wholly(tmp_path):
    same = textures(60, 1)
    reals = [write(tmp_path / "r", f"{i}.jpg", p, quality=90) for i, p in enumerate(same)]
    fakes = [write(tmp_path / "f", f"{i}.png", p) for i, p in enumerate(same)]
    assert file_auc(reals, fakes) == 1.0


def test_a_jpegs_past_shows_in_a_png(tmp_path):
    """Compressed hard and saved again without loss: the 8 x 8 grid gives it away."""
    reals = []
    for i, pixels in enumerate(textures(60, 1)):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=10)
        reals.append(write(tmp_path / "r", f"{i}.png", np.asarray(Image.open(out))))
    fakes = [write(tmp_path / "f", f"{i}.png", p) for i, p in enumerate(textures(60, 1))]
    assert file_auc(reals, fakes) > 0.95


def test_too_few_pairs_give_no_number(tmp_path):
    reals = [write(tmp_path / "r", f"{i}.png", p) for i, p in enumerate(textures(19, 1))]
    assert file_auc(reals, reals) is None
