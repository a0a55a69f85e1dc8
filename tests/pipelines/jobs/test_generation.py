"""Pair generation from end to end, with a real face detector and an untrained network."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from pipelines.dataset.job import UNFINISHED, claimed
from pipelines.dataset.manifest import read_manifest, read_provenance
from pipelines.engines.local import run_local
from pipelines.errors import (
    FairFaceNotFound,
    ManifestSchemaError,
    OutputHoldsAnotherRun,
    OutputInUse,
    PairsNotFound,
    SelectionError,
    SettingError,
    SourceLost,
    StorageError,
)
from pipelines.generators.latents import fetch, index
from pipelines.jobs.generation import generate_pairs, plan_pairs, run_job
from pipelines.jobs.plans import latents_job, photo_job

OPTIONS = {"size_px": 32, "shard_size": 12, "batch_size": 5, "device": "cpu", "workers": 1}


AGAIN = {"batch_size": 5, "device": "cpu", "workers": 1}
PLANNED = {k: v for k, v in OPTIONS.items() if k != "workers"}


@pytest.fixture(scope="module")
def made(drawn, tiny_generator, tmp_path_factory):
    """A finished dataset of all 32 drawn faces; read only."""
    out = tmp_path_factory.mktemp("made") / "pairs"
    return generate_pairs(drawn, out, tiny_generator, **OPTIONS)


def test_every_photo_is_a_row_and_every_pair_is_there(made):
    manifest = read_manifest(made.out_dir)
    assert len(manifest) == made.n_attempted == 32
    assert made.n_pairs + sum(made.reasons.values()) == 32
    assert made.n_pairs >= 28
    for pair in manifest[manifest["status"] == "ok"].itertuples():
        halves = [Image.open(made.out_dir / name) for name in (pair.real, pair.fake)]
        assert [(h.format, h.mode, h.size) for h in halves] == [("JPEG", "RGB", (32, 32))] * 2
    assert len(list((made.out_dir / "real").iterdir())) == made.n_pairs
    assert manifest["source_sha256"].str.len().eq(64).all()
    assert sorted(os.listdir(made.out_dir)) == [
        "fake", "latents", "manifest.parquet", "provenance.json", "real", "summary.json",
    ]  # fmt: skip


def test_what_was_measured_lies_in_its_range(made):
    pairs = read_manifest(made.out_dir).query("status == 'ok'")
    assert pairs["confidence"].between(0.6, 1).all()
    assert pairs["border_share"].between(0, 1).all()
    assert pairs["reconstruction_l1"].between(0, 1).all()
    assert pairs["reconstruction_ms_ssim"].between(0, 1).all()
    assert (pairs["n_faces"] >= 1).all()


def test_provenance_says_what_made_it(made, drawn):
    record = read_provenance(made.out_dir)
    assert record["source"]["kind"] == "rendered"
    assert record["generators"][0]["name"] == "tiny"
    assert record["parameters"]["size_px"] == 32
    assert any("rendered" in note for note in record["notes"])
    summary = json.loads((made.out_dir / "summary.json").read_text())
    assert summary["kinds"]["tiny"]["overall"]["n_pairs"] == made.n_pairs
    assert {g["attribute"] for g in summary["kinds"]["tiny"]["groups"]} == {"age", "gender", "race"}


def test_same_command_same_bytes(made, drawn, tiny_generator, tmp_path, tree):
    again = generate_pairs(drawn, tmp_path / "again", tiny_generator, **OPTIONS)
    assert tree(again.out_dir) == tree(made.out_dir)


def test_complete_dataset_is_confirmed_not_redone(made, drawn, tiny_generator):
    before = {p: p.stat().st_mtime_ns for p in made.out_dir.rglob("*")}
    again = generate_pairs(drawn, made.out_dir, tiny_generator, **OPTIONS)
    assert again.was_complete
    assert {p: p.stat().st_mtime_ns for p in made.out_dir.rglob("*")} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [({"seed": 3}, "seed 0 there, 3 asked for"), ({"limit": 5}, "limit None there, 5 asked for")],
)
def test_other_options_are_refused(made, drawn, tiny_generator, change, message):
    with pytest.raises(OutputHoldsAnotherRun, match=message):
        generate_pairs(drawn, made.out_dir, tiny_generator, **OPTIONS | change)


def test_a_folder_of_something_else_is_refused(drawn, tiny_generator, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(OutputHoldsAnotherRun, match=r"holds thesis\.tex and is no pairs dataset"):
        generate_pairs(drawn, tmp_path, tiny_generator, **OPTIONS)
    with pytest.raises(OutputHoldsAnotherRun, match="is a file"):
        generate_pairs(drawn, tmp_path / "thesis.tex", tiny_generator, **OPTIONS)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_two_runs_at_once_are_refused(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, size_px=32, device="cpu")
    with claimed(job), pytest.raises(OutputInUse, match="another process is writing"):
        run_job(job)


@pytest.fixture
def spoilt(drawn, tmp_path, tree):
    """The drawn population with some of its photos damaged."""
    folder = tmp_path / "spoilt"
    shutil.copytree(drawn, folder)
    photos = folder / "train"
    (photos / "1.jpg").unlink()
    (photos / "2.jpg").write_bytes((photos / "2.jpg").read_bytes()[:900])
    (photos / "3.jpg").write_text("not an image")
    Image.new("RGB", (224, 224), (90, 120, 30)).save(photos / "4.jpg")
    Image.new("1", (9000, 9000)).save(photos / "5.jpg", "PNG")
    grey = Image.open(photos / "6.jpg").convert("L")
    grey.save(photos / "6.jpg")
    turned = Image.open(photos / "7.jpg").rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(photos / "7.jpg", exif=exif)
    two = np.concatenate([np.asarray(Image.open(photos / f"{i}.jpg")) for i in (8, 8)], 1)
    Image.fromarray(two).save(photos / "8.jpg")
    return folder


def test_bad_photos_become_rows_with_reasons(spoilt, tiny_generator, tmp_path):
    made = generate_pairs(spoilt, tmp_path / "pairs", tiny_generator, **OPTIONS)
    rows = read_manifest(made.out_dir).set_index("source")
    status = rows["status"]
    assert [status[f"train/{i}.jpg"] for i in range(1, 6)] == [
        "missing photo", "unreadable image", "unreadable image", "no face found", "image too large",
    ]  # fmt: skip
    assert [status[f"train/{i}.jpg"] for i in (6, 7, 8)] == ["ok", "ok", "ok"]
    assert rows.loc["train/8.jpg", "n_faces"] >= 2
    rejected = rows[rows["status"] != "ok"]
    assert (rejected["detail"] != "").all()
    assert rejected["real"].isna().all()
    assert sum(made.reasons.values()) == len(rejected)


def test_lost_mount_stops_the_run_and_resume_gives_the_same_bytes(
    made, drawn, tiny_generator, tmp_path, tree
):
    photos = tmp_path / "photos"
    shutil.copytree(drawn, photos)
    job = photo_job(photos, tmp_path / "pairs", tiny_generator, **PLANNED)

    def lose(*_):
        if photos.exists():
            photos.rename(tmp_path / "gone")

    with claimed(job), pytest.raises(SourceLost, match="went away in the middle of the run"):
        run_local(job, job.missing_shards(), lose, workers=1)
    (tmp_path / "gone").rename(photos)
    assert not list((job.out_dir / UNFINISHED).glob("*.tmp"))
    again = generate_pairs(photos, job.out_dir, tiny_generator, **OPTIONS)
    ours, theirs = tree(again.out_dir), tree(made.out_dir)
    ours.pop("provenance.json"), theirs.pop("provenance.json")  # the photos' path differs
    assert ours == theirs


def test_lost_output_folder_stops_the_run(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, size_px=32, shard_size=12, device="cpu")

    def lose(*_):
        if job.out_dir.exists():
            job.out_dir.rename(tmp_path / "gone")

    with claimed(job), pytest.raises(StorageError, match=r"cannot write to .*pairs.*same command again"):
        run_local(job, job.missing_shards(), lose, workers=1)


def test_from_latents_gives_the_same_fakes(made, tiny_generator, tmp_path, tree):
    again = generate_pairs(None, tmp_path / "again", tiny_generator, from_latents=made.out_dir, **AGAIN)
    old, new = tree(made.out_dir), tree(again.out_dir)
    images = [name for name in old if name.startswith(("real/", "fake/"))]
    assert images and all(name.endswith(".jpg") for name in images)
    assert {k: new.get(k) for k in images} == {k: old[k] for k in images}
    assert again.reasons == made.reasons
    assert any("without the photos" in note for note in again.notes)


@pytest.fixture(scope="module")
def alike(drawn, tiny_generator, tmp_path_factory):
    """Pairs of twelve faces of two cells, and of one whose cell is their own; read only."""
    folder = tmp_path_factory.mktemp("alike")
    shutil.copytree(drawn / "train", folder / "photos" / "train")
    cells = ["20-29,Male,White", "30-39,Female,Black"] * 6 + ["0-2,Male,Indian"]
    lines = [f"train/{i}.jpg,{cell},False" for i, cell in enumerate(cells, 1)]
    table = "\n".join(["file,age,gender,race,service_test", *lines]) + "\n"
    (folder / "photos" / "fairface_label_train.csv").write_text(table)
    options = OPTIONS | {"shard_size": 20}
    return generate_pairs(folder / "photos", folder / "pairs", tiny_generator, **options)


def test_styles_are_mixed_within_age_gender_and_race(alike, tiny_generator, tmp_path, tree):
    """A fake keeps its photo's labels, so it must not take on another group's styles."""
    mixed = generate_pairs(
        None, tmp_path / "mixed", tiny_generator, from_latents=alike.out_dir, style_mix=1.0, **AGAIN
    )
    rows = read_manifest(mixed.out_dir).query("status == 'ok'").set_index("pair_id")
    alone = rows.index == "train-000013"
    told = rows["detail"][~alone]
    assert told.str.startswith("mixed with ").all()
    partners = told.str.removeprefix("mixed with ")
    assert (partners != told.index).all()
    assert rows.loc[partners, "race"].tolist() == rows["race"][~alone].tolist()
    assert rows["detail"][alone].tolist() == [
        "not mixed: nobody else of this age, gender and race in the shard"
    ]
    assert any("1 of 13 pairs stayed as they were" in note for note in mixed.notes)
    old, new = tree(alike.out_dir), tree(mixed.out_dir)
    images = [k for k in old if k.startswith(("real/", "fake/"))]
    kept = {k for k in images if old[k] == new[k]}
    assert kept == {k for k in images if k.startswith("real/")} | {"fake/tiny/train-000013.jpg"}
    places, kept = index(alike.out_dir), index(mixed.out_dir)
    one = rows.index[0]
    latent = [fetch([(str(p[one][0]), p[one][1])]) for p in (places, kept)]
    assert np.array_equal(*latent)


def test_decoded_again_nothing_is_claimed_that_no_longer_holds(alike, tiny_generator, tmp_path):
    mixed, plain, more = (tmp_path / name for name in ("mixed", "plain", "more"))
    generate_pairs(None, mixed, tiny_generator, from_latents=alike.out_dir, style_mix=0.5, **AGAIN)
    again = generate_pairs(None, plain, tiny_generator, from_latents=mixed, **AGAIN)
    assert not any("mixed" in note for note in again.notes)
    assert read_manifest(plain).query("status == 'ok'")["detail"].eq("").all()
    third = generate_pairs(None, more, tiny_generator, from_latents=mixed, style_mix=0.9, **AGAIN)
    assert [note for note in third.notes if "mixed" in note] == [
        note.replace("50%", "90%") for note in read_provenance(mixed)["notes"] if "mixed" in note
    ]
    assert sum("without the photos" in note for note in third.notes) == 1


def test_what_the_photos_are_is_told_through_every_generation(made, tiny_generator, tmp_path):
    one = generate_pairs(None, tmp_path / "one", tiny_generator, from_latents=made.out_dir, **AGAIN)
    two = generate_pairs(None, tmp_path / "two", tiny_generator, from_latents=one.out_dir, **AGAIN)
    for each in (made, one, two):
        assert sum("rendered" in note for note in each.notes) == 1
    assert read_manifest(two.out_dir).equals(read_manifest(made.out_dir))


def test_a_real_half_that_is_gone_or_changed_is_a_row(made, alike, tiny_generator, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(alike.out_dir, folder)
    (folder / "real" / "train-000001.jpg").unlink()
    (folder / "real" / "train-000002.jpg").write_text("nonsense")
    Image.new("RGB", (48, 48)).save(folder / "real" / "train-000003.jpg")
    again = generate_pairs(None, tmp_path / "again", tiny_generator, from_latents=folder, **AGAIN)
    rows = read_manifest(again.out_dir).set_index("pair_id").iloc[:3]
    assert rows["status"].tolist() == ["missing photo", "unreadable image", "halves differ in size"]
    assert (
        rows["detail"].tolist()[0]
        == "the real half train-000001.jpg is gone from the dataset with the latents"
    )
    assert "48 x 48 px" in rows["detail"].iloc[2]
    assert rows["reconstruction_l1"].isna().all()
    assert again.n_pairs == alike.n_pairs - 3


def test_a_dataset_of_latents_that_goes_away_stops_the_run(alike, tiny_generator, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(alike.out_dir, folder)
    job = latents_job(folder, tmp_path / "again", tiny_generator, device="cpu")
    shutil.rmtree(folder / "real")
    with pytest.raises(SourceLost, match="went away in the middle of the run"):
        run_job(job, workers=1)
    shutil.rmtree(folder)
    with pytest.raises(SourceLost, match=r"safetensors cannot be read"):
        run_job(job, workers=1)


def test_settings_that_make_no_sense_are_refused(made, drawn, tiny_generator, tmp_path):
    out = tmp_path / "pairs"
    for change, kind, message in (
        ({"limit": 0}, SelectionError, "--limit is 0"),
        ({"size_px": 20}, SettingError, "--size-px is 20; tiny makes 32 px"),
        ({"truncation": 0.7}, SettingError, "no average latent"),
        ({"truncation": 3}, SettingError, r"--truncation is 3; it must lie from 0\.0 to 2\.0"),
        ({"style_mix": -1}, SettingError, "--style-mix is -1"),
        ({"device": "tpu"}, SettingError, "--device is 'tpu'"),
        ({"engine": "slurm"}, SettingError, "--engine is 'slurm'"),
        ({"workers": 0}, SettingError, "--workers is 0"),
        ({"batch_size": 0}, SettingError, "--batch-size is 0"),
        ({"precision": "int8"}, SettingError, "--precision is 'int8'"),
    ):
        with pytest.raises(kind, match=message):
            generate_pairs(drawn, out, tiny_generator, **OPTIONS | change)
    with pytest.raises(FairFaceNotFound, match="is not there"):
        generate_pairs(tmp_path / "nowhere", out, tiny_generator)
    with pytest.raises(SelectionError, match="the dataset the latents come from"):
        generate_pairs(None, made.out_dir, tiny_generator, from_latents=made.out_dir)


@pytest.mark.slow
def test_dry_run_touches_nothing_and_is_about_right(made, drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, size_px=32, shard_size=12, device="cpu")
    plan = plan_pairs(job, workers=1)
    assert not (tmp_path / "pairs").exists()
    assert (plan.n_photos, plan.n_finished, plan.n_shards, plan.n_workers) == (32, 0, 3, 1)
    real_size = sum(p.stat().st_size for p in made.out_dir.rglob("*") if p.is_file())
    assert 0.3 < plan.disk_bytes / real_size < 3
    assert plan.free_bytes > 0
    assert plan.n_tried == 24
    assert 20 <= plan.n_tried_paired <= 24
    assert plan.notes == ["The faces are rendered: drawn by a program, no photographs of people."]
    assert plan.seconds > 0
    run_job(job, workers=1)
    assert plan_pairs(job, workers=1).seconds == 0, "nothing is left to do"


def test_dry_run_refuses_what_the_run_would_refuse(drawn, tiny_generator, tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(OutputHoldsAnotherRun, match=r"holds thesis\.docx and is no pairs dataset"):
        plan_pairs(photo_job(drawn, tmp_path, tiny_generator, size_px=32, device="cpu"))


@pytest.mark.slow
@pytest.mark.fairface
def test_real_photos(fairface_dir, tiny_generator, tmp_path):
    made = generate_pairs(fairface_dir, tmp_path / "pairs", tiny_generator, limit=63, **OPTIONS)
    rows = read_manifest(made.out_dir)
    assert made.n_attempted == 63
    assert made.n_pairs >= 0.7 * 63
    assert set(made.reasons) <= {"no face found", "face cut off by the photo's edge"}
    assert read_provenance(made.out_dir)["source"]["kind"] == "fairface"
    assert rows.groupby(["gender", "race"]).size().between(4, 5).all()


def test_no_pair_at_all_is_a_result_too(tiny_generator, tmp_path):
    photos = tmp_path / "photos"
    (photos / "val").mkdir(parents=True)
    Image.new("RGB", (100, 100), "grey").save(photos / "val" / "odd näme.jpg")
    header = "file,age,gender,race\n"
    (photos / "fairface_label_val.csv").write_text(header + "val/odd näme.jpg,3-9,Male,White\n")
    made = generate_pairs(photos, tmp_path / "pairs", tiny_generator, **OPTIONS)
    assert (made.n_attempted, made.n_pairs, made.reasons) == (1, 0, {"no face found": 1})
    row = read_manifest(made.out_dir).iloc[0]
    assert row["pair_id"] == "val-odd näme"
    assert (
        json.loads((made.out_dir / "summary.json").read_text())["kinds"]["tiny"]["overall"]["mean_confidence"]
        is None
    )


N_BEGUN = 12


def begun(photos, out, kinds):
    """A run of which two of four shards are finished; where their photos lie."""
    job = photo_job(photos, out, kinds, limit=N_BEGUN, **(PLANNED | {"shard_size": N_BEGUN // 4}))
    with claimed(job):
        run_local(job, [0, 1], lambda *_: None, 1)
    return job, job.items(0)["path"].tolist()


def spoil(path):
    Image.fromarray(255 - np.asarray(Image.open(path).convert("RGB"))).save(path)


def as_clean(photos, job, kinds, tree, tmp_path):
    run_job(job, workers=1, progress=False)
    clean = tmp_path / "clean"
    generate_pairs(photos, clean, kinds, limit=N_BEGUN, **(OPTIONS | {"shard_size": N_BEGUN // 4}))
    return tree(job.out_dir) == tree(clean)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["other", "damaged", "gone", "mended"])
def test_photos_that_changed_since_they_were_worked_on_are_worked_on_again(
    drawn, tiny_generator, tree, tmp_path, change, caplog
):
    photos = shutil.copytree(drawn, tmp_path / "photos")
    plan = photo_job(photos, tmp_path / "pairs", tiny_generator, limit=N_BEGUN, **PLANNED)
    first = plan.items(0)["path"][0]
    whole = Path(first).read_bytes()
    if change == "mended":
        Path(first).write_bytes(whole[:100])
    job, (path, *_) = begun(photos, tmp_path / "pairs", tiny_generator)
    assert path == first
    match change:
        case "other":
            spoil(path)
        case "damaged":
            Path(path).write_bytes(whole[:100])
        case "gone":
            Path(path).unlink()
        case "mended":
            Path(path).write_bytes(whole)
    assert as_clean(photos, job, tiny_generator, tree, tmp_path)
    assert "1 photos have changed since they were worked on: 1 of 2 finished shards" in caplog.text


def test_faces_that_were_lent_are_borrowed_anew(drawn, tree, tmp_path, caplog):
    photos = shutil.copytree(drawn, tmp_path / "photos")
    job, (path, *_) = begun(photos, tmp_path / "pairs", ["swap"])
    spoil(path)
    assert as_clean(photos, job, ["swap"], tree, tmp_path)
    assert "2 of 2 finished shards are made again" in caplog.text


def test_photos_as_they_were_are_not_worked_on_again(drawn, tiny_generator, tmp_path, caplog):
    job, _ = begun(drawn, tmp_path / "pairs", tiny_generator)
    run_job(job, workers=1, progress=False)
    assert "worked on" not in caplog.text


@pytest.fixture(scope="module")
def finished(drawn, tiny_generator, tmp_path_factory):
    """A finished dataset of six photos, one of them damaged, beside those photos; read-only."""
    place = tmp_path_factory.mktemp("finished")
    photos = shutil.copytree(drawn, place / "photos")
    first = photo_job(photos, place / "pairs", tiny_generator, limit=6, **PLANNED).items(0)["path"][0]
    Path(first).write_bytes(Path(first).read_bytes()[:100])
    generate_pairs(photos, place / "pairs", tiny_generator, limit=6, **OPTIONS)
    return place


@pytest.mark.parametrize("change", ["other", "mended", "damaged", "gone", "none"])
def test_a_finished_dataset_speaks_of_photos_that_changed(drawn, tiny_generator, finished, tmp_path, change):
    place = Path(shutil.copytree(finished, tmp_path / "copy"))
    job = photo_job(place / "photos", place / "pairs", tiny_generator, limit=6, **PLANNED)
    damaged, path, *_ = job.items(0)["path"]
    match change:
        case "other":
            spoil(path)
        case "mended":
            path = damaged
            shutil.copyfile(drawn / "train" / Path(damaged).name, damaged)
        case "damaged":
            Path(path).write_bytes(Path(path).read_bytes()[:100])
        case "gone":
            Path(path).unlink()
    if change in ("gone", "none"):
        assert run_job(job, progress=False).was_complete
    else:
        with pytest.raises(
            OutputHoldsAnotherRun,
            match=rf"^1 of 6 photos has changed since \S+/pairs was made: {re.escape(path)}; delete \S+/pairs"
            ", or name another --out, to make the pairs anew$",
        ):
            run_job(job, progress=False)


@pytest.mark.parametrize("text", ["{", "[]", '{"parameters": 5}', "[" * 100_000])
def test_a_damaged_plan_of_an_unfinished_run_is_one_line(drawn, tiny_generator, tmp_path, text):
    job, _ = begun(drawn, tmp_path / "pairs", tiny_generator)
    (job.work_dir / "run.json").write_text(text)
    with pytest.raises(OutputHoldsAnotherRun, match=r"run\.json .*; delete \S+\.unfinished to begin anew$"):
        run_job(job, workers=1, progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parameters", None),
        ("parameters", 5),
        ("size_px", "x"),
        ("finish", 7),
        ("generators", []),
        ("generators", [5]),
        ("generators", [{"crop": "ffhq"}]),
        ("notes", 5),
        ("source", 1),
    ],
)
def test_a_dataset_that_does_not_say_how_its_latents_were_made(made, tiny_generator, tmp_path, name, value):
    folder = shutil.copytree(made.out_dir, tmp_path / "made")
    record = json.loads((folder / "provenance.json").read_text())
    (record["parameters"] if name in ("size_px", "finish") else record)[name] = value
    (folder / "provenance.json").write_text(json.dumps(record))
    with pytest.raises((PairsNotFound, ManifestSchemaError), match=r"provenance"):
        latents_job(folder, tmp_path / "out", tiny_generator, device="cpu")


@pytest.mark.parametrize("ids", ["[" * 200_000, "5", "null", "[[1],[2],[3]]"])
def test_latents_without_names(made, tmp_path, ids):
    (tmp_path / "latents").mkdir()
    save_file(
        {"latents": np.zeros((3, 2, 4), np.float32)}, tmp_path / "latents/a.safetensors", {"pair_ids": ids}
    )
    with pytest.raises(PairsNotFound, match=r"a\.safetensors does not hold latents of pairs: "):
        index(tmp_path)
