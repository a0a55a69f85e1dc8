"""One drawn face: a person before a background, lit, posed and photographed.

Labels and a random generator enter; a uint8 RGB image leaves, framed as FairFace frames its
photos (padding 0.25: the face fills most of it).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from pipelines.rendered import hair, head, paint
from pipelines.rendered.people import Person, draw_person


@dataclass(frozen=True)
class Light:
    """A key light on top of light from all sides; directions in the camera's frame."""

    toward: np.ndarray
    key: np.ndarray
    fill: np.ndarray

    def shade(self, normal: np.ndarray, turn: np.ndarray, shine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Diffuse light [3,H,W] and highlight [H,W] for normals in a turned frame."""
        toward = turn.T @ self.toward
        half = toward + turn[2]
        half = (half / np.linalg.norm(half)).astype(np.float32)
        lit = np.tensordot(toward.astype(np.float32), normal, 1)
        wrap = np.clip((lit + 0.25) / 1.25, 0, 1)
        up = np.tensordot(turn[1].astype(np.float32), normal, 1)
        diffuse = self.key * wrap + self.fill * (0.75 + 0.25 * up)
        gloss = np.clip(np.tensordot(half, normal, 1), 0, 1) ** 24 * shine
        return diffuse, gloss * np.clip(lit * 4, 0, 1)


def _draw_light(rng: np.random.Generator) -> Light:
    """A light from the front half, mostly from above, of some warmth."""
    side, above = rng.uniform(-1.1, 1.1), rng.uniform(-0.1, 0.9)
    toward = np.array([side, above, rng.uniform(0.8, 1.6)])
    warm = 1 + rng.normal(0, 0.05) * np.array([1, 0.2, -1])
    key, fill = rng.uniform(0.65, 1.0), rng.uniform(0.22, 0.45)
    column = warm.astype(np.float32)[:, None, None]
    return Light(toward / np.linalg.norm(toward), column * np.float32(key), column * np.float32(fill))


def _draw_pose(rng: np.random.Generator) -> np.ndarray:
    """Rotation float32 [3,3] from head to camera: a little yaw, pitch and roll."""
    yaw, pitch, roll = np.deg2rad(rng.normal(0, [11, 6, 5]).clip(-24, 24))
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (turn_z @ turn_x @ turn_y).astype(np.float32)


def _draw_background(size_px: int, rng: np.random.Generator) -> np.ndarray:
    """A blurred room, street or wall: blobs of two or three colours, sometimes stripes."""
    grey = rng.uniform(20, 225, (3, 1))
    colours = paint.linear(np.clip(grey + rng.normal(0, 22, (3, 3)), 5, 250))
    cells = int(rng.integers(2, 9))
    share = np.clip(0.5 + 0.5 * paint.noise(rng, (cells, cells), size_px), 0, 1)
    if rng.random() < 0.25:
        share = np.clip(share + (paint.noise(rng, (2, 24), size_px) > 0.3) * 0.4, 0, 1)
    ramp = np.linspace(0, 1, size_px, dtype=np.float32)[:, None]
    under = paint.mix(colours[0][:, None, None], colours[1][:, None, None], share)
    return paint.mix(under, colours[2][:, None, None], ramp * np.float32(rng.uniform(0, 0.6)))


def _lay_body(
    under: np.ndarray,
    person: Person,
    at: head.Layout,
    grid: np.ndarray,
    light: Light,
    rng: np.random.Generator,
) -> np.ndarray:
    """Neck and clothed shoulders below the head."""
    x, y = grid
    flat = np.eye(3, dtype=np.float32)
    half = (0.40 + 0.08 * person.male - 0.06 * person.child) * (1 + 0.25 * np.clip(-1.0 - y, 0, 1))
    across = np.clip(x / half, -1, 1)
    normal = np.stack([across, np.zeros_like(x), np.sqrt(1 - across**2)])
    lit, _ = light.shade(normal, flat, np.zeros_like(x))
    beneath = 0.35 + 0.65 * paint.soft(-0.98 - y, 0.5)
    neck = paint.pick(paint.SKIN, person.tone) * lit * beneath
    out = paint.mix(under, neck, paint.soft(half - np.abs(x), 0.03) * paint.soft(0.0 - y, 0.1))
    collar = (
        rng.uniform(-1.32, -1.12) - 0.16 * x**2 + rng.uniform(-0.1, 0.35) * (np.abs(x) - 0.4).clip(-0.4, 0)
    )
    cloth = paint.linear(rng.uniform(15, 225, 3))[:, None, None]
    folds = (0.75 + 0.12 * paint.noise(rng, (7, 9), x.shape[0])).astype(np.float32)
    return paint.mix(out, cloth * folds * (light.key * 0.6 + light.fill), paint.soft(collar - y, 0.04))


def _lay_ears(
    under: np.ndarray, person: Person, at: head.Layout, turn: np.ndarray, grid: np.ndarray, light: Light
) -> np.ndarray:
    """Two ears, each a disc that the pose moves and foreshortens."""
    for side in (-1.0, 1.0):
        cx, cy, _ = turn @ np.array([side * at.width * 1.0, at.eye_y - 0.13, -0.12])
        wide = 0.10 + 0.12 * max(0.0, -side * float(turn[0, 2]))
        u, v = (grid[0] - np.float32(cx)) / np.float32(wide), (grid[1] - np.float32(cy)) / np.float32(0.21)
        far = np.sqrt(u * u + v * v)
        dent = 1 - 0.45 * np.exp(-(((far - 0.55) / 0.22) ** 2))
        ear = paint.pick(paint.SKIN, person.tone) * (light.key * 0.45 + light.fill * 0.8) * dent
        under = paint.mix(under, ear.astype(np.float32), paint.soft(1 - far, 0.12))
    return under


def _lay_face(
    under: np.ndarray, person: Person, at: head.Layout, turn: np.ndarray, grid: np.ndarray, light: Light,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The head itself: skin, features, shading."""
    face = head.meet(at, head.relief(person, at), turn, grid)
    x, y, _ = face.point
    colour = paint.paint_skin(person, at, x, y, rng)
    colour = paint.paint_beard(colour, person, at, x, y, rng)
    colour, lips = paint.paint_mouth(colour, person, at, x, y)
    colour = paint.paint_nostrils(colour, at, x, y)
    colour, eyes = paint.paint_eyes(colour, person, at, x, y, rng.normal(0, 0.012, 2))
    colour = paint.paint_brows(colour, person, at, x, y, rng)
    if person.glasses:
        colour = paint.paint_glasses(colour, at, x, y, paint.linear(rng.uniform(5, 90, 3)))
    shine = np.float32(rng.uniform(0.04, 0.16)) * (1 + lips) * (1 - eyes)
    lit, gloss = light.shade(face.normal, turn, shine)
    glint = np.exp(
        -(((np.abs(x) - at.eye_x - 0.02 * light.toward[0]) ** 2 + (y - at.eye_y - 0.02) ** 2) / 0.014**2)
    )
    seen = colour * lit + gloss + 0.8 * glint * eyes
    return paint.mix(under, seen.astype(np.float32), face.cover)


def _lay_hair(
    under: np.ndarray, person: Person, at: head.Layout, turn: np.ndarray, grid: np.ndarray, light: Light,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The hair around the skull, lit as a shell."""
    shell = head.meet(at, np.zeros((0, 6), np.float32), turn, grid, hair.shell_size(person))
    cover = hair.shell_cover(person, at, shell, rng)
    lit, gloss = light.shade(shell.normal, turn, np.full_like(cover, 0.10))
    streaks = hair.strands(person, shell.point[0], shell.point[1], rng)
    seen = paint.hair_colour(person) * lit * streaks + gloss * 0.5 * streaks * (1 - person.curl)
    return paint.mix(under, np.clip(seen, 0, None).astype(np.float32), cover)


def _photograph(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear light [3,H,W] to display uint8 [H,W,3]: exposure, curve, focus, sensor noise."""
    exposed = np.clip(scene * np.float32(rng.uniform(0.75, 1.2)), 0, None)
    rolled = exposed * (1 + exposed / 3.0) / (1 + exposed * 0.75)
    display = np.clip(rolled, 0, 1) ** np.float32(1 / 2.2) * 255
    image = Image.fromarray(display.transpose(1, 2, 0).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.9)) * image.width / 224))
    grain = rng.standard_normal(display.shape[1:], np.float32)[..., None] * np.float32(rng.uniform(0.5, 4))
    return np.clip(np.asarray(image, np.float32) + grain + 0.5, 0, 255).astype(np.uint8)


