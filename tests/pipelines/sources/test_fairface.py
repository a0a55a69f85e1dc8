"""FairFace's label tables: layouts, vocabulary, damage and refusals."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import FairFaceNotFound, LabelColumnError, LabelVocabularyError
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.sources.fairface import pair_id_of, read_fairface, repair_age

HEADER = "file,age,gender,race,service_test\n"


def lay(folder, rows="train/1.jpg,20-29,Male,White,True\n", split="train", header=HEADER, photos=None):
    folder.mkdir(parents=True, exist_ok=True)
    ((photos or folder) / split).mkdir(parents=True, exist_ok=True)
    (folder / f"fairface_label_{split}.csv").write_bytes((header + rows).encode())
    return folder


def test_reads_both_splits_sorted_by_pair_id(tmp_path):
    lay(tmp_path, "train/10.jpg,20-29,Male,White,True\ntrain/9.jpg,3-9,Female,Black,False\n")
    lay(tmp_path, "val/9.jpg,more than 70,Female,Indian,True\n", split="val")
    table = read_fairface(tmp_path)
    assert table.rows["pair_id"].tolist() == ["train-000009", "train-000010", "val-000009"]
    assert table.rows["service_test"].tolist() == [False, True, True]
    assert table.rows["path"].iloc[2] == str(tmp_path / "val" / "9.jpg")
    assert (table.kind, table.repaired_ages) == ("fairface", 0)


def test_reads_a_wrapped_folder(tmp_path):
    lay(tmp_path / "fairface-img-margin025-trainval")
    assert len(read_fairface(tmp_path).rows) == 1


def test_reads_tables_beside_wrapped_photos(tmp_path):
    lay(tmp_path, photos=tmp_path / "fairface-img-margin125-trainval")
    table = read_fairface(tmp_path)
    assert Path(table.rows["path"].iloc[0]).parent == tmp_path / "fairface-img-margin125-trainval" / "train"


def test_two_wrapped_folders_are_ambiguous(tmp_path):
    lay(tmp_path, photos=tmp_path / "a")
    (tmp_path / "b" / "train").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "train").rmdir() if (tmp_path / "train").exists() else None
    with pytest.raises(FairFaceNotFound, match=r"train/ lies in both .*a and .*b"):
        read_fairface(tmp_path)


def test_byte_order_mark_and_crlf(tmp_path):
    header = "\ufeff" + HEADER.replace("\n", "\r\n")
    lay(tmp_path, "train/1.jpg,20-29,Male,White,False\r\n", header=header)
    assert read_fairface(tmp_path).rows["race"].tolist() == ["White"]


def test_service_test_may_be_absent(tmp_path):
    lay(tmp_path, "train/1.jpg,20-29,Male,White\n", header="file,age,gender,race\n")
    assert read_fairface(tmp_path).rows["service_test"].isna().all()


def test_spreadsheet_damage_is_repaired_and_counted(tmp_path):
    damaged = ["03-Sep", "9-Mar", "3-Sep", "09-MAR", "19-Oct", "Oct-19", "3-9"]
    lay(tmp_path, "".join(f"train/{i}.jpg,{age},Male,White,True\n" for i, age in enumerate(damaged)))
    table = read_fairface(tmp_path)
    assert table.rows["age"].tolist() == ["3-9"] * 4 + ["10-19"] * 2 + ["3-9"]
    assert table.repaired_ages == 6


@given(st.text(max_size=12))
def test_repair_never_invents_a_word(value):
    assert repair_age(value) == value or repair_age(value) in ("3-9", "10-19")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("train/1.jpg,21-29,Male,White,True", "line 2: age is '21-29', not one of: 0-2, 3-9"),
        ("train/1.jpg,20-29,male,White,True", "line 2: gender is 'male', not one of: Female, Male"),
        ("train/1.jpg,20-29,Male,Latino,True", "line 2: race is 'Latino'"),
        ("train/1.jpg,20-29,Male,,True", "line 2: race is ''"),
        ("train/1.jpg,10-Oct,Male,White,True", "line 2: age is '10-Oct'"),
        ("train/1.jpg,20-29,Male,White,maybe", "line 2: service_test is 'maybe'"),
    ],
)
def test_a_label_outside_the_vocabulary_names_file_row_and_value(tmp_path, row, message):
    lay(tmp_path, row + "\n")
    with pytest.raises(LabelVocabularyError, match=message) as raised:
        read_fairface(tmp_path)
    assert "fairface_label_train.csv" in str(raised.value)


def test_the_row_named_is_the_bad_one(tmp_path):
    good = "".join(f"train/{i}.jpg,20-29,Male,White,True\n" for i in range(5))
    lay(tmp_path, good + "train/9.jpg,20-29,Male,Martian,True\n")
    with pytest.raises(LabelVocabularyError, match="line 7: race is 'Martian'"):
        read_fairface(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/etc/passwd", "val/1.jpg", "train/a/b.jpg", "train/..", "train/", "1.jpg", ""]
)
def test_a_photo_name_outside_its_folder_is_refused(tmp_path, name):
    lay(tmp_path, f"{name},20-29,Male,White,True\n")
    with pytest.raises(LabelColumnError, match="line 2: file is"):
        read_fairface(tmp_path)


def test_a_photo_listed_twice_is_refused(tmp_path):
    lay(tmp_path, "train/1.jpg,20-29,Male,White,True\n" * 2)
    with pytest.raises(LabelColumnError, match=r"line 3: 'train/1.jpg' is listed twice"):
        read_fairface(tmp_path)


def test_a_missing_column_is_named(tmp_path):
    lay(tmp_path, "train/1.jpg,Male,White\n", header="file,gender,race\n")
    with pytest.raises(LabelColumnError, match="lacks the column age; it has file, gender, race"):
        read_fairface(tmp_path)


def test_an_empty_table_is_refused(tmp_path):
    lay(tmp_path, "")
    with pytest.raises(LabelColumnError, match="no rows"):
        read_fairface(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00binary", b'a,b\n"x'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    lay(tmp_path)
    (tmp_path / "fairface_label_train.csv").write_bytes(content)
    with pytest.raises(LabelColumnError, match=r"fairface_label_train\.csv"):
        read_fairface(tmp_path)


def test_missing_folder_table_and_photos(tmp_path):
    with pytest.raises(FairFaceNotFound, match="is not there; name it with --fairface"):
        read_fairface(tmp_path / "nowhere")
    with pytest.raises(FairFaceNotFound, match=r"no fairface_label_train\.csv"):
        read_fairface(tmp_path)
    lay(tmp_path)
    (tmp_path / "train").rmdir()
    with pytest.raises(FairFaceNotFound, match="has no folder train/"):
        read_fairface(tmp_path)


def test_drawn_population_says_so(drawn):
    table = read_fairface(drawn)
    assert table.kind == "rendered"
    assert set(table.rows["race"]) <= set(RACES)


def test_pair_ids_keep_folders_apart():
    assert pair_id_of("train/1.jpg") != pair_id_of("val/1.jpg")
    assert pair_id_of("train/odd name.jpg") == "train-odd name"


@pytest.mark.fairface
def test_real_labels(fairface_dir):
    table = read_fairface(fairface_dir)
    assert len(table.rows) == 5700
    cells = table.rows.groupby(["age", "gender", "race"]).size()
    assert len(cells) == len(AGES) * len(GENDERS) * len(RACES)
    assert table.rows["pair_id"].is_unique
    counted = pd.read_csv(fairface_dir / "fairface_label_val.csv")["race"].value_counts()
    ours = table.rows[table.rows["source"].str.startswith("val/")]["race"].value_counts()
    assert ours.to_dict() == counted.to_dict()
