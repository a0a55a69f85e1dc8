"""Several kinds of fake of each photo: one real half, a row a photo and kind, the same bytes however made."""

import os
import shutil
import signal
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from detectors.data.datasets import read_images
from pipelines.dataset.manifest import MANIFEST, PROVENANCE, SCHEMA, SUMMARY, read_manifest, read_provenance
from pipelines.errors import ManifestSchemaError, SettingError
from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.swap import Swap
from pipelines.jobs.generation import generate_pairs
from tests.pipelines.conftest import write_generator
from tests.pipelines.killing import die_at, die_at_file, in_child, wait

pytestmark = pytest.mark.slow

SIDE = 128
OPTIONS = {"size_px": SIDE, "shard_size": 7, "batch_size": 5, "device": "cpu", "workers": 1}
BLOCK_PX = 18
"""A block of JPEG with colours at half resolution, and the two pixels by which decoding smooths them."""
CELLS = ["20-29,Male,White", "30-39,Female,Black"]


@pytest.fixture(scope="module")
def tiny_generator(tmp_path_factory):
    """An untrained network of 128 px, for a face must be found in a swap."""
    config = PSPConfig(
        output_size_px=SIDE, input_size_px=32, style_dim=16, encoder_channels=(8, 8, 8, 8, 8),
        encoder_units=(1, 1, 1, 1), decoder_channels=(8,) * 6, n_mapping_layers=0,
    )  # fmt: skip
    return write_generator(tmp_path_factory.mktemp("weights") / "tiny.safetensors", config)


@pytest.fixture(scope="module")
def photos(drawn, tmp_path_factory):
    """Drawn faces of two cells, one alone in its cell, one that is no photo, one cut off and one PNG."""
    folder = tmp_path_factory.mktemp("cells")
    shutil.copytree(drawn / "train", folder / "train")
    lines = [f"train/{i}.jpg,{CELLS[i % 2]},False" for i in range(1, 17)]
    lines += ["train/17.jpg,0-2,Male,Indian,False", "train/18.jpg,20-29,Male,White,False"]
    (folder / "train" / "18.jpg").write_text("not an image")
    Image.open(folder / "train" / "16.jpg").save(folder / "train" / "png.png")
    shutil.move(folder / "train" / "png.png", folder / "train" / "16.jpg")
    table = "\n".join(["file,age,gender,race,service_test", *lines]) + "\n"
    (folder / "fairface_label_train.csv").write_text(table)
    return folder


@pytest.fixture(scope="module")
def kinds(tiny_generator):
    return ["swap", str(tiny_generator), "self-blend"]


@pytest.fixture(scope="module")
def made(photos, kinds, tmp_path_factory):
    return generate_pairs(photos, tmp_path_factory.mktemp("made") / "pairs", kinds, **OPTIONS)


def test_one_row_a_photo_and_kind_and_one_real_half_a_photo(made):
    manifest = read_manifest(made.out_dir)
    assert len(manifest) == 18 * 3
    assert made.n_attempted == 18
    assert sorted(set(manifest["kind"])) == ["self-blend", "swap", "tiny"]
    ok = manifest[manifest["status"] == "ok"]
    assert made.n_pairs == len(ok)
    assert len(list((made.out_dir / "real").iterdir())) == ok["pair_id"].nunique()
    assert ok.groupby("pair_id")["real"].nunique().eq(1).all()
    for row in ok.itertuples():
        with Image.open(made.out_dir / row.real) as real, Image.open(made.out_dir / row.fake) as fake:
            assert real.size == fake.size == (SIDE, SIDE)


def test_rejects_are_rows_of_their_kind_with_a_reason(made):
    manifest = read_manifest(made.out_dir).set_index(["pair_id", "kind"])
    bad = manifest.loc["train-000018"]
    assert bad["status"].tolist() == ["unreadable image"] * 3
    alone = manifest.loc["train-000017"]
    assert alone["status"].to_dict() == {"self-blend": "ok", "swap": "no donor", "tiny": "ok"}
    assert alone.loc["swap", "detail"] == "alone in its cell: no other photo of 0-2, Male, Indian is labelled"
    assert made.by_kind["swap"]["no donor"] >= 1
    assert made.by_kind["tiny"] == {"ok": 17, "unreadable image": 1}


