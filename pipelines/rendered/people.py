"""Draws a person to render: from three labels and a random generator to a set of proportions.

Labels enter; a frozen `Person` leaves, its lengths in half head heights.

Why race moves so little: it only shifts distributions of skin tone, hair colour and hair
texture, and those overlap widely between groups. Features are drawn alike for everybody;
drawn faces stand in for photographs when none are at hand and must not become caricatures.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.labels import AGE_YEARS, AGES, GENDERS, RACES

SKIN_TONE: Final[dict[str, tuple[float, float]]] = {
    "Black": (0.74, 0.14),
    "East Asian": (0.27, 0.10),
    "Indian": (0.53, 0.15),
    "Latino_Hispanic": (0.37, 0.13),
    "Middle Eastern": (0.35, 0.12),
    "Southeast Asian": (0.42, 0.13),
    "White": (0.17, 0.09),
}
"""Mean and spread of the skin tone, 0 = lightest, 1 = darkest."""

DARK_HAIR: Final[dict[str, float]] = {"White": 0.40, "Latino_Hispanic": 0.80, "Middle Eastern": 0.85}
"""Chance of dark hair; 0.95 for the rest."""

CURL: Final[dict[str, float]] = {"Black": 0.75, "East Asian": 0.08, "Southeast Asian": 0.12}
"""Mean curliness of the hair, 0 = straight, 1 = tight; 0.3 for the rest."""

STYLES: Final = ("bald", "buzz", "short", "fringe", "medium", "long", "tied")


@dataclass(frozen=True)
class Person:
    """One drawn person."""

    years: float
    """Age in years."""
    child: float
    """1 for a newborn's proportions, 0 for an adult's."""
    old: float
    """0 below 35 years, towards 1 at 85."""
    male: bool
    tone: float
    """Skin tone, 0 lightest to 1 darkest."""
    hair_tone: float
    """Hair colour, 0 blond over red and brown to 1 black."""
    grey: float
    curl: float
    style: str
    beard: float
    """0 none, to 1 a full beard."""
    smile: float
    eye_tone: float
    """Iris colour, 0 light to 1 dark brown."""
    glasses: bool
    shape: np.ndarray
    """float32 [12]: factors around 1 that make each face its own."""


def _style(years: float, male: bool, rng: np.random.Generator) -> str:
    """Hair style, with its odds by age and gender; bald babies and bald old men are common."""
    if years < 2:
        return str(rng.choice(["bald", "buzz", "short", "fringe"], p=[0.3, 0.35, 0.2, 0.15]))
    if male:
        bald = 0.02 + 0.45 * float(np.clip((years - 25) / 50, 0, 1)) if years > 18 else 0.0
        odds = np.array([bald, 0.22, 0.45, 0.2, 0.08, 0.03, 0.02])
    else:
        odds = np.array([0.003, 0.01, 0.12, 0.15, 0.25, 0.3, 0.167])
    return str(rng.choice(STYLES, p=odds / odds.sum()))


def draw_person(age: str, gender: str, race: str, rng: np.random.Generator) -> Person:
    """Draw one person of an age group, gender and race.

    Args:
        age: one of `labels.AGES`.
        gender: one of `labels.GENDERS`.
        race: one of `labels.RACES`.
        rng: the only source of chance.

    Returns:
        The person's proportions and colours.

    Raises:
        ValueError: a label outside the vocabulary.
    """
    if age not in AGES or gender not in GENDERS or race not in RACES:
        raise ValueError(f"unknown labels: age={age!r}, gender={gender!r}, race={race!r}")
    years = float(rng.uniform(*AGE_YEARS[age]))
    male, adult = gender == "Male", years >= 18
    dark = rng.random() < DARK_HAIR.get(race, 0.95)
    mean_tone, spread = SKIN_TONE[race]
    tone = float(np.clip(rng.normal(mean_tone, spread), 0.02, 0.97))
    bearded = male and adult and rng.random() < 0.45
    return Person(
        years=years,
        child=float(np.clip((15 - years) / 14.5, 0, 1)),
        old=float(np.clip((years - 35) / 50, 0, 1)),
        male=male,
        tone=tone,
        hair_tone=float(rng.uniform(0.75, 1.0) if dark else rng.uniform(0.0, 0.75)),
        grey=float(np.clip(rng.normal((years - 48) / 28, 0.2), 0, 1)) if years > 32 else 0.0,
        curl=float(np.clip(rng.normal(CURL.get(race, 0.3), 0.18), 0, 1)),
        style=_style(years, male, rng),
        beard=float(rng.uniform(0.25, 1.0)) if bearded else 0.0,
        smile=float(np.clip(rng.normal(0.35, 0.4), -0.15, 1)),
        eye_tone=float(rng.uniform(0.6, 1.0) if dark else rng.uniform(0.0, 0.9)),
        glasses=bool(rng.random() < (0.03 if years < 6 else 0.1 + 0.15 * (years > 50))),
        shape=np.exp(rng.normal(0, 0.09, 12)).astype(np.float32),
    )
