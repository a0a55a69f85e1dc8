"""Labelled images from anybody's table: a path, a real/fake column, any group columns.

Enters: a CSV or Parquet file and how to read it. Leaves: `LabelledImages`; files that are missing stay in the
table and become rows with that reason when they are scored.

How a table is read is a `TableLayout`: one of `LAYOUTS`, or a TOML file, which may lie beside the table under
its name:

    image = "filename"           # path of the image, relative to the table's folder
    label = "class"              # real or fake
    fake = ["1", "fake"]         # values that mean fake; all others must be in `real`
    real = ["0", "real"]
    pair = "pair"                # optional: both halves share it
    kind = "method"              # optional: kind of fake
    origin = "video"             # optional: what may not straddle a split
    [attributes]                 # group columns, under the names the report shows
    gender = "Gender"
    [codes.gender]               # optional: what the values of a column mean
    0 = "Female"
    1 = "Male"

Why attributes are guessed where nobody names them: a table with age and gender in it should audit at once.
All other columns of text or whole numbers with at most 30 values are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.data.labelled_images import COLUMNS, REAL, LabelledImages, to_table
from detectors.errors import DatasetLayoutError, DatasetNotFound
from pipelines import places
from pipelines.errors import UnreadableFile
from pipelines.untrusted import first_line, read_csv, read_parquet, read_toml

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
MAX_GROUPS = 30
"""Columns with more values are not taken for attributes unless named."""
UNKNOWN = "unknown"
"""The group of images whose attribute is empty."""
NO_NAME = frozenset({"", "na", "n/a", "#n/a", "nan", "<na>", "null", "none", "nil", "-", "--", "?"})
"""What stands for no pair, no origin and no kind, in lower case."""


@dataclass(frozen=True)
class TableLayout:
    """Which column means what."""

    image: str
    """Path of the image, relative to the table's folder."""
    label: str
    """Real or fake."""
    fake: tuple[str, ...] = ("1", "fake", "true", "deepfake", "spoof")
    """Values of `label` that mean fake, in lower case."""
    real: tuple[str, ...] = ("0", "real", "false", "genuine", "bonafide")
    """Values that mean real, in lower case."""
    pair: str | None = None
    """Both halves of a pair share its value."""
    kind: str | None = None
    """Kind of fake."""
    origin: str | None = None
    """What may not straddle a split."""
    attributes: Mapping[str, str] | None = None
    """Name in the audit to column; None to guess."""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Attribute to value to its meaning; other values stay as they are."""


AI_FACE = TableLayout(
    image="Image Path",
    label="Target",
    attributes={"gender": "Gender", "age": "Age", "skin tone": "Skin Tone"},
    codes={
        "gender": {"0": "Female", "1": "Male"},
        "age": {"0": "Child", "1": "Young", "2": "Adult", "3": "Middle-aged", "4": "Senior"},
    },
)
"""AI-Face (Lin et al., CVPR 2025). Its column Intersection is gender by skin tone, which the audit crosses
itself; its skin tones stay numbers on the Monk scale. Source of the codes: the benchmark's own data
loader."""

LAYOUTS: dict[str, TableLayout] = {"ai-face": AI_FACE}
"""Layouts that are recognised by their columns."""
_IMAGE_NAMES = ("image_path", "image path", "image", "path", "file", "filename", "img_path", "img")
_LABEL_NAMES = ("label", "target", "class", "is_fake", "fake", "y")


def read_table(
    path: str | Path, layout: str | Path | TableLayout | None = None, origin: str | None = None
) -> LabelledImages:
    """Read a table of labelled images.

    Args:
        path: CSV, TSV or Parquet.
        layout: How; None for TABLE.toml beside it, else a recognised layout, else a guess by column names.
        origin: Column that says what may not straddle a split, instead of the layout's.

    Raises:
        DatasetNotFound: no such file.
        DatasetLayoutError: a missing column, a label that is neither real nor fake, an image named twice.
    """
    path = Path(path)
    frame = _read(path)
    chosen = _layout(path, frame, layout)
    chosen = replace(chosen, origin=origin or chosen.origin)
    attributes = chosen.attributes
    if attributes is None:
        attributes = {str(column): str(column) for column in _guessed(frame, chosen)}
    _require(path, frame, chosen, attributes)
    others = _others(frame, chosen, attributes)
    table = _table(path, frame, chosen, attributes, others)
    rule = chosen.origin or "image"
    return LabelledImages(table, tuple(attributes), "table", path, others=others, origin_rule=rule)


def _others(frame: pd.DataFrame, layout: TableLayout, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Columns that play no part here and may say what several images share."""
    parts = {
        layout.image,
        layout.label,
        layout.pair,
        layout.kind,
        *attributes,
        *attributes.values(),
        *COLUMNS,
    }
    taken = {str(part).lower() for part in (*parts, "score", "status", "detail")}
    return tuple(str(name) for name in frame.columns if str(name).lower() not in taken)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DatasetNotFound(f"no table {path}")
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        return read_csv(path, "\t" if path.suffix == ".tsv" else ",")
    except UnreadableFile as error:
        raise DatasetLayoutError(str(error)) from None
    except (OSError, ValueError) as error:
        raise DatasetLayoutError(f"{path} cannot be read as a table: {first_line(error)}") from None