def test_a_swap_takes_its_face_from_the_same_cell_and_changes_the_mask_alone(made):
    manifest = read_manifest(made.out_dir)
    cell_of = manifest.set_index("pair_id")[["age", "gender", "race"]].agg(tuple, axis=1).to_dict()
    swaps = manifest.query("kind == 'swap' and status == 'ok'")
    assert len(swaps) >= 8
    n_far = 0
    for row in swaps.itertuples():
        assert row.donor != row.pair_id
        assert cell_of[row.donor] == cell_of[row.pair_id]
        real, fake, mask = (np.asarray(Image.open(made.out_dir / n)) for n in (row.real, row.fake, row.mask))
        far = ~binary_dilation(
            mask > 0, np.ones((3, 3)), BLOCK_PX
        )  # compression reaches as far as its blocks
        assert (real[far] == fake[far]).all()
        n_far += int(far.sum())
        assert (real != fake).any()
        assert row.changed_share == pytest.approx(mask.mean() / 255)
    assert n_far > 1000


def test_networks_have_no_mask_and_keep_their_latents(made, kinds, tmp_path):
    manifest = read_manifest(made.out_dir)
    tiny = manifest.query("kind == 'tiny' and status == 'ok'")
    assert tiny["mask"].isna().all()
    assert tiny["changed_share"].eq(1).all()
    again = generate_pairs(
        None, tmp_path / "again", kinds[1], from_latents=made.out_dir, batch_size=5, device="cpu", workers=1
    )
    for row in tiny.itertuples():
        assert (again.out_dir / row.fake).read_bytes() == (made.out_dir / row.fake).read_bytes()


def test_the_same_bytes_in_any_order_and_by_any_worker(made, photos, kinds, tmp_path, tree):
    again = generate_pairs(photos, tmp_path / "pairs", kinds[::-1], **OPTIONS | {"workers": 2})
    assert tree(again.out_dir) == tree(made.out_dir)


def test_a_swap_does_not_depend_on_how_the_run_is_cut(made, photos, tmp_path):
    cut = generate_pairs(photos, tmp_path / "pairs", ["swap", "self-blend"], **OPTIONS | {"shard_size": 3})
    for kind in ("swap", "self-blend"):
        for image in (made.out_dir / "fake" / kind).iterdir():
            assert (cut.out_dir / "fake" / kind / image.name).read_bytes() == image.read_bytes()


def test_provenance_names_every_kind_and_what_files_tell(made):
    record = read_provenance(made.out_dir)
    assert [g["kind"] for g in record["generators"]] == ["tiny", "self-blend", "swap"]
    assert all(g["licence"] and g["labels"] for g in record["generators"])
    assert record["schema"] == 2
    assert record["finish"]["how"] == "source"
    assert set(record["finish"]["file_auc"]) == {"tiny", "self-blend", "swap"}


def test_with_source_both_halves_carry_the_photos_tables(photos, tmp_path):
    made = generate_pairs(photos, tmp_path / "pairs", "self-blend", finish="source", **OPTIONS)
    rows = read_manifest(made.out_dir).query("status == 'ok'").set_index("pair_id")
    assert rows.loc["train-000016", "real"].endswith(".png")
    assert rows.loc["train-000016", "detail"] == "the photo has no JPEG tables: both halves are PNG"
    for name, row in rows.drop("train-000016").iterrows():
        source = Image.open(photos / "train" / f"{int(name[-6:])}.jpg")
        halves = [Image.open(made.out_dir / row[half]) for half in ("real", "fake")]
        assert all(half.quantization == source.quantization for half in halves)


