"""Which columns of a table play which part: roles, audited attributes, and those that nobody asked about.

Enters: column names as the user spells them, `AuditConfig`. Leaves: the configuration in the table's own
spelling, the attributes to audit, and a sentence on the columns that are left unaudited.

Why spelling is forgiven: a table with "Age" and "Pair_ID" is the same table. Matching them only in lower case
would drop an attribute, or the pairing of the images, without a word.

Why a number of many values is no attribute of itself: one group for each year of age says nothing about any
of them. It waits for bin edges, and the report says that it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.api.types import is_complex_dtype, is_hashable, is_numeric_dtype

from audit.config import PREFERRED_ATTRIBUTES, RESERVED_ATTRIBUTES, AuditConfig, Columns
from audit.data.table_words import NUMBER_MISSING, all_label_words, missing_ids, normal, words_of
from audit.errors import GroupError, ScoreTableError, UnitError, WeightError

ALSO_CALLED = {"gender": "sex", "race": "ethnicity"}
"""Other names of the usual attributes."""

FEW_VALUES = 20
"""A column with at most this many values is taken for an attribute where none is named."""

OWN_COLUMNS = ("image_id", "pair_id", "status", "detail", "sha256", *RESERVED_ATTRIBUTES)
"""Columns of this program's own tables that describe a file and not a person."""

KIND = "kind"
"""Column that says what made a fake."""

OF_REALS = frozenset({"", "real", "none", "bona fide", "bonafide", "original", "0"})
"""What stands for "no kind" beside a real image, beside an empty field."""

NOT_AUDITED = "Columns not audited:"
"""How the note on columns that nobody asked about begins."""

MAX_LOOKED = 100
"""Values of a column by which it is told to hold lists."""

MAX_JUDGED = 1000
"""Names by which it is told what means "no name" among them."""

MAX_NAMED = 8
"""Unaudited columns named in the note; the rest are counted."""


class TableColumns(Protocol):
    """What an audit asks of a table: a DataFrame, or a file that gives one column at a time."""

    @property
    def columns(self) -> Any:
        """Names, in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, name: Any, /) -> Any:
        """A column by its name, or a DataFrame of several by a list of names."""


def spelled(name: str, names: Iterable[object]) -> str | None:
    """The column of that name: as it is, else the only one that differs in capitals, blanks and hyphens.

    >>> spelled("age", ["Age", "race"]), spelled("age", ["Age", "AGE"]), spelled("age", ["Age", "age"])
    ('Age', None, 'age')
    >>> spelled("pair_id", ["Pair-ID"])
    'Pair-ID'
    """
    texts = [str(one) for one in names]
    if name in texts:
        return name
    close = [text for text in texts if text.lower() == name.lower()]
    close = close or [text for text in texts if normal(text) == normal(name)]
    return close[0] if len(close) == 1 else None


def plain_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table whose columns are called by different texts and hold one value an image.

    Args:
        frame: As somebody made it.

    Returns:
        It, and the names of the columns left out because they hold lists, arrays or the like.

    Raises:
        ScoreTableError: Two columns have one name, or one holds complex numbers.
    """
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ScoreTableError(f"the score table has two columns '{twice}'; rename or drop one of them")
    if names != list(frame.columns):
        frame = frame.set_axis(names, axis=1)
    frame = _of_pandas(frame)
    if unreal := next((name for name in names if _is_complex(frame[name])), None):
        raise ScoreTableError(
            f"column '{unreal}' holds complex numbers, which are neither scores nor groups; drop it, or keep "
            f"one real number of each, such as frame['{unreal}'].abs()"
        )
    left = [
        name
        for name in names
        if _is_nested(frame[name].dtype)
        or (frame[name].dtype == object and not all(map(is_hashable, frame[name].dropna().head(MAX_LOOKED))))
    ]
    return (frame.drop(columns=left), left) if left else (frame, left)


PLAIN = {"i": "Int64", "u": "UInt64", "f": "Float64", "b": "boolean"}
"""Kinds of numbers to the type of pandas' own that holds them."""


