"""Scoring on a real local Ray cluster: the same bytes as here, whatever dies, stops or is another version."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from detectors.data.datasets import read_images
from detectors.errors import ClusterError
from detectors.explanation.explain_images import explained, images_to_explain
from detectors.models import architectures as zoo
from detectors.models.loading import load_detector
from detectors.scoring import engine, parts, resume, variant_scores
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options, RayCluster
from detectors.scoring.ray_workers import RayWorkers
from detectors.scoring.resume import Identity
from detectors.scoring.stress_scores import stress_scores
from pipelines.engines import ray_fleet
from pipelines.errors import EngineError
from tests.dying_workers import DiesBeforeItBegins, DiesOfSomeParts
from tests.processes import are_gone, processes

pytest.importorskip("ray", reason="needs the extra [ray]")
ONE = RayCluster(workers=1, cpus_per_worker=1, device="cpu")
TWO = replace(ONE, workers=2)
BATCH = 4


@pytest.fixture
def images(pairs_dir, tmp_path, monkeypatch):
    """80 images, one of them damaged, in ten parts of two batches."""
    monkeypatch.setattr(engine, "BATCHES_PER_PART", 2)
    copy = Path(shutil.copytree(pairs_dir, tmp_path / "pairs"))
    os.truncate(copy / "real/train-000003.png", 100)
    return read_images(copy)


@pytest.fixture
def detector(checkpoint):
    return load_detector(checkpoint, device="cpu")


def options(cluster=None, work_dir=None):
    return Options(batch_size=BATCH, workers=1, work_dir=work_dir, progress=False, cluster=cluster)


class PowerCut(Exception):
    pass


def written(run, stop_after=1000):
    """Run until so many parts were written, then lose power; how many were written, and what came of it."""
    write, starts = resume.Shards.write, []

    def writes(shards, start, part):
        if len(starts) == stop_after:
            raise PowerCut
        starts.append(start)
        write(shards, start, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume.Shards, "write", writes)
        try:
            found = run()
        except PowerCut:
            found = None
    return len(starts), found


@pytest.mark.slow
def test_a_killed_worker_a_stopped_run_and_two_engines_give_the_bytes_of_one_clean_run(
    cluster, detector, images, monkeypatch, tmp_path
):
    """Begun on the cluster, where a worker is killed, and stopped; finished here. Then the reverse."""
    named = [replace(detector, name="another name")]  # as `audit stress` tells detectors of one name apart
    clean = score_images(named, images, options())[0].to_parquet()
    killed, collect = [], ray_fleet.Fleet._collect

    def kill_one(fleet, reference):
        answer = collect(fleet, reference)
        if not killed and answer is not None and answer[0] is not None:
            killed.extend(processes(b"ray::_Worker")[:1])
            os.kill(killed[0], signal.SIGKILL)
        return answer

    monkeypatch.setattr(ray_fleet.Fleet, "_collect", kill_one)
    assert written(lambda: score_images(named, images, options(TWO, tmp_path / "a")), 6) == (6, None)
    assert killed and are_gone(b"ray::_Worker")
    n, tables = written(lambda: score_images(named, images, options(None, tmp_path / "a")))
    assert (n, tables[0].to_parquet()) == (4, clean)
    assert written(lambda: score_images(named, images, options(None, tmp_path / "b")), 3) == (3, None)
    n, tables = written(lambda: score_images(named, images, options(ONE, tmp_path / "b")))
    assert (n, tables[0].to_parquet()) == (7, clean)
    assert tables[0]["status"].tolist().count("unreadable image") == 1


@pytest.mark.slow
def test_workers_that_die_before_they_begin_are_replaced_twice(cluster, tmp_path):
    """A machine that is taken away while it starts must not end a run; one that never starts must."""
    left = tmp_path / "left"
    with ray_fleet.joined(None) as ray:
        left.write_text("1\n2")
        fleet = ray_fleet.Fleet(ray, DiesBeforeItBegins, str(left), 1)
        fleet.first()
        assert sorted((number, said["twice"]) for number, said in fleet.run([4, 5])) == [(4, 8), (5, 10)]
        fleet.dismiss()
        left.write_text("1\n2\n3")
        fleet = ray_fleet.Fleet(ray, DiesBeforeItBegins, str(left), 1)
        with pytest.raises(EngineError, match=r"^3 workers of the Ray cluster, one after another, died be"):
            fleet.first()
        fleet.dismiss()


@pytest.mark.slow
def test_a_part_that_takes_workers_down_costs_no_other_part(cluster):
    done = []
    with ray_fleet.joined(None) as ray:
        fleet = ray_fleet.Fleet(ray, DiesOfSomeParts, {0}, 1, what="part")
        with pytest.raises(EngineError, match=r"^part 0 took its worker down 3 times \(The actor died unexp"):
            done.extend(number for number, _ in fleet.run(range(4)))
        fleet.dismiss()
        assert sorted(done) == [1, 2, 3]
        fleet = ray_fleet.Fleet(ray, DiesOfSomeParts, set(range(4)), 1, what="part")
        with pytest.raises(EngineError, match=r"^3 workers .* were lost and no part finished meanwhile"):
            done.extend(number for number, _ in fleet.run(range(4)))
        fleet.dismiss()
    assert len(done) == 3


@pytest.mark.slow
def test_stress_with_an_isolated_model_continues_what_was_begun_here(
    cluster, detector, images, monkeypatch, tmp_path
):
    """The worker isolates the foreign file as this process does, and its process ends with the worker."""
    script = tmp_path / "means.pt"
    torch.jit.script(Means()).save(str(script))
    loaded = [detector, load_detector(script, options={"size_px": 32, "output": "probability"}, device="cpu")]
    assert loaded[1].provenance["isolated"] is True
    monkeypatch.setattr(variant_scores, "IMAGES_PER_PART", 8)
    some = images.only(images.table["image_id"].isin(images.table["image_id"].head(24)))

    def stressed(cluster=None, work_dir=None):
        return stress_scores(loaded, some, ["jpeg", "noise"], 1, options(cluster, work_dir))

    clean, own = stressed(), set(processes(b"detectors.isolation.worker"))
    assert written(lambda: stressed(None, tmp_path / "work"), 1)[1] is None
    n, found = written(lambda: stressed(ONE, tmp_path / "work"))
    assert n == 2
    for one, other in zip(clean, found, strict=True):
        assert one.scores.tobytes() == other.scores.tobytes()
        assert one.table.equals(other.table)
    assert are_gone(b"detectors.isolation.worker", besides=own)


class Means(torch.nn.Module):
    """A network that is a program: the mean of all pixels."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch.mean((1, 2, 3)) + 3) / 6


