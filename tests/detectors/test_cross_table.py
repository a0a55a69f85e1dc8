"""Kinds trained on x kinds tested on: which photos are learned from, and numbers scikit-learn confirms."""

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from audit.config import AuditConfig
from audit.errors import ConfigError
from audit.runs.cross_table import auc_against, cells, cross_table
from audit.schema.cross_table import CrossTable
from detectors.errors import DatasetLayoutError, DatasetNotFound, OutputExists, TrainingError
from detectors.training import one_a_kind
from detectors.training.one_a_kind import ALL_KINDS, DONOR_ELSEWHERE, LACKS_A_KIND, deal_out, train_each
from detectors.training.settings import Settings
from pipelines.dataset.manifest import MANIFEST, table_of, write_provenance, write_table

pytestmark = pytest.mark.slow

KINDS = ("checker", "swap", "tint")
N_PHOTOS = 60
FAST = Settings(
    epochs=2,
    batch_size=8,
    size_px=32,
    precision="32-true",
    learning_rate=3e-3,
    imagenet=False,
    fractions=(0.5, 0.2, 0.3),
)


def fake_of(pixels: np.ndarray, kind: str) -> np.ndarray:
    """A checkerboard, a red tint, or the photo as it is (a kind that nobody can tell)."""
    if kind == "swap":
        return pixels
    shift = np.zeros_like(pixels, dtype=float)
    if kind == "tint":
        shift[..., 0] = 60
    else:
        shift += 20 * ((np.indices(pixels.shape[:2]).sum(0) % 2) * 2 - 1)[..., None]
    return (pixels + shift).clip(0, 255).astype(np.uint8)


