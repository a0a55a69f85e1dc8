"""`audit stress`, from images to the page; an interrupted run ends like a clean one."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.cli import main
from audit.config import AuditConfig
from audit.data import sampling_units
from audit.errors import ConfigError, MissingColumnError, UnitError
from audit.runs.stress_run import stress, stressed_of
from detectors.data.datasets import read_images
from detectors.data.transformations import transform
from detectors.models.loading import load_detector
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.scoring.score_table import NO_SCORE
from detectors.scoring.stress_scores import stress_scores
from detectors.scoring.variant_scores import NO_VERSION
from reports.errors import RecordFormatError, RunNotFound
from reports.pages.stress_page import write_stress_page

NAMES = ["jpeg", "occlusion"]
QUIET = Options(progress=False)


def test_untouched_scores_are_the_audits_and_transformed_ones_are_of_the_transformed_file(
    checkpoint, pairs_factory, tmp_path
):
    detector, images = load_detector(checkpoint), read_images(pairs_factory(3, 9))
    found = stress_scores([detector], images, NAMES, 5, QUIET)[0]
    np.testing.assert_allclose(
        found.scores[:, 0], score_images([detector], images, QUIET)[0]["score"], atol=1e-6
    )
    row = images.table.iloc[1]
    with Image.open(row["path"]) as file:
        pixels = transform(np.asarray(file.convert("RGB")), "occlusion", 3, 5, row["pair_id"])
    Image.fromarray(pixels).save(tmp_path / "covered.png")
    column = 1 + found.columns.index(("occlusion", 3))
    from detectors.scoring.dataset_scores import score_files

    alone = score_files(detector, [tmp_path / "covered.png"])["score"].iloc[0]
    assert found.scores[1, column] == pytest.approx(alone, abs=1e-6)


def test_what_cannot_be_scored_is_a_row_with_a_reason(checkpoint, pairs_factory):
    folder = pairs_factory(4, 10)
    (folder / "fake" / "train-000001.png").unlink()
    Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8)).save(folder / "real" / "train-000002.png")
    found = stress_scores([load_detector(checkpoint)], read_images(folder), NAMES, 0, QUIET)[0]
    status = found.table.set_index("image_id")["status"]
    assert status["fake/train-000001.png"] == "missing photo"
    assert status["real/train-000002.png"] == NO_VERSION
    assert (status == "ok").sum() == 6 and np.isfinite(found.scores[(status == "ok").to_numpy()]).all()


def test_a_detector_without_a_number_for_some_variant_is_a_reason(checkpoint, pairs_factory):
    detector = load_detector(checkpoint)
    network = detector.network

    def gives_nan_in_the_dark(batch):
        out = network(batch)
        out[batch.mean(dim=(1, 2, 3)) < batch.mean()] = float("nan")
        return out

    found = stress_scores(
        [replace(detector, network=gives_nan_in_the_dark)],
        read_images(pairs_factory(2, 11)),
        ["darker"],
        0,
        QUIET,
    )[0]
    assert set(found.table["status"]) == {NO_SCORE}
    assert found.table["detail"].str.contains("gives no number for .*darker").all()


def test_several_detectors_decode_each_file_once_and_get_their_own_scores(
    checkpoint, pairs_factory, monkeypatch
):
    from detectors.scoring import variant_scores as module

    one, images = load_detector(checkpoint), read_images(pairs_factory(3, 13))
    other = replace(one, name="other", output=replace(one.output, inverted=True))
    larger = replace(one, name="larger", preprocessing=replace(one.preprocessing, size_px=48))
    alone = [stress_scores([d], images, ["noise"], 0, QUIET)[0].scores for d in (one, other, larger)]
    decoded = []
    decode = module.decode
    monkeypatch.setattr(module, "decode", lambda *given: decoded.append(given[1]) or decode(*given))
    together = stress_scores([one, other, larger], images, ["noise"], 0, QUIET)
    assert len(decoded) == len(images.table) == 6
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    np.testing.assert_allclose(together[0].scores + together[1].scores, 1)


def test_an_interrupted_run_ends_like_a_clean_one(checkpoint, pairs_factory, tmp_path, monkeypatch):
    from detectors.scoring import variant_scores as module

    monkeypatch.setattr(module, "IMAGES_PER_PART", 4)
    detector, images = load_detector(checkpoint), read_images(pairs_factory(6, 12))
    options = Options(progress=False, work_dir=tmp_path / "work")
    clean = stress_scores([detector], images, ["jpeg"], 0, QUIET)[0]
    calls = []
    part = module.VariantWork.part

    def dies_after_two(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return part(self, *arguments)

    monkeypatch.setattr(module.VariantWork, "part", dies_after_two)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        stress_scores([detector], images, ["jpeg"], 0, options)[0]
    assert len(list((tmp_path / "work").rglob("*.parquet"))) == 2
    again = stress_scores([detector], images, ["jpeg"], 0, options)[0]
    assert len(calls) == 3 + 1
    np.testing.assert_array_equal(again.scores, clean.scores)
    assert not list((tmp_path / "work").rglob("*.parquet"))


@pytest.fixture(scope="module")
def folder(checkpoint, pairs_dir, tmp_path_factory):
    out, printed = tmp_path_factory.mktemp("stress"), io.StringIO()
    with pytest.raises(SystemExit, match=r"^(0|None)$"), contextlib.redirect_stdout(printed):
        main(
            ["stress", "--detector", str(checkpoint), "--pairs", str(pairs_dir), "--out", str(out),
             "--include-seen", "--min-n", "5", "--transform", "jpeg", "--transform", "noise", "--json"]
        )  # fmt: skip
    assert printed.getvalue() == (out / "stress.json").read_text()
    return out


def test_the_command_leaves_record_table_and_page(folder):
    record = json.loads((folder / "stress.json").read_text())
    assert [kind["name"] for kind in record["kinds"]] == ["jpeg", "noise"]
    assert len(record["verdicts"]) == 2 * 3 * 2
    table = pd.read_csv(folder / "stress.csv")
    assert len(table) == len(record["points"]) == 2 * 6 * (1 + 2 + 2 + 3)
    page = (folder / "stress.html").read_text()
    assert "What breaks it, and for whom first?" in page and "Sensor noise" in page
    assert not (folder / ".scoring").exists() or not list((folder / ".scoring").rglob("*.parquet"))


WIDTH = """
def load():
    return lambda batch: batch.new_full((len(batch),), batch.shape[-1] / 100)
