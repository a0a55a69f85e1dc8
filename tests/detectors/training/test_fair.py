"""Each method's training step against a loss computed by hand, and the whole training of each."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from detectors.data.labelled_images import LabelledImages
from detectors.errors import EmptyDataset, TrainingError
from detectors.models.architectures import ZOO, build
from detectors.models.checkpoint import load_checkpoint
from detectors.training import fair
from detectors.training.added_data import with_added
from detectors.training.learner import ImageLearner
from detectors.training.settings import Settings
from detectors.training.train_detector import train
from detectors.training.training_data import prepare

FAKE = torch.tensor([0, 1, 0, 1, 0, 0])
GROUP = torch.tensor([0, 0, 0, 1, 1, 1])
ODDS = torch.tensor([-1.0, 2.0, 0.5, -0.5, 1.5, -2.0])
LOSS = [math.log(1 + math.exp(odds if label == 0 else -odds)) for odds, label in zip(ODDS, FAKE, strict=True)]
COUNTS = [[6, 2], [2, 2]]


class Answers(nn.Module):
    """A network whose answer to image i is ODDS[i] times a factor."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, images):
        odds = self.factor * ODDS[images[:, 0, 0, 0].round().long()]
        return torch.stack([torch.zeros_like(odds), odds], dim=1)


@pytest.fixture
def step(monkeypatch):
    """One training step of a method on the six images: (loss, learner)."""

    def run(method, **settings):
        learner = ImageLearner(
            Answers(), "simplenet", None, Settings(fair=method, **settings), False,
            fair.fair_loss(method, 2, COUNTS),
        )  # fmt: skip
        monkeypatch.setattr("detectors.training.learner.normalise", lambda images, _: images)
        monkeypatch.setattr("detectors.training.learner.to_unit", lambda images: images)
        monkeypatch.setattr(learner, "log", lambda *args, **kwargs: None)
        images = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 3, 2, 2)
        return learner.training_step((images, FAKE, GROUP), 0), learner

    return run


def test_plain_is_the_mean(step):
    assert step("none")[0].item() == pytest.approx(sum(LOSS) / 6)
    assert step("resample")[0].item() == pytest.approx(sum(LOSS) / 6)


def test_reweight_counts_every_cell_alike(step):
    weight = {(0, 0): 12 / 4 / 6, (0, 1): 12 / 4 / 2, (1, 0): 12 / 4 / 2, (1, 1): 12 / 4 / 2}
    by_hand = sum(weight[int(g), int(y)] * one for g, y, one in zip(GROUP, FAKE, LOSS, strict=True)) / 6
    assert step("reweight")[0].item() == pytest.approx(by_hand)


def test_dag_is_the_mean_of_the_worst_half(step):
    assert step("dag")[0].item() == pytest.approx(sum(sorted(LOSS)[3:]) / 3)


def test_daw_is_the_worst_half_of_the_groups_by_nine_tenths_of_their_images(step):
    def worst(losses):
        best, *others = sorted(losses)
        return (sum(others) + 0.7 * best) / 2.7

    assert step("daw")[0].item() == pytest.approx(max(worst(LOSS[:3]), worst(LOSS[3:])))


def test_group_dro_weighs_cells_by_how_badly_they_fare(step):
    cells = [(LOSS[0] + LOSS[2]) / 2, LOSS[1], (LOSS[4] + LOSS[5]) / 2, LOSS[3]]
    grown = [0.25 * math.exp(0.01 * loss) for loss in cells]
    weights = [one / sum(grown) for one in grown]
    loss, learner = step("group-dro")
    assert loss.item() == pytest.approx(sum(w * one for w, one in zip(weights, cells, strict=True)))
    assert learner.objective.weights.tolist() == pytest.approx(weights)
    assert "objective.weights" in learner.state_dict(), "an interrupted training continues with them"


def test_a_second_output_counts_and_the_weights_move_once(step, monkeypatch):
    """Inception answers twice in training; the method's loss is taken of both."""
    alone, before = step("group-dro")

    class Twice(Answers):
        def forward(self, images):
            logits = super().forward(images)
            return SimpleNamespace(logits=logits, aux_logits=logits)

    monkeypatch.setattr(f"{__name__}.Answers", Twice)
    both, learner = step("group-dro")
    assert both.item() == pytest.approx(1.4 * alone.item())
    assert torch.equal(learner.objective.weights, before.objective.weights)


