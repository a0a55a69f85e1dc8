"""What a user gets who names no generator: the same bytes in every process, killed or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipelines.generators.loading import load_generator
from pipelines.generators.psp import checkpoint as psp_checkpoint
from pipelines.generators.small import SMALL_WEIGHTS
from pipelines.generators.small import model as small_model
from pipelines.jobs.generation import generate_pairs
from pipelines.rendered import render_population
from tests.pipelines.killing import die_at, die_at_file, in_child, wait

pytestmark = pytest.mark.slow

OPTIONS = {"shard_size": 2, "batch_size": 2, "device": "cpu", "workers": 1}


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawn photos: two shards."""
    return render_population(tmp_path_factory.mktemp("population"), n_train=3, n_val=1, seed=1)


@pytest.fixture(scope="module")
def undisturbed(four: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs that another interpreter made, with hashes of its own and without loading torch's compiler."""
    out = tmp_path_factory.mktemp("undisturbed") / "pairs"
    code = (
        "import json, sys, torch; torch.set_num_threads(1); from pipelines.jobs.generation import "
        "generate_pairs; generate_pairs(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3])); "
        "import detectors.api, detectors.scoring.ray_workers; "
        "slow = {'torch._dynamo', 'torchvision', 'sympy'} & set(sys.modules); assert not slow, slow"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(four), str(out), json.dumps(OPTIONS)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_killed_and_continued_it_gives_the_same_bytes(four, undisturbed, tmp_path, tree):
    out = tmp_path / "pairs"
    work = partial(generate_pairs, four, out, **OPTIONS)
    assert wait(in_child(partial(die_at, "replace", 3, work))) == -signal.SIGKILL
    assert not (out / "provenance.json").exists()
    assert wait(in_child(partial(die_at_file, "provenance.json", work))) == -signal.SIGKILL
    assert wait(in_child(work)) == 0
    assert tree(out) == tree(undisturbed)
    made_by = json.loads((out / "provenance.json").read_text())["generators"][0]
    assert made_by["name"].startswith("small") and len(list((out / "fake").rglob("*.jpg"))) == 4


class Turned:
    """A weights file that gives its metadata the other way round."""

    def __init__(self, *given: object, **named: object) -> None:
        self._file = safe_open(*given, **named)

    def __enter__(self) -> Turned:
        self._file.__enter__()
        return self

    def __exit__(self, *fault: object) -> None:
        self._file.__exit__(*fault)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def metadata(self) -> dict[str, str]:
        return dict(reversed(self._file.metadata().items()))


@pytest.mark.parametrize("which", ["small", "psp"])
def test_the_order_of_the_weights_metadata_changes_no_record(which, tiny_generator, tmp_path, monkeypatch):
    """safetensors gives it in an order of its own, another one in each process."""
    module = {"small": small_model, "psp": psp_checkpoint}[which]
    path, records = SMALL_WEIGHTS, []
    if which == "psp":
        with safe_open(tiny_generator, "np") as file:
            metadata = file.metadata() | {"source": "a", "attribution": "b", "licence": "c"}
        path = tmp_path / "tiny.safetensors"
        save_file(load_file(tiny_generator), path, metadata)
    for opened in (safe_open, Turned):
        monkeypatch.setattr(module, "safe_open", opened)
        records.append(json.dumps(dict(load_generator(path).provenance)))
    assert records[0] == records[1] and len(json.loads(records[0])) >= 3
