"""The published form of a pairs dataset: it opens elsewhere, and comes back bit for bit."""

import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from pipelines.dataset import hub_form
from pipelines.dataset.hub_form import export_pairs, unpack_pairs
from pipelines.dataset.manifest import (
    read_provenance,
    read_table,
    table_of,
    write_provenance,
    write_table,
)
from pipelines.errors import ManifestSchemaError, OutputHoldsAnotherRun, PairsNotFound, UnreadableFile
from pipelines.jobs.generation import generate_pairs
from pipelines.visible import as_spelled, visible


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


STRANGE = ["<img src=x onerror=y> | x |", "[a](http://evil)", "*b*", "`c`", "# d\n# e", "&lt;", "\u202ef"]


@pytest.mark.parametrize("name", STRANGE)
def test_the_card_obeys_no_name(dataset, tmp_path, name):
    mine = shutil.copytree(dataset, tmp_path / "mine")
    rows = [row | {"race": name} for row in read_table(mine / "manifest.parquet").to_pylist()]
    write_table(mine / "manifest.parquet", table_of(rows))
    record = read_provenance(mine)
    record["generators"][0] |= {"name": name, "licence": name}
    write_provenance(mine, record | {"notes": [name], "source": {"kind": name}})
    export_pairs(mine, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)[2]
    tokens = [
        t for each in MarkdownIt("commonmark").enable("table").parse(card) for t in (each.children or [])
    ]
    assert {t.type for t in tokens} <= {"text", "code_inline", "text_special", "softbreak"}
    lines = [each for each in card.splitlines() if as_spelled(visible(name)) in each]
    assert len(lines) == 4 and card.count("\n#") == 1


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


@pytest.fixture
def mine(dataset, tmp_path):
    """A dataset to spoil, and a file that is nobody's business."""
    (tmp_path / "secret").write_bytes(b"\xff\xd8\xff of mine")
    return shutil.copytree(dataset, tmp_path / "mine")


@pytest.mark.parametrize(
    "which", ["real/*.jpg", "mask/*/*.png", "summary.json", "latents/*.safetensors", "fake"]
)
def test_nothing_outside_the_dataset_is_published(mine, tmp_path, which):
    path = min(mine.glob(which))
    if path.is_dir():
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.unlink()
        path.symlink_to(tmp_path / "secret")
    with pytest.raises(ManifestSchemaError, match="is a link to a file outside the dataset, and is not pub"):
        export_pairs(mine, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [b"root:x:0:0:root", b"", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_not_published(mine, tmp_path, data):
    min(mine.glob("real/*.jpg")).write_bytes(data)
    with pytest.raises(ManifestSchemaError, match=r"real/.*jpg is not a PNG or JPEG image as its name says"):
        export_pairs(mine, tmp_path / "out")


def test_a_file_without_end_is_not_published(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_form, "MAX_IMAGE_BYTES", 100)
    with pytest.raises(ManifestSchemaError, match=r"jpg has more than 100 bytes; it is no image"):
        export_pairs(mine, tmp_path / "out")


def test_a_dataset_may_lie_behind_a_link_and_hold_links_of_its_own(mine, published, tmp_path, tree):
    (tmp_path / "link").symlink_to(mine)
    first = min((mine / "real").glob("*.jpg"))
    first.rename(mine / "real" / "kept")
    first.symlink_to("kept")
    assert tree(export_pairs(tmp_path / "link", tmp_path / "out").folder) == tree(published)


def test_a_folder_that_holds_something_is_kept(published, dataset, tmp_path):
    (tmp_path / "mine").touch()
    for call, source in ((export_pairs, dataset), (unpack_pairs, published)):
        with pytest.raises(OutputHoldsAnotherRun, match="is not empty; name a new folder with --out"):
            call(source, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