def test_the_adversary_learns_and_the_network_unlearns(step):
    torch.manual_seed(3)
    loss, learner = step("adversarial")
    guess = learner.objective.guess
    p, y = torch.sigmoid(ODDS), FAKE.float()
    seen = torch.stack([p, y, p * y], dim=1).requires_grad_()
    own = functional.cross_entropy(guess(seen), GROUP)
    assert loss.item() == pytest.approx(sum(LOSS) / 6 + own.item())
    slope = p * (1 - p) * ODDS
    [reached] = torch.autograd.grad(own, seen)
    through_p = ((reached[:, 0] + reached[:, 2] * y) * slope).sum()
    plain = ((p - y) * ODDS).mean()
    loss.backward()
    assert float(learner.network.factor.grad) == pytest.approx(float(plain - through_p), rel=1e-4)
    assert guess.weight.grad.abs().sum() > 0


def test_cvar_is_the_minimum_over_the_bound_that_the_papers_search():
    losses = torch.tensor(np.random.default_rng(0).exponential(size=37))
    for share in (0.1, 0.5, 0.9, 1.0):
        bounds = losses.unsqueeze(1)
        searched = (bounds[:, 0] + (losses - bounds).clamp(min=0).mean(dim=1) / share).min()
        assert float(fair.cvar(losses, share)) == pytest.approx(float(searched))


