"""Networks that compare clips, their losses and their scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal.windows import hann

from detectors.errors import TrainingError, UnknownArchitecture
from detectors.voices import networks
from detectors.voices.architectures import VERIFIERS, losses, scores, verifier_architecture
from detectors.voices.train_verifier import settings_for


@pytest.mark.parametrize("arch", VERIFIERS)
def test_two_clips_of_the_default_length_become_one_answer(arch):
    chosen = verifier_architecture(arch)
    network = chosen.build().eval()
    with torch.inference_mode():
        given = network(0.1 * torch.randn(1, 2, 25_000))
    assert given.shape == (1, 2 if chosen.output == "logits" else 1)
    assert any(name.startswith(chosen.head) for name, _ in network.named_parameters())


def test_the_spectrogram_is_the_fourier_transform_of_each_frame():
    wave = np.random.default_rng(0).normal(size=4_000).astype(np.float32)
    ours = networks.Spectrogram()(torch.from_numpy(wave)[None, None])[0, 0].numpy()
    padded = np.pad(wave, networks.FFT // 2, mode="reflect")
    window = np.pad(hann(networks.WINDOW, sym=False), (networks.FFT - networks.WINDOW) // 2)
    frames = np.stack([padded[i : i + networks.FFT] * window for i in range(0, 4_001, networks.HOP)], axis=1)
    log = np.log(np.abs(np.fft.rfft(frames, axis=0)) ** 2 + networks.FLOOR)
    np.testing.assert_allclose(ours, (log - log.mean()) / log.std(), atol=0.01)
    assert ours.shape == (257, 26)


def test_how_loud_a_clip_is_changes_nothing():
    clips = 0.3 * torch.randn(1, 2, 8_000)
    network = networks.Siamese().eval()
    with torch.inference_mode():
        assert network(clips).item() == pytest.approx(network(0.5 * clips).item(), abs=1e-4)
        assert network(clips).item() == pytest.approx(network(clips.flip(1)).item(), abs=1e-6)
        assert network(clips[:, [0, 0]]).item() < 1e-4


def test_contrastive_loss_by_hand():
    distance, same = torch.tensor([[0.2], [0.2], [1.5], [0.9]]), torch.tensor([1, 0, 0, 1])
    assert losses("distance", distance, same).tolist() == pytest.approx([0.04, 0.64, 0.0, 0.81])


def test_scores_are_a_half_where_the_loss_parts_same_from_different():
    assert scores("distance", torch.tensor([[0.0], [0.5], [1.0]])).tolist() == pytest.approx([1, 0.5, 0.2])
    assert scores("logits", torch.tensor([[0.0, 0.0], [-2.0, 2.0]])).tolist() == pytest.approx(
        [0.5, 0.98201379]
    )


def test_each_verifier_has_the_settings_it_is_known_by():
    alexnet = settings_for("alexnet-pair")
    assert (alexnet.optimiser, alexnet.learning_rate, alexnet.batch_size) == ("adam", 8.5e-4, 16)
    assert settings_for("alexnet-pair", learning_rate=1e-4).learning_rate == 1e-4
    first = next(verifier_architecture("alexnet-pair").build()[1].features.children())
    assert first.in_channels == 2


def test_unknown_names_and_settings_are_one_line():
    with pytest.raises(
        UnknownArchitecture, match=r"no speaker verifier 'resnet50'; known are .*tells fake faces"
    ):
        verifier_architecture("resnet50")
    with pytest.raises(TrainingError, match="no setting 'size_px' of a verifier"):
        settings_for("siamese", size_px=64)
    with pytest.raises(TrainingError, match=r"epochs is 0.*learning_rate is 99"):
        settings_for("siamese", epochs=0, learning_rate=99)
