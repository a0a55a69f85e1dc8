"""A run on disk: begun, continued, refused."""

import json

import pytest

from pipelines.dataset.job import UNFINISHED, claimed, is_complete, software
from pipelines.errors import OutputHoldsAnotherRun, StorageError
from pipelines.jobs.generation import run_job
from pipelines.jobs.plans import photo_job


@pytest.fixture
def job(drawn, tiny_generator, tmp_path):
    return photo_job(
        drawn, tmp_path / "pairs", tiny_generator, size_px=32, limit=6, shard_size=4, device="cpu"
    )


def test_shards_cover_every_item_once(job):
    parts = [job.items(n)["pair_id"].tolist() for n in range(job.n_shards)]
    assert [len(p) for p in parts] == [4, 2]
    assert [pair for part in parts for pair in part] == job.plan["pair_id"].tolist()
    assert job.missing_shards() == [0, 1]


def test_stale_work_is_cleared_away(job):
    with claimed(job):
        (job.work_dir / "shard-00000.abc.tmp" / "real").mkdir(parents=True)
    with claimed(job):
        assert not list(job.work_dir.glob("*.tmp"))
    assert not is_complete(job)


def test_another_generator_is_another_run(job, drawn, tiny_generator, tmp_path):
    with claimed(job):
        pass
    job.generator["sha256"] = "f" * 64
    with (
        pytest.raises(OutputHoldsAnotherRun, match=r"generator \w{12}… there, ffffffffffff… asked for"),
        claimed(job),
    ):
        pass


def test_other_software_is_written_down(job):
    with claimed(job):
        run = job.work_dir / "run.json"
        record = json.loads(run.read_text())
        record["versions"] = [software() | {"torch": "1.0"}]
        run.write_text(json.dumps(record))
    made = run_job(job, workers=1)
    assert any("Continued with other software" in note for note in made.notes)
    assert json.loads((made.out_dir / "provenance.json").read_text())["versions"]["torch"] == "1.0"


def test_a_folder_that_cannot_be_made(job, tmp_path):
    (tmp_path / "file").write_text("")
    object.__setattr__(job, "out_dir", tmp_path / "file" / "pairs")
    with pytest.raises(StorageError, match="cannot write to"), claimed(job):
        pass


def test_leftovers_of_a_finished_run_are_cleared(job):
    made = run_job(job, workers=1)
    (made.out_dir / UNFINISHED / "shard-00000").mkdir(parents=True)
    assert run_job(job, workers=1).was_complete
    assert not (made.out_dir / UNFINISHED).exists()