@pytest.mark.parametrize("method", fair.METHODS)
def test_every_method_trains_is_recorded_and_leaves_a_plain_detector(method, pairs_dir, quick, tmp_path):
    settings = replace(quick, epochs=2, fair=method)
    path = train("baseline_cnn", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    provenance = load_checkpoint(path).provenance
    assert provenance["settings"]["fair"] == method
    state = torch.load(path, weights_only=True)["state_dict"]
    assert set(state) == set(build("baseline_cnn", 2).state_dict())
    groups = provenance["groups"]
    if method in fair.NEEDS_GROUPS:
        assert groups["by"] == ["gender", "race"] and len(groups["n_images"]) == 6
        assert sum(n["real"] + n["fake"] for n in groups["n_images"].values()) == 48
    else:
        assert groups == {}


@pytest.mark.parametrize("method", ["daw", "group-dro", "adversarial"])
def test_an_interrupted_fair_training_continues_to_the_same_bytes(
    method, pairs_dir, quick, tmp_path, monkeypatch
):
    from detectors.training import learner

    settings = replace(quick, epochs=2, fair=method, fair_by=("race",))
    whole = train("baseline_cnn", pairs_dir, tmp_path / "whole.pt", settings, progress=False)
    note = learner.History.on_train_epoch_end

    def stop(self, trainer, module):
        note(self, trainer, module)
        if trainer.current_epoch == 0:
            raise RuntimeError("power cut")

    monkeypatch.setattr(learner.History, "on_train_epoch_end", stop)
    with pytest.raises(RuntimeError, match="power cut"):
        train("baseline_cnn", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    monkeypatch.undo()
    train("baseline_cnn", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert (tmp_path / "a.pt").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("arch", [name for name in ZOO if name in {"simplenet", "baseline_cnn", "vgg10"}])
def test_every_loss_reaches_every_weight(arch):
    torch.manual_seed(0)
    images, classes = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    for method in fair.METHODS:
        settings = Settings(fair=method, size_px=32)
        learner = ImageLearner(
            build(arch, 2), arch, settings.preprocessing(arch), settings, False,
            fair.fair_loss(method, 2, COUNTS),
        )  # fmt: skip
        learner.log = lambda *args, **kwargs: None
        learner.training_step((images, classes, torch.tensor([0, 0, 1, 1])), 0).backward()
        assert all(p.grad is not None for p in learner.parameters())
        assert len(learner.configure_optimizers()["optimizer"].param_groups) == 2


def test_resample_draws_every_cell_alike(pairs_dir, quick):
    from detectors.data.datasets import read_images

    images = read_images(pairs_dir)
    rows = (images.table["race"] == "White") & (np.arange(len(images.table)) % 3 > 0)
    prepared = prepare(
        images.only(~rows), quick.preprocessing("simplenet"), replace(quick, fair="resample"), False
    )
    weights = prepared.drawn_weights("train", by_cell=True)
    train_rows = prepared.images.table[prepared.images.table["part"] == "train"]
    cells = train_rows["gender"] + train_rows["race"] + train_rows["kind"]
    sums = weights.groupby(cells).sum()
    assert sums.max() == pytest.approx(sums.min()) and cells.value_counts().min() < cells.value_counts().max()


# what cannot be used


def test_no_group_column(quick, tmp_path, save_image, draw_image):
    for i in range(8):
        for kind in ("real", "fake"):
            save_image(tmp_path / "set" / kind / f"{i}.png", draw_image(i, kind == "fake"))
    with pytest.raises(
        TrainingError, match="has no group column, which --fair daw needs; its attributes: none"
    ):
        train("simplenet", tmp_path / "set", tmp_path / "a.pt", replace(quick, fair="daw"), progress=False)
    assert train(
        "simplenet", tmp_path / "set", tmp_path / "a.pt", replace(quick, fair="dag", epochs=1), progress=False
    ).is_file()


def test_a_column_that_is_not_there(pairs_dir, quick, tmp_path):
    settings = replace(quick, fair="group-dro", fair_by=("tone",))
    with pytest.raises(TrainingError, match="has no column 'tone', which --fair group-dro needs"):
        train("simplenet", pairs_dir, tmp_path / "a.pt", settings, progress=False)


def test_images_without_a_group(pairs_dir, quick, tmp_path):
    from detectors.data.datasets import read_images

    images = read_images(pairs_dir)
    table = images.table.assign(race=images.table["race"].where(images.table["race"] != "White"))
    with pytest.raises(TrainingError, match="images to learn from have no race, which --fair reweight needs"):
        train(
            "simplenet", replace(images, table=table), tmp_path / "a.pt", replace(quick, fair="reweight"),
            progress=False,
        )  # fmt: skip


def test_one_group_alone(pairs_dir, quick, tmp_path):
    from detectors.data.datasets import read_images

    images = read_images(pairs_dir)
    alone = replace(images, table=images.table.assign(gender="Female"))
    settings = replace(quick, fair="adversarial", fair_by=("gender",))
    with pytest.raises(
        TrainingError, match="needs two groups to learn from, and the training part has 1 by gender"
    ):
        train("simplenet", alone, tmp_path / "a.pt", settings, progress=False)


@pytest.mark.slow
def test_a_method_that_diverges(pairs_dir, quick, tmp_path):
    settings = replace(quick, fair="adversarial", learning_rate=10.0, optimiser="sgd", schedule="none")
    with pytest.raises(TrainingError, match=r"diverged in epoch \d"):
        train("vgg10", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_method():
    with pytest.raises(TrainingError, match="fair is 'fairest', it must be one of none, reweight, resample"):
        Settings(fair="fairest").check("simplenet")


# images added to the training part


def test_added_images_learn_and_are_never_held_out(pairs_factory, quick, tmp_path):
    from detectors.data.datasets import read_images

    main, other = read_images(pairs_factory(20)), pairs_factory(12, 1)
    found: LabelledImages = with_added(main, [f"{other}=0.5"], quick)
    added = found.table["image_id"].str.startswith("added 1:")
    assert added.sum() == 24 and set(found.table.loc[added, "part"]) == {"train"}
    alone = prepare(main, quick.preprocessing("simplenet"), quick, False).images.table
    assert list(found.table.loc[~added, "part"]) == list(alone["part"])
    learning = found.table["part"] == "train"
    share = found.table[added]["weight"].sum() / found.table[learning & ~added]["weight"].sum()
    assert share == pytest.approx(0.5)
    path = train("baseline_cnn", found, tmp_path / "a.pt", replace(quick, epochs=1), progress=False)
    data = load_checkpoint(path).provenance["data"]
    assert data["added"] == [f"{other}=0.5"] and data["n_images"]["train"] == 24 + 24
    assert json.dumps(data)


def test_photos_held_out_are_not_added(pairs_factory, quick):
    from detectors.data.datasets import read_images

    folder = pairs_factory(20)
    found = with_added(read_images(folder), [folder], quick)
    n = found.table["part"].value_counts()
    held = int(n["valid"] + n["test"])
    assert n["train"] == 2 * (40 - held)
    assert found.n_left_out["pairs-20-0: held out in pairs-20-0"] == held


@pytest.mark.parametrize("weight", ["0", "-1", "much"])
def test_a_weight_that_is_none(weight, pairs_dir, quick):
    from detectors.data.datasets import read_images

    with pytest.raises(TrainingError, match="the weight after '=' must be a number above 0"):
        with_added(read_images(pairs_dir), [f"{pairs_dir}={weight}"], quick)


def test_nothing_left_to_add(pairs_dir, quick):
    from detectors.data.datasets import read_images

    images = read_images(pairs_dir)
    part = np.where(images.table["image_id"] == "fake/train-000001.png", "train", "test")
    part[images.table["image_id"] == "real/train-000002.png"] = "valid"
    nothing = replace(images, table=images.table.assign(part=part))
    with pytest.raises(EmptyDataset, match="every image is held out"):
        with_added(nothing, [pairs_dir], quick)
