"""Photos from Parquet files, UTKFace's names and any table: built by the published schemas, never
downloaded."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import (
    FairFaceNotFound,
    LabelColumnError,
    LabelVocabularyError,
    OutputHoldsAnotherRun,
    PhotoMissing,
    PhotoUnreadable,
    SelectionError,
)
from pipelines.jobs.generation import generate_pairs
from pipelines.jobs.plans import labelled_photos
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.sources.fairface import read_fairface
from pipelines.sources.photo_table import parse_columns, read_photo_table
from pipelines.sources.photos import read_bytes, read_photo
from pipelines.sources.utkface import read_utkface

HUB = {
    "age": list(AGES),
    "gender": ["Male", "Female"],
    "race": [
        "East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic", "Southeast Asian",
    ],
}  # fmt: skip
"""The classes in the order of the hub's schema, which is not ours."""


def hub_table(photos, labels, classes=HUB, **columns):
    """A table as `datasets` writes it: images as records, labels as numbers, names in the metadata."""
    features = {name: {"names": names, "_type": "ClassLabel"} for name, names in classes.items()}
    features |= {"image": {"_type": "Image"}, "service_test": {"dtype": "bool", "_type": "Value"}}
    image = pa.array(
        [{"bytes": data, "path": None} for data in photos],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    coded = {name: [HUB[name].index(label[name]) for label in labels] for name in HUB}
    table = pa.table({"image": image, **coded, "service_test": [True] * len(photos), **columns})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.fixture(scope="module")
def hub(drawn, tmp_path_factory):
    """The drawn population in the hub's layout: two files of train, one of validation, groups of five."""
    folder, table = tmp_path_factory.mktemp("hub") / "1.25", read_fairface(drawn)
    folder.mkdir()
    for split, files in (("train", 2), ("val", 1)):
        rows = table.rows[table.rows["source"].str.startswith(split)].to_dict("records")
        for part in range(files):
            some = rows[part * len(rows) // files : (part + 1) * len(rows) // files]
            name = {"train": "train", "val": "validation"}[split]
            path = folder / f"{name}-{part:05d}-of-{files:05d}-0123456789abcdef.parquet"
            pq.write_table(
                hub_table([Path(r["path"]).read_bytes() for r in some], some), path, row_group_size=5
            )
    return folder


def test_every_photo_and_label_of_the_hubs_form_is_that_of_the_folders(hub, drawn):
    ours, theirs = read_fairface(drawn), read_fairface(hub.parent)
    assert theirs.kind == "fairface" and len(theirs.rows) == len(ours.rows) == 32
    for split in ("train", "val"):
        a, b = (t.rows[t.rows["source"].str.startswith(split)] for t in (ours, theirs))
        a_labels, b_labels = (t[["age", "gender", "race"]].to_numpy().tolist() for t in (a, b))
        assert a_labels == b_labels
        for path, place in zip(a["path"], b["path"], strict=True):
            assert Path(path).read_bytes() == read_bytes(Path(place))
    assert theirs.rows["service_test"].all()
    assert theirs.rows["pair_id"].iloc[[0, -1]].tolist() == ["train-row000000", "val-row000007"]


@pytest.mark.parametrize(("attribute", "words"), [("age", AGES), ("gender", GENDERS), ("race", RACES)])
def test_every_class_is_mapped_by_its_name(attribute, words, tmp_path):
    labels = [{"age": "3-9", "gender": "Male", "race": "Black"} | {attribute: word} for word in words]
    pq.write_table(hub_table([b"x"] * len(words), labels), tmp_path / "train.parquet")
    assert read_fairface(tmp_path).rows[attribute].tolist() == list(words)


@pytest.mark.slow
def test_pairs_are_made_from_the_hubs_form(hub, drawn, tiny_generator, tmp_path):
    options = {"size_px": 32, "shard_size": 8, "device": "cpu", "workers": 1}
    made = generate_pairs(hub, tmp_path / "pairs", tiny_generator, **options)
    other = generate_pairs(drawn, tmp_path / "other", tiny_generator, **options)
    a, b = (pd.read_parquet(m.out_dir / "manifest.parquet") for m in (made, other))
    assert sorted(a["source_sha256"]) == sorted(b["source_sha256"]) and made.n_pairs == other.n_pairs > 20
    assert a["source"].iloc[0] == "train/row000000.jpg"


def test_a_schema_without_names_of_classes_is_refused(tmp_path):
    table = hub_table([b"x"], [{"age": "3-9", "gender": "Male", "race": "Black"}])
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "train.parquet")
    with pytest.raises(LabelColumnError, match=r"age holds numbers, and .* metadata names no classes"):
        read_fairface(tmp_path)


def test_a_class_outside_the_vocabulary_is_named_with_its_row(tmp_path):
    labels = [{"age": "3-9", "gender": "Male", "race": "Black"}]
    pq.write_table(hub_table([b"x"], labels, {**HUB, "race": ["a", "b", "c"]}), tmp_path / "train.parquet")
    with pytest.raises(LabelVocabularyError, match="row 1: race is 'c', not one of"):
        read_fairface(tmp_path)


def test_files_of_a_download_that_broke_off_are_missed(tmp_path):
    table = hub_table([b"x"], [{"age": "3-9", "gender": "Male", "race": "Black"}])
    pq.write_table(table, tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(FairFaceNotFound, match="has 1 of 2 Parquet files of train"):
        read_fairface(tmp_path)


def test_both_paddings_at_once_are_refused(tmp_path):
    table = hub_table([b"x"], [{"age": "3-9", "gender": "Male", "race": "Black"}])
    for padding in ("0.25", "1.25"):
        (tmp_path / padding).mkdir()
        pq.write_table(table, tmp_path / padding / "train.parquet")
    with pytest.raises(FairFaceNotFound, match=r"holds every photo twice; name one with --fairface"):
        read_fairface(tmp_path)
    assert len(read_fairface(tmp_path / "1.25").rows) == 1


def test_images_that_are_addresses_are_not_followed(tmp_path):
    labels = pa.table({"image": ["https://example.org/1.jpg"], "race": ["a"]})
    pq.write_table(labels, tmp_path / "photos.parquet")
    with pytest.raises(LabelColumnError, match="is an address, which is not followed; download the photos"):
        read_photo_table(tmp_path / "photos.parquet")
    pq.write_table(labels.append_column("age", [[1]]), tmp_path / "train.parquet")
    with pytest.raises(LabelColumnError, match="lacks the column gender"):
        read_fairface(tmp_path)


def test_rows_without_bytes_and_files_that_went_away_are_a_photos_fault(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.array([None, b"no image"], pa.binary()), "race": ["a", "b"]}), file)
    places = [Path(p) for p in read_photo_table(file).rows["path"]]
    with pytest.raises(PhotoMissing, match=r"a\.parquet#image#0 holds no bytes"):
        read_bytes(places[0])
    with pytest.raises(PhotoUnreadable, match="is not a readable image"):
        read_photo(places[1])
    with pytest.raises(PhotoUnreadable, match="has 2 rows, no row 7"):
        read_bytes(Path(f"{file}#image#7"))
    file.unlink()
    with pytest.raises(PhotoMissing, match=r"a\.parquet is not there any more"):
        read_bytes(places[1])


