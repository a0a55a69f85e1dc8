"""What is independent here? Columns that say that several images show one person, video or source photo.

Enters: a table, what is audited in it, and the other columns. Leaves: the column that names the units, or a
refusal that names a column whose values repeat and that nobody has spoken about.

Why a refusal and not a warning: ten frames of a person counted as ten persons turn chance into a disparity in
every third audit of a detector that treats all groups alike. Whoever gave the table knows whether that column
names persons; a sentence under a wrong verdict comes too late.

How such a column is told from others: its values repeat within a class. A value has images of one group alone
(a person keeps gender and race), which file formats, qualities and camera models do not; there are clearly
more values than groups, which a group under another name does not have; and the scores of one value are more
alike than those of its group. A column called person, video, subject and so on needs less of that.

Why a pair_id with several fakes is a unit of itself: several generators worked on the same photo. Its real
image and its fakes show one person, and the source photo is what is independent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from audit.config import AuditConfig
from audit.data.columns import FEW_VALUES, OWN_COLUMNS, TableColumns
from audit.data.counts import Floats, Ints
from audit.data.groups import coded
from audit.data.score_table import ScoreTable, labels_of, n_repeated
from audit.data.table_words import few as quoted
from audit.data.unit_totals import unit_codes
from audit.errors import MissingColumnError, UnitError
from audit.schema.result import CROSSED
from audit.task import Task, task_named

NAMES = frozenset(
    {"person", "people", "subject", "identity", "individual", "participant", "volunteer", "speaker", "actor"}
    | {"celebrity", "celeb", "patient", "user", "video", "clip", "sequence", "session", "scene", "source"}
)
"""Words in a column's name that mean something several images can share."""

AGES = frozenset({"age", "ages", "year", "years", "birth", "born", "dob", "date"})
"""Words in the name of a number that groups are cut from, such as an age in years."""

REPEATED = 0.01
"""Share of the images that must repeat a value within their class."""

MANY = 20
"""Values from which on a column without a telling name may be one of units."""

PER_GROUP = 2
"""Values there must be for each group of the attribute with most groups."""

PURE, LEANING = 0.5, 0.3
"""Agreement of the groups within a value, beyond chance: of an unnamed column, of one with a telling name."""

LOOKED = 10_000
"""Rows by which a column is passed over that has too many values to be one of several models."""

OWN = frozenset(OWN_COLUMNS) - {"source"}
"""Columns of this program's own tables that mean no unit. A source photo is one."""

ALIKE = 2.0
"""Standard errors by which scores within a value must be more alike than those of the group."""


def with_source_units(frame: TableColumns, config: AuditConfig, column: str | None = None) -> AuditConfig:
    """The options, with pair_id as the unit where a source photo has several fakes (or reals).

    Args:
        frame: The table.
        config: Options in the table's spelling.
        column: Another column that names source photos, in a table of this program's own.
    """
    name, label = column or config.columns.pair_id, config.columns.label
    if config.unit_column or config.independent or name not in frame.columns or label not in frame.columns:
        return config
    fake = labels_of(frame[label], config.positive, config.read_as.get("real"))
    codes, values = coded(frame[name])
    if n_repeated(codes, len(values), fake):
        return replace(config, unit_column=name)
    return config


