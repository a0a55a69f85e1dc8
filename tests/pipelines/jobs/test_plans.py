"""Plans: what was left open is decided, what is wrong is said before anything is made."""

import shutil

import pytest

from pipelines.dataset.job import claimed, load_job
from pipelines.devices import choose_device
from pipelines.errors import CheckpointFormatError, ExpectedError, PairsNotFound, SelectionError, SettingError
from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.small import SMALL_WEIGHTS
from pipelines.jobs.generation import generate_pairs
from pipelines.jobs.plans import SMALL_NOTE, latents_job, photo_job
from tests.pipelines import psp_reference
from tests.pipelines.conftest import write_generator


def test_open_options_are_decided_once(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path, tiny_generator, device="cpu", size_px=16, limit=10)
    assert (job.settings.precision, job.settings.size_px, len(job.plan)) == ("float32", 16, 10)
    assert job.generator["crop"] == "tight"
    assert job.source["kind"] == "rendered"


@pytest.mark.slow
def test_narrow_photos_are_said_before_an_ffhq_run(drawn, parity_dir, tiny_generator, tmp_path):
    weights = psp_reference.official_file(parity_dir, 32, tmp_path / "psp32.pt")
    (note,) = photo_job(drawn, tmp_path, weights, device="cpu", size_px=32, limit=10).generator["notes"]
    assert note.startswith(
        "The photos are chips of 224 px, as FairFace's of padding 0.25: they hold about two"
    )
    assert photo_job(drawn, tmp_path, tiny_generator, device="cpu", size_px=32).generator["notes"] == []


def test_a_job_survives_the_way_to_disk_and_back(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, device="cpu", size_px=32)
    with claimed(job):
        again = load_job(job.out_dir)
    assert again.parameters() == job.parameters()
    assert again.plan["path"].tolist() == job.plan["path"].tolist()


