"""The colours on a head: skin, lips, eyes, brows and beard, as reflectance per pixel.

A `Person`, its `Layout` and the points of its `Surface` enter; linear RGB reflectance float32
[3,H,W] in 0-1 leaves, with a map of how much each pixel shines.

Why linear light: shading multiplies reflectance by light, which is only right before the
display's curve is applied; `scene` applies that curve once, at the end.
"""

from typing import Final

import numpy as np
from PIL import Image

from pipelines.rendered.head import Layout
from pipelines.rendered.people import Person

SKIN: Final = np.array(
    [[246, 219, 203], [232, 190, 162], [208, 160, 124], [168, 118, 82], [120, 76, 51], [74, 44, 32]]
)
HAIR: Final = np.array([[214, 176, 120], [170, 92, 48], [110, 70, 40], [60, 40, 28], [24, 20, 20]])
IRIS: Final = np.array([[110, 140, 160], [100, 125, 90], [120, 90, 50], [70, 42, 24], [38, 24, 16]])


def linear(rgb: np.ndarray) -> np.ndarray:
    """Display RGB 0-255 to linear 0-1, float32."""
    return ((np.asarray(rgb, np.float32) / 255) ** 2.2).astype(np.float32)


def pick(palette: np.ndarray, place: float) -> np.ndarray:
    """Linear RGB [3,1,1] at `place` in 0-1 along a palette [n,3]."""
    ramp = np.linspace(0, 1, len(palette))
    rgb = np.array([np.interp(place, ramp, palette[:, i]) for i in range(3)])
    return linear(rgb)[:, None, None]


def soft(distance: np.ndarray, width: float = 0.012) -> np.ndarray:
    """1 where `distance` is positive, 0 where negative, a ramp of `width` between."""
    return np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1)


def noise(rng: np.random.Generator, cells: tuple[int, int], size_px: int) -> np.ndarray:
    """Smooth noise float32 [size,size] of unit spread from a coarse grid of `cells`."""
    coarse = Image.fromarray(rng.normal(0, 1, cells).astype(np.float32))
    return np.asarray(coarse.resize((size_px, size_px), Image.Resampling.BICUBIC))


