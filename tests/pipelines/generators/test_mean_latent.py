"""The latent that truncation draws towards: found, tied to its weights, measured on training photos alone."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from pipelines.dataset.manifest import read_provenance
from pipelines.dataset.network_fakes import Networked
from pipelines.errors import CheckpointFormatError, OutputHoldsAnotherRun
from pipelines.generators.loading import load_generator
from pipelines.generators.mean_latent import TENSOR, centre_of, digest_of
from pipelines.generators.psp import load_psp
from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.small import SMALL_WEIGHTS
from pipelines.generators.training_photos import training_list
from pipelines.jobs.generation import generate_pairs
from pipelines.jobs.plans import photo_job
from pipelines.training.mean_latent import training_crops, write_centre
from tests.pipelines.conftest import write_generator

DRAWN, OTHER, FIRST, SECOND = ("d" * 64, "e" * 64, "a" * 64, "b" * 64)


@pytest.fixture
def trained(tmp_path):
    """An untrained network that names its training photos, and a crops folder of four."""
    config = PSPConfig(
        output_size_px=32, input_size_px=32, style_dim=16, encoder_channels=(8, 8, 8, 8, 8),
        encoder_units=(1, 1, 1, 1), decoder_channels=(8, 8, 8, 8), n_mapping_layers=0,
    )  # fmt: skip
    weights = write_generator(
        tmp_path / "tiny.safetensors", config, trained_on=json.dumps([FIRST, SECOND, DRAWN])
    )
    crops = np.random.default_rng(0).integers(0, 255, (4, 2, 64, 64, 3), np.uint8)
    rows = [{"sha256": s, "rendered": s == DRAWN} for s in (FIRST, OTHER, DRAWN, SECOND)]
    np.save(tmp_path / "crops.npy", crops)
    (tmp_path / "crops.json").write_text(json.dumps(rows))
    return weights, crops


def test_the_centre_is_the_mean_latent_of_the_training_photos(trained, tmp_path):
    weights, crops = trained
    network = load_psp(weights)
    assert centre_of(weights, network) is None
    assert write_centre(weights, tmp_path, tmp_path / "tiny.centre.safetensors") == 2
    exact = crops[[0, 3], 0].reshape(2, 32, 2, 32, 2, 3).mean((2, 4))
    images = torch.from_numpy(exact).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.allclose(centre_of(weights, network), network.encode(images).mean(0), atol=1e-4)


def test_a_limit_takes_evenly_spaced_photos(trained, tmp_path):
    weights, crops = trained
    known = training_list(weights, load_psp(weights).provenance)
    assert np.array_equal(training_crops(tmp_path, known, limit=1), crops[[0], 0])
    assert np.array_equal(training_crops(tmp_path, known, limit=9), crops[[0, 3], 0])


def test_photos_that_trained_nothing_have_no_centre(trained, tmp_path):
    (tmp_path / "crops.json").write_text(json.dumps([{"sha256": OTHER, "rendered": False}]))
    with pytest.raises(ValueError, match=r"no photo in .* is one that trained the generator"):
        write_centre(trained[0], tmp_path, tmp_path / "x.centre.safetensors")


@pytest.mark.parametrize(
    ("shape", "digest"),
    [((8, 16), "f" * 64), ((8, 15), None)],
    ids=["weights", "shape"],
)
def test_a_centre_of_something_else_is_none(trained, tmp_path, shape, digest):
    network, beside = load_psp(trained[0]), tmp_path / "tiny.centre.safetensors"
    about = json.dumps({"weights_sha256": digest or network.sha256})
    save_file({TENSOR: torch.zeros(shape)}, beside, metadata={"about": about})
    assert centre_of(trained[0], network) is None


def test_a_damaged_centre_is_named(trained, tmp_path):
    (tmp_path / "tiny.centre.safetensors").write_bytes(b"nonsense")
    message = r"tiny\.centre\.safetensors does not hold an average latent .*bring the right file back"
    with pytest.raises(CheckpointFormatError, match=message):
        centre_of(trained[0], load_psp(trained[0]))


def test_the_embedded_generator_has_its_centre():
    network = load_generator()
    centre = centre_of(SMALL_WEIGHTS, network)
    assert centre.shape == network.style_shape
    with safe_open(SMALL_WEIGHTS.with_suffix(".centre.safetensors"), framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["weights_sha256"] == hashlib.sha256(SMALL_WEIGHTS.read_bytes()).hexdigest()
    assert "CC BY 4.0" in about["attribution"]


def test_truncated_to_nothing_every_fake_is_the_centre(trained, drawn, tmp_path):
    weights, _ = trained
    write_centre(weights, tmp_path, tmp_path / "tiny.centre.safetensors")
    options = {"size_px": 32, "limit": 3, "device": "cpu", "workers": 1, "finish": "png"}
    made = generate_pairs(drawn, tmp_path / "pairs", weights, truncation=0.0, **options)
    network = load_psp(weights)
    centre = centre_of(weights, network)
    fake = network.fakes_from(centre[None], 32)[0].numpy()
    images = [np.asarray(Image.open(p)) for p in (made.out_dir / "fake" / "tiny").iterdir()]
    assert len(images) == made.n_pairs > 0
    assert all(np.array_equal(each, images[0]) for each in images)
    assert np.abs(images[0].astype(int) - fake).max() <= 1, "one image takes another way than a batch"
    assert any("towards the average face" in note for note in made.notes)
    assert read_provenance(made.out_dir)["generators"][0]["centre_sha256"] == digest_of(centre)


def test_another_centre_is_another_run_where_it_matters(trained, drawn, tmp_path):
    weights, _ = trained
    beside = tmp_path / "tiny.centre.safetensors"
    write_centre(weights, tmp_path, beside)
    options = {"size_px": 32, "limit": 2, "device": "cpu", "workers": 1}
    for name, truncation in (("plain", 1.0), ("drawn in", 0.5)):
        generate_pairs(drawn, tmp_path / name, weights, truncation=truncation, **options)
    shutil.move(beside, tmp_path / "old")
    about = json.dumps({"weights_sha256": load_psp(weights).sha256})
    save_file({TENSOR: torch.zeros(8, 16)}, beside, metadata={"about": about})
    assert generate_pairs(drawn, tmp_path / "plain", weights, **options).was_complete
    with pytest.raises(OutputHoldsAnotherRun, match=r"centre \w{12}… there"):
        generate_pairs(drawn, tmp_path / "drawn in", weights, truncation=0.5, **options)


def test_a_worker_without_the_centre_does_not_leave_fakes_as_they_are(trained, drawn, tmp_path):
    weights, _ = trained
    beside = tmp_path / "tiny.centre.safetensors"
    write_centre(weights, tmp_path, beside)
    job = photo_job(drawn, tmp_path / "pairs", weights, truncation=0.5, size_px=32, device="cpu")
    beside.unlink()
    with pytest.raises(CheckpointFormatError, match=r"average latent of .* is not the one that this run was"):
        Networked(job.generator, job.settings, "cpu")
