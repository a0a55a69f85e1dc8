"""Train the small generator: pSp's encoder and StyleGAN2's decoder, together, from nothing.

Enters: folders written by `pipelines.training.crops`. Leaves: `small.safetensors` (float16, the running
average of the weights, provenance in its header) and `training_log.jsonl`.

Three phases, one optimiser state each: reconstruct at 64 px (the decoder's last level left out: StyleGAN2's
skip connections let it be added later), reconstruct at 128 px, then add an adversary. In the last phase the
adversarial gradient at the image is scaled to a fixed share of the reconstruction's, so that neither can
drown the other whatever the discriminator's scale is.

Why no perceptual network: none may be downloaded here, and features of the discriminator serve.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch._functorch.config
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.generators.psp.config import SMALL_128
from pipelines.generators.psp.decoder import Decoder
from pipelines.generators.psp.encoder import Encoder
from pipelines.training.discriminator import PatchDiscriminator
from pipelines.training.losses import (
    energy_loss,
    hinge_for_discriminator,
    psnr_db,
    reconstruction_loss,
    sharpness_ratio,
)


@dataclass(frozen=True)
class Phase:
    """One stretch of training."""

    name: str
    n_steps: int
    batch_size: int
    learning_rate: float
    n_levels: int
    """Doublings of 4 px: 4 is 64 px, 5 is 128 px."""
    adversarial_share: float = 0.0
    """Norm of the adversarial gradient at the image, as a share of the reconstruction's."""
    energy_weight: float = 0.0
    sharpness: float = 0.0
    """Where above 0, the weight of the energy loss is steered until the fakes are this sharp."""


PHASES = (
    Phase("64 px", 4500, 16, 8e-4, n_levels=4),
    Phase("128 px", 3000, 16, 6e-4, n_levels=5, energy_weight=0.2),
    Phase("adversarial", 3600, 16, 6e-4, n_levels=5, adversarial_share=0.6, energy_weight=2.0, sharpness=0.9),
)
EMA_HALF_LIFE_IMAGES = 10_000
_ATTRIBUTION = (
    "Trained on photos of FairFace (Karkkainen and Joo, WACV 2021, CC BY 4.0) and on rendered faces."
)


class Generator(nn.Module):
    """Encoder and decoder as one module for training."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(SMALL_128), Decoder(SMALL_128)

    def forward(self, images: Tensor, n_levels: int) -> Tensor:
        """Reconstruct [B,3,128,128]; returns [B,3,S,S] of the level's size."""
        small = F.avg_pool2d(images, images.shape[-1] // SMALL_128.input_size_px)
        return self.decoder(self.encoder(small), n_levels)


class Crops:
    """The crops of several folders, and their sets."""

    def __init__(self, folders: list[Path]) -> None:
        self.arrays = [np.load(f / "crops.npy", mmap_mode="r") for f in folders]
        self.rows = [json.loads((f / "crops.json").read_text()) for f in folders]
        self.places = {
            part: [(f, i) for f, rows in enumerate(self.rows) for i, r in enumerate(rows) if r["set"] == part]
            for part in ("train", "tune", "held out")
        }

    def batch(self, size: int, rng: np.random.Generator) -> Tensor:
        """A random training batch, flipped and recoloured at random; float [B,3,128,128] in [-1,1]."""
        picks = rng.integers(len(self.places["train"]), size=size)
        images = []
        for pick in picks:
            folder, index = self.places["train"][pick]
            image = self.arrays[folder][index, rng.integers(self.arrays[folder].shape[1])]
            images.append(image[:, ::-1] if rng.random() < 0.5 else image)
        return _recoloured(_as_tensor(np.stack(images)), rng)

    def training_photos(self) -> str:
        """The sha256 of every photo that gradients saw, sorted, one a line."""
        return "\n".join(sorted(r["sha256"] for rows in self.rows for r in rows if r["set"] == "train"))

    def exact(self, part: str, limit: int, rendered: bool | None = None) -> Tensor:
        """The exact crops of a set, in order; float [N,3,128,128] in [-1,1]."""
        places = [(f, i) for f, i in self.places[part] if rendered in (None, self.rows[f][i]["rendered"])]
        return _as_tensor(np.stack([self.arrays[f][i, 0] for f, i in places[:limit]]))


def _as_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _recoloured(x: Tensor, rng: np.random.Generator) -> Tensor:
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(x), 3, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.12, 0.12, (len(x), 1, 1, 1)).astype(np.float32))
    return (x * gain + shift).clamp(-1, 1)