def mix(under: np.ndarray, over: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Lay `over` on `under` ([3,H,W] or [3,1,1]) by `share` [H,W]."""
    return under + (over - under) * share


def hair_colour(person: Person) -> np.ndarray:
    """Linear RGB [3,1,1] of the hair, greyed by age."""
    return pick(HAIR, person.hair_tone) * (1 - person.grey) + linear(np.array([176, 174, 172]))[
        :, None, None
    ] * np.float32(person.grey)


def _blob(x: np.ndarray, y: np.ndarray, cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
    """A Gaussian of height 1."""
    return np.exp(-0.5 * (((x - np.float32(cx)) / sx) ** 2 + ((y - np.float32(cy)) / sy) ** 2))


def paint_skin(
    person: Person, at: Layout, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Skin with blood in cheeks and nose, shade round the eyes, mottling and age spots."""
    size = x.shape[0]
    skin = pick(SKIN, person.tone) * rng.normal(1, 0.03, (3, 1, 1)).astype(np.float32)
    ax = np.abs(x)
    blush = 0.5 * _blob(ax, y, 0.36, at.nose_y + 0.03, 0.16, 0.14) + 0.5 * _blob(
        x, y, 0, at.nose_y, 0.1, 0.08
    )
    red = np.array([1.0, 0.72, 0.70], np.float32)[:, None, None]
    out = mix(skin + np.zeros((3, 1, 1), np.float32), skin * red, blush * (0.8 - 0.5 * person.tone))
    shade = 0.28 * _blob(ax, y, at.eye_x, at.eye_y - 0.01, 0.16, 0.11) * (1 + 0.6 * person.old)
    mottle = noise(rng, (9, 9), size) * 0.025 + noise(rng, (60, 60), size) * (0.012 + 0.025 * person.old)
    spots = soft(noise(rng, (48, 48), size) - (2.6 - 0.7 * person.old), 0.6) * 0.3 * (person.old > 0.3)
    return out * ((1 - shade) * (1 + mottle) * (1 - spots))


def paint_mouth(
    skin: np.ndarray, person: Person, at: Layout, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lips, and teeth in a wide smile; returns the colours and where the lips are."""
    bow = 1 - (x / np.float32(at.mouth_width)) ** 2
    line = np.float32(at.mouth_y) + np.float32(0.075 * person.smile) * ((x / at.mouth_width) ** 2 - 0.4)
    line = line.astype(np.float32)
    gap = np.float32(max(person.smile - 0.45, 0) * 0.13) * np.clip(bow, 0, 1)
    top = line + gap * 0.4 + np.float32(0.055 * at.lips) * bow * (1 - 0.25 * np.exp(-((x / 0.035) ** 2)))
    low = line - gap * 0.6 - np.float32(0.075 * at.lips) * bow
    inside = soft(bow, 0.15)
    lips = soft(top - y) * soft(y - low) * inside
    rosy = np.array([0.86, 0.52, 0.52] if person.male else [0.88, 0.42, 0.46], np.float32)
    out = mix(skin, skin * rosy[:, None, None], lips * 0.9)
    hole = soft(line + gap * 0.4 - y) * soft(y - line + gap * 0.6) * inside * (gap > 0.01)
    teeth = linear(np.array([226, 220, 208]))[:, None, None] * (0.55 + 0.45 * np.clip(bow, 0, 1))
    out = mix(out, teeth.astype(np.float32), hole)
    parting = np.exp(-(((y - line) / 0.011) ** 2)) * inside * (gap <= 0.01)
    return mix(out, skin * 0.22, parting * 0.85), lips * (1 - hole)


def paint_nostrils(skin: np.ndarray, at: Layout, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Nostrils, and the shade beneath the nose."""
    holes = _blob(np.abs(x), y, 0.062, at.nose_y - 0.022, 0.026, 0.013)
    under = 0.35 * _blob(x, y, 0, at.nose_y - 0.04, 0.12, 0.03)
    return skin * (1 - 0.8 * holes) * (1 - under)


def paint_eyes(
    skin: np.ndarray, person: Person, at: Layout, x: np.ndarray, y: np.ndarray, glance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both eyes: white, iris, pupil, lids, lashes; returns the colours and where they are wet."""
    dx = np.abs(x) - np.float32(at.eye_x)
    dy = y - np.float32(at.eye_y) - np.float32(0.06) * dx
    wide, tall = 0.128 * at.eye_size, (0.056 + 0.012 * person.child - 0.012 * person.smile) * at.eye_size
    bow = 1 - (dx / np.float32(wide)) ** 2
    top, low = np.float32(tall) * bow, np.float32(-0.75 * tall) * bow
    ball = soft(top - dy) * soft(dy - low) * soft(bow, 0.1)
    gx, gy = glance.tolist()
    far = np.sqrt((dx - np.sign(x) * np.float32(gx)) ** 2 + (dy - np.float32(gy)) ** 2) / np.float32(
        at.eye_size
    )
    white = linear(np.array([222, 216, 210]))[:, None, None] * (0.6 + 0.4 * np.clip(bow, 0, 1))
    iris = pick(IRIS, person.eye_tone) * (0.7 + 5.0 * np.clip(far, 0, 0.07))
    eye = mix(white, iris, soft(0.062 - far))
    eye = eye * (1 - 0.6 * np.exp(-(((far - 0.062) / 0.008) ** 2)))
    eye = mix(eye, np.full((3, 1, 1), 0.008, np.float32), soft(0.027 - far))
    eye = eye * (1 - 0.55 * soft(dy - top + np.float32(0.35 * tall), 0.03))
    out = mix(skin, eye.astype(np.float32), ball)
    reach = soft(bow + 0.12, 0.25)
    lash = np.exp(-(((dy - top) / (0.011 if person.male else 0.016)) ** 2)) * reach
    crease = np.exp(-(((dy - 1.1 * top - 0.035) / 0.011) ** 2)) * reach * 0.35
    rim = np.exp(-(((dy - low) / 0.009) ** 2)) * reach * 0.35
    out = out * (1 - 0.85 * lash) * (1 - crease) * (1 - rim)
    return out, ball


def paint_brows(
    skin: np.ndarray, person: Person, at: Layout, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Eyebrows: an arc that thins outwards, of hairs."""
    dx = (np.abs(x) - np.float32(at.eye_x)) / np.float32(0.19)
    arc = y - np.float32(at.brow_y) - np.float32(0.03) * (1 - dx**2) - np.float32(0.01) * dx
    thick = (0.026 + 0.010 * person.male - 0.012 * person.child) * (1 - 0.4 * np.clip(dx, -1, 1))
    hairs = 0.75 + 0.25 * noise(rng, (40, 110), x.shape[0])
    share = np.exp(-((arc / thick) ** 2)) * soft(1 - np.abs(dx), 0.3) * hairs
    strength = (0.9 - 0.5 * person.child) * (1 - 0.3 * person.grey)
    return mix(skin, hair_colour(person) * 0.6, np.clip(share * strength, 0, 1))


def paint_beard(
    skin: np.ndarray, person: Person, at: Layout, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Stubble to a full beard over jaw, chin and upper lip; a no-op for the beardless."""
    if person.beard == 0:
        return skin
    jaw = soft(at.mouth_y + 0.05 + 0.75 * np.clip(np.abs(x) - 0.25, 0, 1) - y, 0.16)
    lip = np.exp(-(((y - at.mouth_y - 0.105) / 0.035) ** 2)) * soft(at.mouth_width + 0.06 - np.abs(x), 0.1)
    bare = _blob(x, y, 0, at.mouth_y, at.mouth_width * 0.75, 0.05)
    hairs = 0.8 + 0.25 * noise(rng, (90, 90), x.shape[0])
    share = np.clip(np.maximum(jaw, lip) * (1 - bare) * hairs, 0, 1) * min(0.25 + 0.7 * person.beard, 0.92)
    return mix(skin, hair_colour(person) * 0.9, share)


def paint_glasses(skin: np.ndarray, at: Layout, x: np.ndarray, y: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Thin frames round both eyes and a bridge between them."""
    ax = np.abs(x)
    ring = np.sqrt(((ax - at.eye_x) / 0.21) ** 2 + ((y - at.eye_y + 0.02) / 0.165) ** 2)
    frame = np.exp(-(((ring - 1) / 0.055) ** 2))
    bridge = soft(0.09 - ax, 0.02) * np.exp(-(((y - at.eye_y - 0.03) / 0.014) ** 2))
    arm = soft(ax - at.eye_x - 0.2, 0.02) * np.exp(-(((y - at.eye_y - 0.03) / 0.014) ** 2))
    share = np.clip(np.maximum(np.maximum(frame, bridge), arm), 0, 1)
    return mix(skin, tint[:, None, None].astype(np.float32), share * 0.9)