@pytest.mark.slow
def test_explanations_are_those_of_here(cluster, detector, images):
    rows = images_to_explain([images.root], 3, 0)
    here, there = (list(explained(detector, rows, "saliency", 0.5, 0, place)) for place in (None, ONE))
    for one, other in zip(here, there, strict=True):
        assert (one.row, one.status, one.found is None) == (other.row, other.status, other.found is None)
        assert one.found is None or torch.equal(one.found.map, other.found.map)


@pytest.mark.slow
def test_a_worker_that_is_another_is_refused_in_one_line(cluster, images, tmp_path, monkeypatch):
    """Of another torch, or with other weights under the same name."""
    file, other = tmp_path / "plain.pth", zoo.build("simplenet").state_dict()
    torch.save(zoo.build("simplenet").state_dict(), file)
    before = load_detector(file, arch="simplenet", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(ray_fleet, "versions", lambda: {"torch": "1.0"})
        with pytest.raises(
            EngineError, match=r"^a worker of .* has torch 2\S+ and not 1\.0: install the same"
        ):
            score_images([before], images, options(ONE))
    torch.save(other, file)
    with pytest.raises(
        ClusterError, match=r"^plain is another detector on \S+ than on this machine: its file"
    ):
        score_images([before], images, options(ONE))
    assert are_gone(b"ray::_Worker")


def test_files_that_a_worker_does_not_see_stop_the_run(tmp_path):
    """A folder that is not mounted there must not become a table of missing photos."""
    there, gone = tmp_path / "there.png", tmp_path / "gone.png"
    there.touch()
    missing = pd.DataFrame({"status": ["ok", "missing photo"]})
    parts._refuse_unseen(missing, [str(there), str(gone)])
    with pytest.raises(ClusterError, match=r"does not see \S+there\.png, which is there: every machine"):
        parts._refuse_unseen(missing, [str(gone), str(there)])


def test_processors_that_round_otherwise_are_refused():
    workers = object.__new__(RayWorkers)
    workers._identity = Identity((("a", "b"),), ("torch 2.15.0", "H100"))
    workers._welcome({"identity": workers._identity, "node": "one"})
    other = Identity((("a", "b"),), ("torch 2.15.0", "A100"))
    with pytest.raises(ClusterError, match="on two, has A100 and not H100, and its scores may differ in the"):
        workers._welcome({"identity": other, "node": "two"})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"workers": 0}, "--workers is 0; it must be at least 1"),
        ({"cpus_per_worker": 0}, "--cpus-per-worker is 0; it must be at least 1"),
        ({"gpus_per_worker": 1.5}, "--gpus-per-worker is 1.5; it must be a share of one GPU, or whole ones"),
        ({"gpus_per_worker": 0.0}, "--gpus-per-worker is 0; it must be a share of one GPU, or whole ones"),
        ({"gpus_per_worker": 0.5, "device": "cpu"}, "--gpus-per-worker is 0.5, and --device cpu uses none"),
    ],
)
def test_workers_of_an_impossible_size(sizes, message):
    with pytest.raises(ClusterError, match=f"^{message}"):
        RayCluster(**sizes)


