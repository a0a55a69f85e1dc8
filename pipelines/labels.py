"""FairFace's closed vocabulary: nine ages, two genders, seven races.

Nothing enters; three tuples leave, in the order in which tables and figures list them, and
`AGE_YEARS`, the years [low, high) that each age group spans.

Why a module of its own: the drawn population needs the words but not the reader of FairFace.
"""

from typing import Final

AGES: Final = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
GENDERS: Final = ("Female", "Male")
RACES: Final = (
    "Black",
    "East Asian",
    "Indian",
    "Latino_Hispanic",
    "Middle Eastern",
    "Southeast Asian",
    "White",
)
ATTRIBUTES: Final = ("age", "gender", "race")
VOCABULARY: Final[dict[str, tuple[str, ...]]] = {"age": AGES, "gender": GENDERS, "race": RACES}
AGE_YEARS: Final[dict[str, tuple[float, float]]] = {
    "0-2": (0.5, 3.0),
    "3-9": (3.0, 10.0),
    **{f"{low}-{low + 9}": (float(low), float(low + 10)) for low in range(10, 70, 10)},
    "more than 70": (70.0, 88.0),
}
