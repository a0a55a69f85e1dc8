"""The generator's half of the work: rounding, batches that shrink, sizes."""

import numpy as np
import pytest
import torch

from pipelines.align import FaceFinder
from pipelines.halves import Networked, _in_parts, _squared
from pipelines.plans import photo_job
from pipelines.prepare import Attempt


@pytest.fixture(scope="module")
def networked(drawn, tiny_generator, tmp_path_factory):
    job = photo_job(
        drawn, tmp_path_factory.mktemp("job"), tiny_generator, size_px=32, batch_size=3, device="cpu"
    )
    return Networked(job, FaceFinder(), "cpu")


def crops(n):
    rng = np.random.default_rng(0)
    return [
        Attempt({"pair_id": str(i), "detail": ""}, rng.integers(0, 255, (32, 32, 3), np.uint8))
        for i in range(n)
    ]


def test_fakes_are_the_decoded_latents_rounded(networked):
    good = crops(4)
    fakes = np.concatenate([fakes for _, fakes in networked.fakes(0, good)])
    codes = torch.from_numpy(np.stack([a.latent for a in good]))
    exact = (networked.generator.decode(codes).numpy().transpose(0, 2, 3, 1) + 1) * 127.5
    assert np.abs(np.clip(exact, 0, 255) - fakes).max() <= 0.5 + 1e-2
    assert fakes.dtype == np.uint8


def test_encoding_sees_the_crop_in_minus_one_to_one(networked):
    good = crops(1)
    list(networked.fakes(0, good))
    image = torch.from_numpy(good[0].crop).permute(2, 0, 1)[None].float() / 127.5 - 1
    assert np.allclose(networked.generator.encode(image)[0].numpy(), good[0].latent, atol=1e-5)


def test_batches_hold_at_most_the_batch_size(networked):
    assert [len(part) for part, _ in networked.fakes(0, crops(7))] == [3, 3, 1]
    assert list(networked.fakes(0, [])) == []


def test_batches_shrink_when_memory_runs_out():
    seen = []

    def cramped(batch):
        seen.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch * 2

    batch = torch.arange(7.0)
    assert torch.equal(torch.cat(_in_parts(cramped, batch)), batch * 2)
    assert max(n for n in seen if n <= 2) == 2


def test_an_image_that_does_not_fit_alone_is_an_error():
    def hopeless(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        _in_parts(hopeless, torch.zeros(4))


def test_squares_are_cut_from_the_middle():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    assert (_squared(wide, 20) == 200).all()
    assert _squared(wide, 0) is wide