def render_face(age: str, gender: str, race: str, rng: np.random.Generator, size_px: int = 224) -> np.ndarray:
    """Draw one face.

    Args:
        age: one of `labels.AGES`.
        gender: one of `labels.GENDERS`.
        race: one of `labels.RACES`.
        rng: the only source of chance; the same state gives the same image.
        size_px: side of the square image in pixels.

    Returns:
        uint8 [size_px, size_px, 3], RGB.

    Raises:
        ValueError: a label outside the vocabulary.
    """
    person = draw_person(age, gender, race, rng)
    at, turn, light = head.lay_out(person), _draw_pose(rng), _draw_light(rng)
    reach = rng.uniform(0.84, 1.12)
    ramp = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px * 2 - 1
    x, y = np.meshgrid(ramp * reach, -ramp * reach)
    shift = rng.normal(0, 0.05, 2)
    grid = np.stack([x + shift[0], y + shift[1] - 0.12]).astype(np.float32)
    scene = _draw_background(size_px, rng)
    mane = hair.curtain(person, at, grid, rng)
    strands = hair.strands(person, grid[0], grid[1], rng)
    scene = paint.mix(scene, paint.hair_colour(person) * (light.fill + 0.35 * light.key) * strands, mane)
    scene = _lay_body(scene, person, at, grid, light, rng)
    scene = _lay_ears(scene, person, at, turn, grid, light)
    scene = _lay_face(scene, person, at, turn, grid, light, rng)
    scene = _lay_hair(scene, person, at, turn, grid, light, rng)
    return _photograph(scene, rng)
