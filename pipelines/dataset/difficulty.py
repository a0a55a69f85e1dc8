"""How hard a kind of fake is to tell: the held-out AUC of a fixed simple detector on a fixed number of pairs.

A finished dataset and the rows of one kind enter; a record leaves, for `summary.json`.

The detector is a linear rule on two descriptions of an image, neither of which knows what a face is:

- **frequencies**: log power in rings of spatial frequency, of luma and two colour differences (Durall et al.,
  "Watch your up-convolution", CVPR 2020). What a network enlarges or blurs shows here.
- **residuals**: how often runs of four rounded third differences occur, along rows and columns (one submodel
  of Fridrich & Kodovsky, "Rich models for steganalysis of digital images", IEEE TIFS 2012; for spliced photos
  Cozzolino, Gragnaniello & Verdoliva, ICIP 2014). What blending and resampling do to neighbours shows here.

The AUC of both together is the kind's difficulty; each alone says which trace betrays it.

Why a linear rule and not a network: it is fitted in a second, alike on every machine, and it tells. A small
convolutional network trained for as long as anybody wants to wait here stayed at 0.51 to 0.58 for every kind,
one of which these descriptions tell at 1.00.

Why fixed in everything: the number is there to be compared, between kinds, datasets and versions of a
generator. It says what *this* detector learns of *so many* pairs. A kind near 0.5 is hard for it, which is no
proof that a larger one learns nothing.

Why parts are cut between people: a photo, its twin by bytes, the photos that lent it a face and those that
borrowed from the same lender lie on one side, so that no face that was learned is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pipelines.dataset.file_traces import auc
from pipelines.dataset.spectra import ring_power
from pipelines.labels import ATTRIBUTES
from pipelines.sources.photos import read_photo

N_PAIRS: Final = 400
"""At most, evenly spaced over the dataset; two thirds teach, one third is held out."""
MIN_PAIRS: Final = 60
MIN_HELD_OUT: Final = 15
MIN_IN_GROUP: Final = 10
BUDGET: Final = (
    f"a linear rule on spectrum and residuals, fitted to two thirds of at most {N_PAIRS} pairs, no person in "
    "both parts"
)
TRACES: Final = ("frequencies", "residuals")
HALVES: Final = ("real", "fake")
_SIGNALS: Final = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0, -1, 1]])
"""Luma, red less green, blue less green."""
_ROUNDING: Final = 1 / 12
_STEP, _LEVELS, _RUN = 4, 2, 4
"""Residuals are divided by 4, rounded and held within -2 to 2; four neighbours make a run."""
_REGULARISATION: Final = 0.1
_THREADS: Final = 3
_Z: Final = 1.959964

Described = dict[str, np.ndarray]
"""Name of the trace to its numbers, float64 [n]."""


def difficulties(folder: Path, rows: pd.DataFrame, kinds: Sequence[str]) -> dict[str, Any]:
    """`difficulty_of` each kind; an image that several kinds share is looked at once.

    Args:
        folder: the dataset, its images in place.
        rows: the manifest's "ok" rows.
        kinds: the kinds wanted.
    """
    known: dict[str, Described] = {}
    return {kind: difficulty_of(folder, rows[rows["kind"] == kind], known) for kind in kinds}


def difficulty_of(
    folder: Path, pairs: pd.DataFrame, known: dict[str, Described] | None = None
) -> dict[str, Any]:
    """Fit the fixed detector to two thirds of a kind's pairs and judge the rest.

    Args:
        folder: the dataset, its images in place.
        pairs: the manifest's "ok" rows of one kind.
        known: images described before, by name; added to.

    Returns:
        auc of both traces together (None for fewer than 60 pairs, or where so many hang together by their
        donors that fewer than 15 can be held out), low and high (its 95 % interval), traces (the AUC of each
        alone), n_train and n_held_out (pairs), budget, and groups: {attribute, group, auc, n_held_out} of
        groups with 10 held-out pairs.
    """
    chosen = (
        pairs.iloc[np.unique(np.linspace(0, len(pairs) - 1, N_PAIRS).round().astype(int))]
        if len(pairs)
        else pairs
    )
    people = _people(chosen)
    held = _held_out(people)
    about = {"n_train": int((~held).sum()), "n_held_out": int(held.sum()), "budget": BUDGET}
    if len(chosen) < MIN_PAIRS or held.sum() < MIN_HELD_OUT:
        return {"auc": None, "low": None, "high": None, "traces": {}, **about, "groups": []}
    looks = [_described(folder, list(chosen[half]), {} if known is None else known) for half in HALVES]
    scores = {names: _scores(looks, names, held) for names in (TRACES, *((name,) for name in TRACES))}
    real, fake = scores[TRACES]
    low, high = _interval(real, fake, people[held])
    return {
        "auc": round(auc(real, fake), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "traces": {name: round(auc(*scores[(name,)]), 4) for name in TRACES},
        **about,
        "groups": list(_by_group(chosen[held], real, fake)),
    }


def frequencies(image: np.ndarray) -> np.ndarray:
    """Log power of luma and two colour differences in rings of frequency.

    Args:
        image: uint8 [H,W,3], 16 px or more a side.

    Returns:
        float64 [3 * `spectra.N_BANDS`].
    """
    signals = np.moveaxis(image.astype(np.float64) @ _SIGNALS.T, -1, 0)
    return np.log(ring_power(signals) + _ROUNDING).ravel()


def residuals(image: np.ndarray) -> np.ndarray:
    """Square roots of the shares of all runs of four rounded third differences of luma.

    A run, its negative, and both read backwards count as one: nothing depends on left and right, and a
    picture and its negative are equal.

    Args:
        image: uint8 [H,W,3], 8 px or more a side.

    Returns:
        float64 [169].
    """
    luma = np.rint(image @ _SIGNALS[0]).astype(np.int32)
    counts = np.zeros(len(_SAME_RUN), np.int64)
    for plane in (luma, luma.T):
        third = plane[:, 3:] - 3 * plane[:, 2:-1] + 3 * plane[:, 1:-2] - plane[:, :-3]
        level = np.rint(third / _STEP).clip(-_LEVELS, _LEVELS).astype(np.int64) + _LEVELS
        n = level.shape[1] - _RUN + 1
        run = sum(level[:, i : i + n] * (2 * _LEVELS + 1) ** (_RUN - 1 - i) for i in range(_RUN))
        counts += np.bincount(np.ravel(run), minlength=len(counts))
    merged = np.bincount(_SAME_RUN, counts)
    return np.sqrt(merged / max(merged.sum(), 1))


def _same_runs() -> np.ndarray:
    """int64 [625]: runs that count as one have one number."""
    base = 2 * _LEVELS + 1
    digits = np.stack(np.unravel_index(np.arange(base**_RUN), (base,) * _RUN))
    place = base ** np.arange(_RUN)
    back = place @ digits
    first = np.minimum.reduce(
        [np.arange(base**_RUN), back, base**_RUN - 1 - back, np.arange(base**_RUN)[::-1]]
    )
    return np.unique(first, return_inverse=True)[1]


_SAME_RUN: Final = _same_runs()
_DESCRIBE: Final = {"frequencies": frequencies, "residuals": residuals}


def _described(folder: Path, names: Sequence[str], known: dict[str, Described]) -> list[Described]:
    """What is known of images, those that are not looked at."""

    def look(name: str) -> Described:
        image = read_photo(folder / name).pixels
        return {trace: describe(image) for trace, describe in _DESCRIBE.items()}

    new = [name for name in names if name not in known]
    with ThreadPoolExecutor(_THREADS) as pool:
        known |= dict(zip(new, pool.map(look, new), strict=True))
    return [known[name] for name in names]


def _scores(
    looks: Sequence[Sequence[Described]], names: Sequence[str], held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the held-out real and fake images by the rule fitted to the others: float64 [n] each."""
    halves = [np.array([np.hstack([look[name] for name in names]) for look in half]) for half in looks]
    rule = make_pipeline(StandardScaler(), LogisticRegression(C=_REGULARISATION, max_iter=2000))
    with threadpool_limits(1):  # the same last bits on any number of cores
        rule.fit(np.vstack([half[~held] for half in halves]), np.repeat([0, 1], int((~held).sum())))
        real, fake = (rule.decision_function(half[held]) for half in halves)
    return real, fake