def refuse_hidden_units(
    table: ScoreTable, columns: Iterable[pd.Series], config: AuditConfig, asked: AuditConfig
) -> list[str]:
    """Stop where a column says that images are not independent and nobody has said what it means.

    Where several fakes of a photo made the photo the unit, unasked (`with_source_units`), the question is
    whether photos are independent: it is put to one real and one fake of each.

    Args:
        table: N checked images.
        columns: The other columns of the same N rows.
        config: Options in the table's spelling.
        asked: The same before a unit was taken unasked.

    Returns:
        Sentences for the record: with `independent`, that it was said.

    Raises:
        UnitError: Naming the column and what to do.
    """
    task = task_named(config.task)
    if asked.unit_column is not None:
        return []
    if config.unit_column is not None:
        table, columns = _one_of_each_unit(table, columns)
    few: list[pd.Series] = []
    columns = iter(columns)
    for column in columns:
        if 1 < column.head(LOOKED).nunique() <= FEW_VALUES:
            few.append(column)
        if spoken_of(str(column.name), table, config) or not _names_units(column, table):
            continue
        n_values, (item, items) = column.nunique(), _counted(str(column.name), task)
        told = f"{int(column.notna().sum()):,} {items} share {n_values:,} values of '{column.name}'"
        if config.independent:
            return [f"{told}; they are taken as independent, as --independent says."]
        others = [] if _words_of(column) & NAMES else chain(few, columns)
        crossing = next((one for one in others if _crosses(one, column, table)), None)
        if crossing is not None:
            values = [str(value) for value in crossing.dropna().unique()]
            raise UnitError(
                f"{told}: column '{crossing.name}' has {len(values)} values ({quoted(values)}) and each "
                f"{column.name} occurs once in each: audit each by itself, with a table of the rows of one "
                f"{crossing.name} alone; or audit them mixed with --unit-column {column.name}"
            )
        raise UnitError(
            f"{told}: {items} of one {column.name} are not independent, and counting them as if they "
            f"were makes chance look like disparity; name it with --unit-column {column.name}, or say with "
            f"--independent that each {item} stands for itself"
        )
    return []


def _one_of_each_unit(
    table: ScoreTable, columns: Iterable[pd.Series]
) -> tuple[ScoreTable, Iterable[pd.Series]]:
    """One real and one fake image of every unit, and the columns of these images alone."""
    assert table.unit is not None
    keep = np.zeros(len(table), dtype=bool)
    keep[np.unique(table.unit * 2 + table.fake, return_index=True)[1]] = True
    rows = table.rows()[keep]
    kept = replace(table.take(keep), ascending=False, row=None)  # in the order that the columns now have
    return kept, (column.iloc[rows] for column in columns)


def _counted(name: str, task: Task) -> tuple[str, str]:
    """What is counted, one and several: not "images" where several of them are of one image."""
    return ("row", "rows") if name.lower() in (task.item, task.items) else (task.item, task.items)


def _crosses(column: pd.Series, unit: pd.Series, table: ScoreTable) -> bool:
    """Whether each unit occurs once in each of a few values of a column, always as real or always as fake.

    As where several models scored the same images: within a model nothing repeats.
    """
    if column.name == unit.name or not 2 <= column.nunique() <= FEW_VALUES or column.isna().any():
        return False
    of_value, values = coded(column)
    of_unit, units = coded(unit)
    if (of_unit < 0).any() or len(column) != len(values) * len(units):
        return False
    of_unit = of_unit.astype(np.int64)
    once = len(np.unique(of_unit * len(values) + of_value)) == len(column)
    classes = np.unique(table.as_here(of_unit) * 2 + table.fake)
    return once and len(classes) == len(units)


def units_note(config: AuditConfig, unit: Ints | None) -> list[str]:
    """What the reader must know of the units: none or one sentence."""
    task = task_named(config.task)
    if config.unit_column is None or unit is None:
        return []
    sizes = np.bincount(unit)
    sizes = sizes[sizes > 0]
    name = config.unit_column
    item, items = _counted(name, task)
    if sizes.max(initial=0) == 1:
        return [f"Every {name} has one {item}: naming it with --unit-column changes nothing."]
    return [
        f"{int(sizes.sum()):,} {items} of {len(sizes):,} values of {name} (up to {int(sizes.max()):,} "
        f"each): all {items} count, and every interval, test and verdict takes the {name}, not the "
        f"{item}, for independent."
    ]


