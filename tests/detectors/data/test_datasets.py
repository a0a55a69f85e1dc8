"""Every layout of images becomes the same table, and what cannot be read says so."""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.data.datasets import read_images, read_sets
from detectors.data.image_tables import AI_FACE, TableLayout, read_table
from detectors.data.labelled_images import COLUMNS, fingerprint, with_hashes
from detectors.data.origins import ByName, ByRuns, parse_group_by
from detectors.errors import DatasetLayoutError, DatasetNotFound, EmptyDataset, SplitError, TrainingError
from detectors.training.splits import split
from pipelines.parts import split_origins


@pytest.fixture
def folder(tmp_path, save_image, draw_image):
    """Writes tiny images: `folder("real/a.png", ...)`."""

    def write(*names, root=tmp_path / "set"):
        for i, name in enumerate(names):
            save_image(root / name, draw_image(i, "real" not in name, 8))
        return root

    return write


def test_pairs(pairs_dir):
    images = read_images(pairs_dir)
    assert images.layout == "pairs" and images.n_left_out == {"no face found": 1}
    assert images.table.columns.tolist() == [*COLUMNS, "age", "gender", "race"]
    assert images.table.groupby("pair_id")["label"].sum().eq(1).all() and len(images.table) == 80
    assert images.kinds == ["real", "fake"]


def test_two_folders(folder):
    images = read_images(folder("real/a.png", "real/sub/b.JPG", "Fake/a.png", "real/notes.txt.png"))
    assert images.table["image_id"].tolist() == [
        "Fake/a.png",
        "real/a.png",
        "real/notes.txt.png",
        "real/sub/b.JPG",
    ]
    assert images.table["label"].tolist() == [1, 0, 0, 0] and images.layout == "folders"
    assert images.table["origin"].tolist() == ["a", "a", "notes.txt", "sub/b"]


def test_other_files_are_counted(folder):
    root = folder("real/a.png", "fake/b.png")
    (root / "real" / "readme.md").write_text("x")
    assert read_images(root).n_left_out == {"not an image file": 1}


def test_a_name_that_is_no_text_is_counted(folder):
    root = folder("real/a.png", "real/c.png", "fake/b.png")
    os.rename(root / "real/c.png", os.fsencode(root / "real") + b"/b\xff.png")
    os.mkdir(os.fsencode(root) + b"/\xfe")  # a folder is no image
    images = read_images(root)
    assert len(images.table) == 2 and images.n_left_out == {"file name that is not UTF-8 text": 1}


def test_several_kinds_of_fake(folder):
    images = read_images(folder("real/a.png", "f2f/a.png", "deepfake/a.png"))
    assert images.kinds == ["real", "deepfake", "f2f"]
    assert images.table.set_index("kind")["label"].to_dict() == {"real": 0, "deepfake": 1, "f2f": 1}


def test_the_140k_layout_keeps_its_parts(folder):
    names = [
        f"{part}/{kind}/{i}.png"
        for part in ("train", "valid", "test")
        for kind in ("real", "fake")
        for i in (1, 2)
    ]
    images = read_images(folder(*names))
    assert images.table["part"].value_counts().to_dict() == {"train": 4, "valid": 4, "test": 4}
    assert (split(images) == images.table["part"]).all()


def test_a_missing_valid_part_is_cut_from_train(folder):
    names = [
        f"{part}/{kind}/{part}{i}.png"
        for part in ("train", "test")
        for kind in ("real", "fake")
        for i in range(8)
    ]
    images = read_images(folder(*names))
    parts = pd.Series(split(images, (0.5, 0.25, 0.25)))
    assert (parts[images.table["part"] == "test"] == "test").all()
    assert parts.value_counts().to_dict() == {"test": 16, "train": 10, "valid": 6}


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], DatasetNotFound, "no folder or table .*: make pairs with `audit generate-pairs --out"),
        (["faces/a.png"], DatasetLayoutError, "holds faces: expected manifest.parquet"),
        (["real/a.txt"], EmptyDataset, "holds no usable images .left out: 1 not an image file"),
    ],
)
def test_unusable_folders(tmp_path, names, error, message):
    for name in names:
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_text("x")
    with pytest.raises(error, match=message):
        read_images(tmp_path / "set")


def test_one_class_can_be_scored_but_not_learned_from(folder):
    images = read_images(folder("real/a.png", "real/b.png"))
    message = r"no fake images \(2 usable; left out: none\): detectors learn from both"
    with pytest.raises(EmptyDataset, match=message):
        images.with_both_classes()


