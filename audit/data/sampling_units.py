"""One image of each unit: what to do where several images show one person, or come from one video.

Enters: a table with a column that names the unit. Leaves: the table with at most one real and one fake image
of each, drawn at random.

Why: intervals, tests and verdicts here take images for independent. Ten frames of one video are nearly one
observation, and counting them as ten makes chance look like a disparity. One image drawn from each unit gives
independent images again, and with them every number of the audit holds as it stands: rates, AUC, curves,
comparisons. What it costs is what the other images of a unit would add; where images of a unit are alike,
that is little. What it changes is the question: every person (or video) counts once, not once an image.

Why not a design effect (Rao & Scott 1992, Biometrics 48:577-585), which keeps all images: it holds for many
units a group, serves rates alone, and would have to reach into every interval of the record.

Why a real image's own fake is preferred: a matched pair is worth more than two images.

Sources: Hoffman, Sen & Weinberg 2001, Biometrika 88:1121-1134 (within-cluster resampling; this is one of its
draws); Follmann, Proschan & Leifer 2003, Biometrics 59:420-429.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Ints
from audit.data.score_table import labels_of
from audit.errors import MissingColumnError


def one_of_each(frame: pd.DataFrame, config: AuditConfig) -> tuple[pd.DataFrame, int]:
    """Keep one real and one fake image of each unit; all images where no unit is asked for.

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
    fake = labels_of(frame[config.columns.label], config.positive)
    unit, order = unit_codes(frame[config.unit_column]), _drawn(frame, config)
    pair = _pair_codes(frame, config)
    reals = _first(np.flatnonzero(~fake), unit, order, np.zeros(len(frame), dtype=bool))
    of_unit = np.full(int(unit.max(initial=-1)) + 1, -1, dtype=np.int64)
    of_unit[unit[reals]] = pair[reals]
    partner = (pair >= 0) & (pair == of_unit[unit])
    fakes = _first(np.flatnonzero(fake), unit, order, partner)
    kept = np.sort(np.concatenate([reals, fakes]))
    return frame.iloc[kept].reset_index(drop=True), len(frame) - len(kept)


def unit_codes(column: pd.Series) -> Ints:
    """int64 [N], the unit of each image; every image without one gets a code of its own."""
    codes, values = pd.factorize(column)
    codes = codes.astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(values) + np.arange(len(alone))
    return codes


def units_note(config: AuditConfig, n_left_out: int) -> list[str]:
    """What the reader must know of the draw: none or one sentence."""
    if config.unit_column is None:
        return []
    return [
        f"Each {config.unit_column} counts once: one real and one fake image of each were drawn at random "
        f"(seed {config.seed}), and the {n_left_out:,} others are left out, since images of one "
        f"{config.unit_column} are not independent."
    ]


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
