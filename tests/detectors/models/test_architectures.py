"""Every architecture builds, trains, saves, loads and scores the same."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from detectors.data.datasets import read_images
from detectors.errors import TrainingError, UnknownArchitecture
from detectors.models import architectures as zoo
from detectors.models.checkpoint import load_checkpoint
from detectors.models.networks import HighPass, PowerSpectrum
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.training.learner import ImageLearner
from detectors.training.settings import Settings
from detectors.training.train_detector import train

SMALLEST_PX = {"alexnet": 64, "inception_v3": 299, "densenet121": 32, "timm:resnet10t": 32}
HEAVY = {"vgg16", "vgg19", "alexnet"}
"""Over 200 MB of weights; what they are is looked at without memory, on the meta device."""
TRAINED = [*(name for name in zoo.ZOO if name not in HEAVY), "timm:resnet10t"]
QUICK = {"simplenet", "srm_cnn", "baseline_cnn", "spectrum", "mobilenet_v3_small", "timm:resnet10t"}
"""Trained in about a second."""


def built(name, n_classes=2):
    with torch.device("meta"):
        return zoo.build(name, n_classes)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED]
)
def test_it_trains_saves_loads_and_scores_the_same(name, pairs_factory, tmp_path):
    folder = pairs_factory(4)
    settings = Settings(
        epochs=1, batch_size=4, size_px=SMALLEST_PX.get(name, 32), imagenet=False, fractions=(0.5, 0.5, 0.0)
    )
    path = train(name, folder, tmp_path / "a.pt", settings, progress=False)
    detector, images = load_checkpoint(path), read_images(folder)
    scores = [
        score_images([d], images, Options(progress=False))[0]["score"]
        for d in (detector, load_checkpoint(path))
    ]
    np.testing.assert_array_equal(*scores)
    assert scores[0].between(0, 1).all() and detector.arch == name
    fresh = zoo.build(name)
    fresh.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    side = settings.size_px
    batch = torch.rand(2, 3, side, side)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in (detector.preprocessing.mean, detector.preprocessing.std)
    )
    with torch.inference_mode():
        wanted = fresh.eval()((batch - mean) / std).double().softmax(1)[:, 1]
    torch.testing.assert_close(detector.score(batch), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_a_heavy_network_gives_every_weight_a_gradient_and_takes_back_its_weights(name):
    network, again = built(name), built(name)
    with torch.device("meta"):
        side = SMALLEST_PX.get(name, 32)
        logits = network.train()(torch.empty(2, 3, side, side))
        assert logits.shape == (2, 2)
        logits.sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in network.parameters())
    again.load_state_dict(network.state_dict(), assign=True)
    assert zoo.takes_size(name, side) and not zoo.takes_size(name, 16)


@pytest.mark.parametrize("name", [*zoo.ZOO, "timm:resnet10t"])
def test_head_is_found_and_outputs_follow_the_number_of_classes(name):
    network, heads = built(name, 5), zoo.architecture(name).head
    named = dict(network.named_parameters())
    last = [value for key, value in named.items() if key.startswith(heads)]
    assert last[-1].shape[0] == 5
    n_head = sum(v.numel() for k, v in named.items() if k.startswith(heads))
    assert 0 < n_head < sum(v.numel() for v in named.values()) / 2


def test_xception_with_its_head_counts_23_128_786_parameters():
    network = built("xception")
    n = [sum(p.numel() for p in part.parameters()) for part in (network.xception, network.head)]
    assert n == [22_855_952, 272_834] and sum(n) == 23_128_786


@pytest.mark.parametrize(
    ("name", "n_convolutions", "n_linear"),
    [("vgg10", 8, 2), ("baseline_cnn", 3, 2), ("simplenet", 6, 1), ("srm_cnn", 4, 1)],
)
def test_own_networks_have_the_layers_they_promise(name, n_convolutions, n_linear):
    layers = list(built(name).modules())
    assert sum(isinstance(x, nn.Conv2d) for x in layers) == n_convolutions
    assert sum(isinstance(x, nn.Linear) for x in layers) == n_linear


def test_the_power_spectrum_is_numpys_averaged_over_rings():
    image = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    flat = (image - image.mean()) * np.outer(*[np.hanning(65)[:-1]] * 2)
    power = np.log(np.abs(np.fft.rfft2(flat, norm="ortho")) ** 2 + 1e-6)
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)[None, :])
    rings = np.floor(radius * 128 + 1e-6).astype(int)
    wanted = [power[rings == ring].mean() if (rings == ring).any() else 0.0 for ring in range(64)]
    ours = PowerSpectrum()(torch.from_numpy(image)[None, None])[0]
    np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-3)


def test_high_pass_filters_see_no_slope_and_are_clipped():
    """A ramp is what its neighbours predict; a checkerboard is not; 18 responses a place."""
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    board = torch.tensor([[-1.0, 1.0], [1.0, -1.0]]).repeat(16, 16).expand(1, 3, 32, 32)
    stem = HighPass()
    assert stem(ramp).shape == (1, 18, 28, 28)
    assert stem(ramp).abs().max() < 1e-4 and stem(ramp.mT).abs().max() < 1e-4
    assert stem(board).abs().eq(1).all()
    faint = stem(board / 127.5 / 40)  # a fortieth of a grey level: not clipped
    assert 0 < faint.abs().max() < 0.1


def test_sizes_a_network_cannot_take_are_refused_before_training():
    assert zoo.takes_size("inception_v3", 299) and not zoo.takes_size("inception_v3", 128)
    with pytest.raises(TrainingError, match="size_px is 128, too small for inception_v3"):
        Settings(size_px=128).check("inception_v3")


def test_unknown_names():
    with pytest.raises(UnknownArchitecture, match=r"no architecture 'resnet51'; known are alexnet"):
        zoo.build("resnet51")
    with pytest.raises(UnknownArchitecture, match="timm has no network 'nonet'"):
        zoo.build("timm:nonet")
    with pytest.raises(UnknownArchitecture, match="simplenet with 1 classes: 2 to 1000 are possible"):
        zoo.build("simplenet", 1)


def test_missing_imagenet_weights_are_said_and_survived(monkeypatch, tmp_path):
    def no_network(*_, **__):
        raise OSError("no route to host\nand more")

    entry = replace(zoo.ZOO["resnet18"], weights=no_network)
    monkeypatch.setitem(zoo.ZOO, "resnet18", entry)
    network = zoo.build("resnet18")
    said = zoo.load_imagenet(network, "resnet18")
    assert said == "random weights: the ImageNet weights of resnet18 cannot be had here (no route to host)"
    assert zoo.load_imagenet(network, "simplenet").startswith("random weights: there are no ImageNet weights")


def test_imagenet_weights_fill_all_but_the_head(monkeypatch):
    torch.manual_seed(5)
    donor = zoo.build("resnet18", 1000).state_dict()
    monkeypatch.setitem(zoo.ZOO, "resnet18", replace(zoo.ZOO["resnet18"], weights=lambda: donor))
    network = zoo.build("resnet18")
    assert zoo.load_imagenet(network, "resnet18") == zoo.IMAGENET
    state = network.state_dict()
    assert all(torch.equal(state[k], donor[k]) for k in state if not k.startswith("fc."))
    assert state["fc.bias"].shape == (2,)


def learner(**changes):
    settings = Settings(epochs=6, imagenet=False, **changes)
    return ImageLearner(
        zoo.build("resnet18"), "resnet18", settings.preprocessing("resnet18"), settings, warm=True
    )


def test_the_head_learns_ten_times_faster_than_a_warm_body():
    head, body = learner().configure_optimizers()["optimizer"].param_groups
    assert head["lr"] == pytest.approx(1e-3) and body["lr"] == pytest.approx(1e-4)
    assert len(head["params"]) == 2 and len(body["params"]) == 60


def test_a_frozen_body_has_no_gradients():
    frozen = learner(freeze_body=True)
    assert [k for k, p in frozen.network.named_parameters() if p.requires_grad] == ["fc.weight", "fc.bias"]
    assert len(frozen.configure_optimizers()["optimizer"].param_groups) == 1


@pytest.mark.parametrize(
    ("schedule", "last"), [("cosine", 0.067), ("step", 0.01), ("exponential", 0.01 ** (5 / 6)), ("none", 1.0)]
)
@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_schedules_end_where_they_say(schedule, last, optimiser):
    made = learner(schedule=schedule, optimiser=optimiser).configure_optimizers()
    found = made if schedule == "none" else made["optimizer"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a schedule without a step of its optimiser
        for _ in range(5):
            if schedule != "none":
                made["lr_scheduler"].step()
    assert found.param_groups[0]["lr"] == pytest.approx(1e-3 * last, rel=0.01)