def table(path, rows):
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_ai_face_table_is_recognised(tmp_path):
    rows = [
        {"Image Path": f"x/{i}.jpg", "Gender": i % 2, "Age": i % 5, "Skin Tone": i % 10 + 1,
         "Intersection": 0, "Target": i % 2, "Uncertainty Score Age": 0.1 * i}
        for i in range(10)
    ]  # fmt: skip
    images = read_images(table(tmp_path / "test.csv", rows))
    assert images.attributes == ("gender", "age", "skin tone") and images.layout == "table"
    first = images.table.iloc[3]
    assert (first["gender"], first["age"], first["skin tone"], first["label"]) == (
        "Male",
        "Middle-aged",
        "4",
        1,
    )
    assert first["path"] == str(tmp_path / "x/3.jpg")
    pd.testing.assert_frame_equal(images.table, read_table(tmp_path / "test.csv", AI_FACE).table)


def test_guessed_columns_and_empty_groups(tmp_path):
    rows = [
        {"filename": f"{i}.png", "class": c, "sex": s, "id": i} for i, (c, s) in enumerate(["Rf", "F "] * 20)
    ]
    rows = [r | {"class": "FAKE" if r["class"] == "F" else "real"} for r in rows]
    images = read_images(table(tmp_path / "a.csv", rows))
    assert images.attributes == ("sex",) and set(images.table["sex"]) == {"f", "unknown"}


