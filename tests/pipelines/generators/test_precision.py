"""bfloat16 is used where it is native and changes nothing that matters; otherwise not."""

import pytest
import torch

from pipelines.errors import SettingError
from pipelines.generators import precision
from pipelines.generators.loading import load_generator
from pipelines.generators.precision import bfloat16_drift, choose_precision
from pipelines.generators.psp import load_psp
from pipelines.generators.psp.config import PSPConfig
from tests.pipelines.conftest import write_generator


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An untrained network of 256 px output, few channels."""
    config = PSPConfig(
        output_size_px=256, input_size_px=32, style_dim=16, encoder_channels=(8, 8, 8, 8, 8),
        encoder_units=(1, 1, 1, 1), decoder_channels=(8,) * 7, n_mapping_layers=0,
    )  # fmt: skip
    return load_psp(write_generator(tmp_path_factory.mktemp("weights") / "large.safetensors", config))


def native(monkeypatch, able):
    monkeypatch.setattr(precision, "bfloat16_is_native", lambda device: able)


def test_drift_is_what_the_two_precisions_differ_by(large):
    drift = bfloat16_drift(large)
    assert drift.codes > 0
    assert 0 < drift.image <= 2
    assert large.dtype == torch.float32, "measured, then put back"
    assert drift == bfloat16_drift(large), "always the same four faces"


@pytest.mark.parametrize(("tolerance", "chosen"), [(10.0, "bfloat16"), (0.0, "float32")])
def test_auto_follows_the_drift(large, monkeypatch, tolerance, chosen):
    native(monkeypatch, True)
    monkeypatch.setattr(precision, "CODE_TOLERANCE", tolerance)
    monkeypatch.setattr(precision, "IMAGE_TOLERANCE", tolerance)
    name, drift = choose_precision("auto", "cpu", large)
    assert name == chosen
    assert drift is not None


def test_imitated_bfloat16_is_not_worth_measuring(large, monkeypatch):
    native(monkeypatch, False)
    assert choose_precision("auto", "cpu", large) == ("float32", None)


def test_a_small_network_gives_the_same_bytes_on_every_cpu(monkeypatch):
    native(monkeypatch, True)
    assert choose_precision("auto", "cpu", load_generator()) == ("float32", None)


def test_a_word_is_taken_at_its_word(large):
    assert choose_precision("bfloat16", "cpu", large) == ("bfloat16", None)
    with pytest.raises(
        SettingError, match=r"--precision is 'int8'; it must be one of auto, float32, bfloat16"
    ):
        choose_precision("int8", "cpu", large)


def test_a_pytorch_too_old_to_say_computes_in_float32(large, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", "cpu", large) == ("float32", None)
