"""The generator's half of the work: rounding, batches that shrink, sizes."""

import numpy as np
import pytest
import torch

from pipelines.dataset.network_fakes import Networked
from pipelines.dataset.pair_sources import _squared
from pipelines.errors import CheckpointFormatError, EngineError
from pipelines.generators.protocol import FaceCrop
from pipelines.jobs.plans import photo_job


@pytest.fixture(scope="module")
def networked(drawn, tiny_generator, tmp_path_factory):
    job = photo_job(
        drawn, tmp_path_factory.mktemp("job"), tiny_generator, size_px=32, batch_size=3, device="cpu"
    )
    return Networked(job.generator, job.settings, "cpu")


def crops(n):
    rng = np.random.default_rng(0)
    return [FaceCrop(str(i), rng.integers(0, 255, (32, 32, 3), np.uint8)) for i in range(n)]


def test_fakes_are_the_decoded_latents_rounded(networked):
    made = [fake for batch in networked.fakes(0, crops(4)) for fake in batch]
    fakes = np.stack([fake.pixels for fake in made])
    codes = torch.from_numpy(np.stack([fake.latent for fake in made]))
    exact = (networked.generator.decode(codes).numpy().transpose(0, 2, 3, 1) + 1) * 127.5
    assert np.abs(np.clip(exact, 0, 255) - fakes).max() <= 0.5 + 1e-2
    assert fakes.dtype == np.uint8


def test_encoding_sees_the_crop_in_minus_one_to_one(networked):
    (good,) = crops(1)
    ((made,),) = networked.fakes(0, [good])
    image = torch.from_numpy(good.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert np.allclose(networked.generator.encode(image)[0].numpy(), made.latent, atol=1e-5)


def test_batches_hold_at_most_the_batch_size(networked):
    assert [len(part) for part in networked.fakes(0, crops(7))] == [3, 3, 1]
    assert list(networked.fakes(0, [])) == []


def test_values_that_are_not_numbers_never_become_an_image(networked, monkeypatch):
    monkeypatch.setattr(networked.generator, "decode", lambda w: torch.full((len(w), 3, 32, 32), torch.nan))
    with pytest.raises(EngineError, match="values that are not numbers; try --precision float32"):
        list(networked.fakes(0, crops(1)))


def test_weights_that_were_exchanged_after_planning(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path, tiny_generator, size_px=32, device="cpu")
    job.generator["sha256"] = "0" * 64
    with pytest.raises(CheckpointFormatError, match="is not the file that this run was planned with"):
        Networked(job.generator, job.settings, "cpu")


def test_squares_are_cut_from_the_middle():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    assert (_squared(wide, 20) == 200).all()
    assert _squared(wide, 0) is wide