def _people(pairs: pd.DataFrame) -> np.ndarray:
    """int64 [n]: pairs that share a photo, its bytes or a donor have one number."""
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    for row in pairs.to_dict("records"):
        own = root(f"photo {row['pair_id']}")
        for other in (f"photo {row.get('donor')}", f"bytes {row.get('source_sha256')}"):
            if not other.endswith((" None", " nan")):
                first[root(other)] = own
    roots = [root(f"photo {name}") for name in pairs["pair_id"]]
    return np.unique(np.array(roots, dtype=str), return_inverse=True)[1]


def _held_out(people: np.ndarray) -> np.ndarray:
    """bool [n], about a third: the largest families are dealt first, each to the part that lacks more."""
    sizes = np.bincount(people)
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], sha256(str(i).encode()).digest()))
    out, inside = 0, 0
    apart = np.zeros(len(sizes), bool)
    for i in order:
        apart[i] = 2 * out < inside
        out, inside = out + sizes[i] * apart[i], inside + sizes[i] * (not apart[i])
    return apart[people]


def _interval(real: np.ndarray, fake: np.ndarray, people: np.ndarray) -> tuple[float, float]:
    """95 % interval of an AUC: Obuchowski's variance with people as clusters, turned into Wilson's interval.

    The AUC is taken as a proportion of as many images as would have this variance; at least of as many as
    there are people and at most of all images, for near 1 the variance rests on the few on the wrong side.
    Source: Obuchowski, Biometrics 1997; Wilson, JASA 1927.
    """
    wins = (fake[:, None] > real[None, :]) + 0.5 * (fake[:, None] == real[None, :])
    area, n = float(wins.mean()), len(np.unique(people))
    parts = (wins.mean(1) - area) / len(fake) + (wins.mean(0) - area) / len(real)
    variance = float((np.bincount(people, parts) ** 2).sum()) * n / max(n - 1, 1)
    worth = min(max(area * (1 - area) / variance, n), 2 * len(real)) if variance > 0 else n
    middle, half = area + _Z**2 / (2 * worth), _Z * np.sqrt(area * (1 - area) / worth + (_Z / worth / 2) ** 2)
    return float((middle - half) / (1 + _Z**2 / worth)), float((middle + half) / (1 + _Z**2 / worth))


def _by_group(rows: pd.DataFrame, real: np.ndarray, fake: np.ndarray) -> Iterator[Mapping[str, Any]]:
    """The AUC in every group that is large enough."""
    for attribute in ATTRIBUTES:
        for group in sorted(set(rows[attribute].dropna())):
            inside = (rows[attribute] == group).to_numpy()
            if inside.sum() >= MIN_IN_GROUP:
                yield {
                    "attribute": attribute,
                    "group": str(group),
                    "auc": round(auc(real[inside], fake[inside]), 4),
                    "n_held_out": int(inside.sum()),
                }