def _layout(path: Path, frame: pd.DataFrame, layout: str | Path | TableLayout | None) -> TableLayout:
    """The layout that was given, that lies beside the table, that is recognised, or that can be guessed."""
    if isinstance(layout, TableLayout):
        return layout
    if layout is not None:
        return LAYOUTS[str(layout)] if str(layout) in LAYOUTS else read_layout(Path(layout))
    if path.with_suffix(".toml").is_file():
        return read_layout(path.with_suffix(".toml"))
    for known in LAYOUTS.values():
        if {known.image, known.label, *(known.attributes or {}).values()} <= set(frame.columns):
            return known
    lower = {str(column).lower(): str(column) for column in frame.columns}
    image = next((lower[name] for name in _IMAGE_NAMES if name in lower), None)
    label = next((lower[name] for name in _LABEL_NAMES if name in lower and lower[name] != image), None)
    if image is None or label is None:
        which = "image" if image is None else "label"
        raise DatasetLayoutError(
            f"{path}: which column is the {which}? It has {', '.join(map(str, frame.columns))}; "
            f"say so in a file {path.with_suffix('.toml').name} beside it, of two lines: "
            f'image = "{image or "COLUMN"}" and label = "{label or "COLUMN"}"'
        )
    return TableLayout(image, label, pair=lower.get("pair_id"), kind=lower.get("kind"))


def read_layout(path: Path) -> TableLayout:
    """Read a layout from a TOML file.

    Raises:
        DatasetNotFound: no such file, and no built-in layout of that name.
        DatasetLayoutError: not TOML, an unknown key, or no image or label.
    """
    if not path.is_file():
        raise DatasetNotFound(f"no layout {path}; built in are {', '.join(LAYOUTS)}")
    try:
        record: dict[str, Any] = read_toml(path)
    except UnreadableFile as error:
        raise DatasetLayoutError(str(error)) from None
    known = {item.name for item in fields(TableLayout)}
    unknown = sorted(set(record) - known)
    if unknown:
        raise DatasetLayoutError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    if not {"image", "label"} <= set(record):
        raise DatasetLayoutError(f"{path}: image and label must both be named")
    for key, value in record.items():
        if not _FITS.get(key, _is_word)(value):
            raise DatasetLayoutError(
                f"{path}: {key} is {str(value)[:80]!r}, which it cannot be; see the docs"
            )
    for key in ("fake", "real"):
        if key in record:
            record[key] = tuple(str(value).lower() for value in record[key])
    return TableLayout(**record)


def _is_word(value: object) -> bool:
    return isinstance(value, str)


def _are_values(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, (str, int, float)) for one in value)


def _are_words(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_word, value.values()))


def _are_codes(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_words, value.values()))


_FITS = {"fake": _are_values, "real": _are_values, "attributes": _are_words, "codes": _are_codes}
"""What the value of a key must be; of all others, a word."""


def _guessed(frame: pd.DataFrame, layout: TableLayout) -> list[str]:
    """Columns that look like groups: few values, more than one, none of the layout's own."""
    own = {layout.image, layout.label, layout.pair, layout.kind, layout.origin}
    others = [column for column in frame.columns if column not in own]
    return [column for column in others if 2 <= frame[column].nunique() <= MAX_GROUPS]


def _require(path: Path, frame: pd.DataFrame, layout: TableLayout, attributes: Mapping[str, str]) -> None:
    named = [layout.image, layout.label, layout.pair, layout.kind, layout.origin, *attributes.values()]
    for column in named:
        if column is not None and column not in frame.columns:
            have = ", ".join(map(str, frame.columns))
            raise DatasetLayoutError(f"{path} has no column {column!r}; it has {have}")
    twice = frame[layout.image][frame[layout.image].duplicated()]
    if len(twice):
        raise DatasetLayoutError(f"{path} names the image {twice.iloc[0]!r} more than once")


def _table(
    path: Path,
    frame: pd.DataFrame,
    layout: TableLayout,
    attributes: Mapping[str, str],
    others: Sequence[str],
) -> pd.DataFrame:
    """The columns of `labelled`, from those of the file."""
    names = frame[layout.image].astype(str)
    label = _labels(path, frame, layout)
    table = pd.DataFrame({"image_id": names, "path": [str(places.beside(path, name)) for name in names]})
    table["label"], table["source"] = label, names
    pair = _names(frame, layout.pair)
    table["pair_id"] = pair
    table["kind"] = _names(frame, layout.kind).fillna("fake").where(label == 1, REAL)
    table["origin"] = _names(frame, layout.origin).fillna(pair).fillna(names)
    for name, column in attributes.items():
        codes = layout.codes.get(name, {})
        values = frame[column].astype(str).str.strip()
        table[name] = values.map(lambda value, codes=codes: codes.get(value, value)).replace("", UNKNOWN)
    for name in others:
        table[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return to_table(table.to_dict("records"), (*attributes, *others))  # type: ignore[arg-type]


def _names(frame: pd.DataFrame, column: str | None) -> pd.Series:
    """A column as text, None where it is blank, says that there is none, or is not there.

    Why: all images that have none would be of one pair, and none of them could be parted from the others.
    """
    if column is None:
        return pd.Series(None, index=frame.index, dtype=object)
    texts = frame[column].astype(str).astype(object)
    known = frame[column].notna() & ~texts.str.strip().str.lower().isin(NO_NAME)
    return texts.where(known, None)


def _labels(path: Path, frame: pd.DataFrame, layout: TableLayout) -> pd.Series:
    """1 for fake, 0 for real; anything else is an error that names its row."""
    words = frame[layout.label].astype(str).str.strip().str.lower().str.removesuffix(".0")
    known = words.isin(layout.fake) | words.isin(layout.real)
    if not known.all():
        row = int((~known).to_numpy().argmax())
        raise DatasetLayoutError(
            f"{path}, row {row + 2}: {layout.label} is {frame[layout.label].iloc[row]!r}; fake is one of "
            f"{', '.join(layout.fake)}, real one of {', '.join(layout.real)}"
        )
    return words.isin(layout.fake).astype("int64")
