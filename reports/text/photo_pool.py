"""How many photos of each group there are to be had, and what auditing all of them could prove.

Enters: an `AuditResult`. Leaves: for an attribute, the pool its photos came from, and the smallest gap that
the whole pool would show.

Why this stands beside every number of images needed: "31,958 per group" is no advice where the largest public
collection holds 960 people of a group. A reader must see at once whether a plan can be carried out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.inference.equality_test import detectable_gap, range_critical, smoothed
from audit.schema.result import MISSING, AuditResult, Verdict
from reports.text.answer import rendered

FAIRFACE: dict[str, dict[str, int]] = {
    "age": {
        "0-2": 1_991,
        "3-9": 11_764,
        "10-19": 10_284,
        "20-29": 28_898,
        "30-39": 21_580,
        "40-49": 12_097,
        "50-59": 7_024,
        "60-69": 3_100,
        "more than 70": 960,
    },
    "gender": {"Female": 45_920, "Male": 51_778},
    "race": {
        "White": 18_612,
        "Black": 13_789,
        "Latino_Hispanic": 14_990,
        "East Asian": 13_837,
        "Southeast Asian": 12_210,
        "Indian": 13_835,
        "Middle Eastern": 10_425,
    },
}
"""Photos of each group in FairFace, its two label tables together (97,698 photos). Source: the tables
fairface_label_train.csv and fairface_label_val.csv of Karkkainen and Joo, "FairFace", WACV 2021, CC BY
4.0."""


@dataclass(frozen=True)
class Pool:
    """The photos there are of each group of one attribute."""

    name: str
    """'FairFace' or 'this data set'."""
    photos: dict[str, int]

    @property
    def smallest(self) -> tuple[str, int]:
        """The group with the fewest photos, and how many."""
        group = min(self.photos, key=lambda name: self.photos[name])
        return group, self.photos[group]


def pool_of(result: AuditResult, attribute: str) -> Pool | None:
    """Where more photos of this attribute's groups could come from; None where that is not known.

    FairFace where the groups bear its words; else the pairs dataset itself, where it holds more pairs than
    were audited.
    """
    if ":" in attribute or rendered(result) or not result.task.makes_pairs:
        return None
    groups = [g for g in result.groups if g.attribute == attribute and g.group != MISSING]
    known = FAIRFACE.get(attribute.lower(), {})
    if len(groups) > 1 and all(g.group in known for g in groups) and from_fairface(result):
        return Pool("FairFace", known)
    made = {d.group: d.n_ok for d in result.dropout if d.attribute == attribute and d.group != MISSING}
    if len(made) > 1 and any(made.get(g.group, 0) > g.n_real for g in groups):
        return Pool("this data set", made)
    return None


def from_fairface(result: AuditResult) -> bool:
    """Whether the photos are FairFace's: on record, or no source is and race words are its own."""
    data = result.provenance.data
    source = data.get("source")
    kind = source.get("kind") if isinstance(source, dict) else None
    races = {g.group for g in result.groups if g.attribute.lower() == "race"}
    return kind == "fairface" or (kind is None and bool(races & {"Latino_Hispanic", "Southeast Asian"}))


def provable_gap(result: AuditResult, v: Verdict, pool: Pool) -> float:
    """The true gap between the pool's two smallest groups that auditing all of it would show, as a
    proportion.

    With the probability, the test and the corrections of `Verdict.min_detectable_gap`.
    """
    images = np.array(sorted(pool.photos.values()))
    overall = smoothed(getattr(result.overall, v.rate), float(images.sum()))
    alpha = (1 - result.config.confidence) / max(result.n_tests, 1)
    return detectable_gap(overall, images, range_critical(len(images), alpha))
