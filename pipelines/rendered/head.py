"""The head's shape: a tapered ellipsoid with a relief of bumps, met by parallel rays.

A `Person`, a rotation and a pixel grid enter; for each pixel its point on the head, the unit
normal there and a soft coverage leave. Lengths are in half head heights; the head's own frame
has x to the viewer's right, y up and z out of the face.

Why bumps instead of a mesh: a sum of Gaussians has its gradient in closed form, so normals are
exact and one face costs milliseconds in numpy alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.rendered.people import Person

DEPTH: Final = 0.88
"""Half depth of the head."""


@dataclass(frozen=True)
class Layout:
    """Where a person's features sit, in the head's own frame."""

    width: float
    taper: float
    """How much narrower the jaw is than the temples."""
    eye_x: float
    eye_y: float
    eye_size: float
    brow_y: float
    nose_y: float
    mouth_y: float
    mouth_width: float
    lips: float


@dataclass(frozen=True)
class Surface:
    """What the rays meet; arrays float32 [H,W] (points and normals [3,H,W], head frame)."""

    point: np.ndarray
    normal: np.ndarray
    cover: np.ndarray


def lay_out(person: Person) -> Layout:
    """Place the features: children have low, large eyes, short noses and round faces."""
    f, child = person.shape, person.child
    eye_y = 0.03 - 0.16 * child + 0.12 * float(f[0] - 1)
    nose_y = eye_y - (0.36 - 0.09 * child) * float(f[1])
    mouth_y = nose_y - (0.235 - 0.045 * child) * float(f[2])
    return Layout(
        width=(0.74 + 0.03 * person.male + 0.09 * child) * float(f[3]) ** 0.6,
        taper=(0.30 - 0.07 * person.male - 0.10 * child) * float(f[4]),
        eye_x=0.295 * float(f[5]) ** 0.5,
        eye_y=eye_y,
        eye_size=(1.0 + 0.25 * child - 0.12 * person.old) * float(f[6]) ** 0.7,
        brow_y=eye_y + (0.185 + 0.02 * child - 0.02 * person.male) * float(f[7]) ** 0.7,
        nose_y=nose_y,
        mouth_y=mouth_y,
        mouth_width=(0.25 - 0.06 * child + 0.03 * max(person.smile, 0)) * float(f[8]) ** 0.7,
        lips=(1.0 + 0.15 * (not person.male) - 0.35 * person.old) * float(f[9]) ** 1.5,
    )


def relief(person: Person, at: Layout) -> np.ndarray:
    """List the bumps.

    Returns:
        float32 [n,6]: height, x, y, spread in x, spread in y, turn in radians; pairs mirrored.
    """
    grown, old, nose = 1 - 0.6 * person.child, person.old, float(person.shape[10])
    broad, ny, my = float(person.shape[11]), at.nose_y, at.mouth_y
    middle = [
        (0.09 * grown * nose, 0, (at.eye_y + ny) / 2, 0.065 * broad, 0.17, 0),
        (0.15 * grown**0.5 * nose, 0, ny + 0.06, 0.095 * broad, 0.085, 0),
        (-0.05, 0, ny - 0.045, 0.10, 0.025, 0),
        (0.045, 0, my + 0.05, 0.17, 0.04, 0),
        (0.055, 0, my - 0.06, 0.14, 0.045, 0),
        (-0.04, 0, my, 0.5 * at.mouth_width, 0.02, 0),
        (-0.015, 0, my + 0.11, 0.025, 0.05, 0),
        (0.05, 0, my, 0.28, 0.22, 0),
        (-0.045, 0, my - 0.16, 0.17, 0.05, 0),
        (0.06 + 0.02 * person.male, 0, -0.84, 0.19, 0.11, 0),
        *((-0.012 * old, 0.02, y, 0.30, 0.013, 0.02) for y in (0.40, 0.48, 0.56)),
    ]
    sides = [
        (0.06 * nose, 0.105 * broad, ny + 0.015, 0.055, 0.05, 0),
        (0.03 + 0.03 * person.male, 0.24, at.brow_y - 0.02, 0.17, 0.06, 0),
        (-0.075, at.eye_x, at.eye_y + 0.02, 0.15, 0.10, 0),
        (0.035, at.eye_x, at.eye_y, 0.10, 0.06, 0),
        (0.05 + 0.03 * person.child + 0.02 * person.smile, 0.37, ny + 0.06, 0.17, 0.16, 0),
        (-0.03 - 0.02 * old, 0.64, 0.24, 0.14, 0.18, 0),
        (-0.010 * grown - 0.028 * old - 0.010 * max(person.smile, 0), 0.245, ny - 0.10, 0.032, 0.13, 0.45),
        (-0.018 * old, at.eye_x, at.eye_y - 0.115, 0.12, 0.018, 0.1),
        (-0.020 * old, at.mouth_width + 0.07, my - 0.13, 0.02, 0.10, 0.3),
        (-0.010 * old, at.eye_x + 0.21, at.eye_y + 0.03, 0.05, 0.010, 0.35),
        (-0.010 * old, at.eye_x + 0.21, at.eye_y - 0.03, 0.05, 0.010, -0.2),
    ]
    mirrored = [(h, -x, y, sx, sy, -turn) for h, x, y, sx, sy, turn in sides]
    return np.array([*middle, *sides, *mirrored], np.float32)


def _raise_bumps(bumps: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Height of the relief over (x, y), and its two slopes."""
    height, slope_x, slope_y = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for tall, cx, cy, sx, sy, turn in bumps.tolist():
        cos, sin = np.cos(turn), np.sin(turn)
        dx, dy = x - np.float32(cx), y - np.float32(cy)
        u = (np.float32(cos) * dx + np.float32(sin) * dy) / np.float32(sx)
        v = (np.float32(cos) * dy - np.float32(sin) * dx) / np.float32(sy)
        bump = np.float32(tall) * np.exp(np.float32(-0.5) * (u * u + v * v))
        height += bump
        slope_x -= bump * (u * np.float32(cos / sx) - v * np.float32(sin / sy))
        slope_y -= bump * (u * np.float32(sin / sx) + v * np.float32(cos / sy))
    return height, slope_x, slope_y


