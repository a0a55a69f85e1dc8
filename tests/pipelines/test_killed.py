"""Killed at any instant, continued, byte-identical: with a real SIGKILL, many times."""

import os
import resource
import shutil
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.dataset.job import claimed
from pipelines.engines.local import run_local
from pipelines.errors import EngineError, OutputInUse, StorageError
from pipelines.jobs.generation import generate_pairs, run_job
from pipelines.jobs.plans import photo_job
from tests.pipelines.killing import die_at, die_at_file, in_child, wait

pytestmark = pytest.mark.slow

OPTIONS = {"size_px": 32, "shard_size": 2, "batch_size": 2, "device": "cpu", "limit": 8}
"""Four shards: some are finished, one is begun, some are not, whenever a run dies."""


def lanes_of(folder):
    """Process ids of worker processes that serve a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] if command else "Z"
        except OSError:
            continue
        if (
            b"pipelines.engines.worker_process" in command
            and str(folder).encode() in command
            and state != "Z"
        ):
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(drawn, tiny_generator, tmp_path_factory, tree):
    """Bytes of a run that nothing disturbed, and how long it took."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("undisturbed") / "pairs"
    generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS)
    began = time.perf_counter()
    generate_pairs(drawn, out.with_name("timed"), tiny_generator, workers=1, **OPTIONS)
    return tree(out), time.perf_counter() - began


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_killed_at_random_moments(drawn, tiny_generator, tmp_path, undisturbed, tree, seed):
    expected, seconds = undisturbed
    out, rng, kills = tmp_path / "pairs", np.random.default_rng(seed), 0
    for _ in range(12):
        child = in_child(lambda: generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS))
        time.sleep(rng.uniform(0.02, 0.7) * seconds)
        os.kill(child, signal.SIGKILL)
        code = wait(child)
        assert code in (0, -signal.SIGKILL)
        kills += code != 0
        if code == 0 and kills:
            break
        if code == 0:
            # done before it was to die: the machine was busier when the undisturbed run was timed
            shutil.rmtree(out)
            seconds /= 3
    else:
        generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS)
    assert kills >= 1
    assert tree(out) == expected


@pytest.mark.parametrize(
    "call", ["rename", "replace", "rmdir", "unlink", pytest.param("fsync", marks=pytest.mark.slow)]
)
def test_killed_at_every_step_that_makes_something_lasting(
    drawn, tiny_generator, tmp_path, undisturbed, tree, call
):
    """Die just before the n-th rename, replace or sync, for n = 1, 2, 4, 8 ... until a run gets through."""
    expected, _ = undisturbed
    out, n = tmp_path / "pairs", 1

    while (
        code := wait(
            in_child(
                partial(
                    die_at, call, n, partial(generate_pairs, drawn, out, tiny_generator, workers=1, **OPTIONS)
                )
            )
        )
    ) != 0:
        assert code == -signal.SIGKILL
        n *= 2
    assert n > 1
    assert tree(out) == expected


def test_killed_while_the_dataset_is_put_together(drawn, tiny_generator, tmp_path, undisturbed, tree):
    """All shards made; then die among the moves, and before each of the last three files."""
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    with claimed(job):
        run_local(job, job.missing_shards(), lambda *_: None, workers=1)
    for n in (3, 8, 15):
        assert wait(in_child(partial(die_at, "replace", n, partial(run_job, job)))) == -signal.SIGKILL
    for name in ("manifest.parquet", "summary.json", "provenance.json"):
        if not (job.out_dir / "provenance.json").exists():
            wait(in_child(partial(die_at_file, name, partial(run_job, job))))
            assert not (job.out_dir / name).exists()
    run_job(job)
    assert tree(job.out_dir) == undisturbed[0]