class Trainer:
    """State of one training: networks, averages, log."""

    def __init__(self, crops: Crops, out: Path, seed: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.crops, self.out, self.started = crops, out, time.time()
        self.energy_weight = 0.0
        self.generator, self.adversary = Generator(), PatchDiscriminator()
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.compiled = torch.compile(self.generator)
        self.compiled_adversary = torch.compile(self.adversary)

    def run(self, phase: Phase, log_every: int = 250) -> None:
        """Train one phase; the learning rate warms up over 200 steps and falls as a cosine."""
        ours = torch.optim.Adam(self.generator.parameters(), betas=(0.9, 0.99))
        theirs = torch.optim.Adam(self.adversary.parameters(), lr=4e-4, betas=(0.5, 0.99))
        self.energy_weight = phase.energy_weight
        for step in range(phase.n_steps):
            for group in ours.param_groups:
                group["lr"] = phase.learning_rate * _schedule(step, phase.n_steps)
            losses = self._step(phase, ours, theirs)
            self._update_average(phase.batch_size)
            if (step + 1) % log_every == 0 or step + 1 == phase.n_steps:
                self._log(phase, step + 1, losses)

    def _step(self, phase: Phase, ours: torch.optim.Adam, theirs: torch.optim.Adam) -> dict[str, float]:
        images = self.crops.batch(phase.batch_size, self.rng)
        real = F.avg_pool2d(images, 2 ** (5 - phase.n_levels))
        with torch.autocast("cpu", torch.bfloat16):
            fake = self.compiled(images, phase.n_levels)
        leaf = fake.detach().float().requires_grad_()
        loss = reconstruction_loss(leaf, real)
        if self.energy_weight:
            loss = loss + self.energy_weight * energy_loss(leaf, real)
        (gradient,) = torch.autograd.grad(loss, leaf)
        report = {"loss": loss.item(), "energy_weight": self.energy_weight}
        self._steer(phase, sharpness_ratio(leaf.detach(), real).item())
        if phase.adversarial_share:
            gradient, report["adversary"] = self._against_adversary(leaf, real, gradient, phase, theirs)
        ours.zero_grad(set_to_none=True)
        fake.backward(gradient.to(fake.dtype))
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        ours.step()
        return report

    def _steer(self, phase: Phase, sharpness: float) -> None:
        """Raise the weight of the energy loss while fakes are too soft, lower it while they are too sharp."""
        if phase.sharpness:
            step = 0.012 * (phase.sharpness - sharpness)
            self.energy_weight = min(20.0, max(0.2, self.energy_weight * math.exp(step)))

    def _against_adversary(
        self, leaf: Tensor, real: Tensor, gradient: Tensor, phase: Phase, theirs: torch.optim.Adam
    ) -> tuple[Tensor, float]:
        with torch.autocast("cpu", torch.bfloat16):
            scores, features = self.compiled_adversary(torch.cat([real, leaf]))
        on_real, on_fake = scores.float().chunk(2)
        pairs = [f.float().chunk(2) for f in features]
        matching = sum((fake - wanted.detach()).abs().mean() for wanted, fake in pairs)
        (pull,) = torch.autograd.grad(matching - on_fake.mean(), leaf, retain_graph=True)
        scale = phase.adversarial_share * gradient.norm() / (pull.norm() + 1e-12)
        loss = hinge_for_discriminator(on_real, on_fake)
        theirs.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.adversary.parameters()))
        theirs.step()
        return gradient + scale * pull, loss.item()

    def _update_average(self, batch_size: int) -> None:
        keep = 0.5 ** (batch_size / EMA_HALF_LIFE_IMAGES)
        with torch.no_grad():
            torch._foreach_lerp_(self._tensors(self.average), self._tensors(self.generator), 1 - keep)

    @staticmethod
    def _tensors(net: nn.Module) -> list[Tensor]:
        return [t for t in net.state_dict().values() if t.is_floating_point()]

    def _log(self, phase: Phase, step: int, losses: dict[str, float]) -> None:
        row = {"phase": phase.name, "step": step, "minutes": round((time.time() - self.started) / 60, 2)}
        row |= {k: round(v, 4) for k, v in losses.items()} | self.measured(phase.n_levels)
        with (self.out / "training_log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        print(row, flush=True)
        self.save(self.out / "small.safetensors")

    def measured(self, n_levels: int) -> dict[str, float]:
        """PSNR (dB) and sharpness of the averaged weights on the tune set."""
        images = self.crops.exact("tune", 200)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            fake = torch.cat([self.average(part, n_levels).float() for part in images.split(25)])
        real = F.avg_pool2d(images, 2 ** (5 - n_levels))
        return {
            "psnr_db": round(psnr_db(fake, real).mean().item(), 3),
            "sharpness": round(sharpness_ratio(fake, real).item(), 3),
        }

    def keep(self, path: Path) -> None:
        """Write everything the next phase starts from."""
        nets = {"generator": self.generator, "average": self.average, "adversary": self.adversary}
        torch.save({name: net.state_dict() for name, net in nets.items()}, path)

    def restore(self, path: Path) -> None:
        """Read what `keep` wrote."""
        state = torch.load(path, weights_only=True)
        self.generator.load_state_dict(state["generator"])
        self.average.load_state_dict(state["average"])
        self.adversary.load_state_dict(state["adversary"])

    def save(self, path: Path) -> None:
        """Write the averaged weights as float16 safetensors, and the list of training photos beside them."""
        state = {
            k: v.half().contiguous() if v.is_floating_point() else v.contiguous()
            for k, v in self.average.state_dict().items()
        }
        listed = self.crops.training_photos()
        header = {
            "format": "psp",
            "name": "small",
            "config": json.dumps(asdict(SMALL_128)),
            "crop": "tight",
            "attribution": _ATTRIBUTION,
            "phases": json.dumps([asdict(p) for p in PHASES]),
            "training_photos_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        }
        temporary = path.with_suffix(".part")
        save_file(state, temporary, metadata=header)
        temporary.replace(path)
        path.with_suffix(".photos.txt").write_text(listed + "\n")


def _schedule(step: int, n_steps: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="+", type=Path, help="folders written by pipelines.training.crops")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first-phase", type=int, default=1, help="go on after the phases before this one")
    parser.add_argument("--steps-scale", type=float, default=1.0, help="shorten or lengthen every phase")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    torch._functorch.config.donated_buffer = False  # the adversary's graph is walked twice
    trainer = Trainer(Crops(given.folders), given.out, given.seed)
    if given.first_phase > 1:
        trainer.restore(given.out / f"phase{given.first_phase - 1}.pt")
    for number, phase in enumerate(PHASES, start=1):
        if number >= given.first_phase:
            trainer.rng = np.random.default_rng([given.seed, number])
            n_steps = max(1, int(phase.n_steps * given.steps_scale))
            trainer.run(replace(phase, n_steps=n_steps))
            trainer.keep(given.out / f"phase{number}.pt")


if __name__ == "__main__":
    main()
