"""The published form of a pairs dataset: it opens elsewhere, and comes back bit for bit."""

import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines.dataset import hub_form
from pipelines.dataset.hub_form import export_pairs, unpack_pairs
from pipelines.errors import ManifestSchemaError, OutputHoldsAnotherRun, PairsNotFound, UnreadableFile
from pipelines.jobs.generation import generate_pairs


@pytest.fixture(scope="module")
def dataset(drawn, tiny_generator, tmp_path_factory):
    """Two kinds of fake, one with masks, some rejects, latents."""
    out = tmp_path_factory.mktemp("hub") / "pairs"
    generate_pairs(
        drawn, out, [tiny_generator, "self-blend", "swap"], size_px=32, device="cpu", workers=1, limit=9
    )
    return out


@pytest.fixture(scope="module")
def published(dataset):
    export_pairs(dataset, dataset.with_name("published"))
    return dataset.with_name("published")


def test_out_and_back_the_bytes_are_the_same(dataset, published, tmp_path, tree):
    back = unpack_pairs(published, tmp_path / "back")
    assert tree(back.folder) == tree(dataset)
    assert (back.folder / "mask").is_dir() == (dataset / "mask").is_dir()
    again = export_pairs(back.folder, tmp_path / "again")
    assert tree(again.folder) == tree(published) and again.n_images == back.n_images
    assert back.n_images == sum(1 for half in ("real", "fake") for p in (dataset / half).rglob("*.*"))


def test_several_files(dataset, tmp_path, tree, monkeypatch):
    monkeypatch.setattr(hub_form, "IMAGES_PER_FILE", 7)
    monkeypatch.setattr(hub_form, "IMAGES_PER_GROUP", 3)
    made = export_pairs(dataset, tmp_path / "published")
    assert made.n_files == -(-made.n_images // 7) >= 2
    assert tree(unpack_pairs(made.folder, tmp_path / "back").folder) == tree(dataset)
    (made.folder / "data" / f"images-00001-of-{made.n_files:05d}.parquet").unlink()
    with pytest.raises(PairsNotFound, match=rf"has {made.n_files - 1} of {made.n_files} Parquet files"):
        unpack_pairs(made.folder, tmp_path / "less")
    assert not (tmp_path / "less").exists()


def test_the_library_datasets_opens_it(dataset, published, tmp_path):
    datasets = pytest.importorskip("datasets")
    opened = datasets.load_dataset(str(published), cache_dir=str(tmp_path), split="test")
    manifest = pd.read_parquet(dataset / "manifest.parquet").query("status == 'ok'")
    assert len(opened) == len(manifest) + manifest["pair_id"].nunique()
    assert opened.features["label"].names == ["real", "fake"]
    assert opened.features["gender"].names == sorted(manifest["gender"].unique())
    first = opened[0]
    assert first["image"].size == (32, 32) and first["label"] == 0 and first["kind"] is None
    row = manifest[manifest["pair_id"] == first["pair_id"]].iloc[0]
    assert opened.features["race"].int2str(first["race"]) == row["race"]
    masked = next(each for each in opened if each["mask"] is not None)
    assert masked["kind"] == "self-blend" and masked["mask"].size == (32, 32)


def test_the_card_says_what_it_holds(published):
    card = (published / "README.md").read_text()
    assert "| self-blend |" in card and "9 real faces" in card and "path: data/images-*.parquet" in card


def test_images_other_than_the_manifests_are_refused(published, tmp_path):
    changed = shutil.copytree(published, tmp_path / "changed")
    [file] = (changed / "data").iterdir()
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    with pytest.raises(PairsNotFound, match=r"lacks real/.*; download it whole"):
        unpack_pairs(changed, tmp_path / "a")
    rows = table.to_pylist()
    rows[0]["image"]["path"] = "../../escape.png"
    pq.write_table(type(table).from_pylist(rows, table.schema), file)
    with pytest.raises(
        ManifestSchemaError, match=r"holds '\.\./\.\./escape\.png', which its manifest does not"
    ):
        unpack_pairs(changed, tmp_path / "b")
    file.write_bytes(b"PAR1 no")
    with pytest.raises(UnreadableFile, match="is not a readable Parquet file"):
        unpack_pairs(changed, tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["changed"]


def test_a_folder_that_holds_something_is_kept(published, dataset, tmp_path):
    (tmp_path / "mine").touch()
    for call, source in ((export_pairs, dataset), (unpack_pairs, published)):
        with pytest.raises(OutputHoldsAnotherRun, match="is not empty; name a new folder with --out"):
            call(source, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