"""


@pytest.mark.parametrize(("side", "fpr"), [(40, 0.0), (60, 1.0)])
def test_settings_of_a_foreign_detector_are_those_of_audit_run(pairs_dir, tmp_path, side, fpr):
    """Its score is its input's width: what --set says is what it is tried with."""
    (tmp_path / "width.py").write_text(WIDTH)
    given = ["--detector", f"{tmp_path / 'width.py'}:load", "--pairs", str(pairs_dir), "--transform", "jpeg"]
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main(["stress", *given, "--set", f"size_px={side}", "--set", "output=probability",
              "--out", str(tmp_path / "out"), "--quiet"])  # fmt: skip
    points = json.loads((tmp_path / "out" / "stress.json").read_text())["points"]
    assert {p["fpr"] for p in points if p["attribute"] == "overall"} == {fpr}


def test_settings_cannot_mean_several_detectors(checkpoint, pairs_dir, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["stress", "--detector", str(checkpoint), "--detector", "b.onnx", "--pairs", str(pairs_dir),
              "--set", "size_px=64", "--out", str(tmp_path / "out")])  # fmt: skip
    said = " ".join(capsys.readouterr().err.split())
    assert "--set would mean every --detector: write each one's settings into NAME.toml beside it" in said
    assert not (tmp_path / "out").exists()


def test_the_same_test_twice_is_the_same_bytes_and_another_one_is_refused(checkpoint, pairs_dir, tmp_path):
    detector, images = load_detector(checkpoint), read_images(pairs_dir)
    config = AuditConfig(min_n=5)
    for _ in range(2):
        stress(
            [detector], images, tmp_path, config, transformations=["jpeg"], include_seen=True, progress=False
        )
    with pytest.raises(ConfigError, match="already holds another stress test"):
        stress(
            [detector], images, tmp_path, config, transformations=["webp"], include_seen=True, progress=False
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformations": ["jpg"]}, "--transform jpg is not known; it must be one of jpeg, webp"),
        ({"detectors": 2}, "two detectors have one name"),
    ],
)
def test_impossible_requests_are_refused_before_scoring(checkpoint, pairs_dir, tmp_path, change, message):
    detectors = [load_detector(checkpoint)] * change.pop("detectors", 1)
    with pytest.raises(ConfigError, match=message):
        stress(detectors, read_images(pairs_dir), tmp_path / "out", progress=False, **change)
    assert not (tmp_path / "out").exists()