def _narrow(at: Layout, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half width of the head at height y, and its slope: temples wide, jaw narrow."""
    fall = np.clip(np.float32(0.15) - y, 0, 1.3)
    width = np.float32(at.width) * (1 - np.float32(at.taper) * fall**2 * np.float32(0.55))
    return width, np.float32(1.1 * at.width * at.taper) * fall


def meet(at: Layout, bumps: np.ndarray, turn: np.ndarray, grid: np.ndarray, size: float = 1.0) -> Surface:
    """Meet the head with one ray a pixel.

    Args:
        at: the features' places.
        bumps: `relief`, or an empty [0,6] for a smooth shell.
        turn: float32 [3,3], head frame to camera frame.
        grid: float32 [2,H,W], the camera's x and y, y up.
        size: factor on the whole head, for a shell of hair around it.

    Returns:
        The surface; where a ray misses, the nearest point of the outline with coverage 0.
    """
    start = np.tensordot(turn[:2].T, grid, 1)
    way = turn[2].astype(np.float32)
    swell = np.full_like(grid[0], size)
    y = start[1]
    for _ in range(3 if len(bumps) else 2):
        width, _slope = _narrow(at, y / np.float32(size))
        scale = np.stack([width, np.ones_like(width), np.full_like(width, DEPTH)])
        o, d = start / scale, way[:, None, None] / scale
        a, b, c = (d * d).sum(0), (o * d).sum(0), (o * o).sum(0) - swell**2
        inside = b * b - a * c
        depth = (-b + np.sqrt(np.maximum(inside, 0))) / a
        point = start + depth * way[:, None, None]
        y = point[1]
        if len(bumps):
            height, slope_x, slope_y = _raise_bumps(bumps, point[0], y)
            swell = np.float32(size) + height
    width, slope = _narrow(at, y / np.float32(size))
    normal = point / np.stack([width, np.ones_like(width), np.full_like(width, DEPTH)]) ** 2
    normal[1] -= point[0] ** 2 * slope / width**3
    if len(bumps):
        normal[0] -= swell * slope_x
        normal[1] -= swell * slope_y
    normal /= np.maximum(np.sqrt((normal * normal).sum(0)), 1e-6)
    cover = np.clip(inside / (a * np.float32(0.045)), 0, 1)
    return Surface(point, normal, cover)