class Machines:
    """What a cluster says of its machines."""

    def __init__(self, *machines):
        self.machines = machines

    def nodes(self):
        there = [{"Alive": True, "Resources": {"CPU": c, "GPU": g}} for c, g in self.machines]
        return [*there, {"Alive": False, "Resources": {"CPU": 64.0}}]


def test_places_are_counted_machine_by_machine():
    assert ray_fleet.places(Machines((3.0, 0.0), (3.0, 0.0)), 2, 0) == 2
    assert ray_fleet.places(Machines((8.0, 3.0)), 1, 0.1) == 8
    assert ray_fleet.places(Machines((64.0, 3.0)), 1, 0.1) == 30
    assert ray_fleet.places(Machines((64.0, 8.0)), 4, 2) == 4
    with pytest.raises(
        EngineError, match=r"room for a worker of 4 CPUs and 1 GPUs .* have 64 CPUs, 0 GPUs; 2"
    ):
        ray_fleet.places(Machines((64.0, 0.0), (2.0, 8.0)), 4, 1)


def test_a_detector_in_memory_has_no_file_for_workers_to_load(detector, images):
    with pytest.raises(ClusterError, match=r"^simple is a detector in memory, and a Ray cluster's workers"):
        score_images([replace(detector, source=None)], images, options(ONE))


@pytest.mark.slow
def test_a_gpu_that_is_not_there(detector, images, cluster):
    with pytest.raises(
        ClusterError, match="--device is cuda, and the Ray cluster has no GPU; use auto or cpu"
    ):
        score_images([detector], images, options(RayCluster(device="cuda")))
    with pytest.raises(ClusterError, match=r"--gpus-per-worker is 0\.25, and the Ray cluster has no GPU"):
        score_images([detector], images, options(RayCluster(gpus_per_worker=0.25)))