def make_kinds(root, draw, save, donors):
    """60 photos with three kinds; the last one lacks a swap. `donors`: pair number to donor's pair_id."""
    rows = []
    for i in range(N_PHOTOS):
        pair_id, photo = f"train-{i:06d}", draw(5000 + i, fake=False)
        save(root / "real" / f"{pair_id}.png", photo)
        for kind in KINDS:
            fails = kind == "swap" and i == N_PHOTOS - 1
            name = f"fake/{kind}/{pair_id}.png"
            if not fails:
                save(root / name, fake_of(photo, kind))
            rows.append(
                {
                    "pair_id": pair_id,
                    "kind": kind,
                    "source": f"train/{i}.jpg",
                    "source_sha256": hashlib.sha256(pair_id.encode()).hexdigest(),
                    "real": None if fails else f"real/{pair_id}.png",
                    "fake": None if fails else name,
                    "donor": donors.get(i) if kind == "swap" else None,
                    "status": "no donor" if fails else "ok",
                    "detail": "",
                    "age": ("20-29", "30-39")[i % 2],
                    "gender": ("Female", "Male")[i // 2 % 2],
                    "race": ("Black", "White")[i % 2],
                    "seed": 0,
                }
            )
    write_table(root / MANIFEST, table_of(rows))
    write_provenance(root, {"generator": {"name": "three kinds"}})
    return root


@pytest.fixture
def kinds_dir(tmp_path, draw_image, save_image):
    return make_kinds(tmp_path / "kinds", draw_image, save_image, {})


def test_photos_are_dealt_out_whole_and_those_that_lack_a_kind_are_counted(kinds_dir):
    parts = deal_out(kinds_dir, FAST)
    table = parts.images.table
    assert parts.kinds == KINDS and parts.n_left_out == {"swap: no donor": 1, LACKS_A_KIND: 1}
    assert (table.groupby("source_sha256")["part"].nunique() == 1).all()
    assert (table.groupby("pair_id").size() == 1 + len(KINDS)).all()
    sizes = [parts.n_photos(part) for part in ("train", "valid", "test")]
    assert sum(sizes) == N_PHOTOS - 1 and sizes == pytest.approx([30, 12, 18], abs=1)


def test_every_training_sees_the_same_photos_and_no_held_out_one(kinds_dir):
    parts = deal_out(kinds_dir, FAST)
    held = set(parts.held_out().table["source_sha256"])
    seen = {name: parts.learning(name).table for name in (*KINDS, ALL_KINDS)}
    for name, table in seen.items():
        assert not held & set(table["source_sha256"])
        real = table[table["kind"] == "real"]
        assert set(real["pair_id"]) == set(seen["tint"].loc[seen["tint"]["kind"] == "real", "pair_id"])
        for part in ("train", "valid"):
            weight = table[table["part"] == part].groupby("label")["weight"].sum()
            assert (name == ALL_KINDS and part == "valid") or weight[0] == pytest.approx(weight[1])
    chooses = seen[ALL_KINDS][seen[ALL_KINDS]["part"] == "valid"]
    assert (chooses.groupby("pair_id")["label"].sum() == 1).all()
    assert set(chooses["kind"]) == {"real", *KINDS}


def test_a_swap_that_shows_a_face_of_another_part_costs_its_photo(tmp_path, draw_image, save_image):
    part = deal_out(make_kinds(tmp_path / "a", draw_image, save_image, {}), FAST).images.table
    part = part.drop_duplicates("pair_id").set_index("pair_id")["part"]
    trained, tested = (part[part == name].index.tolist() for name in ("train", "test"))
    number = lambda pair_id: int(pair_id.removeprefix("train-"))  # noqa: E731
    donors = {
        number(tested[0]): trained[0],  # a held-out fake with the face of a training photo
        number(trained[1]): tested[1],  # and the other way round
        number(tested[2]): tested[3],  # both held out
        number(trained[2]): "train-999999",  # not among the photos, used in one part alone
        number(min(trained[3], tested[4])): "train-888888",  # the first that uses it keeps it
        number(max(trained[3], tested[4])): "train-888888",
    }
    parts = deal_out(make_kinds(tmp_path / "b", draw_image, save_image, donors), FAST)
    left = set(part.index) - set(parts.images.table["pair_id"])
    assert left == {tested[0], trained[1], max(trained[3], tested[4])}
    assert parts.n_left_out[DONOR_ELSEWHERE] == 3


def test_impossible_data(kinds_dir, pairs_dir, tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no folder .*nothing"):
        deal_out(tmp_path / "nothing", FAST)
    with pytest.raises(DatasetLayoutError, match=r"holds no manifest\.parquet"):
        deal_out(tmp_path, FAST)
    with pytest.raises(DatasetLayoutError, match=r"holds 1 kind of fake \(fake\)"):
        deal_out(pairs_dir, FAST)
    with pytest.raises(ConfigError, match="needs a number, the same for all"):
        cross_table(kinds_dir, tmp_path / "x", AuditConfig(threshold="eer"))


@pytest.fixture(scope="module")
def done(tmp_path_factory, draw_image, save_image):
    """A cross table of the three kinds, its data and its folder."""
    root = tmp_path_factory.mktemp("cross")
    data = make_kinds(root / "kinds", draw_image, save_image, {})
    return cross_table(data, root / "out", settings=FAST, progress=False), data, root / "out"


def test_numbers_are_those_of_scikit_learn_on_the_written_scores(done):
    result, _, out = done
    assert [(c.trained_on, c.tested_on) for c in result.cells] == [
        (row, kind) for row in (*KINDS, ALL_KINDS) for kind in KINDS
    ]
    area = {}
    for training in result.trainings:
        table = pd.read_parquet(out / "scores" / f"{training.checkpoint[10:-3]}.parquet")
        assert set(table["pair_id"]) == set(deal_out(done[1], FAST).held_out().table["pair_id"])
        for kind in KINDS:
            part = table[(table["label"] == 0) | (table["kind"] == kind)]
            cell = result.cell(training.trained_on, kind)
            area[training.trained_on, kind] = metrics.roc_auc_score(part["label"], part["score"])
            assert cell.measures.auc == pytest.approx(area[training.trained_on, kind])
            wanted = metrics.accuracy_score(part["label"], part["score"] >= 0.5)
            assert cell.measures.accuracy == pytest.approx(wanted)
    for cell in result.cells:
        if cell.trained_on == cell.tested_on:
            assert math.isnan(cell.difference)
        else:
            wanted = area[cell.trained_on, cell.tested_on] - area[cell.tested_on, cell.tested_on]
            assert cell.difference == pytest.approx(wanted)


def test_a_kind_equal_to_its_photo_is_guessed_by_every_detector(done):
    areas = [done[0].cell(row, "swap").measures.auc for row in (*KINDS, ALL_KINDS)]
    assert areas == pytest.approx([0.5] * 4, abs=0.02)


def test_what_is_learned_of_one_kind_is_lost_on_another_and_cured_by_all(done):
    """Of a tint nothing carries over to a checkerboard; a detector of all kinds finds both."""
    auc = {(c.trained_on, c.tested_on): c.measures.auc for c in done[0].cells}
    assert min(auc["tint", "tint"], auc["checker", "checker"]) > 0.95 and auc["tint", "checker"] < 0.7
    assert min(auc[ALL_KINDS, "tint"], auc[ALL_KINDS, "checker"]) > 0.95


def test_the_record_reads_back_and_the_csv_has_a_row_a_cell(done):
    result, _, out = done
    assert CrossTable.load(out).to_json() == result.to_json()
    table = pd.read_csv(out / "cross-table.csv")
    assert len(table) == len(result.cells) and {"auc_low", "auc_difference_high"} <= set(table.columns)
    with pytest.raises(KeyError, match="nobody"):
        result.cell("nobody", "tint")


def test_finished_trainings_are_kept_and_others_refused(done):
    result, data, out = done
    lines = []
    (out / "cross-table.json").unlink()
    kept = out / result.trainings[1].checkpoint
    before = kept.stat().st_mtime_ns
    (out / result.trainings[0].checkpoint).unlink()  # as after an interruption
    again = cross_table(data, out, settings=FAST, progress=False, say=lines.append)
    assert again.to_json() == result.to_json() and kept.stat().st_mtime_ns == before
    assert sum(line.endswith(".pt.") for line in lines) == len(KINDS)
    with pytest.raises(OutputExists, match="other settings or data"):
        cross_table(data, out, settings=replace(FAST, seed=1), progress=False)


def test_overwriting_removes_what_was_learned_otherwise(done, tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(one_a_kind, "train", lambda arch, images, out, *_, **__: trained.append(out))
    parts, folder = deal_out(done[1], FAST), tmp_path / "d"
    folder.mkdir()
    (folder / "cross-table.key.json").write_text(json.dumps({"arch": "another"}))
    (folder / "0-checker.pt").write_text("of another table")
    with pytest.raises(OutputExists, match="choose another folder, or overwrite it"):
        train_each(parts, "simplenet", folder, FAST, progress=False)
    paths = train_each(parts, "simplenet", folder, FAST, overwrite=True, progress=False)
    assert trained == list(paths.values()) and not paths["checker"].exists()
    with pytest.raises(TrainingError, match="epochs is 0"):
        train_each(parts, "simplenet", folder, replace(FAST, epochs=0))


def scores_of(n, seed, gain):
    """Score tables of two detectors on n photos: correlated, one better by `gain` standard deviations."""
    random = np.random.default_rng(seed)
    photo = random.normal(size=n)
    tables = {}
    for name, strength in (("a", gain), ("b", 0.4)):
        real = 0.5 * photo + random.normal(size=n)
        fake = 0.5 * photo + random.normal(size=n) + strength
        rows = [
            pd.DataFrame({"label": int(k != "real"), "kind": k, "score": s, "pair_id": np.arange(n)})
            for k, s in (("real", real), ("a", fake), ("b", fake))
        ]
        table = pd.concat(rows, ignore_index=True)
        table["image_id"], table["status"] = table["kind"] + table["pair_id"].astype(str), "ok"
        table["pair_id"] = table["pair_id"].astype(str)
        tables[name] = table
    return tables


def halves_of(table, kind):
    part = table[table["kind"].isin(["real", kind])]
    return part.sort_values(["pair_id", "label"], ignore_index=True)


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says():
    truth = metrics_of_normals(0.4) - metrics_of_normals(1.2)
    held = 0
    for seed in range(100):
        tables = scores_of(150, seed, 1.2)
        first, second = halves_of(tables["b"], "a"), halves_of(tables["a"], "a")
        difference, (low, high) = auc_against(first, second, 0.95)
        held += low <= truth <= high
    wanted = metrics.roc_auc_score(first["label"], first["score"])
    wanted -= metrics.roc_auc_score(second["label"], second["score"])
    assert difference == pytest.approx(wanted)
    assert held >= 87  # 95 % of 100, less than four standard errors below


def metrics_of_normals(shift):
    """AUC of two normals with variance 1.25 whose means differ by `shift`."""
    from scipy.stats import norm

    return float(norm.cdf(shift / math.sqrt(2 * 1.25)))


def test_a_photo_whose_fake_could_not_be_read_is_left_out_of_that_column_alone():
    tables = scores_of(40, 0, 1.2)
    for table in tables.values():
        table.loc[table["image_id"] == "a7", ["status", "score"]] = ["unreadable image", np.nan]
    found = {(c.trained_on, c.tested_on): c.n_photos for c in cells(tables, "ab", AuditConfig())}
    assert found == {("a", "a"): 39, ("b", "a"): 39, ("a", "b"): 40, ("b", "b"): 40}
    for table in tables.values():
        table.loc[table["kind"] == "b", "status"] = "unreadable image"
    with pytest.raises(ConfigError, match="no held-out photo and its b fake"):
        cells(tables, "ab", AuditConfig())