def test_a_rule_fixes_the_threshold_on_images_that_are_not_judged(checkpoint, pairs_dir):
    found = stress_scores([load_detector(checkpoint)], read_images(pairs_dir), ["jpeg"], 0, QUIET)[0]
    stressed = stressed_of("d", found, AuditConfig(threshold="eer"))
    assert len(stressed.table) < len(found.table)
    assert all(len(score) == len(stressed.table) for score in stressed.variants.values())


def test_several_fakes_of_a_photo_count_as_one_source(checkpoint, pairs_factory):
    images = read_images(pairs_factory(8, 16))
    fakes = images.table[images.table["label"] == 1]
    more = fakes.assign(image_id="again-" + fakes["image_id"], kind="other")
    twice = replace(images, table=pd.concat([images.table, more], ignore_index=True))
    config = AuditConfig(attributes=("race",))
    one, two = (
        stressed_of("d", stress_scores([load_detector(checkpoint)], given, ["jpeg"], 0, QUIET)[0], config)
        for given in (images, twice)
    )
    assert len(two.table) == 24 and len(set(two.unit)) == len(set(one.unit)) == 8
    stressed_of(
        "d", stress_scores([load_detector(checkpoint)], twice, ["jpeg"], 0, QUIET)[0],
        AuditConfig(attributes=("race",), threshold="eer"),
    )  # fmt: skip


def test_sixteen_bits_alpha_and_one_class_alone_are_no_obstacle(checkpoint, pairs_factory, tmp_path):
    folder = pairs_factory(6, 15)
    with Image.open(folder / "real" / "train-000000.png", formats=["PNG"]) as image:
        plain = np.asarray(image.convert("RGB"))
    Image.fromarray(plain[..., 0].astype(np.uint16) * 257).save(folder / "real" / "train-000000.png")
    alpha = np.dstack([plain, np.full(plain.shape[:2], 120, dtype=np.uint8)])
    Image.fromarray(alpha).save(folder / "real" / "train-000001.png")
    reals = read_images(folder)
    reals = reals.only(reals.table["label"] == 0)
    found = stress(
        [load_detector(checkpoint)], reals, tmp_path / "out", AuditConfig(min_n=2), transformations=["jpeg"],
        include_seen=True, progress=False,
    )  # fmt: skip
    assert found.detectors[0].n_images == 6 and not found.detectors[0].n_left_out.get(NO_SCORE)
    overall = [p for p in found.points if p.attribute == "overall"]
    assert all(np.isfinite(p.fpr) and np.isnan(p.fnr) and np.isnan(p.auc) for p in overall)
    assert all(v.worse_group is None for v in found.verdicts if v.rate == "fnr")
    page = write_stress_page(tmp_path / "out").read_text()
    assert "no data" in page and ">little<" not in page


def test_a_page_needs_its_record(tmp_path):
    with pytest.raises(RunNotFound, match=r"no stress\.json in .*: make one with `audit stress"):
        write_stress_page(tmp_path)
    (tmp_path / "stress.json").write_text("{}")
    with pytest.raises(RecordFormatError, match=r"stress\.json is not a stress test"):
        write_stress_page(tmp_path)