def test_layout_in_a_file_beside_the_table(tmp_path):
    rows = [{"f": f"{i}.png", "c": "ab"[i % 2], "m": "swap", "v": i // 4, "g": i % 2} for i in range(8)]
    path = table(tmp_path / "a.csv", rows)
    (tmp_path / "a.toml").write_text(
        'image = "f"\nlabel = "c"\nfake = ["B"]\nreal = ["A"]\nkind = "m"\norigin = "v"\n'
        '[attributes]\ngender = "g"\n[codes.gender]\n0 = "Female"\n'
    )
    images = read_images(path)
    assert images.kinds == ["real", "swap"] and images.table["origin"].nunique() == 2
    assert set(images.table["gender"]) == {"Female", "1"}


@pytest.mark.parametrize("nothing", ["", "  ", "NA", "n/a", "-", "None"])
def test_images_without_a_pair_are_no_pair_of_their_own(tmp_path, nothing):
    rows = [
        {"image": f"{i}.png", "label": i % 2, "pair_id": f"p{i // 2}" if i < 4 else nothing, "kind": nothing}
        for i in range(10)
    ]
    images = read_images(table(tmp_path / "a.csv", rows)).table
    assert images["pair_id"].tolist() == ["p0", "p0", "p1", "p1", *[None] * 6]
    assert images["origin"].tolist() == ["p0", "p0", "p1", "p1", *[f"{i}.png" for i in range(4, 10)]]
    assert images["kind"].tolist() == ["real", "fake"] * 5


def test_an_image_without_an_origin_stays_with_its_pair(tmp_path):
    rows = [
        {
            "image": f"{i}.png",
            "label": i % 2,
            "pair_id": ["p0", "p0", "p1", "p1", "", ""][i],
            "v": "v"[i // 2 :],
        }
        for i in range(6)
    ]
    layout = TableLayout("image", "label", pair="pair_id", origin="v")
    images = read_table(table(tmp_path / "a.csv", rows), layout).table
    assert images["origin"].tolist() == ["v", "v", "p1", "p1", "4.png", "5.png"]


@pytest.mark.parametrize(
    ("rows", "layout", "message"),
    [
        ([{"a": 1}], None, "which column is the image"),
        (
            [{"image": "x"}],
            None,
            r"which column is the label.*a\.toml beside it, of two lines: "
            r'image = "image" and label = "COLUMN"$',
        ),
        ([{"image": "x", "label": "maybe"}], None, "row 2: label is 'maybe'; fake is one of 1, fake"),
        ([{"image": "x", "label": 1}] * 2, None, "names the image 'x' more than once"),
        (
            [{"image": "x", "label": 1}],
            TableLayout("image", "label", pair="p"),
            "no column 'p'; it has image, label",
        ),
        ([{"image": "x", "label": 1}], "nosuch", "no layout nosuch; built in are ai-face"),
    ],
)
def test_unusable_tables(tmp_path, rows, layout, message):
    with pytest.raises((DatasetLayoutError, DatasetNotFound), match=message):
        read_images(table(tmp_path / "a.csv", rows), layout)


@pytest.mark.parametrize("text", ["image = 1 2", 'images = "x"', 'image = "x"'])
def test_unusable_layout_files(tmp_path, text):
    path = table(tmp_path / "a.csv", [{"image": "x", "label": 1}])
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(DatasetLayoutError, match=r"a\.toml"):
        read_images(path)


def test_sets_are_combined_by_weight(folder, tmp_path):
    a = folder("real/a.png", "fake/a.png", "fake/b.png", root=tmp_path / "a")
    b = folder("real/a.png", "fake/a.png", root=tmp_path / "b=c")
    both = read_sets([f"{a}=3", b])
    weights = both.table.groupby(both.table["image_id"].str[0])["weight"].sum()
    assert weights["0"] == pytest.approx(3 * weights["1"]) and both.table["weight"].sum() == pytest.approx(5)
    assert both.table["image_id"].is_unique
    assert len(read_sets([a]).table) == 3
    with pytest.raises(TrainingError, match="the weight after '=' must be a number above 0"):
        read_sets([f"{a}=much"])


def test_fingerprint_follows_content_and_labels(folder, tmp_path, save_image, draw_image):
    root = folder("real/a.png", "fake/a.png")
    before = fingerprint(read_images(root))
    assert before == fingerprint(read_images(root))
    save_image(root / "fake/a.png", draw_image(99, True, 8))
    assert before != fingerprint(read_images(root))
    assert with_hashes(read_images(root)).table["source_sha256"].str.len().eq(64).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=30, max_size=90),
    st.integers(0, 5),
)
def test_origins_never_straddle_and_totals_are_exact(items, seed):
    origins = pd.Series([f"o{i}" for i, _ in items])
    cells = pd.Series([c for _, c in items])
    fractions = (0.6, 0.1, 0.3)
    parts = pd.Series(split_origins(origins, cells, fractions, seed))
    assert parts.groupby(origins).nunique().eq(1).all()
    n = parts.groupby(origins).first().value_counts()
    for part, fraction in zip(("train", "valid", "test"), fractions, strict=True):
        assert abs(n.get(part, 0) - fraction * origins.nunique()) < 1.5
    again = pd.Series(split_origins(origins[::-1], cells[::-1], fractions, seed)[::-1])
    first_cells_equal = cells.groupby(origins).nunique().eq(1).all()
    assert not first_cells_equal or parts.equals(again)


def test_every_large_cell_is_in_the_held_out_part(pairs_dir):
    images = read_images(pairs_dir)
    held_out = images.table[split(images, seed=3) == "test"]
    assert set(held_out["race"]) == set(images.table["race"])
    assert held_out["race"].value_counts().max() - held_out["race"].value_counts().min() <= 4


@pytest.mark.parametrize(
    ("fractions", "message"),
    [((0.5, 0.5), "three fractions"), ((0.8, 0.3, 0.1), "add up to 1"), ((0.9, 0.0, 0.1), "both be above 0")],
)
def test_impossible_fractions(pairs_dir, fractions, message):
    from detectors.training.splits import check_fractions

    with pytest.raises(SplitError, match=message):
        check_fractions(fractions)


def test_too_few_origins(folder):
    with pytest.raises(SplitError, match="2 origins are too few for a valid part"):
        split(read_images(folder("real/a.png", "fake/a.png", "real/b.png", "fake/b.png")))


def test_group_by_name_runs_and_column(folder, tmp_path):
    names = [f"{kind}/v{v}_f{f}.png" for kind in ("real", "fake") for v in range(3) for f in range(4)]
    root = folder(*names)
    by_name = read_images(root, group_by=parse_group_by(r"(v\d)_"))
    assert by_name.table["origin"].nunique() == 3 and by_name.origin_rule == r"names matching (v\d)_"
    by_runs = read_images(root, group_by=ByRuns(4))
    assert np.array_equal(pd.factorize(by_runs.table["origin"])[0], pd.factorize(by_name.table["origin"])[0])
    rows = [{"image": n, "label": n.split("/")[0], "video": n[5:7]} for n in names]
    path = table(root / "t.csv", rows)
    assert read_images(path, group_by=parse_group_by("column=video")).table["origin"].nunique() == 3


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (ByName("nope"), "finds nothing in 2 of 2 names, such as 'a.png'"),
        (parse_group_by("column=x"), "group by column 'x': .* is no table"),
    ],
)
def test_rules_that_do_not_fit(folder, rule, message):
    with pytest.raises(SplitError, match=message):
        read_images(folder("real/a.png", "fake/a.png"), group_by=rule)


@pytest.mark.parametrize("text", ["runs=0", "runs=x", "(open"])
def test_rules_nobody_can_read(text):
    with pytest.raises(SplitError, match="group by"):
        parse_group_by(text)