def _of_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers that Arrow holds as pandas holds them, as it cannot tell whole ones from others;
    and with sparse columns and numbers longer than 64 bits written out, as no file holds them.
    """
    kinds = {str(name): kind for name, kind in frame.dtypes.items()}
    unheld = {name: kind.subtype for name, kind in kinds.items() if isinstance(kind, pd.SparseDtype)}
    double = np.dtype(np.float64)
    unheld |= {name: double for name, kind in kinds.items() if kind == np.longdouble != double}
    frame = frame.astype(unheld) if unheld else frame
    arrow = {name: kind for name, kind in kinds.items() if isinstance(kind, pd.ArrowDtype)}
    plain = {name: PLAIN.get(kind.kind, "Float64") for name, kind in arrow.items() if is_numeric_dtype(kind)}
    return frame.astype(plain) if plain else frame


def _is_complex(column: pd.Series) -> bool:
    """Whether it holds complex numbers, by its type or by its first values."""
    if column.dtype == object:
        return any(isinstance(one, complex | np.complexfloating) for one in column.dropna().head(MAX_LOOKED))
    return is_complex_dtype(column.dtype)


def _is_nested(kind: object) -> bool:
    """Whether Arrow holds lists, records or maps."""
    return isinstance(kind, pd.ArrowDtype) and pa.types.is_nested(kind.pyarrow_dtype)


def with_known_ids(frame: pd.DataFrame, config: AuditConfig) -> pd.DataFrame:
    """The table with nothing where a blank or a word for no value stands for an image, a pair or a unit.

    Why: all images that have none would be of one pair, or of one person.

    Args:
        frame: One row an image.
        config: Options in the table's own spelling.
    """
    changed: dict[str, pd.Series] = {}
    ids = (config.columns.image_id, config.columns.pair_id, config.unit_column)
    for name in {one for one in ids if one} & set(frame.columns):
        column = frame[name]
        known = known_ids(column)
        if known is not column:
            changed[name] = known
    return frame.assign(**changed) if changed else frame


def known_ids(column: pd.Series, missing: Sequence[str] | None = None) -> pd.Series:
    """A column of names with nothing where they are blank or say that there is none.

    Args:
        column: Of names; numbers stay as they are.
        missing: Words that mean "no value" in it; None to tell by its other names.

    >>> known_ids(pd.Series(["p1", " ", "n/a"], dtype=object)).tolist()
    ['p1', nan, nan]
    """
    if pd.api.types.is_numeric_dtype(column):
        return column
    categories = isinstance(column.dtype, pd.CategoricalDtype)
    values = [
        one for one in (column.cat.categories if categories else column.unique()) if isinstance(one, str)
    ]
    words = missing_ids(values[:MAX_JUDGED]) if missing is None else missing
    gone = [one for one in values if one.strip() in words]
    if not gone:
        return column
    return column.cat.remove_categories(gone) if categories else column.mask(column.isin(gone))


def resolved(config: AuditConfig, names: Iterable[object]) -> AuditConfig:
    """The options with their columns in the table's own spelling; what the table lacks stays as it is.

    Raises:
        GroupError, UnitError, WeightError: the column named for it is another thing already.
    """
    names = list(names)

    def known(asked: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(spelled(name, names) or name for name in asked))

    roles = {one.name: getattr(config.columns, one.name) for one in fields(Columns)}
    columns = Columns(**{role: spelled(name, names) or name for role, name in roles.items()})
    bins = {spelled(name, names) or name: edges for name, edges in config.bins.items()}
    references = {spelled(name, names) or name: group for name, group in config.references.items()}
    unit = config.unit_column and (spelled(config.unit_column, names) or config.unit_column)
    weight = config.weight_column and (spelled(config.weight_column, names) or config.weight_column)
    _refuse_two_roles(columns, unit, weight, {"--attribute": known(config.attributes), "--bins": bins})
    return replace(
        config,
        columns=columns,
        attributes=known(config.attributes),
        controls=known(config.controls),
        bins=bins,
        references=references,
        unit_column=unit,
        weight_column=weight,
    )


def _refuse_two_roles(
    columns: Columns, unit: str | None, weight: str | None, groups: Mapping[str, Iterable[str]]
) -> None:
    """Labels and scores are no groups, no weights, and nothing that images share; nor are weights."""
    taken = {columns.label: "labels", columns.score: "scores"}
    for option, names in groups.items():
        if both := next((name for name in names if name in taken), None):
            raise GroupError(f"{option} {both} is the column of the {taken[both]}; name another")
    if weight in taken:
        raise WeightError(f"--weight-column {weight} is the column of the {taken[weight]}; name another")
    taken |= {weight: "weights"} if weight else {}
    if unit in taken:
        raise UnitError(f"--unit-column {unit} is the column of the {taken[unit]}; name another")


def preferred(names: Iterable[object]) -> list[str]:
    """Age, gender or sex, race or ethnicity in a table's own spelling, as far as it has them.

    >>> preferred(["Sex", "Ethnicity", "camera"]), preferred(["race", "ethnicity"])
    (['Sex', 'Ethnicity'], ['race'])
    """
    names = list(names)
    called = [(name, ALSO_CALLED.get(name, name)) for name in PREFERRED_ATTRIBUTES]
    return [found for name, other in called if (found := spelled(name, names) or spelled(other, names))]


def usual_attributes(frame: TableColumns, config: AuditConfig) -> dict[str, None]:
    """Age, gender and race, except numbers of many values without bins; then what has bins. In order."""
    usual = [name for name in preferred(frame.columns) if name in config.bins or not _measured(frame[name])]
    return dict.fromkeys([*usual, *config.bins])


def kind_column(frame: TableColumns, fake: NDArray[np.bool_]) -> str | None:
    """The column that says which generator made each fake; None where there is none.

    It is called "kind", capitals aside, and says nothing of real images: one that names a kind of camera is
    an attribute like any other.

    Args:
        frame: N rows.
        fake: bool [N].
    """
    name = spelled(KIND, frame.columns)
    if name is None or not fake.any() or not frame[name][fake].notna().any():
        return None
    of_reals = frame[name][~fake].dropna().unique()
    return name if {str(value).strip().lower() for value in of_reals} <= OF_REALS else None


def _of_fakes(column: pd.Series) -> bool:
    """Whether a column looks like kinds of fake before labels are known: some images have none."""
    if str(column.name).lower() != KIND:
        return False
    return bool(column.isna().any() or {str(v).strip().lower() for v in column.unique()} & OF_REALS)


def find_attributes(frame: TableColumns, config: AuditConfig) -> list[str]:
    """The attributes asked for; else age, gender, race and what has bins; else columns of few values.

    Args:
        frame: The table.
        config: Options.

    Raises:
        GroupError: If none is named and none is found.
    """
    if config.attributes:
        return list(config.attributes)
    config = resolved(config, frame.columns)
    usual = usual_attributes(frame, config)
    if usual:
        return list(usual)
    others = [
        name
        for name in _others(frame.columns, config)
        if not _restates_label(frame[name]) and not _of_fakes(frame[name])
    ]
    found = [name for name in others if 2 <= frame[name].nunique() <= FEW_VALUES]
    if not found:
        hint = next((name for name in preferred(frame.columns)), "age")
        raise GroupError(
            f"no attribute to audit among the columns {', '.join(map(str, frame.columns))}; "
            f"name one with --attribute, or give a number bin edges, as in --bins {hint}=18,40,65"
        )
    return found


def word_groups(frame: TableColumns, config: AuditConfig) -> tuple[str, ...]:
    """The columns that are audited by their words and not by bins, as far as they can be told.

    Args:
        frame: The table, or its first rows.
        config: Options in the table's own spelling.
    """
    try:
        found = find_attributes(frame, config)
    except GroupError:
        return ()
    others = {*config.bins, *config.controls, config.columns.label, config.columns.score}
    return tuple(name for name in found if name in frame.columns and name not in others)


def unaudited(
    frame: pd.DataFrame, config: AuditConfig, attributes: Sequence[str], whole: bool = True
) -> str | None:
    """A sentence on the columns that could have been audited and were not; None where there are none.

    Args:
        frame: The table, or its first rows.
        config: Options. Where attributes were named in it, nothing is said: the reader chose.
        attributes: The audited columns, and others of which the report speaks.
        whole: Whether `frame` is the whole table, so that its numbers of values are final.
    """
    others = _others(frame.columns, resolved(config, frame.columns))
    known = {*attributes, *config.controls}
    left = [
        name
        for name in others
        if name not in known and not _identifies(frame[name]) and not _of_fakes(frame[name])
    ]
    if config.attributes or not left:
        return None
    told = [f"{name} ({_values(frame[name], whole)})" for name in left[:MAX_NAMED]]
    more = [f"and {len(left) - MAX_NAMED} more"] if len(left) > MAX_NAMED else []
    return f"{NOT_AUDITED} {', '.join([*told, *more])}."


def _others(names: Iterable[object], config: AuditConfig) -> list[str]:
    """Columns that play no part and can be named as attributes."""
    roles = config.columns
    taken = {roles.label, roles.score, roles.image_id, roles.pair_id, *OWN_COLUMNS}
    taken |= {name for name in (config.unit_column, config.weight_column) if name}
    return [str(name) for name in names if name not in taken and ":" not in str(name)]


def _restates_label(column: pd.Series) -> bool:
    """Whether it holds nothing but words for real and fake: a detector's decision, not a group of people."""
    if pd.api.types.is_numeric_dtype(column) or column.nunique() > FEW_VALUES:
        return False
    return all_label_words([str(value) for value in column.dropna().unique()])