@pytest.fixture
def photos_of_persons(pairs_factory, tmp_path):
    """A table of labelled images of twelve pairs, three of each person."""
    folder = pairs_factory(12, 21)
    table = read_images(folder).table
    person = "p" + (table["pair_id"].factorize()[0] // 3).astype(str).astype(object)
    race = np.where(table["pair_id"].factorize()[0] // 3 % 2, "A", "B")
    rows = pd.DataFrame(
        {"image": table["path"], "label": table["label"], "pair_id": table["pair_id"], "race": race}
    )
    rows.assign(person=person).to_csv(tmp_path / "images.csv", index=False)
    return tmp_path / "images.csv"


def test_images_of_a_named_person_are_one_unit(checkpoint, photos_of_persons):
    images = read_images(photos_of_persons)
    images = replace(images, table=images.table.assign(person=images.table["person"].replace("p3", None)))
    found = stress_scores([load_detector(checkpoint)], images, ["jpeg"], 0, QUIET)[0]
    stressed = stressed_of("d", found, AuditConfig(attributes=("race",), unit_column="person"))
    assert len(set(stressed.unit)) == 3 + 3, "without a name an image belongs to its pair"
    assert stressed.table.unit is not None
    by_photo = stressed_of("d", found, AuditConfig(attributes=("race",)))
    assert len(set(by_photo.unit)) == 12
    with pytest.raises(MissingColumnError, match="the images have no column 'video'; they have 'image_id'"):
        stressed_of("d", found, AuditConfig(attributes=("race",), unit_column="video"))


def _stress(checkpoint, images, out, *more):
    with pytest.raises(SystemExit, match=r"^(0|2|None)$") as ended:
        main(["stress", "--detector", str(checkpoint), "--images", str(images), "--out", str(out), "--min-n",
              "3", "--attribute", "race", "--transform", "jpeg", "--include-seen", *more])  # fmt: skip
    return ended.value.code


def test_persons_that_nobody_has_named_are_refused_before_their_versions_are_scored(
    checkpoint, photos_of_persons, tmp_path, capsys, monkeypatch
):
    from detectors.scoring import engine, stress_scores

    monkeypatch.setattr(stress_scores, "variant_scores", None)
    assert _stress(checkpoint, photos_of_persons, tmp_path / "out") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "24 images share 4 values of 'person'" in said and "name it with --unit-column person" in said
    images = read_images(photos_of_persons)
    monkeypatch.setattr(engine, "score_images", None)
    with pytest.raises(UnitError, match="24 images share 4 values of 'person'"):
        stress(
            [load_detector(checkpoint)], replace(images, attributes=("race",), others=("person",)),
            tmp_path / "out", include_seen=True, progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "unit", "note"),
    [
        (("--unit-column", "person"), "person", "24 images of 4 values of person (up to 6 each): all images"),
        (("--independent",), None, "they are taken as independent, as --independent says."),
    ],
    ids=["unit column", "independent"],
)
def test_what_was_taken_for_independent_is_recorded_and_shown(
    checkpoint, photos_of_persons, tmp_path, option, unit, note
):
    out = tmp_path / "out"
    assert _stress(checkpoint, photos_of_persons, out, "--quiet", *option) in (0, None)
    record = json.loads((out / "stress.json").read_text())
    assert record["unit_column"] == unit and len(record["notes"]) == 1 and note in record["notes"][0]
    page = " ".join((out / "stress.html").read_text().split())
    assert note in page and ("permuting its own values of person" in page) == (unit is not None)
    assert _stress(checkpoint, photos_of_persons, out, "--unit-column", "pair_id") == 2


def test_a_column_that_only_scores_betray_is_refused_before_all_versions_are_scored(
    checkpoint, photos_of_persons, tmp_path, monkeypatch
):
    """Its name says nothing, so the untouched scores must be seen."""
    from detectors.scoring import stress_scores as module

    table = pd.read_csv(photos_of_persons).rename(columns={"person": "code"})
    table.to_csv(photos_of_persons, index=False)
    monkeypatch.setattr(sampling_units, "_names_units", lambda column, table: len(set(table.score)) > 1)
    monkeypatch.setattr(module, "variant_scores", None)
    with pytest.raises(UnitError, match=r"24 images share 4 values of 'code'.*--unit-column code"):
        stress(
            [load_detector(checkpoint)], read_images(photos_of_persons), tmp_path / "out",
            AuditConfig(attributes=("race",), min_n=3), transformations=["jpeg"], include_seen=True,
            progress=False,
        )  # fmt: skip


def test_the_unit_may_be_a_column_of_the_manifest(checkpoint, pairs_dir, tmp_path):
    found = stress(
        [load_detector(checkpoint)], read_images(pairs_dir), tmp_path / "out",
        AuditConfig(min_n=3, unit_column="reconstruction_L1"), transformations=["jpeg"], include_seen=True,
        progress=False,
    )  # fmt: skip
    assert found.unit_column == "reconstruction_l1" and "values of reconstruction_l1" in found.notes[0]
    with pytest.raises(MissingColumnError, match=r"has no column 'person'; it has 'pair_id', 'source'"):
        stress(
            [load_detector(checkpoint)], read_images(pairs_dir), tmp_path / "other",
            AuditConfig(min_n=3, unit_column="person"),
        )  # fmt: skip
    with pytest.raises(UnitError, match="all 80 images have the same seed: none is independent"):
        stress(
            [load_detector(checkpoint)], read_images(pairs_dir), tmp_path / "other",
            AuditConfig(min_n=3, unit_column="seed"),
        )  # fmt: skip
    assert not (tmp_path / "other").exists()
