"""What belongs together in a split: frames of one video, crops of one photo, pictures of one person.

Enters: labelled images and a rule. Leaves: the same images with their `origin` column set by the rule.

Why the old origins still hold: the rule may not know that two files are halves of a pair. What a rule or the
data set itself puts together stays together, so groups that share an image are merged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from detectors.data.labelled_images import LabelledImages
from detectors.errors import SplitError


@dataclass(frozen=True)
class ByName:
    """The origin is what a regular expression finds in the name: its first group, or all of it."""

    pattern: str


@dataclass(frozen=True)
class ByRuns:
    """The origin is a run of k consecutive names of one kind."""

    k: int


@dataclass(frozen=True)
class ByColumn:
    """The origin is a column of the table."""

    column: str


GroupBy = ByName | ByRuns | ByColumn


def parse_group_by(text: str) -> GroupBy:
    r"""Read the rule of a command line.

    Args:
        text: "runs=5", "column=video", or a regular expression on the name such as "(.*)_frame".

    Raises:
        SplitError: an impossible number or expression.

    >>> parse_group_by("runs=5")
    ByRuns(k=5)
    >>> parse_group_by(r"(\w+)_\d+")
    ByName(pattern='(\\w+)_\\d+')
    """
    kind, _, value = text.partition("=")
    if kind == "column" and value:
        return ByColumn(value)
    if kind == "runs":
        if not value.isdigit() or int(value) < 1:
            raise SplitError(f"group by {text!r}: runs needs a whole number above 0, as in runs=5")
        return ByRuns(int(value))
    try:
        re.compile(text)
    except re.error as error:
        raise SplitError(f"group by {text!r}: not a regular expression ({error})") from None
    return ByName(text)


def describe_rule(rule: GroupBy) -> str:
    """The rule in words, for the record."""
    if isinstance(rule, ByName):
        return f"names matching {rule.pattern}"
    return f"runs of {rule.k} names" if isinstance(rule, ByRuns) else f"column {rule.column}"


def by_origin(images: LabelledImages, rule: GroupBy) -> LabelledImages:
    """Set the origin of each image by a rule.

    Args:
        images: The images.
        rule: The rule; columns have been read already by `tables`.

    Raises:
        SplitError: an expression that matches no name, or a column rule for images that are not from a table.
    """
    if isinstance(rule, ByColumn):
        if images.layout != "table":
            raise SplitError(f"group by column {rule.column!r}: {images.root} is no table")
        groups = images.table["origin"]
    else:
        groups = _by_name(images, rule) if isinstance(rule, ByName) else _by_runs(images, rule)
    merged = merge_groups(images.table["origin"], groups)
    return replace(images, table=images.table.assign(origin=merged), origin_rule=describe_rule(rule))


def _by_name(images: LabelledImages, rule: ByName) -> pd.Series:
    names = images.table["image_id"].map(lambda name: PurePosixPath(name).name)
    found = [re.search(rule.pattern, name) for name in names]
    missed = [name for name, match in zip(names, found, strict=True) if match is None]
    if missed:
        n = f"{len(missed)} of {len(names)} names"
        raise SplitError(f"group by {rule.pattern!r} finds nothing in {n}, such as {missed[0]!r}")
    return pd.Series([match[match.re.groups > 0] for match in found if match])


def _by_runs(images: LabelledImages, rule: ByRuns) -> pd.Series:
    ordered = images.table.sort_values("image_id", kind="stable")
    position = ordered.groupby(["part", "kind"], dropna=False, sort=False).cumcount() // rule.k
    names = ordered["part"].fillna("").astype(str) + ":" + ordered["kind"] + ":" + position.astype(str)
    return names.loc[images.table.index]


def merge_groups(first: pd.Series, second: pd.Series) -> npt.NDArray[np.object_]:
    """Groups that keep together what either of two groupings keeps together.

    Args:
        first: [n] str.
        second: [n] str.

    Returns:
        [n] str: the name of the component in the graph that joins the two groups of each image.

    >>> merge_groups(pd.Series(["a", "a", "b", "c"]), pd.Series(["x", "y", "y", "z"])).tolist()
    ['0', '0', '0', '1']
    """
    a, b = pd.factorize(first.to_numpy())[0], pd.factorize(second.to_numpy())[0]
    n_a, n = int(a.max()) + 1, int(a.max() + b.max()) + 2
    graph = coo_array((np.ones(len(a)), (a, b + n_a)), shape=(n, n))
    component = connected_components(graph, directed=False)[1]
    return np.array([str(number) for number in component[a]], dtype=object)
