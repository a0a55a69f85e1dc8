"""The Ray engine against a real local cluster: the same bytes, in a store too, and lost shards made again."""

import os
import signal
from typing import Any

import pytest

from pipelines.dataset.job import claimed
from pipelines.engines.ray_cluster import run_ray
from pipelines.errors import CheckpointFormatError, EngineError
from pipelines.jobs.generation import generate_pairs, run_job
from pipelines.jobs.plans import photo_job
from tests.processes import processes

ray = pytest.importorskip("ray", reason="needs the extra [ray]")
pytestmark = pytest.mark.slow
OPTIONS = {"size_px": 32, "shard_size": 4, "batch_size": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def cluster(s3: Any, cluster: None) -> None:
    """The one of all tests, begun after the store, whose address its workers find in their environment."""


@pytest.fixture(scope="module")
def local(drawn, tiny_generator, tmp_path_factory, tree):
    out = tmp_path_factory.mktemp("local") / "pairs"
    generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS)
    return tree(out)


def test_an_address_that_is_none(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    with pytest.raises(EngineError, match="no Ray cluster answers at nonsense"):
        run_ray(job, [0], lambda *_: None, address="nonsense")


def test_same_bytes_as_local(cluster, drawn, tiny_generator, tmp_path, local, tree):
    seen = []
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    with claimed(job):
        run_ray(job, job.missing_shards(), lambda *event: seen.append(event), workers=2)
    assert sum(done for _, done, _ in seen) == 32
    assert tree(run_job(job).out_dir) == local


def test_a_lost_worker_is_replaced(cluster, drawn, tiny_generator, tmp_path, local, tree):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    killed = []

    def kill_one(*_):
        if not killed:
            killed.append(processes(b"ray::_Worker")[0])
            os.kill(killed[0], signal.SIGKILL)

    with claimed(job):
        run_ray(job, job.missing_shards(), kill_one, workers=2)
        assert job.missing_shards() == []
    assert killed
    assert tree(run_job(job).out_dir) == local


def test_more_workers_than_places_wait_for_nobody(cluster, drawn, tiny_generator, tmp_path, local, tree):
    """One of the two CPUs is taken by somebody else: what can start does all the work."""

    @ray.remote(num_cpus=1)
    class Squatter:
        def ready(self):
            return True

    squatter = Squatter.remote()
    assert ray.get(squatter.ready.remote())
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    with claimed(job):
        run_ray(job, job.missing_shards(), lambda *_: None, workers=5)
    ray.kill(squatter)
    assert tree(run_job(job).out_dir) == local


def test_expected_errors_keep_their_kind(cluster, drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    job.generator["path"] = str(tmp_path / "gone.safetensors")
    with claimed(job), pytest.raises(CheckpointFormatError, match=r"gone\.safetensors"):
        run_ray(job, [0], lambda *_: None, workers=1)


def test_gpus_that_are_not_there_are_said(cluster, drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    object.__setattr__(job.settings, "device", "cuda")
    with pytest.raises(EngineError, match=r"no machine .* has room for a worker of 1 CPUs and 0\.25 GPUs"):
        run_ray(job, [0], lambda *_: None)


def test_several_kinds_give_the_same_bytes_as_local(cluster, drawn, tiny_generator, tmp_path, tree):
    """Donors of swaps are searched by the driver; every actor must find the same ones."""
    kinds = [str(tiny_generator), "swap", "self-blend"]
    generate_pairs(drawn, tmp_path / "local", kinds, workers=1, limit=8, **OPTIONS)
    job = photo_job(drawn, tmp_path / "ray", kinds, limit=8, **OPTIONS)
    with claimed(job):
        run_ray(job, job.missing_shards(), lambda *_: None, workers=2)
    ours = tree(run_job(job).out_dir)
    assert ours == tree(tmp_path / "local") and any(name.startswith("fake/self-blend/") for name in ours)


def test_a_cluster_makes_the_same_pairs_in_a_store(cluster, s3: Any, drawn, tiny_generator):
    """Its workers read photos and write shards there themselves."""
    options = OPTIONS | {"shard_size": 2, "limit": 6}
    s3.put(str(drawn), "work/fairface", recursive=True)
    generate_pairs("s3://work/fairface", "s3://work/local", tiny_generator, workers=1, **options)
    out = "s3://work/ray"
    made = generate_pairs("s3://work/fairface", out, tiny_generator, engine="ray", workers=2, **options)
    assert made.n_pairs > 0
    there = {key.partition("/ray/")[2]: s3.cat_file(key) for key in s3.find("work/ray")}
    assert there == {key.partition("/local/")[2]: s3.cat_file(key) for key in s3.find("work/local")}