def test_moved_photos_are_the_same_run(drawn, tiny_generator, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(drawn, moved)
    one, two = (
        photo_job(d, tmp_path / "pairs", tiny_generator, device="cpu", size_px=32) for d in (drawn, moved)
    )
    assert one.parameters() == two.parameters()
    with claimed(one):
        pass
    with claimed(two):
        assert str(moved) in load_job(two.out_dir).plan["path"].iloc[0]


def test_workers_elsewhere_say_that_they_see_no_plan(tmp_path):
    with pytest.raises(PairsNotFound, match="must see the same folder"):
        load_job(tmp_path / "nowhere")


def test_weights_that_are_not_there(drawn, tmp_path):
    with pytest.raises(CheckpointFormatError, match=r"nowhere\.pt"):
        photo_job(drawn, tmp_path, tmp_path / "nowhere.pt")


def test_latents_need_a_finished_dataset(tiny_generator, drawn, tmp_path):
    with pytest.raises(PairsNotFound, match=r"no provenance\.json"):
        latents_job(tmp_path, tmp_path / "out", tiny_generator)
    options = {"size_px": 32, "device": "cpu", "workers": 1, "limit": 3}
    made = generate_pairs(drawn, tmp_path / "pairs", tiny_generator, **options)
    for file in (made.out_dir / "latents").iterdir():
        file.unlink()
    with pytest.raises(PairsNotFound, match="no latents in"):
        latents_job(made.out_dir, tmp_path / "out", tiny_generator)


@pytest.fixture(scope="module")
def pairs(drawn, tiny_generator, tmp_path_factory):
    """A small finished dataset; read only."""
    out = tmp_path_factory.mktemp("plans") / "pairs"
    return generate_pairs(drawn, out, tiny_generator, size_px=32, device="cpu", workers=1, limit=3).out_dir


def generator_like(path, seed=0, style_dim=16):
    config = PSPConfig(
        output_size_px=32, input_size_px=32, style_dim=style_dim, encoder_channels=(8, 8, 8, 8, 8),
        encoder_units=(1, 1, 1, 1), decoder_channels=(8, 8, 8, 8), n_mapping_layers=0,
    )  # fmt: skip
    return write_generator(path, config, seed)


def test_latents_of_another_shape_are_refused_before_the_run(pairs, tmp_path):
    wide = generator_like(tmp_path / "wide.safetensors", style_dim=24)
    with pytest.raises(
        SettingError, match="holds latents of 8 x 16, but tiny decodes 8 x 24; give --generator"
    ):
        latents_job(pairs, tmp_path / "out", wide, device="cpu")


def test_another_encoder_is_told_of_in_every_later_generation(pairs, tiny_generator, tmp_path):
    other, told = generator_like(tmp_path / "other.safetensors", seed=7), "encoded by another generator"
    options = {"device": "cpu", "workers": 1}
    one = generate_pairs(None, tmp_path / "one", other, from_latents=pairs, **options)
    two = generate_pairs(None, tmp_path / "two", other, from_latents=one.out_dir, **options)
    back = generate_pairs(None, tmp_path / "back", tiny_generator, from_latents=two.out_dir, **options)
    assert [sum(told in note for note in made.notes) for made in (one, two, back)] == [1, 1, 0]


def test_other_latents_are_another_run(pairs, tiny_generator, tmp_path):
    copy = tmp_path / "pairs"
    shutil.copytree(pairs, copy)
    same = latents_job(copy, tmp_path / "out", tiny_generator, device="cpu").parameters()
    assert same == latents_job(pairs, tmp_path / "out", tiny_generator, device="cpu").parameters()
    file = next((copy / "latents").iterdir())
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert same != latents_job(copy, tmp_path / "out", tiny_generator, device="cpu").parameters()


def test_the_embedded_generator_is_named_by_whatever_path(drawn, tmp_path):
    shutil.copy(SMALL_WEIGHTS, tmp_path / "mine.safetensors")
    for weights in ("small", SMALL_WEIGHTS, tmp_path / "mine.safetensors"):
        job = photo_job(drawn, tmp_path / "pairs", weights, device="cpu", limit=1)
        assert job.generator["notes"] == [SMALL_NOTE]


def test_a_cluster_is_taken_at_its_word():
    assert choose_device("cuda", elsewhere=True) == "cuda"
    assert choose_device("cpu", elsewhere=True) == "cpu"
    with pytest.raises(SettingError, match="it must be auto, cpu or cuda"):
        choose_device("gpu")


def test_photos_or_latents_and_nothing_that_latents_leave_no_choice_of(tmp_path):
    with pytest.raises(SelectionError, match="no photos: give a folder in FairFace's layout, or a dataset"):
        generate_pairs(out_dir=tmp_path / "out")
    with pytest.raises(
        SelectionError, match="--fairface, --limit, --finish cannot be given with --from-latents"
    ):
        generate_pairs(tmp_path, tmp_path / "out", from_latents=tmp_path, limit=3, finish="png")
    with pytest.raises(SettingError, match="decodes latents with one network; --generator names small, swap"):
        generate_pairs(None, tmp_path / "out", ["small", "swap"], from_latents=tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limit": "x"}, "limit is 'x'; it must be a whole number, or None for all"),
        ({"limit": 1.5}, "limit is 1.5; it must be a whole number"),
        ({"seed": "x"}, "seed is 'x'; it must be a number from 0"),
        ({"generator": 5}, "generator is 5; give a kind of fake, such as 'small', or a list of them"),
    ],
)
def test_what_no_pairs_can_be_made_with(options, told, drawn, tiny_generator, tmp_path):
    asked = {"generator": tiny_generator, "device": "cpu", "size_px": 16, **options}
    with pytest.raises(ExpectedError, match=told):
        photo_job(drawn, tmp_path / "pairs", asked.pop("generator"), **asked)


def test_what_is_no_path(drawn):
    with pytest.raises(ExpectedError, match=r"5 is no path; give one as text or as a pathlib.Path"):
        generate_pairs(drawn, 5)
