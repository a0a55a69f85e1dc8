"""Engines: who works where, and errors that workers tell of."""

import os
import subprocess
import sys
from collections import Counter

import pytest
import torch

from pipelines.dataset.job import claimed
from pipelines.engines.local import _Crew, count_loss, devices_for, expected, run_local
from pipelines.errors import EngineError, ExpectedError, SettingError, StorageError
from pipelines.jobs.plans import photo_job


@pytest.fixture
def job(drawn, tiny_generator, tmp_path):
    return photo_job(drawn, tmp_path / "pairs", tiny_generator, size_px=32, shard_size=8, device="cpu")


def test_one_worker_a_core_but_no_more_than_shards(job):
    assert devices_for(job, None, 100) == ["cpu"] * len(os.sched_getaffinity(0))
    assert devices_for(job, None, 1) == ["cpu"]
    assert devices_for(job, 3, 100) == ["cpu"] * 3
    with pytest.raises(SettingError, match="--workers is 0"):
        devices_for(job, 0, 1)


def on_gpus(job, monkeypatch, *free):
    object.__setattr__(job.settings, "device", "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (free[i], free[i]))


def test_every_gpu_gets_the_lanes_it_holds(job, monkeypatch):
    job.generator["output_size_px"] = 1024
    on_gpus(job, monkeypatch, 140e9, 40e9)
    lanes = ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0", "cuda:0"]
    assert devices_for(job, None, 100) == lanes
    assert devices_for(job, None, 3) == lanes[:3]
    assert devices_for(job, 8, 100) == lanes + lanes[:2]


def test_a_run_for_gpus_on_a_machine_without(job, monkeypatch):
    on_gpus(job, monkeypatch)
    with pytest.raises(SettingError, match="planned for GPUs, and PyTorch sees none on this machine"):
        devices_for(job, None, 4)


@pytest.mark.slow
def test_a_workers_modules_are_ours(job, tmp_path, monkeypatch):
    """A file in the user's folder that is called like a module is not imported."""
    (tmp_path / "queue.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    job.generator["path"] = str(tmp_path / "gone.safetensors")
    with claimed(job), pytest.raises(ExpectedError, match=r"gone\.safetensors"):
        run_local(job, job.missing_shards(), lambda *_: None, workers=2)


def test_errors_keep_their_kind():
    assert isinstance(expected("StorageError", "disk full"), StorageError)
    assert str(expected("StorageError", "disk full")) == "disk full"
    assert type(expected("NoSuchError", "x")) is ExpectedError


def test_a_shard_may_lose_two_workers_not_three():
    lost = Counter()
    count_loss(lost, 7, "exit code -9")
    count_loss(lost, 7, "exit code -9")
    with pytest.raises(EngineError, match="shard 7 took its worker down 3 times"):
        count_loss(lost, 7, "exit code -9")


def test_nothing_to_do_is_done(job):
    run_local(job, [], lambda *_: None)


@pytest.fixture
def started(monkeypatch):
    """The processes that were started; the third one cannot be."""
    started, popen = [], subprocess.Popen

    def start(*args, **options):
        if len(started) == 2:
            raise OSError("no room for another process")
        started.append(popen([sys.executable, "-c", "import sys; sys.stdin.read()"], **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_workers_that_started_end_where_a_later_one_does_not(job, started):
    with pytest.raises(OSError, match="no room for another process"):
        _Crew(job, ["cpu"] * 3)
    assert [process.poll() is not None for process in started] == [True, True]
    assert all(process.stdin.closed and process.stdout.closed for process in started)


def test_a_lost_workers_pipes_are_closed(job, started):
    crew = _Crew(job, ["cpu"])
    (lane,) = crew.lanes
    lane.give(4)
    lane.process.kill()
    crew._replace(lane)
    assert lane.process.stdin.closed and lane.process.stdout.closed
    assert [one.shard for one in crew.lanes] == [4] and crew.lost == {4: 1}
    crew.dismiss()
