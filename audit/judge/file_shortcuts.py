"""Can real and fake be told without a look at the face? A judgement on file facts, and on a detector's
decisions.

Enters: facts of each image, labels, the unit of each; a detector's decisions before and after an image is
written like the other class. Leaves: what tells the classes apart, flips by group, and the detector at equal
value of the file-only score.

The rule: that *something* tells the classes apart is said where the AUC of all facts, on unseen units, has an
interval above 0.5. Only then are parts and families named, those whose own interval, holding for all of them
together, lies above 0.5. So a data set in which nothing tells is accused in at most 1 - confidence of
searches, and a family that tells nothing is named in at most as many.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping, whole
from audit.data.score_table import ScoreTable
from audit.inference.adjustment import least_worth, standardised_difference
from audit.inference.proportion_intervals import newcombe, wilson, z_value
from audit.metrics.held_out_auc import HeldOut, held_out
from audit.schema.shortcuts import AtEqualFiles, FamilyResult, Finding, Flip, PartName, PartResult
from pipelines.sources.file_facts import FAMILIES, LABELS, NAMES, Family, format_name

PARTS: tuple[PartName, ...] = ("file", "picture")
N_LOOKS = len(PARTS) + len(FAMILIES)
"""Parts and families whose intervals hold together."""


def judge_facts(
    facts: Floats,
    fake: NDArray[np.bool_],
    unit: Ints,
    config: AuditConfig,
    advance: Callable[[int], None] = lambda n: None,
) -> tuple[list[PartResult], list[FamilyResult], HeldOut]:
    """How well the facts, each part and each family of them tell fakes from real images.

    Args:
        facts: float64 [n, len(NAMES)].
        fake: bool [n].
        unit: int64 [n], 0 to u - 1.
        config: Confidence and seed.
        advance: Called with 1 after each of 1 + `N_LOOKS` classifiers.

    Returns:
        Parts, families, and the held-out scores of all facts.
    """
    together = float(-ndtri((1 - config.confidence) / (2 * N_LOOKS)))

    def tried(names: tuple[str, ...], z: float) -> tuple[HeldOut, float, tuple[float, float]]:
        found = held_out(facts[:, [NAMES.index(name) for name in names]], fake, unit, config.seed)
        advance(1)
        return found, *found.auc(z)

    scores, auc, interval = tried(NAMES, z_value(config.confidence))
    something = interval[0] > 0.5
    parts = [PartResult(part="all", auc=auc, interval=interval, told=something)]
    for part in PARTS:
        names = tuple(name for family in FAMILIES if family.part == part for name in family.facts)
        _, auc, interval = tried(names, together)
        parts.append(PartResult(part=part, auc=auc, interval=interval, told=something and interval[0] > 0.5))
    families = []
    for family in FAMILIES:
        _, auc, interval = tried(family.facts, together)
        families.append(_family(family, auc, interval, something and interval[0] > 0.5, facts, fake))
    return parts, families, scores


def finding(parts: list[PartResult]) -> Finding:
    """What tells the classes apart; the file before the picture, since no file type is a mark of forgery."""
    told = {part.part for part in parts if part.told}
    if "file" in told:
        return "files"
    return "picture" if "picture" in told else "together" if told else "not shown"


def _family(
    family: Family,
    auc: float,
    interval: tuple[float, float],
    told: bool,
    facts: Floats,
    fake: NDArray[np.bool_],
) -> FamilyResult:
    leading = max(family.facts, key=lambda name: _apart(facts[:, NAMES.index(name)], fake))
    values = facts[:, NAMES.index(leading)]
    real, of_fakes = (_typical(leading, values[fake == one]) for one in (False, True))
    if real == of_fakes and real != "none" and leading != "format":  # such as black, 0 in most images
        means = [f"{np.nanmean(values[fake == one]):.4g} on average" for one in (False, True)]
        real, of_fakes = means if means[0] != means[1] else (real, of_fakes)
    return FamilyResult(
        family=family.name, label=family.label, part=family.part, auc=auc, interval=interval, told=told,
        fact=leading, fact_label=LABELS[leading], real=real, fake=of_fakes,
    )  # fmt: skip


def _apart(values: Floats, fake: NDArray[np.bool_]) -> float:
    """How far a fact differs between the classes: |AUC - 1/2| of its value, absence being below all."""
    from scipy.stats import rankdata

    ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
    n_fake, n_real = int(fake.sum()), int((~fake).sum())
    u = float(ranks[fake].sum()) - n_fake * (n_fake + 1) / 2
    return abs(u / (n_fake * n_real) - 0.5)


def _typical(name: str, values: Floats) -> str:
    """The most frequent file type, or the median, as text."""
    if name == "format":
        codes, n = np.unique(values, return_counts=True)
        return f"{format_name(codes[n.argmax()])} ({100 * n.max() / len(values):.0f} %)"
    known = values[~np.isnan(values)]
    if len(known) <= len(values) / 2:
        return "none"
    middle = float(np.median(known))
    middle = math.exp(middle) if name.startswith("log_") else middle
    text = f"{middle:,.0f}" if abs(middle) >= 1000 else f"{middle:.4g}"
    return text.replace("-", "−")


def flips(
    table: ScoreTable,
    after: Floats,
    exchanged: NDArray[np.bool_],
    unit: Ints,
    threshold: float,
    confidence: float,
) -> list[Flip]:
    """How many decisions change, by class and group, among images that were written like the other class.

    Images of one unit count as one, with their mean.

    Args:
        table: N images as they are.
        after: float64 [N], scores once written like the counterpart.
        exchanged: bool [N].
        unit: int64 [N].
        threshold: Fake if score >= threshold.
        confidence: Of each interval.
    """
    z = z_value(confidence)
    changed = (table.score >= threshold) != (after >= threshold)
    toward = changed & (table.fake == (table.score >= threshold))
    groupings = [whole(len(table.cells))]
    groupings += [table.cells.grouping([i]) for i in range(len(table.cells.attributes))]
    found = []
    for grouping in groupings:
        group = grouping.of_cell[table.cell]
        for number in range(len(grouping)):
            for fake in (False, True):
                rows = np.flatnonzero((group == number) & (table.fake == fake) & exchanged)
                found.append(_flip(grouping, number, fake, changed[rows], toward[rows], unit[rows], z))
    return found


def _flip(
    grouping: Grouping,
    number: int,
    fake: bool,
    changed: NDArray[np.bool_],
    toward: NDArray[np.bool_],
    unit: Ints,
    z: float,
) -> Flip:
    _, place = np.unique(unit, return_inverse=True)
    n = int(place.max()) + 1 if len(place) else 0
    images = np.bincount(place, minlength=n)
    shares = [
        float((np.bincount(place, one, n) / images).mean()) if n else math.nan for one in (changed, toward)
    ]
    low, high = wilson(shares[0], n, z)
    return Flip(
        attribute=grouping.attribute, group=grouping.names[number], half="fake" if fake else "real", n=n,
        flipped=shares[0], interval=(float(low), float(high)), toward=shares[1],
    )  # fmt: skip


def at_equal_files(
    table: ScoreTable, file_score: Floats, unit: Ints, threshold: float, config: AuditConfig
) -> AtEqualFiles:
    """TPR minus FPR of a detector, as it is and standardised to equal file-only scores of both classes.

    Args:
        table: N images.
        file_score: float64 [N], from classifiers that have not seen the image.
        unit: int64 [N].
        threshold: Fake if score >= threshold.
        config: Confidence and the smallest group.
    """
    z, flagged, side = z_value(config.confidence), table.score >= threshold, (~table.fake).astype(np.int64)
    n_fake, n_real = int(table.fake.sum()), int((~table.fake).sum())
    tpr, fpr = float(flagged[table.fake].mean()), float(flagged[~table.fake].mean())
    low, high = newcombe(tpr, n_fake, fpr, n_real, z)
    column = pd.Series(file_score, name="the file-only score")
    found = standardised_difference(
        flagged,
        side,
        [column],
        least_worth(side, unit, config.min_n),
        np.unique(unit, return_inverse=True)[1],
    )
    told = not isinstance(found, str)
    return AtEqualFiles(
        raw=tpr - fpr,
        raw_interval=(float(low), float(high)),
        adjusted=found.difference if not isinstance(found, str) else math.nan,
        interval=found.interval(z) if not isinstance(found, str) else None,
        reason=None if told else _of_classes(str(found)),
    )


def _of_classes(reason: str) -> str:
    """The reason, told of classes instead of groups and of flags instead of errors."""
    for old, new in (
        ("the groups do not overlap", "real and fake images do not overlap"),
        ("one group has no image judged wrongly", "none of one class is flagged"),
        ("one group has no image judged rightly", "all of one class are flagged"),
        ("tells right from wrong", "tells flagged from passed"),
    ):
        reason = reason.replace(old, new)
    return reason
