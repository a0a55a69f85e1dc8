"""Train the embedded generator: both encoders and the decoder, together, from nothing.

Enters: folders written by `pipelines.training.crops`. Leaves: `small.safetensors` (float16, the running
average of the weights, provenance in its header), `small.photos.txt`, `training.jsonl` and `state.pt`, from
which the same call goes on where it was stopped. `--start-from` goes on from finished weights instead, with
a new optimizer.

Why W+ and the spatial code see the photo in different colours: what both could carry, the spatial code would
carry alone, because that is learned sooner, and changing W+ would then change nothing. So the fine styles are
read from the recoloured target; the coarse ones and the spatial code from copies in other colours and tones.
Only the fine styles know what colours the target has.

Why the schedule runs on the clock: a machine that is shared trains at half its speed for an hour, and the
rate of learning must be at zero when the time is up, not when a number of steps was reached.

Why one process a core and not one with a thread a core (`python -m torch.distributed.run --nproc-per-node 2
-m pipelines.training.small ...`): threads meet after every layer, processes after every step; beside other
work that is worth a factor of two.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from pipelines.generators.latents import n_coarse_styles
from pipelines.generators.small.model import FORMAT, SmallGenerator
from pipelines.generators.small.network import (
    SMALL_256,
    SmallNetwork,
    colour_statistics,
    without_colour_statistics,
)
from pipelines.training.discriminator import PatchDiscriminator
from pipelines.training.face_finder_loss import FaceFinderLoss, as_jpeg
from pipelines.training.losses import (
    energy_loss,
    hinge_for_discriminator,
    psnr_db,
    reconstruction_loss,
    sharpness_ratio,
)

_ATTRIBUTION = (
    "Trained on photos of FairFace (Karkkainen and Joo, WACV 2021, CC BY 4.0) and on rendered faces."
)


@dataclass(frozen=True)
class Plan:
    """Everything that decides how the weights come out, but for the clock."""

    minutes: float
    """Of training, pauses between two calls left out; the rate of learning ends at zero."""
    batch_size: int = 16
    """Of each process."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up_steps: int = 100
    seed: int = 0
    average_images: int = 1000
    """Half-life of the running average of the weights, in images."""
    sharpness: float = 0.95
    """Mean gradient of fakes over that of photos, towards which the energy loss's weight is steered."""
    energy_weight: float = 0.2
    """Where that weight begins, in each call."""
    adversary_from: float = 1.0
    """Share of the time after which the adversary comes in; 1 for never."""
    adversary_share: float = 0.3
    """Norm of the adversary's gradient at the image, as a share of the reconstruction's."""
    same_colours: float = 0.0
    """Share of images of which all encoders see the same copy, as in use."""
    face_finder_weight: float = 0.0
    """Of `FaceFinderLoss`; half of the images are compared as they come out of a JPEG file."""


@dataclass
class Progress:
    """Where a training stands."""

    seconds: float = 0.0
    n_images: int = 0
    n_steps: int = 0
    energy_weight: float = 0.2
    history: list[str] = field(default_factory=list)
    """The plan of every call."""
    earlier_photos: list[str] = field(default_factory=list)
    """sha256 of the photos that trained the weights this training began with."""


class Crops:
    """The crops of several folders, and their sets."""

    def __init__(self, folders: list[Path]) -> None:
        self.arrays = [np.load(f / "crops.npy", mmap_mode="r") for f in folders]
        self.rows = [json.loads((f / "crops.json").read_text()) for f in folders]
        self.train = self._places("train")

    def _places(self, part: str) -> list[tuple[int, int]]:
        return [(f, i) for f, rows in enumerate(self.rows) for i, r in enumerate(rows) if r["set"] == part]

    def batch(self, size: int, rng: np.random.Generator) -> Tensor:
        """Random training crops, half of them mirrored; float32 [B,3,S,S] in [-1,1]."""
        images = []
        for pick in rng.integers(len(self.train), size=size):
            folder, index = self.train[pick]
            image = self.arrays[folder][index, rng.integers(self.arrays[folder].shape[1])]
            images.append(image[:, ::-1] if rng.random() < 0.5 else image)
        return _as_tensor(np.stack(images))

    def tune(self, limit: int) -> Tensor:
        """Exact crops of photographs that no gradient sees; float32 [N,3,S,S] in [-1,1]."""
        places = [(f, i) for f, i in self._places("tune") if not self.rows[f][i]["rendered"]]
        return _as_tensor(np.stack([self.arrays[f][i, 0] for f, i in places[:limit]]))

    def training_photos(self) -> list[str]:
        """The sha256 of every photo that gradients see."""
        return [r["sha256"] for rows in self.rows for r in rows if r["set"] == "train"]


