"""Pairs made in an S3 store: round trips, and machines that are killed at any step."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines import places
from pipelines.dataset.assemble import finish
from pipelines.dataset.hub_form import export_pairs, unpack_pairs
from pipelines.dataset.job import claimed, load_job
from pipelines.dataset.shards import ShardMaker
from pipelines.errors import PlaceError
from pipelines.jobs.generation import generate_pairs
from pipelines.jobs.plans import photo_job
from pipelines.places import local
from tests.pipelines.killing import die_at_put, in_child, wait

pytestmark = pytest.mark.slow

OPTIONS = {"size_px": 32, "shard_size": 8, "batch_size": 4, "device": "cpu", "workers": 1}


def below(store: Any, folder: str) -> dict[str, bytes]:
    """Every object below a folder, by its name there."""
    return {key[len(folder) + 1 :]: store.cat_file(key) for key in store.find(folder)}


@pytest.fixture(scope="module")
def photos(s3: Any, drawn: Path) -> str:
    s3.put(str(drawn), "work/fairface", recursive=True)
    return "s3://work/fairface"


def test_pairs_made_by_machines_that_are_killed_are_the_undisturbed_ones(
    s3: Any,
    photos: str,
    drawn: Path,
    tiny_generator: Path,
    tmp_path: Path,
):
    """Each child is a machine: it leaves nothing on this one, and dies at, or just after, its n-th object."""
    torch.set_num_threads(1)
    generate_pairs(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    expected = {p.relative_to(tmp_path / "pairs").as_posix(): p.read_bytes()
                for p in (tmp_path / "pairs").rglob("*") if p.is_file()}  # fmt: skip
    make = partial(generate_pairs, photos, "s3://work/pairs", tiny_generator, **OPTIONS)
    shards, kills = set(), 0
    for n, after in ((7, False), (20, True), (40, False)):
        code = wait(in_child(partial(die_at_put, n, make, after)))
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        finished = {key for key in s3.find("work/pairs/.unfinished") if key.endswith("rows.parquet")}
        assert shards <= finished or s3.exists("work/pairs/provenance.json")  # none is lost, or made again
        shards = finished
    assert kills == 3
    assert make().n_pairs > 0
    found = below(s3, "work/pairs")
    assert found.keys() == expected.keys()
    provenance = found.pop("provenance.json").decode()
    assert provenance.replace("s3://work/fairface", str(drawn)) == expected.pop("provenance.json").decode()
    assert found == expected
    assert make().was_complete


def test_no_shard_is_made_twice(s3: Any, photos: str, tiny_generator: Path, monkeypatch):
    made, make, sixteen = [], ShardMaker.make, {**OPTIONS, "shard_size": 4, "limit": 16}

    def stop_after_two(self: ShardMaker, number: int, listen: Any) -> None:
        if len(made) == 2:
            raise PlaceError("the machine was taken away")
        make(self, number, listen)
        made.append(number)

    monkeypatch.setattr(ShardMaker, "make", stop_after_two)
    with pytest.raises(PlaceError, match="taken away"):
        generate_pairs(photos, "s3://work/twice", tiny_generator, **sixteen)
    monkeypatch.setattr(ShardMaker, "make", lambda self, n, listen: (made.append(n), make(self, n, listen)))
    generate_pairs(photos, "s3://work/twice", tiny_generator, **sixteen)
    assert made == [0, 1, 2, 3]
    assert s3.exists("work/twice/provenance.json") and not s3.exists("work/twice/.unfinished")


def test_a_worker_on_another_machine_needs_no_shared_folder(
    s3: Any, photos: str, drawn: Path, tiny_generator: Path, tmp_path: Path
):
    """The child finds none of this machine's copies; what it made is all that is put together here."""
    options = {name: value for name, value in OPTIONS.items() if name != "workers"}
    job = photo_job(local(photos), local("s3://work/afar"), tiny_generator, limit=8, **options)
    sent = places.attached()

    def elsewhere():
        for root, *_ in sent:
            shutil.rmtree(root, ignore_errors=True)
        places._COPIES.clear()
        places.attach(sent)
        maker = ShardMaker(load_job(job.out_dir))
        for number in range(job.n_shards):
            maker.make(number, lambda *_: None)

    with claimed(job):
        assert wait(in_child(elsewhere)) == 0
        shutil.rmtree(job.work_dir)  # nor does this machine see what the other one has
        finish(job)
    generate_pairs(drawn, tmp_path / "here", tiny_generator, limit=8, **OPTIONS)
    here = {
        p.relative_to(tmp_path / "here").as_posix() for p in (tmp_path / "here").rglob("*") if p.is_file()
    }
    found = below(s3, "work/afar")
    assert found.keys() == here
    assert found["manifest.parquet"] == (tmp_path / "here/manifest.parquet").read_bytes()


def test_worker_processes_and_latents_work_on_a_store(
    s3: Any,
    photos: str,
    tiny_generator: Path,
):
    one_worker = {**OPTIONS, "shard_size": 4, "limit": 12}
    several = {**one_worker, "workers": 2}
    generate_pairs(photos, "s3://work/one", tiny_generator, **one_worker)
    generate_pairs(photos, "s3://work/several", tiny_generator, **several)
    one, two = below(s3, "work/one"), below(s3, "work/several")
    assert one == two
    again = {k: v for k, v in OPTIONS.items() if k != "size_px"} | {"shard_size": 4}
    made = generate_pairs(None, "s3://work/decoded", tiny_generator, from_latents="s3://work/one", **again)
    assert made.n_pairs == sum(name.startswith("fake/") for name in one)


def test_published_pairs_come_back_the_same(s3: Any, photos: str, tiny_generator: Path):
    generate_pairs(photos, "s3://work/whole", tiny_generator, limit=8, **OPTIONS)
    export_pairs(local("s3://work/whole"), local("s3://work/published"))
    unpack_pairs(local("s3://work/published"), local("s3://work/back"))
    assert below(s3, "work/back") == below(s3, "work/whole")