def trials_note(table: ScoreTable, config: AuditConfig) -> list[str]:
    """What the reader must know of the units of trials, and of trials between two groups."""
    unit, partner, task = table.unit, table.partner, task_named(config.task)
    if unit is None or partner is None:
        return []
    trials = np.bincount(np.concatenate([unit, partner[partner != unit]]))
    n_trials, most = len(table), int(trials.max())
    how_many = f"up to {most:,} each" if most > 1 else "one each"
    told = (
        f"{n_trials:,} {task.items_of(n_trials)} of {int((trials > 0).sum()):,} speakers ({how_many}"
        "): every interval, test and verdict takes the speaker, not the trial, for independent, and "
        "each impostor trial for one of both its speakers."
    )
    crossed = [
        f"{n:,} by {attribute}"
        for position, attribute in enumerate(table.cells.attributes)
        if (n := _n_crossed(table, position))
    ]
    across = (
        f"Impostor trials between two groups ({', '.join(crossed)}) are in the overall rates and in the "
        "table of groups by groups; the rate of a group is that of trials within it."
    )
    return [told, *([across] if crossed else [])]


def _n_crossed(table: ScoreTable, position: int) -> int:
    """Trials of people of two groups of one attribute."""
    crossed = np.array([name == CROSSED for name in table.cells.levels[position]])
    return int((crossed[table.cells.codes[:, position]][table.cell] & ~table.fake).sum())


def weights_note(config: AuditConfig) -> list[str]:
    """What the reader must know of the weights: none or one sentence."""
    if config.weight_column is None:
        return []
    return [
        f"Rates, gaps and verdicts are those of the population that the weights in {config.weight_column} "
        "stand for, and so are AUC, EER, curves and threshold rules; intervals follow from how the weights "
        "differ."
    ]


def spoken_of(name: str, table: ScoreTable, config: AuditConfig) -> bool:
    """Whether the column plays a part that the user, or this program, has given it."""
    roles = config.columns
    taken = {roles.label, roles.score, roles.image_id, roles.pair_id, config.weight_column, *config.controls}
    return name in taken or name in table.cells.attributes or name in config.bins or name in OWN


def _names_units(column: pd.Series, table: ScoreTable) -> bool:
    """Whether the column's values repeat and look like persons, videos or source photos."""
    words = _words_of(column)
    if words & AGES or _is_fraction(column):
        return False
    codes, values = coded(column)
    codes, n_values = table.as_here(codes), len(values)
    if n_values < 2:
        return False
    if n_repeated(codes, n_values, table.fake) <= REPEATED * np.count_nonzero(codes >= 0):
        return False
    at = np.flatnonzero(codes >= 0)
    of_row: Ints = codes[at].astype(np.int64)
    key = of_row * 2 + table.fake[at]
    agreement = _agreement(of_row, at, table)
    if words & NAMES:
        return max(agreement, default=0.0) >= LEANING or (n_values >= MANY and _alike(key, at, table) > ALIKE)
    most = max((len(levels) for levels in table.cells.levels), default=0)
    if n_values < max(MANY, PER_GROUP * most) or not agreement:
        return False
    return float(np.median(agreement)) >= PURE and _alike(key, at, table) > ALIKE