def test_worker_processes_give_the_same_bytes_and_one_may_be_lost(
    drawn, tiny_generator, tmp_path, undisturbed, tree
):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    killed = []

    def kill_one(*_):
        if not killed:
            killed.append(lanes_of(job.out_dir)[0])
            os.kill(killed[0], signal.SIGKILL)

    with claimed(job):
        run_local(job, job.missing_shards(), kill_one, workers=2)
        assert job.missing_shards() == []
    assert killed
    made = run_job(job)
    ours, expected = tree(made.out_dir), undisturbed[0]
    assert ours == expected
    assert lanes_of(job.out_dir) == []


def test_worker_that_keeps_dying_stops_the_run(drawn, tiny_generator, tmp_path):
    """Every worker is killed as soon as it is there, before it has loaded anything."""
    job, over = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS), threading.Event()

    def kill_all():
        while not over.wait(0.05):
            for lane in lanes_of(job.out_dir):
                os.kill(lane, signal.SIGKILL)

    killer = threading.Thread(target=kill_all)
    with claimed(job), pytest.raises(EngineError, match=r"took its worker down 3 times \(exit code -9"):
        killer.start()
        try:
            run_local(job, job.missing_shards()[:2], lambda *_: None, workers=2)
        finally:
            over.set()
            killer.join()


def test_workers_die_with_their_parent(drawn, tiny_generator, tmp_path):
    out = tmp_path / "pairs"
    child = in_child(lambda: generate_pairs(drawn, out, tiny_generator, workers=2, **OPTIONS))
    deadline = time.monotonic() + 60
    while not lanes_of(out) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    wait(child)
    deadline = time.monotonic() + 60
    while lanes_of(out) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert lanes_of(out) == []


def test_a_full_disk_stops_the_run_and_what_was_finished_counts(
    drawn, tiny_generator, tmp_path, undisturbed, tree, capfd
):
    """A limit on file size stands in for a full disk: the first write past it fails with an OSError."""
    out = tmp_path / "pairs"

    def cramped():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
        generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS)

    assert wait(in_child(cramped)) == 1
    assert "StorageError: cannot write to" in capfd.readouterr().err
    assert not [p for p in out.rglob("*.tmp")]
    generate_pairs(drawn, out, tiny_generator, workers=1, **OPTIONS)
    assert tree(out) == undisturbed[0]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or os.system(f"mount -t tmpfs -o size=64k tmpfs {folder} 2>/dev/null"):
        pytest.skip("may not mount a small file system here")
    yield folder
    os.system(f"umount -l {folder}")


def test_a_disk_that_is_really_full(drawn, tiny_generator, small_disk):
    with pytest.raises(StorageError, match="No space left on device"):
        generate_pairs(drawn, small_disk / "pairs", tiny_generator, workers=1, **OPTIONS)
    assert not list(small_disk.rglob("*.tmp"))


def test_a_run_that_was_killed_gives_its_lock_back(drawn, tiny_generator, tmp_path):
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)

    def hold():
        with claimed(job):
            (tmp_path / "held").touch()
            time.sleep(60)

    child = in_child(hold)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with pytest.raises(OutputInUse, match="another process is writing"), claimed(job):
        pass
    os.kill(child, signal.SIGKILL)
    wait(child)
    with claimed(job):
        pass


def test_a_lost_mount_is_not_made_anew(drawn, tiny_generator, tmp_path, undisturbed, tree):
    """The output's mount goes away between two shards: nothing is written to the disk below it."""
    job = photo_job(drawn, tmp_path / "pairs", tiny_generator, **OPTIONS)
    away = tmp_path / "unmounted"

    def unmount(*_):
        if job.shard_dir(0).is_dir() and not away.exists():
            job.out_dir.rename(away)
            job.out_dir.mkdir()

    with (
        claimed(job),
        pytest.raises(StorageError, match=r"cannot write to .*/pairs: No such file or directory"),
    ):
        run_local(job, job.missing_shards(), unmount, workers=1)
    assert list(job.out_dir.iterdir()) == []
    job.out_dir.rmdir()
    away.rename(job.out_dir)
    assert tree(run_job(job, workers=1).out_dir) == undisturbed[0]
