"""The network agrees with the published one, number for number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pipelines.generators.compute import Fitting
from pipelines.generators.psp import PSP, load_psp
from pipelines.generators.psp import decoder as decoder_module
from pipelines.generators.psp import encoder as encoder_module
from pipelines.generators.psp.checkpoint import expected_shapes
from pipelines.generators.psp.config import official
from tests.pipelines import psp_reference as reference

pytestmark = pytest.mark.slow

ATOL = 5e-5
"""float32 against the float64 reference."""
ATOL_BF16_CODES, ATOL_BF16_IMAGE = 0.15, 0.06


@pytest.fixture(scope="module")
def small_file(parity_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reference.official_file(parity_dir, 32, tmp_path_factory.mktemp("psp") / "psp32.pt")


@pytest.fixture(scope="module")
def psp(small_file: Path) -> PSP:
    return load_psp(small_file)


@pytest.fixture(scope="module")
def w_plus(parity_dir: Path, psp: PSP) -> torch.Tensor:
    """Codes of both images, by the network as it is."""
    return psp.encode(reference.images(parity_dir))


@pytest.mark.parametrize("size", [32, 256, 1024])
def test_every_key_and_shape_is_the_official_one(parity_dir: Path, size: int):
    assert expected_shapes(official(size)) == reference.key_list(parity_dir, size)


def test_float32_at_32_px(parity_dir: Path, psp: PSP, w_plus: torch.Tensor):
    assert reference.largest_error(parity_dir, 32, "w_plus", w_plus) < ATOL
    assert reference.largest_error(parity_dir, 32, "image_full", psp.decode(w_plus)) < ATOL


def test_mapping_and_style_mixing(parity_dir: Path, psp: PSP):
    z = torch.from_numpy(reference.inputs(parity_dir).z_vectors(2))
    w = psp.decoder.mapping(z)
    assert reference.largest_error(parity_dir, 32, "mapping_w", w) < ATOL


def test_bfloat16_holds_its_tolerance(parity_dir: Path, small_file: Path, w_plus: torch.Tensor):
    psp = load_psp(small_file, dtype=torch.bfloat16)
    codes = psp.encode(reference.images(parity_dir))
    assert reference.largest_error(parity_dir, 32, "w_plus", codes) < ATOL_BF16_CODES
    image = psp.decode(w_plus)
    assert reference.largest_error(parity_dir, 32, "image_full", image) < ATOL_BF16_IMAGE


def test_float32_at_1024_px(parity_dir: Path, small_file: Path, tmp_path: Path):
    """One image: what two of them do to each other is seen at 32 px."""
    psp = load_psp(reference.official_file(parity_dir, 1024, tmp_path / "psp1024.pt", small_file))
    w_plus = psp.encode(reference.images(parity_dir, 1))
    image = psp.decode(w_plus)
    assert reference.largest_error(parity_dir, 1024, "w_plus", w_plus) < ATOL
    assert reference.largest_error(parity_dir, 1024, "image_full", image) < ATOL
    pooled = F.adaptive_avg_pool2d(image, 256)
    assert reference.largest_error(parity_dir, 1024, "image_pooled256", pooled) < ATOL


def image_error(parity_dir: Path, psp: PSP, w_plus: torch.Tensor | None = None) -> float:
    """Of both images; encoded anew where no codes are given."""
    image = psp.decode(psp.encode(reference.images(parity_dir)) if w_plus is None else w_plus)
    return reference.largest_error(parity_dir, 32, "image_full", image)


class TestTraps:
    """Each silent fault, sprung on purpose, moves the image by far more than the tolerance."""

    def test_slope_of_the_heads(self, parity_dir: Path, psp: PSP, monkeypatch: pytest.MonkeyPatch):
        for group in psp.encoder.groups:
            assert group.slope == 0.01
            monkeypatch.setattr(group, "slope", 0.2)
        assert image_error(parity_dir, psp) > 100 * ATOL

    @pytest.mark.parametrize(("constant", "value"), [("SLOPE", 0.01), ("SQRT2", 1.0)])
    def test_slope_and_gain_of_the_decoder(
        self, parity_dir: Path, psp: PSP, w_plus: torch.Tensor, monkeypatch: pytest.MonkeyPatch,
        constant: str, value: float,
    ):  # fmt: skip
        monkeypatch.setattr(decoder_module, constant, value)
        assert image_error(parity_dir, psp, w_plus) > 100 * ATOL

    def test_corners_of_the_pyramid(self, parity_dir: Path, psp: PSP, monkeypatch: pytest.MonkeyPatch):
        def loose(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
            return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)

        monkeypatch.setattr(encoder_module, "_upsampled", loose)
        assert image_error(parity_dir, psp) > 100 * ATOL

    def test_to_rgb_is_not_demodulated(
        self, parity_dir: Path, psp: PSP, w_plus: torch.Tensor, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(psp.decoder.to_rgb1.conv, "demodulate", True)
        assert image_error(parity_dir, psp, w_plus) > 100 * ATOL

    def test_skip_upsampling_pads_with_zeros(
        self, parity_dir: Path, psp: PSP, w_plus: torch.Tensor, monkeypatch: pytest.MonkeyPatch
    ):
        def bilinear(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        monkeypatch.setattr(decoder_module, "upsample_rgb", bilinear)
        assert image_error(parity_dir, psp, w_plus) > 100 * ATOL

    def test_noise_is_fixed(self, psp: PSP, w_plus: torch.Tensor):
        assert torch.equal(psp.decode(w_plus), psp.decode(w_plus))

    def test_another_input_size_is_refused(self, psp: PSP):
        with pytest.raises(ValueError, match=r"takes \[B,3,256,256\], got \[2, 3, 512, 512\]; resize first"):
            psp.encode(torch.zeros(2, 3, 512, 512))

    def test_levels_are_rounded_not_truncated(self, psp: PSP, monkeypatch: pytest.MonkeyPatch):
        value = (200.6 / 127.5) - 1
        monkeypatch.setattr(psp, "decode", lambda w: torch.full((1, 3, 256, 256), value))
        assert set(psp.fakes_from(torch.zeros(1, 8, 512), 256).ravel().tolist()) == {201}

    def test_one_image_takes_another_way_to_the_same_numbers(self, psp: PSP, w_plus: torch.Tensor):
        together = psp.decode(w_plus)
        alone = torch.cat([psp.decode(w) for w in w_plus.split(1)])
        torch.testing.assert_close(alone, together, atol=ATOL, rtol=0)

    def test_the_last_partial_batch_is_kept(self, parity_dir: Path, psp: PSP):
        pair = reference.images(parity_dir)
        images = torch.cat([pair, pair[:1]])
        fitting = Fitting(2)
        codes = fitting.run(psp.encode, images)
        assert codes.shape[0] == 3
        torch.testing.assert_close(codes[2], codes[0], atol=ATOL, rtol=0)