def bins_hint(name: str) -> str:
    """The option that cuts a column of numbers into groups, with usual edges where it holds ages.

    >>> bins_hint("Age"), bins_hint("sharpness")
    ('--bins Age=18,40,65', '--bins sharpness=EDGE,EDGE')
    """
    return f"--bins {name}={'18,40,65' if 'age' in words_of(name) else 'EDGE,EDGE'}"


def _values(column: pd.Series, whole: bool) -> str:
    n = column.nunique()
    told = f"{n:,} value{'' if n == 1 else 's'}" + ("" if whole else " or more")
    if _measured(column):
        return f"{told}; give it bin edges: {bins_hint(str(column.name))}"
    return f"{told}; to audit it: --attribute {column.name}" if 2 <= n <= FEW_VALUES else told


def _identifies(column: pd.Series) -> bool:
    """Whether it names or numbers the single rows, such as a path: no attribute anybody misses."""
    n = column.nunique()
    if n <= FEW_VALUES:
        return False
    if not _measured(column):
        return 2 * n > len(column)
    whole = pd.to_numeric(column[:1000], errors="coerce") % 1 == 0
    return n == len(column) and bool(whole.all())


def _measured(column: pd.Series) -> bool:
    """Whether it is a number of many values, such as an age in years; words for no value aside."""
    values = pd.Series(column.dropna().unique())
    if not pd.api.types.is_numeric_dtype(values):
        values = values[~values.astype(str).str.strip().isin(NUMBER_MISSING)]
    if len(values) <= FEW_VALUES:
        return False
    return bool(pd.to_numeric(values[:1000].astype(str), errors="coerce").notna().all())