def _as_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))


def recoloured(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Another gain for each colour channel and another brightness; [B,3,H,W] in [-1,1]."""
    n = len(x)
    return (x * _uniform(rng, 0.85, 1.15, n, 3, 1, 1) + _uniform(rng, -0.12, 0.12, n, 1, 1, 1)).clamp(-1, 1)


def retoned(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Another gamma and saturation, for half of the images; [B,3,H,W] in [-1,1]."""
    changed = _uniform(rng, 0, 1, len(x), 1, 1, 1) < 0.5
    toned = ((x + 1) / 2).clamp_min(1e-3) ** _uniform(rng, 0.7, 1.4, len(x), 1, 1, 1)
    grey = toned.mean(1, keepdim=True)
    toned = grey + (toned - grey) * _uniform(rng, 0.5, 1.5, len(x), 1, 1, 1)
    return torch.where(changed, toned.clamp(0, 1) * 2 - 1, x)


class Training(nn.Module):
    """The network as training calls it: three copies of a batch in, the target rebuilt."""

    def __init__(self, n_coarse: int) -> None:
        super().__init__()
        self.network, self.n_coarse = SmallNetwork(SMALL_256), n_coarse

    def forward(self, target: Tensor, coarse: Tensor, toned: Tensor) -> Tensor:
        """Rebuild `target`; its fine styles alone are read from it. All [B,3,S,S]."""
        net = self.network
        both = torch.cat([target, coarse])
        styles = net.style_encoder(both, colour_statistics(both))
        fine, first = styles.chunk(2)
        w_plus = torch.cat([first[:, : self.n_coarse], fine[:, self.n_coarse :]], 1)
        code = net.detail_encoder(without_colour_statistics(toned, colour_statistics(toned)))
        return net.decode(w_plus, code)


class Trainer:
    """State of one training: networks, averages, log."""

    def __init__(self, crops: Crops, out: Path, plan: Plan, device: str, compiled: bool) -> None:
        torch.manual_seed(plan.seed)
        self.crops, self.out, self.plan, self.device = crops, out, plan, torch.device(device)
        self.progress = Progress()
        n_coarse = n_coarse_styles(SMALL_256.n_styles)
        layout = torch.channels_last
        self.generator = Training(n_coarse).to(self.device).to(memory_format=layout)
        self.adversary = PatchDiscriminator().to(self.device).to(memory_format=layout)
        self.average = copy.deepcopy(self.generator.network).eval().requires_grad_(False)
        self.ours = torch.optim.AdamW(
            self.generator.parameters(), plan.learning_rate, (0.9, 0.99), weight_decay=plan.weight_decay
        )
        self.theirs = torch.optim.Adam(self.adversary.parameters(), lr=4e-4, betas=(0.0, 0.99))
        self.face_finder = FaceFinderLoss(self.device) if plan.face_finder_weight else None
        self.run = torch.compile(self.generator) if compiled else self.generator

    @property
    def share(self) -> float:
        """Of the time, how much is over."""
        return self.progress.seconds / (60 * self.plan.minutes)

    def train(self, log_every_s: float) -> None:
        """Train until the time is up; log, and write everything down, every so often."""
        here = self.progress
        here.history.append(json.dumps(asdict(self.plan)))
        here.energy_weight = self.plan.energy_weight
        rng = np.random.default_rng([self.plan.seed, here.n_steps, _rank()])
        began, logged = time.monotonic() - here.seconds, here.seconds
        while self.share < 1:
            losses = self._step(rng)
            here.n_steps += 1
            here.n_images += self.plan.batch_size * _n_processes()
            here.seconds = _agreed(time.monotonic() - began)
            if here.seconds - logged >= log_every_s or self.share >= 1:
                logged = here.seconds
                self._log(losses)

    def _step(self, rng: np.random.Generator) -> dict[str, float]:
        rate = self.plan.learning_rate * _schedule(
            self.share, (self.progress.n_steps + 1) / self.plan.warm_up_steps
        )
        for group in self.ours.param_groups:
            group["lr"] = rate
        real = recoloured(self.crops.batch(self.plan.batch_size, rng), rng)
        coarse, toned = recoloured(real, rng), retoned(real, rng)
        if self.plan.same_colours:
            same = _uniform(rng, 0, 1, len(real), 1, 1, 1) < self.plan.same_colours
            coarse, toned = (torch.where(same, real, other) for other in (coarse, toned))
        images = [
            x.to(self.device, memory_format=torch.channels_last, non_blocking=True)
            for x in (real, coarse, toned)
        ]
        with torch.autocast(self.device.type, torch.bfloat16):
            fake = self.run(*images)
        gradient, report = self._gradient(fake.detach().float(), images[0], rng)
        self.ours.zero_grad(set_to_none=True)
        fake.backward(gradient.to(fake.dtype))
        _average_gradients(self.generator)
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.ours.step()
        self._update_average()
        return report | {"rate": rate}

    def _gradient(
        self, fake: Tensor, real: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Gradient of all losses at the image, and what to log."""
        leaf = fake.requires_grad_()
        loss = reconstruction_loss(leaf, real)
        weighted = loss + self.progress.energy_weight * energy_loss(leaf, real)
        report = {"loss": loss.item(), "energy_weight": self.progress.energy_weight}
        if self.face_finder:
            qualities = [int(rng.integers(60, 96)) if rng.random() < 0.5 else None for _ in leaf]
            read = self.face_finder(as_jpeg(leaf, qualities), as_jpeg(real, qualities))
            weighted, report["face_finder"] = weighted + self.plan.face_finder_weight * read, read.item()
        (gradient,) = torch.autograd.grad(weighted, leaf)
        self._steer(sharpness_ratio(leaf.detach(), real).item())
        if self.share >= self.plan.adversary_from:
            pull, report["adversary"] = self._against_adversary(leaf, real)
            gradient = gradient + self.plan.adversary_share * gradient.norm() / (pull.norm() + 1e-12) * pull
        return gradient, report

    def _steer(self, sharpness: float) -> None:
        """Raise the weight of the energy loss while fakes are too soft, lower it while they are too sharp."""
        step = math.exp(0.05 * (self.plan.sharpness - _agreed(sharpness)))
        self.progress.energy_weight = min(4.0, max(0.05, self.progress.energy_weight * step))

    def _against_adversary(self, leaf: Tensor, real: Tensor) -> tuple[Tensor, float]:
        """The adversary's pull on the image, and its loss; it learns a step."""
        with torch.autocast(self.device.type, torch.bfloat16):
            scores, features = self.adversary(torch.cat([real, leaf]))
        on_real, on_fake = scores.float().chunk(2)
        pairs = [f.float().chunk(2) for f in features]
        matching = sum((fake - wanted.detach()).abs().mean() for wanted, fake in pairs)
        (pull,) = torch.autograd.grad(matching - on_fake.mean(), leaf, retain_graph=True)
        loss = hinge_for_discriminator(on_real, on_fake)
        self.theirs.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.adversary.parameters()))
        _average_gradients(self.adversary)
        self.theirs.step()
        return pull, loss.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        images = min(self.plan.average_images, max(1, self.progress.n_images // 4))
        keep = 0.5 ** (self.plan.batch_size * _n_processes() / images)
        ours, theirs = self.average.state_dict().values(), self.generator.network.state_dict().values()
        torch._foreach_lerp_(list(ours), list(theirs), 1 - keep)

    def _log(self, losses: dict[str, float]) -> None:
        if _rank():
            return
        here = self.progress
        row = {"minutes": round(here.seconds / 60, 2), "images": here.n_images}
        row |= {k: round(v, 5) for k, v in losses.items()} | self.measured()
        with (self.out / "training.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(row, flush=True)
        self.keep()
        self.save(self.out / "small.safetensors")

    @torch.inference_mode()
    def measured(self) -> dict[str, float]:
        """PSNR (dB) and sharpness of the averaged weights on photos that no gradient sees.

        `swapped_db`: how far the image of somebody else's fine styles lies from one's own, as a PSNR.
        """
        real = self.crops.tune(64).to(self.device)
        fakes, swapped = [], []
        with torch.autocast(self.device.type, torch.bfloat16):
            for part in real.split(16):
                w_plus, code = self.average.encode(part.contiguous(memory_format=torch.channels_last))
                fakes.append(self.average.decode(w_plus, code).float())
                other, first = w_plus.roll(1, 0), self.generator.n_coarse
                mixed = torch.cat([w_plus[:, :first], other[:, first:]], 1)
                swapped.append(self.average.decode(mixed, code).float())
        fake = torch.cat(fakes)
        return {
            "psnr_db": round(psnr_db(fake, real).mean().item(), 3),
            "sharpness": round(sharpness_ratio(fake, real).item(), 3),
            "swapped_db": round(psnr_db(torch.cat(swapped), fake.clamp(-1, 1)).mean().item(), 3),
        }

    def keep(self) -> None:
        """Write everything that the next call goes on from."""
        nets: dict[str, Any] = {
            "generator": self.generator, "average": self.average, "adversary": self.adversary,
            "ours": self.ours, "theirs": self.theirs,
        }  # fmt: skip
        temporary = self.out / "state.part"
        state = {name: net.state_dict() for name, net in nets.items()}
        torch.save(state | {"progress": asdict(self.progress)}, temporary)
        temporary.replace(self.out / "state.pt")

    def restore(self) -> None:
        """Read what `keep` wrote."""
        state = torch.load(self.out / "state.pt", weights_only=True, map_location=self.device)
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.adversary.load_state_dict(state["adversary"])
        self.ours.load_state_dict(state["ours"])
        self.theirs.load_state_dict(state["theirs"])
        self.progress = Progress(**state["progress"])

    def begin_with(self, weights: Path) -> None:
        """Take over the weights of a finished training, what was noted of it, and its photos."""
        finished = SmallGenerator(weights)
        for network in (self.generator.network, self.average):
            network.load_state_dict(finished.network.state_dict())
        self.progress.n_images = int(finished.provenance["images"])
        self.progress.history = json.loads(finished.provenance["plans"])
        self.progress.earlier_photos = weights.with_suffix(".photos.txt").read_text().split()

    def save(self, path: Path) -> None:
        """Write the averaged weights as float16 safetensors, and the list of training photos beside them."""
        state = {k: v.half().cpu().contiguous() for k, v in self.average.state_dict().items()}
        listed = "\n".join(sorted({*self.crops.training_photos(), *self.progress.earlier_photos}))
        header = {
            "format": FORMAT,
            "name": "small",
            "config": json.dumps(asdict(SMALL_256)),
            "crop": "tight",
            "attribution": _ATTRIBUTION,
            "plans": json.dumps(self.progress.history),
            "images": str(self.progress.n_images),
            "training_photos_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        }
        temporary = path.with_suffix(".part")
        save_file(state, temporary, metadata={"about": json.dumps(header, sort_keys=True)})
        temporary.replace(path)
        path.with_suffix(".photos.txt").write_text(listed + "\n")


def _n_processes() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def _agreed(value: float) -> float:
    """The mean of a number over all processes."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(shared)
    return shared.item() / _n_processes()


def _average_gradients(net: nn.Module) -> None:
    """Give every process the mean of all gradients, in one message."""
    if not dist.is_initialized():
        return
    gradients_ = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients_]) / _n_processes()
    dist.all_reduce(flat)
    for gradient, part in zip(gradients_, flat.split([g.numel() for g in gradients_]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _schedule(share: float, risen: float) -> float:
    """Share of the full rate of learning: a short rise, half of the time full, then a line down to zero.

    Args:
        share: of the time, how much is over.
        risen: of the rise, how much is over; above 1 after it.
    """
    return min(1.0, risen, max(0.0, 2 * (1 - share)))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="+", type=Path, help="folders written by pipelines.training.crops")
    parser.add_argument("--out", type=Path, required=True, help="continued, where it holds a state.pt")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warm-up-steps", type=int, default=100)
    parser.add_argument("--sharpness", type=float, default=0.95)
    parser.add_argument("--energy-weight", type=float, default=0.2, help="to begin with")
    parser.add_argument("--average-images", type=int, default=1000, help="half-life of the average")
    parser.add_argument("--adversary-from", type=float, default=1.0, help="share of the time; 1 for never")
    parser.add_argument("--adversary-share", type=float, default=0.3)
    parser.add_argument("--same-colours", type=float, default=0.0, help="share of images")
    parser.add_argument("--face-finder-weight", type=float, default=0.0)
    parser.add_argument("--start-from", type=Path, help="weights, their photo list beside them")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--log-every", type=float, default=120, help="seconds")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if "WORLD_SIZE" in os.environ:  # started by torch.distributed.run
        dist.init_process_group("gloo")
    given.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        given.minutes, given.batch_size, given.learning_rate, seed=given.seed, sharpness=given.sharpness,
        energy_weight=given.energy_weight, average_images=given.average_images,
        adversary_from=given.adversary_from, adversary_share=given.adversary_share,
        face_finder_weight=given.face_finder_weight, warm_up_steps=given.warm_up_steps,
        same_colours=given.same_colours,
    )  # fmt: skip
    trainer = Trainer(Crops(given.folders), given.out, plan, given.device, given.compile)
    if (given.out / "state.pt").exists():
        trainer.restore()
    elif given.start_from:
        trainer.begin_with(given.start_from)
    trainer.train(given.log_every)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
