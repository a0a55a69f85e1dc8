"""Places in object stores: what is copied when, what is refused, and that nothing read becomes an address."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audit.cli import main, with_copies
from audit.verification.verify_run import verify_run
from detectors.data.datasets import read_images
from detectors.data.image_batches import content_of
from pipelines import place_urls, places
from pipelines.errors import MissingExtra, PhotoMissing, PhotoTooLarge, PlaceError
from pipelines.place_urls import checked, is_url, without_credentials
from pipelines.sources.photo_table import read_photo_table
from pipelines.sources.photos import encode_png, read_bytes
from pipelines.storage import file_sha256, open_regular, remove_tree, write_bytes, write_text

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def table() -> bytes:
    """A table of scores that can be audited."""
    rows = [
        {"image_id": f"i{i}", "label": i % 2, "score": (i * 7 % 40) / 40, "race": "AB"[i % 3 == 0]}
        for i in range(400)
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)


# --- addresses


def test_a_path_is_a_path(tmp_path: Path):
    assert places.local(tmp_path) == tmp_path
    assert places.local("s3:/bucket/x") == Path("s3:/bucket/x")
    assert places.local("runs/a") == Path("runs/a")
    assert places.name_of("runs/a") == "runs/a"
    assert not places.fetch(tmp_path / "nothing")


def test_local_work_loads_nothing_for_stores():
    code = "import sys, audit.cli, pipelines.storage; print('fsspec' in sys.modules, 's3fs' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "http://169.254.169.254/latest",
            r"http://169\.254\.169\.254/latest: http:// is no place that is read",
        ),
        ("file:///etc/passwd", "file:///etc/passwd: file:// is no place"),
        ("simplecache::s3://bucket/x", None),
        ("s3://KEY:hunter2@bucket/x", r"^s3://bucket/x was given with a user.*AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?token=hunter2", r"^s3://bucket/x was given with a user, a query"),
        ("s3://bucket/a/../b", r"^s3://bucket/a/\.\./b is no address of a file"),
        ("s3://bucket//b", "is no address of a file or folder: write s3://BUCKET/FOLDER"),
        ("s3://", "is no address of a file"),
    ],
)
def test_addresses_that_are_refused(typed: str, said: str | None):
    if said is None:
        assert not is_url(typed)
        return
    with pytest.raises(PlaceError, match=said) as refused:
        checked(typed)
    assert "hunter2" not in str(refused.value) and "KEY:" not in str(refused.value)


def test_credentials_are_neither_printed_nor_recorded(memory, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory.pipe("/b/scores.csv", table)
    assert run("run", "--scores", "memory://me:hunter2@b/scores.csv?sig=hunter2", "--out", "runs/x") == 2
    scores = ["run", "--scores", "memory://b/scores.csv", "--n-boot", "100", "-q"]
    assert run(*scores, "--name", "https://me:hunter2@host/model?key=hunter2", "--out", "runs/x") == 0
    record = json.loads((tmp_path / "runs/x/audit.json").read_text())
    assert record["provenance"]["command"].endswith("--name https://host/model --out runs/x")
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert without_credentials("at s3://a:b@c/d?e=f, and gs://g/h#i") == "at s3://c/d and gs://g/h"


@pytest.mark.parametrize(
    ("scheme", "said"), [("s3", r"install -e '\.\[remote\]'"), ("az", "pip install fsspec adlfs")]
)
def test_a_scheme_without_its_package(scheme: str, said: str, monkeypatch):
    monkeypatch.setattr(place_urls, "find_spec", lambda name: None)
    monkeypatch.setattr(place_urls, "_SYSTEMS", {})
    with pytest.raises((MissingExtra, PlaceError), match=said):
        places.local(f"{scheme}://bucket/x")


def test_arguments_that_are_no_places_stay_as_they_are(memory):
    memory.pipe("/b/pairs/manifest.parquet", b"m")
    typed = [
        "generate-pairs",
        "--ray-address",
        "ray://head:10001",
        "--name=s3://x/y",
        "--out=memory://b/pairs",
    ]
    *same, out = with_copies(typed)
    assert same == typed[:-1]
    assert out.startswith("--out=/") and Path(out[6:], "manifest.parquet").is_file()
    assert with_copies(["run", "--scores", "s3://nowhere/x", "--help"])[2] == "s3://nowhere/x"


# --- copies


def test_a_folder_is_there_and_its_images_come_when_they_are_read(memory):
    for name in ("manifest.parquet", "provenance.json", "real/a.png", "fake/x/a.png"):
        memory.pipe(f"/b/pairs/{name}", name.encode())
    folder = places.local("memory://b/pairs")
    assert sorted(p.name for p in folder.iterdir()) == ["fake", "manifest.parquet", "provenance.json", "real"]
    assert list((folder / "real").iterdir()) == []
    assert read_bytes(folder / "real/a.png") == b"real/a.png"
    with open_regular(folder / "fake/x/a.png") as file:
        assert file.read() == b"fake/x/a.png"
    assert file_sha256(folder / "real/a.png") == hashlib.sha256(b"real/a.png").hexdigest()
    assert places.name_of(folder / "real/a.png") == "memory://b/pairs/real/a.png"
    assert places.named(f"no {folder}/real/b.png") == "no memory://b/pairs/real/b.png"


def test_folders_that_no_table_names_are_copied_whole(memory, monkeypatch):
    for i in range(4):
        memory.pipe(f"/b/set/{('real', 'fake')[i % 2]}/{i}.png", b"x")
    folder = places.local("memory://b/set")
    assert len(list(folder.rglob("*.png"))) == 4
    monkeypatch.setattr(places, "MAX_COPIED", 3)
    with pytest.raises(PlaceError, match="memory://b/set holds more than 3 files that no manifest"):
        places.local("memory://b/set")


def test_a_missing_image_is_a_row_and_a_missing_place_stops_the_run(memory):
    memory.pipe("/b/pairs/manifest.parquet", b"m")
    memory.pipe("/b/pairs/real/a.png", b"a")
    folder = places.local("memory://b/pairs")
    with pytest.raises(PhotoMissing, match=r"b\.png is named"):
        read_bytes(folder / "real/b.png")
    assert content_of(folder / "real/b.png").startswith("missing photo")
    memory.rm("/b", recursive=True)
    with pytest.raises(PlaceError, match=r"memory://b/pairs went away in the middle.*same command again"):
        read_bytes(folder / "real/a.png")


def test_the_limit_of_an_image_holds_in_a_store(memory, monkeypatch):
    memory.pipe("/b/pairs/manifest.parquet", b"m")
    memory.pipe("/b/pairs/real/a.png", b"x" * 11)
    memory.pipe("/b/pairs/real/none.png", b"")
    folder = places.local("memory://b/pairs")
    monkeypatch.setattr(places, "MAX_IMAGE_BYTES", 10)
    with pytest.raises(PhotoTooLarge, match="limit"):
        read_bytes(folder / "real/a.png")
    with pytest.raises(OSError, match="more than 10 bytes") as refused:
        open_regular(folder / "real/a.png")
    assert refused.value.errno == errno.EFBIG
    assert not (folder / "real/a.png").exists()
    assert read_bytes(folder / "real/none.png") == b""


@pytest.mark.parametrize("name", ["..", "a\\b", "a\nb"])
def test_an_object_whose_name_leads_out_is_refused(memory, name):
    class Hostile(type(memory)):
        def ls(self, path, detail=True, **_):
            return [{"name": f"{path}/{name}", "type": "file", "size": 1}]

    memory.pipe("/b/set/real/a.png", b"x")
    place_urls._SYSTEMS[(os.getpid(), "memory")] = Hostile()
    try:
        with pytest.raises(PlaceError, match=r"holds an object called .* no name of a file"):
            places.local("memory://b/set")
    finally:
        place_urls._SYSTEMS.clear()


def test_what_is_written_is_taken_to_the_store(memory):
    folder = places.local("memory://b/run")
    assert not folder.exists()
    write_text(folder / "audit.json", "{}")
    (folder / "work.tmp").mkdir()
    write_bytes(folder / "work.tmp/rows.parquet", b"unfinished")
    write_text(folder / ".scoring/part", "1")
    assert sorted(memory.find("/b")) == ["/b/run/.scoring/part", "/b/run/audit.json"]
    remove_tree(folder / ".scoring")
    assert memory.find("/b") == ["/b/run/audit.json"]
    assert (places.local("memory://b/run") / "audit.json").read_text() == "{}"


def test_a_file_brings_what_lies_beside_it_and_belongs_to_it(memory):
    for name in ("faces.csv", "faces.toml", "other.toml"):
        memory.pipe(f"/b/{name}", name.encode())
    table = places.local("memory://b/faces.csv")
    assert sorted(p.name for p in table.parent.iterdir()) == ["faces.csv", "faces.toml"]
    write_text(places.local("memory://b/new/m.pt").with_suffix(".training.json"), "{}")
    assert memory.cat("/b/new/m.training.json") == b"{}"


def test_a_worker_knows_the_same_places(memory, tmp_path):
    memory.pipe("/b/pairs/manifest.parquet", b"m")
    memory.pipe("/b/pairs/real/a.png", b"a")
    places.local("memory://b/pairs")
    ((_, url, anchor),) = json.loads(json.dumps(places.attached()))
    places._COPIES.clear()
    places.attach([[str(tmp_path / "pairs"), url, anchor]])
    assert read_bytes(tmp_path / "pairs/real/a.png") == b"a"
    places.complete(tmp_path / "pairs")
    assert (tmp_path / "pairs/manifest.parquet").read_bytes() == b"m"


# --- nothing that was read becomes an address


IMAGE = encode_png(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    "name",
    ["memory://b/secret.png", "memory:/b/secret.png", "../secret.png", "/b/secret.png", "s3://b/secret.png"],
)
def test_a_table_on_this_machine_reaches_no_store(memory, tmp_path, monkeypatch, name):
    """However a local table spells it, and though a place of the same store is open."""
    memory.pipe("/b/secret.png", IMAGE)
    memory.pipe("/b/open/x.png", IMAGE)
    places.local("memory://b/open")
    monkeypatch.chdir(tmp_path)
    Path("faces.csv").write_text(f"image,label\n{name},fake\nother.png,real\n")
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, **__: pytest.fail("the store was asked"))
    for images in (read_images("faces.csv"), read_images(tmp_path / "faces.csv")):
        assert [content_of(path)[:13] for path in images.table["path"]] == ["missing photo"] * 2


@pytest.mark.parametrize(
    "name", ["../secret.png", "a/../../secret.png", "/b/secret.png", "/etc/hostname", "memory://b/secret.png"]
)
def test_a_table_in_a_store_names_images_below_it_alone(memory, name):
    memory.pipe("/b/secret.png", IMAGE)
    memory.pipe("/b/set/in/a.png", IMAGE)
    memory.pipe("/b/set/good.csv", b"image,label,race\nin/a.png,fake,A\nin/b.png,real,B\n")
    memory.pipe("/b/set/bad.csv", f"image,label,race\n{name},fake,A\nin/b.png,real,B\n".encode())
    good = read_images("memory://b/set/good.csv").table["path"]
    assert [content_of(path)[:7] for path in good] == [
        hashlib.sha256(IMAGE).hexdigest()[:7],
        "missing",
    ]
    with pytest.raises(PlaceError, match="does not lie below it and is not followed"):
        read_images("memory://b/set/bad.csv")
    said = "is not followed"
    with pytest.raises(Exception, match=said):
        read_photo_table(places.local("memory://b/set/bad.csv"), {"image": "image"})


def test_an_address_in_a_record_is_not_followed(memory, table, tmp_path, monkeypatch):
    """Anybody can write audit.json: `audit verify` reads what the person at the keyboard names, no more."""
    memory.pipe("/b/scores.csv", table)
    assert (
        run("run", "--scores", "memory://b/scores.csv", "--out", str(tmp_path / "x"), "--n-boot", "100", "-q")
        == 0
    )
    places._COPIES.clear()
    monkeypatch.setattr(type(memory), "info", lambda *_, **__: pytest.fail("the store was asked"))
    found = {check.what: check for check in verify_run(tmp_path / "x")}
    assert found["data"].state == "not checked"
    assert found["data"].detail == "nothing at memory://b/scores.csv; say where it is with --data"


# --- commands


def test_a_run_in_a_store_is_the_local_one(memory, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory.pipe("/b/scores.csv", table)
    more = ["--n-boot", "100", "--seed", "3", "-q"]
    assert run("run", "--scores", "memory://b/scores.csv", "--out", "memory://b/runs/x", *more) == 0
    (tmp_path / "scores.csv").write_bytes(table)
    assert run("run", "--scores", "scores.csv", "--out", "runs/x", *more) == 0
    for name in ("scores.parquet", "SHA256SUMS", "run.json", "report.html", "audit.json"):
        assert memory.exists(f"/b/runs/x/{name}")
    assert memory.cat("/b/runs/x/scores.parquet") == Path("runs/x/scores.parquet").read_bytes()
    there = memory.cat("/b/runs/x/audit.json").decode()
    assert there.replace("memory://b/", "") == Path("runs/x/audit.json").read_text()
    assert not [key for key in memory.find("/") if b"audit-place" in memory.cat(key)]
    capsys.readouterr()
    assert run("report", "memory://b/runs/x") == 0
    assert capsys.readouterr().out.splitlines()[0] == "memory://b/runs/x/report.html"
    assert memory.exists("/b/runs/x/tables/groups.csv")
    assert run("verify", "memory://b/runs/x", "--data", "memory://b/scores.csv") == 0
    said = capsys.readouterr().out
    assert "changed" not in said and "data: memory://b/scores.csv" in said
    assert run("run", "--scores", "memory://b/scores.csv", "--out", "memory://b/runs/x", *more[:2], "-q") == 2
    assert "memory://b/runs/x already holds another run" in capsys.readouterr().err.replace("\n", " ")
    memory.pipe("/b/runs/x/scores.parquet", b"other")
    assert run("verify", "memory://b/runs/x") == 1


def test_a_store_that_may_not_be_written_is_said_before_any_work(memory, table, capsys, monkeypatch):
    memory.pipe("/b/scores.csv", table)

    def refuse(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "pipe_file", refuse)
    assert run("run", "--scores", "memory://b/scores.csv", "--out", "memory://b/runs/x") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(
        "error: memory://b/runs/x cannot be written: the store does not allow it (Access Denied)"
    )
    assert memory.find("/b") == ["/b/scores.csv"]


def test_places_go_with_the_process(tmp_path):
    code = "from pipelines import places; print(places.local('memory://b/new').parent)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "audit-place-" in done.stdout and not Path(done.stdout.strip()).exists()
