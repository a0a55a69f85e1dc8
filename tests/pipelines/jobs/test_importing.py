"""Pairs made elsewhere come in through the same checks."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.dataset.hub_form import export_pairs, unpack_pairs
from pipelines.dataset.job import claimed
from pipelines.dataset.manifest import read_manifest, read_provenance
from pipelines.errors import FairFaceNotFound, LabelColumnError, OutputHoldsAnotherRun, SettingError
from pipelines.jobs.importing import import_pairs, plan_import


@pytest.fixture
def given(drawn, tmp_path):
    """Twelve drawn faces, blurred copies as fakes, and their labels."""
    real, fake = tmp_path / "real", tmp_path / "fake"
    for folder in (real, fake):
        (folder / "a").mkdir(parents=True)
    lines = (drawn / "fairface_label_train.csv").read_text().splitlines()[1:13]
    table = ["file,age,gender,race"]
    for line in lines:
        name, age, gender, race, _ = line.split(",")
        number = name.split("/")[1].removesuffix(".jpg")
        shutil.copy(drawn / name, real / "a" / f"{number}.jpg")
        Image.open(drawn / name).filter(ImageFilter.GaussianBlur(2)).save(fake / "a" / f"{number}.png")
        table.append(f"a/{number}.jpg,{age},{gender},{race}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(table) + "\n")
    return real, fake, labels


def run(given, out, **options):
    return import_pairs(*given, out, device="cpu", workers=1, **options)


def test_pairs_come_in_whole(given, tmp_path):
    made = run(given, tmp_path / "pairs", generator_name="blur")
    rows = read_manifest(made.out_dir)
    assert made.n_attempted == 12
    assert made.n_pairs >= 11
    good = rows[rows["status"] == "ok"]
    one = good.iloc[0]
    source = Image.open(given[0] / one["source"])
    assert np.array_equal(np.asarray(Image.open(made.out_dir / one["real"])), np.asarray(source))
    assert good["reconstruction_l1"].between(0.001, 0.2).all()
    record = read_provenance(made.out_dir)
    assert (record["source"]["kind"], record["generators"][0]["name"]) == ("imported", "blur")
    assert any("files of type jpg" in note for note in record["notes"])
    assert not (made.out_dir / "latents").exists() or not list((made.out_dir / "latents").iterdir())


@pytest.mark.slow
def test_same_command_same_bytes_and_another_is_refused(given, tmp_path, tree):
    one, two = (run(given, tmp_path / name) for name in ("one", "two"))
    assert tree(one.out_dir) == tree(two.out_dir)
    assert run(given, tmp_path / "one").was_complete
    with pytest.raises(OutputHoldsAnotherRun, match="size_px 0 there, 64 asked for"):
        run(given, tmp_path / "one", size_px=64)


def test_what_does_not_fit_is_a_row_with_a_reason(given, tmp_path):
    real, fake, _ = given
    (fake / "a" / "1.png").unlink()
    (real / "a" / "2.jpg").write_text("nonsense")
    Image.open(fake / "a" / "3.png").resize((100, 100)).save(fake / "a" / "3.png")
    for folder, suffix in ((real, "jpg"), (fake, "png")):
        Image.new("RGB", (8, 8)).save(folder / "a" / f"4.{suffix}")
        Image.new("RGB", (90, 90)).save(folder / "a" / f"5.{suffix}")
    shutil.copy(real / "a" / "6.jpg", real / "a" / "unlabelled.jpg")
    made = run(given, tmp_path / "pairs")
    status = read_manifest(made.out_dir).set_index("source")["status"]
    assert [status[f"a/{i}.jpg"] for i in range(1, 6)] == [
        "missing photo", "unreadable image", "halves differ in size", "image too small", "no face found",
    ]  # fmt: skip
    assert any("1 images in" in note and "have no label" in note for note in made.notes)
    assert run(given, tmp_path / "pairs").was_complete


def test_a_common_size_mends_halves_that_differ(given, tmp_path):
    fake = given[1] / "a" / "3.png"
    Image.open(fake).resize((100, 120)).save(fake)
    made = run(given, tmp_path / "pairs", size_px=96)
    rows = read_manifest(made.out_dir).set_index("source")
    assert rows.loc["a/3.jpg", "status"] == "ok"
    assert {Image.open(made.out_dir / f).size for f in rows["fake"].dropna()} == {(96, 96)}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\na/1.jpg\n", "needs a column file and one of age, gender, race"),
        ("age\n3-9\n", "needs a column file"),
        ("file,age\n", "no rows"),
        ("file,age\na/1.jpg,young\n", "line 2: age is 'young'; FairFace's words are 0-2"),
        ("file,age\na/1.jpg,3-9\na/1.png,3-9\n", "lists 'a/1' twice"),
        ("file,age\na/1.jpg,3-9\na-1.png,3-9\n", "'a/1' and 'a-1' would both be called 'a-1'; rename one"),
        ("file,age\na/1.jpg,3-9\na/\0.jpg,3-9\n", "line 3 holds a NUL character: it is not a text table"),
        ("file,age\na/1.jpg,3-9\n,3-9\n", "line 3: file is ''"),
        ("file,age\n../a/1.jpg,3-9\n", r"line 2: file is '\.\./a/1\.jpg'"),
        ("file,age\n/a/1.jpg,3-9\n", "line 2: file is '/a/1.jpg'.* below the folder of real images"),
    ],
)
def test_label_tables_that_cannot_be_used(given, tmp_path, table, message):
    given[2].write_text(table)
    with pytest.raises(LabelColumnError, match=message):
        run(given, tmp_path / "pairs")


def test_other_words_where_asked_for(given, tmp_path):
    given[2].write_text("file,age\na/1,young\na/7,old\n")
    made = run(given, tmp_path / "pairs", any_labels=True)
    rows = read_manifest(made.out_dir)
    assert rows["age"].tolist() == ["young", "old"]
    assert rows["race"].isna().all()


def test_control_characters_in_a_label_are_refused(given, tmp_path):
    given[2].write_text("file,age\na/1,yo\x1b[31mung\n")
    with pytest.raises(LabelColumnError, match=r"line 2: age is 'yo\\x1b\[31mung'"):
        run(given, tmp_path / "pairs", any_labels=True)


def test_long_folder_names_give_short_pair_ids(given, tmp_path):
    """Names that are too long once joined are cut, and told apart by a digest."""
    deep = "\u00e9" * 60
    for half, suffix in zip(given[:2], ("jpg", "png"), strict=True):
        for i in (1, 2):
            folder = half / deep / deep / f"{i}{deep}"
            folder.mkdir(parents=True)
            shutil.copy(half / "a" / f"1.{suffix}", folder / f"1.{suffix}")
    lines = ["file,age", *(f"{deep}/{deep}/{i}{deep}/1.jpg,3-9" for i in (1, 2)), "a/1.jpg,3-9"]
    given[2].write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = run(given, tmp_path / "pairs")
    ids = read_manifest(made.out_dir)["pair_id"].tolist()
    assert made.n_pairs == 3
    assert ids[0] == "a-1"
    assert max(len(i.encode()) for i in ids) <= 200
    assert all(re.fullmatch("\u00e9+(-\u00e9*)?-[0-9a-f]{16}", i) for i in ids[1:])
    assert run(given, tmp_path / "pairs").was_complete


def test_other_fakes_or_another_name_are_another_run(given, tmp_path):
    """Or fakes of one generator would pass for those of another, or be mixed with them."""
    out = tmp_path / "pairs"
    run(given, out, generator_name="A")
    shutil.copytree(given[1], tmp_path / "moved")
    assert import_pairs(
        given[0], tmp_path / "moved", given[2], out, generator_name="A", device="cpu"
    ).was_complete
    with pytest.raises(OutputHoldsAnotherRun, match="generator A there, B asked for"):
        run(given, out, generator_name="B")
    one = given[1] / "a" / "1.png"
    Image.open(one).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(one)
    with pytest.raises(OutputHoldsAnotherRun, match=r"\(fakes \w{12}… there, \w{12}… asked for\)"):
        run(given, out, generator_name="A")


def test_an_interrupted_import_is_not_continued_with_other_fakes(given, tmp_path):
    job = plan_import(*given, tmp_path / "pairs", generator_name="A", device="cpu")
    with claimed(job):
        pass
    (given[1] / "a" / "2.png").unlink()
    with pytest.raises(OutputHoldsAnotherRun, match="fakes"):
        run(given, tmp_path / "pairs", generator_name="A")


def test_folders_and_sizes_are_checked(given, tmp_path):
    with pytest.raises(FairFaceNotFound, match="is not a folder"):
        import_pairs(tmp_path / "no", given[1], given[2], tmp_path / "pairs")
    with pytest.raises(FairFaceNotFound, match=r"label table .* is not there"):
        import_pairs(given[0], given[1], tmp_path / "no.csv", tmp_path / "pairs")
    with pytest.raises(SettingError, match="--size-px is 3"):
        run(given, tmp_path / "pairs", size_px=3)
    shutil.copy(given[0] / "a" / "1.jpg", given[0] / "a" / "1.jpeg")
    with pytest.raises(LabelColumnError, match=r"holds both 1\.jpeg and 1\.jpg"):
        run(given, tmp_path / "pairs")


def test_addresses_in_and_out_and_in_the_record(memory, given, tmp_path, monkeypatch):
    """A folder called `memory:` was written, and the fakes were recorded under the name of their copy."""
    for place, name in zip(given, ("real", "fake", "labels.csv"), strict=True):
        memory.put(str(place), f"/bucket/{name}", recursive=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    out = "memory://bucket/pairs"
    made = run(tuple(f"memory://bucket/{name}" for name in ("real", "fake", "labels.csv")), out)
    source = read_provenance(made.out_dir)["source"]
    assert (source["path"], source["fake_path"]) == ("memory://bucket/real", "memory://bucket/fake")
    export_pairs(out, "memory://bucket/published")
    unpack_pairs("memory://bucket/published", "memory://bucket/again")
    for folder in ("pairs", "again"):
        assert memory.exists(f"/bucket/{folder}/provenance.json"), folder
    assert list((tmp_path / "here").iterdir()) == []