def test_detectors_see_every_photo_once_and_each_fake_under_its_kind(made):
    images = read_images(made.out_dir)
    table, manifest = images.table, read_manifest(made.out_dir)
    ok = manifest[manifest["status"] == "ok"]
    assert images.kinds == ["real", "self-blend", "swap", "tiny"]
    assert (table["label"] == 0).sum() == ok["pair_id"].nunique()
    assert (table["label"] == 1).sum() == len(ok)
    weight = table.groupby(["pair_id", "label"])["weight"].sum()
    assert np.allclose(weight, 1)
    assert images.n_left_out["swap: no donor"] == made.by_kind["swap"]["no donor"]


def test_a_dataset_of_the_first_version_is_still_read(made, tmp_path):
    old = pq.read_table(made.out_dir / MANIFEST).to_pandas().query("kind == 'tiny'")
    new_columns = ["kind", "mask", "donor", "psnr_db", "spectrum_db", "changed_share"]
    fields = [f for f in SCHEMA if f.name not in new_columns]
    pq.write_table(pa.Table.from_pandas(old, pa.schema(fields), preserve_index=False), tmp_path / MANIFEST)
    manifest = read_manifest(tmp_path)
    assert manifest["kind"].eq("fake").all()
    assert manifest["mask"].isna().all()
    assert manifest["reconstruction_l1"].notna().sum() == (old["status"] == "ok").sum()


def test_a_dataset_of_a_later_version_is_refused(made, tmp_path):
    table = pq.read_table(made.out_dir / MANIFEST).replace_schema_metadata({b"pairs_schema": b"3"})
    pq.write_table(table, tmp_path / MANIFEST)
    with pytest.raises(ManifestSchemaError, match="is of version '3'; this program reads up to 2, update it"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (["swap", "swap"], {}, "--generator swap is given twice"),
        (["swap"], {"truncation": 0.5}, "--truncation changes latents, and none of the generators"),
        (["swap"], {"size_px": 8}, "--size-px is 8; it must lie from 32"),
        (["swap"], {"finish": "webp"}, "--finish is 'webp'"),
        (["small", "TINY"], {}, "are both networks that may cut faces differently"),
    ],
)
def test_choices_that_make_no_sense_are_refused(photos, tiny_generator, tmp_path, words, options, message):
    named = [str(tiny_generator) if w == "TINY" else w for w in words]
    with pytest.raises(SettingError, match=message):
        generate_pairs(photos, tmp_path / "pairs", named, **OPTIONS | options)
    assert not (tmp_path / "pairs").exists()


def die_in_swap(n, action):
    """Run an action in which a SIGKILL comes before the n-th swap: in the second kind of a shard."""
    original, left = Swap._fake, [n]

    def counted(*given):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given)

    Swap._fake = counted
    action()


def test_killed_again_and_again_and_continued_gives_the_same_bytes(photos, kinds, made, tmp_path, tree):
    """Within a kind, between two shards, among the moves, before each last file, and while clearing."""
    out = tmp_path / "pairs"
    run = partial(generate_pairs, photos, out, kinds, **OPTIONS)

    def killed(die, *when):
        assert wait(in_child(partial(die, *when, run))) == -signal.SIGKILL

    killed(die_in_swap, 3)
    assert not finished(out)
    killed(die_at, "rename", 2)
    assert finished(out) == ["shard-00000"] and not (out / MANIFEST).exists()
    killed(die_in_swap, 4)
    killed(die_at, "replace", 30)
    assert len(list((out / "real").iterdir())) > 0 and not (out / MANIFEST).exists()
    for name in (MANIFEST, SUMMARY, PROVENANCE):
        killed(die_at_file, name)
        assert not (out / name).exists()
    killed(die_at, "unlink", 2)
    run()
    assert tree(out) == tree(made.out_dir)


def finished(out):
    """Names of the shards that are whole."""
    return sorted(p.name for p in (out / ".unfinished").glob("shard-*") if p.suffix != ".tmp")
