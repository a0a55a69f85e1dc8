"""What MTCNN reads in a fake and in its photo: no error in the photo itself, more the worse the fake is."""

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN

from pipelines.faces.area_resampling import Sums, bins
from pipelines.rendered import render_face
from pipelines.training.face_finder_loss import FaceFinderLoss, Means, as_jpeg, bytes_of, read

WHO = (("20-29", "Female", "Black"), ("60-69", "Male", "White"))


@pytest.fixture(scope="module")
def loss() -> FaceFinderLoss:
    return FaceFinderLoss()


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    rng = np.random.default_rng(0)
    drawn = np.stack([render_face(*who, rng=rng, size_px=256) for who in WHO])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1


def noisy(photos: torch.Tensor, deviation: float) -> torch.Tensor:
    coarse = torch.randn(len(photos), 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return photos + deviation * torch.nn.functional.interpolate(coarse, photos.shape[-2:], mode="bilinear")


def test_it_is_zero_for_the_photo_itself_and_grows_with_the_difference(loss, photos):
    assert loss(photos, photos).item() == pytest.approx(0, abs=1e-6)
    little, much = (loss(noisy(photos, d), photos).item() for d in (0.02, 0.2))
    assert 1e-4 < little < much


def test_its_gradient_reaches_the_fake_alone(loss, photos):
    fakes, wanted = noisy(photos, 0.1).requires_grad_(), photos.clone().requires_grad_()
    loss(fakes, wanted).backward()
    assert wanted.grad is None
    assert torch.isfinite(fakes.grad).all()
    assert (fakes.grad.abs().amax((1, 2, 3)) > 0).all(), "of every photo"
    step = 0.01 * fakes.grad / fakes.grad.norm()
    assert loss(fakes.detach() - step, photos) < loss(fakes.detach(), photos)


def test_its_networks_are_frozen(loss, photos):
    assert not any(p.requires_grad for p in loss.parameters())
    before = {k: v.clone() for k, v in loss.state_dict().items()}
    loss(noisy(photos, 0.1).requires_grad_(), photos).backward()
    assert all(torch.equal(v, before[k]) for k, v in loss.state_dict().items())


def test_where_no_face_is_there_is_nothing_to_compare(loss):
    grey = torch.zeros(1, 3, 256, 256)
    fakes = grey.clone().requires_grad_()
    value = loss(fakes, grey)
    value.backward()
    assert value.item() == 0
    assert not fakes.grad.any()


def test_parts_are_cut_as_the_face_finder_cuts_them(photos):
    parts = torch.tensor([[50], [200], [113]])
    rows, columns = bins(parts[:, 0], 24), bins(parts.flip(0)[:, 0], 24)
    owners = torch.tensor([1, 0, 1])
    expected = Sums(torch.from_numpy(bytes_of(photos))).means(owners, rows, columns)
    assert torch.allclose(Means(photos).means(owners, rows, columns), expected, atol=1e-5)


def test_the_evidence_is_what_the_networks_turn_into_probabilities():
    nets = MTCNN()
    for net, side in ((nets.pnet, 12), (nets.rnet, 24), (nets.onet, 48)):
        x = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
        probability = net(x)[-1][:, 1]
        assert torch.allclose(read(net, x)[1].sigmoid(), probability, atol=1e-5)
    with pytest.raises(ValueError, match="none of MTCNN's networks"):
        read(torch.nn.Sequential(torch.nn.ReLU()), torch.zeros(1, 3, 12, 12))


def test_a_jpeg_file_changes_pixels_and_lets_the_gradient_pass(photos):
    images = photos.clone().requires_grad_()
    stored = as_jpeg(images, [None, 60])
    assert torch.allclose(stored[0], images[0], atol=1e-5)
    assert 0.002 < (stored[1] - images[1]).abs().mean() < 0.1
    stored.sum().backward()
    assert torch.equal(images.grad, torch.ones_like(images))