def utk(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def test_utkface_names_are_labels(tmp_path):
    folder = utk(
        tmp_path / "utk", "1_0_0_20161219140623097.jpg.chip.jpg", "25_1_3_20170116003505432.jpg",
        "88_0_4_20170120230151288.jpg", "61_1_20170109150557335.jpg", "200_0_1_20170116003505432.jpg",
    )  # fmt: skip
    table = read_utkface(folder)
    assert table.rows[["age", "gender", "race"]].to_numpy().tolist() == [
        ["0-2", "Male", "White"], ["20-29", "Female", "Indian"], ["more than 70", "Male", "Others"],
    ]  # fmt: skip
    assert any(note.startswith("2 images have no readable labels") for note in table.notes)
    with pytest.raises(LabelColumnError, match="none of 1 images is called like 25_1_3_"):
        read_utkface(utk(tmp_path / "none", "1.jpg"))
    with pytest.raises(FairFaceNotFound, match="is not there; name it with --utkface DIR"):
        read_utkface(tmp_path / "away")


def test_any_table_with_columns_mapped(tmp_path):
    (tmp_path / "t.csv").write_text("Bild,alter,ethnicity\na/1.jpg,34,Han\na/2.jpg,,Sámi\nb/1.jpg,71,n/a\n")
    table = read_photo_table(tmp_path / "t.csv", {"image": "Bild", "age": "alter", "race": "ethnicity"})
    assert table.rows["age"].fillna("").tolist() == ["30-39", "", "more than 70"]
    assert table.rows["race"].fillna("").tolist() == ["Han", "Sámi", ""]
    assert table.rows["gender"].isna().all()
    assert table.rows["pair_id"].tolist() == ["row-00000000", "row-00000001", "row-00000002"]
    assert table.rows["path"].iloc[2] == str(tmp_path.resolve() / "b" / "1.jpg")
    assert table.notes == (
        "Ages in years were put into FairFace's groups.",
        "1 of 3 photos have no age; they are never compared by it.",
        "1 of 3 photos have no race; they are never compared by it.",
        "The table has no column of gender.",
    )


@pytest.mark.parametrize(
    ("text", "columns", "match"),
    [
        ("file,x\n1.jpg,a\n", {}, r"no column of labels; it has file, x: map one, .* --column race=x"),
        ("x,race\n1.jpg,a\n", {}, r"has no column of image paths; .*--column image=NAME"),
        ("file,race\n1.jpg,a\n", {"age": "years"}, "has no column 'years' for age; it has file, race"),
        ("file,race\n", {}, "has no rows"),
        ("file,race\n,a\n", {}, "row 1: '' is no image's path"),
        ("file,race,id\n1.jpg,a,x\n2.jpg,a,x\n", {}, "row 2: the identifier 'x' comes twice"),
        ("file,race\n1.jpg,a\tb\n", {}, "race is 'a.tb', which holds control characters"),
    ],
)
def test_tables_that_cannot_be_used(text, columns, match, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(LabelColumnError, match=match):
        read_photo_table(tmp_path / "t.csv", columns)


def test_the_same_labels_of_other_photos_are_another_run(drawn, tmp_path):
    """Two tables that differ in nothing but the folder of their photos, whose names and ids are equal."""
    rows = read_fairface(drawn).rows.head(3)
    options = {"out_dir": tmp_path / "pairs", "generator": "self-blend", "size_px": 64, "workers": 1}
    for folder, shift in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        for i in range(2):
            shutil.copyfile(rows["path"].iloc[i + shift], tmp_path / folder / f"{i}.jpg")
        table = f"file,race,id\n{folder}/0.jpg,x,0\n{folder}/1.jpg,x,1\n"
        (tmp_path / f"{folder}.csv").write_text(table)
    generate_pairs(photos=tmp_path / "a.csv", device="cpu", **options)
    with pytest.raises(OutputHoldsAnotherRun, match="holds another run"):
        generate_pairs(photos=tmp_path / "b.csv", device="cpu", **options)


def test_latents_leave_no_room_for_photos(tmp_path):
    (tmp_path / "t.csv").write_text("file,race\n1.jpg,a\n")
    with pytest.raises(SelectionError, match="--photos cannot be given with --from-latents"):
        generate_pairs(photos=tmp_path / "t.csv", from_latents=tmp_path, out_dir=tmp_path / "o")


def test_one_source_at_a_time(tmp_path):
    with pytest.raises(SelectionError, match="--fairface and --photos are two sources of photos"):
        labelled_photos(tmp_path, photos=tmp_path)
    with pytest.raises(SelectionError, match="name it with --photos TABLE"):
        labelled_photos(tmp_path, columns={"race": "x"})
    with pytest.raises(SelectionError, match="'skin=x'; write ROLE=COLUMN"):
        parse_columns(["skin=x"])
    with pytest.raises(SelectionError, match="names race twice: a and b"):
        parse_columns(["race=a", "race=b"])
    assert parse_columns(["race=a=b"]) == {"race": "a=b"}


def test_pairs_of_a_table_whose_labels_are_not_whole(drawn, tmp_path):
    """Photos without a label still give pairs, and never lend a face or get one."""
    rows = read_fairface(drawn).rows.head(8)
    table = rows[["path", "gender"]].assign(race="Han")
    table.loc[table.index[:2], "gender"] = ""
    table.to_csv(tmp_path / "t.csv", index=False)
    made = generate_pairs(
        photos=tmp_path / "t.csv", out_dir=tmp_path / "pairs", generator=["swap", "self-blend"], size_px=64,
        device="cpu", workers=1, limit=6,
    )  # fmt: skip
    manifest = pd.read_parquet(made.out_dir / "manifest.parquet")
    assert len(manifest) == 12 and set(manifest["race"]) == {"Han"} and manifest["age"].isna().all()
    assert set(manifest.query("kind == 'swap'")["status"]) == {"no donor"}
    assert (manifest.query("kind == 'self-blend'")["status"] == "ok").any()
    assert "The table has no column of age." in made.notes
