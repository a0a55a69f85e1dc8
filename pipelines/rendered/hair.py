"""Hair: a shell around the skull with a hairline, and a curtain behind the head.

A `Person`, the shell's `Surface` and the pixel grid enter; how much hair covers each pixel
(float32 [H,W] in 0-1) and how light its strands are (around 1) leave.

Why a shell: hair that stands off the skull changes the outline with the pose, as real hair does.
"""

from typing import Final

import numpy as np

from pipelines.rendered.head import Layout, Surface
from pipelines.rendered.paint import noise, soft
from pipelines.rendered.people import Person

THICKNESS: Final = {
    "bald": 0.0,
    "buzz": 0.015,
    "short": 0.07,
    "fringe": 0.09,
    "medium": 0.11,
    "long": 0.10,
    "tied": 0.04,
}
"""How far the shell stands off the skull, in half head heights, for straight hair."""


def shell_size(person: Person) -> float:
    """Factor on the head's size for the shell of hair; curly hair stands off further."""
    return 1 + THICKNESS[person.style] * (1 + 1.2 * person.curl) * (0.6 if person.style == "tied" else 1)


def strands(person: Person, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lightness of the strands [H,W]: streaks from the crown, or curls."""
    size = x.shape[0]
    angle = np.arctan2(x - np.float32(rng.uniform(-0.3, 0.3)), y + 0.4 - 0.6 * (np.abs(x) > 0.6))
    table = rng.normal(0, 1, 400).astype(np.float32)
    place = np.clip((angle + np.pi) / (2 * np.pi) * 399, 0, 399)
    low = place.astype(np.intp)
    streak = table[low] + (table[np.minimum(low + 1, 399)] - table[low]) * (place - low)
    curls = noise(rng, (44, 44), size) + 0.5 * noise(rng, (90, 90), size)
    return np.asarray(1 + 0.16 * (1 - person.curl) * streak + 0.30 * person.curl * curls, np.float32)


def shell_cover(person: Person, at: Layout, shell: Surface, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the hair around the skull covers."""
    if person.style == "bald":
        return np.zeros_like(shell.cover)
    x, y, z = shell.point
    ax, size = np.abs(x), x.shape[0]
    ragged = noise(rng, (40, 40) if person.curl > 0.5 else (6, 70), size) * 0.03
    recede = 0.2 * person.old * person.male + 0.14 * person.child * (person.years < 3)
    brow = (
        at.brow_y + (0.10 if person.style == "fringe" else 0.40) + recede + 0.06 * float(person.shape[0] - 1)
    )
    parting = rng.uniform(-0.06, 0.06) * x / np.float32(0.4)
    temple = np.clip(ax / np.float32(at.width) - 0.62, 0, 1)
    floor = -0.05 if person.style in ("buzz", "short", "tied", "fringe") else at.mouth_y - 0.3
    line = np.maximum(brow + parting - 10.0 * temple**2, floor) + ragged
    soften = 0.16 if person.style == "buzz" else 0.05
    cover = soft(y - line.astype(np.float32), soften) * shell.cover
    wisps = 0.55 if person.style == "buzz" else 1.0 if person.years > 2 else 0.75
    behind = soft(-z - 0.1, 0.2) * soft(y + 0.35, 0.2) * shell.cover
    return np.maximum(cover, behind) * np.float32(wisps)


def curtain(person: Person, at: Layout, grid: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the hair that hangs behind head and neck covers."""
    x, y = grid
    if person.style not in ("medium", "long"):
        return np.zeros_like(x)
    end = -2.5 if person.style == "long" else rng.uniform(-1.15, -0.7)
    puff = 0.10 + 0.22 * person.curl + 0.06 * float(person.shape[3] - 1)
    half = at.width + puff + 0.05 * np.sin(y * 3 + rng.uniform(0, 6)) + 0.10 * np.clip(-y, 0, 1)
    ragged = noise(rng, (50, 50), x.shape[0]) * 0.02 * (1 + person.curl)
    return soft(half - np.abs(x) + ragged, 0.04) * soft(y - end + ragged, 0.08) * soft(0.45 - y, 0.3)