def _words_of(column: pd.Series) -> set[str]:
    """The words of a column's name, in lower case."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(column.name)).lower()))


def _is_fraction(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column):
        return True
    if not pd.api.types.is_float_dtype(column):
        return False
    known = column.dropna()
    return bool((known % 1 != 0).any())


def _agreement(codes: Ints, at: Ints, table: ScoreTable) -> list[float]:
    """For each attribute of two groups or more: agreement of two images of one value, beyond chance, to 1."""
    found = []
    sizes = np.bincount(codes)
    pairs = float((sizes * (sizes - 1.0)).sum())
    for position, levels in enumerate(table.cells.levels):
        level = table.cells.codes[:, position][table.cell[at]].astype(np.int64)
        shares = np.bincount(level) / len(level)
        chance = float((shares**2).sum())
        if chance > 1 - 1e-9 or pairs == 0:
            continue
        both = np.unique(codes * len(levels) + level, return_counts=True)[1].astype(float)
        found.append((float((both * (both - 1)).sum()) / pairs - chance) / (1 - chance))
    return found


def _alike(key: Ints, at: Ints, table: ScoreTable) -> float:
    """How many standard errors the scores of one value are more alike than those of its class and group."""
    stratum = table.cell[at].astype(np.int64) * 2 + table.fake[at]
    ranks: Floats = rankdata(table.score[at])
    n = np.bincount(stratum)
    rest = ranks - (np.bincount(stratum, weights=ranks) / np.maximum(n, 1))[stratum]
    spread = float(rest.std())
    if spread == 0:
        return 0.0
    rest /= spread
    _, value = np.unique(key, return_inverse=True)
    sums, squares = (np.bincount(value, weights=part) for part in (rest, rest**2))
    sizes = np.bincount(value)
    pairs = float((sizes * (sizes - 1.0)).sum())
    return float((sums**2 - squares).sum()) / (2 * pairs) ** 0.5 if pairs else 0.0


def one_of_each(frame: pd.DataFrame, config: AuditConfig) -> tuple[pd.DataFrame, int]:
    """Keep one real and one fake image of each unit; all images where no unit is named.

    For what has no form for units: parts that a mitigation is fitted and tried on (`audit.mitigation.parts`).

    The same image_ids and seed give the same draw, in any order of rows. An image without a unit is a unit of
    its own.

    Args:
        frame: N rows, an image each.
        config: Options in the table's spelling (`audit.data.columns.resolved`).

    Returns:
        The rows kept, in their order, and the number left out.

    Raises:
        MissingColumnError: If the table lacks the column of the unit, or the label's.
        LabelError: If there are not two classes.
    """
    if config.unit_column is None:
        return frame, 0
    missing = [name for name in (config.unit_column, config.columns.label) if name not in frame.columns]
    if missing:
        raise MissingColumnError(
            f"the score table has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, frame.columns))}"
        )
    fake = labels_of(frame[config.columns.label], config.positive, config.read_as.get("real"))
    unit, order = unit_codes(frame[config.unit_column]), _drawn(frame, config)
    pair = _pair_codes(frame, config)
    reals = _first(np.flatnonzero(~fake), unit, order, np.zeros(len(frame), dtype=bool))
    of_unit = np.full(len(frame), -1, dtype=np.int64)
    of_unit[unit[reals]] = pair[reals]
    partner = (pair >= 0) & (pair == of_unit[unit])
    fakes = _first(np.flatnonzero(fake), unit, order, partner)
    kept = np.sort(np.concatenate([reals, fakes]))
    return frame.iloc[kept].reset_index(drop=True), len(frame) - len(kept)


def _drawn(frame: pd.DataFrame, config: AuditConfig) -> NDArray[np.uint64]:
    """A random order of the rows: by image_id where there is one, so that it survives sorting."""
    if config.columns.image_id in frame.columns:
        texts = frame[config.columns.image_id].astype(str).to_numpy(dtype=object)
        return pd.util.hash_array(texts, hash_key=f"{config.seed:016d}"[-16:])
    return np.random.default_rng(config.seed).permutation(len(frame)).astype(np.uint64)


def _pair_codes(frame: pd.DataFrame, config: AuditConfig) -> Ints:
    """int64 [N], the pair of each image; -1 without one."""
    if config.columns.pair_id not in frame.columns:
        return np.full(len(frame), -1, dtype=np.int64)
    return pd.factorize(frame[config.columns.pair_id])[0].astype(np.int64)


def _first(rows: Ints, unit: Ints, order: NDArray[np.uint64], preferred: NDArray[np.bool_]) -> Ints:
    """Of the given rows the first of each unit: preferred ones before others, then in random order."""
    ranked = rows[np.lexsort((order[rows], ~preferred[rows], unit[rows]))]
    of_unit = unit[ranked]
    return ranked[np.concatenate([[True], of_unit[1:] != of_unit[:-1]])] if len(ranked) else ranked
