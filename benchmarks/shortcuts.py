"""Is the interval of `audit shortcuts` honest? Data sets in which nothing tells real from fake, and some in
which something does.

`python benchmarks/shortcuts.py [--runs 200] [--files 60]` prints how often the interval of the AUC holds 0.5
where nothing can be learned (aim: 95 % at least), what it would hold if folds were taken for independent, how
often any property is named there, and, for files on disk with the same finish, the same of a whole search.
Where something can be learned it prints how often the interval holds the true AUC of the classifiers trained.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from audit.config import AuditConfig
from audit.inference.proportion_intervals import z_value
from audit.judge.file_shortcuts import judge_facts
from audit.metrics import held_out_auc
from audit.metrics.held_out_auc import held_out
from pipelines.sources.file_facts import NAMES, file_facts
from pipelines.sources.photos import decode

Data = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features, fake, unit."""


def pairs(
    n: int, p: int, share: float, rng: np.random.Generator, shift: float = 0.0, whole: bool = False
) -> Data:
    """n pairs of p features whose halves share this part of the variance; skewed whole numbers if
    asked for.
    """
    shared = rng.normal(size=(n, 1, p))
    x = np.sqrt(share) * shared + np.sqrt(1 - share) * rng.normal(size=(n, 2, p))
    x[:, 1, 0] += shift
    x = np.round(np.exp(x)) if whole else x
    return np.concatenate([x[:, 0], x[:, 1]]), np.repeat([False, True], n), np.tile(np.arange(n), 2)


def sources(n_real: int, n_fake: int, each: int, p: int, rng: np.random.Generator) -> Data:
    """Source videos of one class with so many frames each, which share half of their variance."""
    n = (n_real + n_fake) // each
    x = (rng.normal(size=(n, 1, p)) + rng.normal(size=(n, each, p))).reshape(-1, p)
    fake = np.arange(n) >= n_real // each
    return x, np.repeat(fake, each), np.repeat(np.arange(n), each)


CASES: dict[str, Callable[[np.random.Generator], Data]] = {
    "20 pairs, 40 features": lambda rng: pairs(20, 40, 0.0, rng),
    "50 pairs, 40 features, alike by 0.9": lambda rng: pairs(50, 40, 0.9, rng),
    "100 pairs, 40 features, alike by 0.5": lambda rng: pairs(100, 40, 0.5, rng),
    "100 pairs, 2 skewed whole numbers": lambda rng: pairs(100, 2, 0.8, rng, whole=True),
    "60 pairs, 1 feature": lambda rng: pairs(60, 1, 0.0, rng),
    "400 pairs, 3 features": lambda rng: pairs(400, 3, 0.5, rng),
    "320 real, 80 fake, alone": lambda rng: sources(320, 80, 1, 20, rng),
    "400 real, 200 fake, 10 frames a video": lambda rng: sources(400, 200, 10, 20, rng),
}


def nothing_tells(make: Callable[[np.random.Generator], Data], runs: int) -> tuple[float, float, float]:
    """Share of intervals that hold 0.5; the same with folds taken for independent; mean AUC."""
    rng, z, held, naive, aucs = np.random.default_rng(0), z_value(0.95), 0, 0, []
    for seed in range(runs):
        found = held_out(*make(rng), seed)
        auc, (low, high) = found.auc(z)
        held += low <= 0.5 <= high
        doubled, held_out_auc.DEPENDENCE = held_out_auc.DEPENDENCE, 1.0
        _, (low, high) = found.auc(z)
        held_out_auc.DEPENDENCE = doubled
        naive += low <= 0.5 <= high
        aucs.append(auc)
    return held / runs, naive / runs, float(np.mean(aucs))


def picture(rng: np.random.Generator) -> np.ndarray:
    """A soft coloured picture of 48 px with noise."""
    coarse = Image.fromarray(rng.integers(40, 220, (8, 8, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((48, 48), Image.Resampling.BICUBIC), dtype=float)
    return (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def facts(rng: np.random.Generator, **options: object) -> list[float]:
    """Facts of a picture written in this way."""
    out = io.BytesIO()
    Image.fromarray(picture(rng)).save(out, **options)  # type: ignore[arg-type]
    found = file_facts(out.getvalue(), decode(out.getvalue(), "picture")[0])
    return [found[name] for name in NAMES]


def searches(runs: int, n: int = 60) -> tuple[float, float, float]:
    """Whole searches on JPEGs of one quality: how often something is said to tell, and a property is named.

    The third number: how often fakes of JPEG 80 beside reals of PNG are found, the format named first.
    """
    rng, config, said, named, found = np.random.default_rng(1), AuditConfig(), 0, 0, 0
    fake, unit = np.repeat([False, True], n), np.tile(np.arange(n), 2)
    jpeg = {"format": "JPEG", "quality": 80}
    for seed in range(runs):
        values = np.array([facts(rng, **jpeg) for _ in range(2 * n)])
        parts, families, _ = judge_facts(values, fake, unit, AuditConfig(seed=seed))
        said += parts[0].told
        named += any(family.told for family in families)
        if seed < runs // 4:
            values[:n] = [facts(rng, format="PNG") for _ in range(n)]
            parts, families, _ = judge_facts(values, fake, unit, config)
            best = max(families, key=lambda family: family.auc)
            found += parts[1].auc >= 0.95 and best.family == "format" and best.told
    return said / runs, named / runs, found / max(1, runs // 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="data sets a case")
    parser.add_argument("--files", type=int, default=60, help="whole searches on files")
    options = parser.parse_args()
    print("| nothing tells | runs | holds 0.5 | folds as independent | mean AUC |\n|---|---|---|---|---|")
    for name, make in CASES.items():
        held, naive, auc = nothing_tells(make, options.runs)
        print(f"| {name} | {options.runs} | {held:.1%} | {naive:.1%} | {auc:.3f} |", flush=True)
    if options.files:
        said, named, found = searches(options.files)
        print(
            f"whole searches on files of one finish: something said to tell in {said:.1%}, named in "
            f"{named:.1%}"
        )
        print(f"fakes of JPEG 80 beside PNG: found and the format named in {found:.1%}")


if __name__ == "__main__":
    main()
