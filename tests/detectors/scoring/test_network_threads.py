"""Networks in several threads: the scores of one thread, on whatever machine; and only where that is safe."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from detectors.data.labelled_images import LabelledImages, to_table
from detectors.errors import ForeignDetectorError
from detectors.models import architectures as zoo
from detectors.models.detector import Detector, Output
from detectors.scoring import network_threads
from detectors.scoring.engine import score_images
from detectors.scoring.network_threads import (
    IMAGES_A_THREAD,
    NetworkThreads,
    Scoring,
    forward,
    one_thread_each,
)
from detectors.scoring.options import Options
from detectors.scoring.resume import identity_of
from detectors.scoring.stress_scores import stress_scores

SIZE = 32


@pytest.fixture
def threads():
    """Set how many threads torch uses; the number before comes back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    preprocessing = replace(zoo.architecture("simplenet").preprocessing, size_px=SIZE)
    return Detector(
        "simplenet", "0" * 64, "simplenet", preprocessing, Output(), zoo.build("simplenet").eval()
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    rows = []
    for i in range(45):
        path = folder / f"{i:02d}.png"
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
        rows.append(
            {"image_id": path.name, "path": str(path), "label": i % 2, "kind": ("real", "fake")[i % 2]}
        )
    (folder / "07.png").write_bytes(b"no image")
    return LabelledImages(to_table(rows), (), "folders", folder)


def test_scores_are_those_of_one_thread_on_any_number(detector, images, threads):
    threads(1)
    alone = score_images([detector], images, Options(progress=False, batch_size=20))[0]
    assert alone["score"].notna().sum() == 44 and alone["score"].nunique() == 44
    for n in (2, 3):
        threads(n)
        again = score_images([detector, detector], images, Options(progress=False, batch_size=20))
        for table in again:
            assert table["score"].to_numpy().tobytes() == alone["score"].to_numpy().tobytes()


def test_a_run_may_go_on_with_another_number_of_threads(detector, threads):
    threads(1)
    alone = identity_of([detector])
    threads(3)
    assert identity_of([detector]) == alone
    own = replace(detector, network=lambda batch: batch.mean((2, 3))[:, :2])
    three = identity_of([detector, own])
    threads(1)
    assert identity_of([detector, own]) != three


def test_stressed_images_get_the_same_scores(detector, images, threads):
    some = images.only(images.table.index < 12)
    found = []
    for n in (1, 3):
        threads(n)
        found.append(
            stress_scores([detector, detector], some, ["jpeg"], 0, Options(progress=False, batch_size=7))
        )
    for one in (*found[0], *found[1]):
        assert one.scores.tobytes() == found[0][0].scores.tobytes()
    readable = np.isfinite(found[0][0].scores).all(1)
    assert readable.sum() == 11
    untouched = score_images([detector], some, Options(progress=False))[0]["score"]
    assert np.allclose(found[0][0].scores[readable, 0], untouched[readable], atol=1e-6)


def test_threads_are_given_back_as_they_were(detector, images, threads):
    threads(3)
    score_images([detector], images, Options(progress=False))
    seen = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert torch.get_num_threads() == 3 and seen == [3]
    assert not [t for t in threading.enumerate() if t.name.startswith("network")]


class Own(nn.Module):
    """A network of somebody's own class; it notes in which threads it was called."""

    def __init__(self):
        super().__init__()
        self.linear, self.called_in = nn.Linear(3, 2), set()

    def forward(self, batch):
        self.called_in.add(threading.current_thread())
        return self.linear(batch.mean((2, 3)))


def test_a_network_of_somebodys_own_is_called_in_one_thread(detector, images, threads):
    threads(3)
    own = Own().eval()
    score_images([replace(detector, network=own)], images, Options(progress=False))
    assert own.called_in == {threading.main_thread()}


def hooked():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2))
    network[1].register_forward_hook(lambda *_: None)
    return network


@pytest.mark.parametrize(
    "network, alone",
    [
        (zoo.build("simplenet").eval(), True),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)).eval(), True),
        (zoo.build("simplenet").train(), False),
        (nn.Sequential(nn.Flatten(), Own()).eval(), False),
        (hooked().eval(), False),
        (torch.jit.script(nn.Linear(3, 2)).eval(), False),
        (lambda batch: batch, False),
    ],
    ids=["ours", "torch's", "in training", "one's own inside", "with a hook", "TorchScript", "a function"],
)
def test_which_networks_are_called_in_several_threads(detector, network, alone):
    assert one_thread_each(replace(detector, network=network)) is alone
    assert not one_thread_each(replace(detector, network=network, device="cuda"))


def test_every_architecture_is():
    for name in ("resnet18", "densenet121", "xception", "srm_cnn", "timm:vit_tiny_patch16_224"):
        network = zoo.build(name).eval()
        assert one_thread_each(
            Detector(name, "", name, zoo.architecture(name).preprocessing, Output(), network)
        ), name


def test_an_error_in_a_thread_is_the_runs(detector, images, threads):
    threads(2)
    one_number = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 1)).eval()
    with pytest.raises(ForeignDetectorError, match=r"^the network gives an array of shape \(8, 1\), which"):
        score_images([replace(detector, network=one_number)], images, Options(progress=False))
    assert not [t for t in threading.enumerate() if t.name.startswith("network")]


def test_only_a_few_images_are_on_their_way_at_once(detector, threads, monkeypatch):
    threads(2)
    pool, gate, sizes = NetworkThreads(), threading.Event(), []

    def slow(one, images):
        gate.wait(60)
        sizes.append(len(images))
        return forward(one, images)

    monkeypatch.setattr(network_threads, "forward", slow)
    scores = np.full(60, np.nan)
    pictures = torch.randint(0, 256, (60, 3, SIZE, SIZE), dtype=torch.uint8)
    scoring = Scoring(pool, scores)
    adding = threading.Thread(target=scoring.add, args=(detector, range(60), pictures))
    adding.start()
    until = time.monotonic() + 60
    while len(scoring._waiting) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    adding.join(0.1)
    waiting = len(scoring._waiting)
    gate.set()
    adding.join(60)
    scoring.finish()
    pool.close()
    assert waiting == 4
    assert sorted(sizes) == [4, *[IMAGES_A_THREAD] * 7]
    alone = np.concatenate([forward(detector, part) for part in pictures.split(IMAGES_A_THREAD)])
    np.testing.assert_allclose(scores, alone, rtol=1e-6)
