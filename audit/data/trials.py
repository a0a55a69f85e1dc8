"""Tables of trials: two clips each, of one speaker or of two; anyone's, and this program's own.

Enters: a table with one row a trial, as a verifier's maker, a toolkit or a challenge writes it. Leaves: the
same rows with the columns an audit needs, the options in the table's spelling, every guess with the option
that says otherwise, and the number of rows that have no label or no score.

What a row must say: the two speakers, or clips whose folder is the speaker (VoxCeleb's
"id10270/x6uYqmx31kE/1.wav"); the score; whether it is one speaker, where that does not follow from the names;
and the group of each speaker (`gender_a`, `gender_b`) or of the whole trial (`channel`).

Why an impostor trial of two groups has a group of its own, "(two groups)": people of one group are taken for
each other more easily than people of two, so that a rate over both kinds would be that of the trial list. The
errors among impostors of a group are those of trials within it; trials across groups are counted and shown,
group by group (`audit.metrics.group_measures`), and never dropped.

Source: Grother, Ngan & Hanaoka 2019, NISTIR 8280, FRVT part 3 (false match rates within and across groups).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig, Columns
from audit.data.columns import FEW_VALUES, preferred, spelled
from audit.data.table_reading import NO_LABEL, NO_SCORE, one_spelling, spelling_guesses
from audit.data.table_words import NUMBER_MISSING, normal
from audit.errors import (
    LabelError,
    MissingColumnError,
    ScoreTableError,
    ScoreValueError,
    UnclearTableError,
    UnitError,
)
from audit.schema.result import CROSSED

LABEL, SPEAKER, PARTNER = "label", "speaker", "other_speaker"
"""Columns that a table of trials is given: 1 for one speaker; the two speakers."""

PAIRED = (
    ("_a", "_b"), ("_1", "_2"), ("1", "2"), ("_enrolled", "_probe"), ("_enroll", "_test"),
    ("_enrol", "_test"), ("_enrollment", "_test"), ("_left", "_right"), ("_x", "_y"),
)  # fmt: skip
"""Endings of two columns that say the same of the two sides of a trial."""

SPEAKERS = (
    "speaker",
    "spk",
    "spkr",
    "speaker_id",
    "spk_id",
    "client",
    "client_id",
    "person",
    "subject",
    "id",
)
CLIPS = ("clip", "file", "path", "wav", "audio", "utterance", "utt", "recording", "segment")
LABELS = (
    "same",
    "same_speaker",
    "is_same",
    "label",
    "target",
    "is_target",
    "match",
    "genuine",
    "truth",
    "key",
)
SCORES = ("score", "scores", "similarity", "cosine", "llr", "logit", "distance", "probability")
TRIALS = ("trial_id", "trial", "image_id")
SAME = frozenset(
    {"1", "true", "yes", "y", "t", "same", "target", "tgt", "genuine", "match", "mated", "positive"}
)
DIFFERENT = frozenset(
    {
        "0",
        "-1",
        "false",
        "no",
        "n",
        "f",
        "different",
        "nontarget",
        "non-target",
        "imp",
        "impostor",
        "imposter",
    }
    | {"non-mated", "nonmatch", "non-match", "negative"}
)
DISTANCES = frozenset({"distance", "dist"})
"""Words in the name of a score that is low where the voices are alike."""

Told = tuple[str, str, str]
"""Name, what was understood, and the option that says otherwise."""


@dataclass(frozen=True)
class Trials:
    """A table of trials as it is audited.

    Attributes:
        frame: The user's columns, and LABEL, SPEAKER, PARTNER, a score that is higher for one speaker, and
            each group of both speakers under the name of the attribute.
        config: The options, in the table's own spelling.
        sides: Attribute to its two columns, of the first and of the second speaker.
        told: What was understood without being told.
        left_out: Reason to number of rows.
        unscored: Rows that have a label and two speakers, and no score; the columns of `frame`.
    """

    frame: pd.DataFrame
    config: AuditConfig
    sides: Mapping[str, tuple[str, str]]
    told: tuple[Told, ...] = ()
    left_out: Mapping[str, int] | None = None
    unscored: pd.DataFrame | None = None


def as_trials(frame: pd.DataFrame, config: AuditConfig, decimal: str = ".") -> Trials:
    """Understand a table of trials; a table that went through once goes through again unchanged.

    Args:
        frame: One row a trial.
        config: Options of a task whose rows are trials.
        decimal: What stands before the fraction of a number written as text.

    Raises:
        UnclearTableError: No speakers or no score can be found.
        MissingColumnError: A column that was named is not there.
        LabelError: Labels are not "same" and "different", or contradict the speakers.
        UnitError: There are not two speakers.
    """
    if not len(frame):
        raise ScoreTableError("the table has no trials; there is nothing to audit")
    names, told = [str(name) for name in frame.columns], list[Told]()
    speakers = _speakers(frame, names, told)
    known = speakers[0].notna() & speakers[1].notna()
    same_name = _column(config.columns.label, Columns.label, LABELS, names, "--label-column")
    score_name = _column(config.columns.score, Columns.score, SCORES, names, "--score-column")
    if score_name is None:
        raise UnclearTableError(
            f"no column of {_listed(names)} seems to hold the verifier's scores; name it with "
            "--score-column NAME"
        )
    if score_name != "score":
        told.append(("score", f"column '{score_name}'", "--score-column NAME"))
    same = _same(frame, same_name, speakers, config, told)
    score = _score(frame[score_name], config, decimal, told)
    sides = paired_columns(names)
    attributes = _attributes(frame, config, names, sides)
    frame = _one_spelling(
        frame, [name for name in attributes if name not in config.bins], sides, config, told
    )
    taken = {LABEL, SPEAKER, PARTNER, score_name}
    groups = {
        name: _common(frame[sides[name][0]], frame[sides[name][1]], name, config)
        for name in attributes
        if name in sides and name not in taken
    }
    identity = _identities(frame, names)
    trial = next((found for name in TRIALS if (found := spelled(name, names))), None)
    named = frame.drop(
        columns=[n for n in (same_name, score_name, trial, *groups) if n in names and n is not None]
    )
    named = named.assign(
        **{
            "image_id": identity,
            LABEL: same,
            "score": score,
            SPEAKER: speakers[0],
            PARTNER: speakers[1],
        },
        **groups,
    )
    left_out, keep = {}, np.ones(len(frame), dtype=bool)
    for reason, missing in (
        (NO_LABEL, same.isna()),
        (NO_SCORE, score.isna()),
        ("a speaker is not named", ~known),
    ):
        lacking = missing.to_numpy() & keep
        keep &= ~lacking
        if lacking.any():
            left_out[reason] = int(lacking.sum())
    unscored = named[(same.notna() & score.isna() & known).to_numpy()].reset_index(drop=True)
    named = named[keep].reset_index(drop=True)
    _refuse_contradictions(named)
    resolved = replace(
        config,
        columns=Columns(label=LABEL, score="score", image_id="image_id", pair_id="pair_id"),
        attributes=tuple(attributes),
        unit_column=SPEAKER,
        positive=None,
        read_as={key: said for key, said in config.read_as.items() if key == "case"},
    )
    named, unscored = (rows.astype({LABEL: "int8"}) for rows in (named, unscored))
    of_both = {name: sides[name] for name in attributes if name in sides}
    return Trials(named, resolved, of_both, tuple(told), left_out, unscored)


def _identities(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """A name for each trial: its own, else its two clips (numbered where compared again), else a number."""
    own = next((found for name in TRIALS if (found := spelled(name, names))), None)
    if own is not None:
        return frame[own].astype(str)
    for stem in CLIPS:
        clips = _sides_of(stem, names)
        if clips is not None:
            both = frame[clips[0]].astype(str) + " | " + frame[clips[1]].astype(str)
            again = both.groupby(both).cumcount().astype(str)
            return both.where(again == "0", both + " | again " + again)
    return pd.Series(np.arange(len(frame)), index=frame.index).astype(str)


def paired_columns(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Attributes whose value of both speakers stands in two columns, speakers and clips aside.

    >>> paired_columns(["gender_1", "gender_2", "accent1", "accent2", "speaker_a", "speaker_b"])
    {'gender': ('gender_1', 'gender_2'), 'accent': ('accent1', 'accent2')}
    """
    found: dict[str, tuple[str, str]] = {}
    for first, second in PAIRED:
        for name in names:
            stem = name[: -len(first)] if name.endswith(first) else ""
            pair = (name, stem + second)
            if not stem or pair[1] not in names or pair in found.values():  # "_1" ends in "1", too
                continue
            if normal(stem) not in {*SPEAKERS, *CLIPS, "other_speaker"}:
                found.setdefault(stem, pair)
    return found


def _sides_of(stem: str, names: Sequence[str]) -> tuple[str, str] | None:
    by_name = {normal(name): name for name in reversed(names)}
    for first, second in PAIRED:
        if stem + first in by_name and stem + second in by_name:
            return by_name[stem + first], by_name[stem + second]
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _speakers(frame: pd.DataFrame, names: Sequence[str], told: list[Told]) -> tuple[pd.Series, pd.Series]:
    """The two speakers of each trial: columns that name them, else the first folder of both clips."""
    if SPEAKER in names and PARTNER in names:
        return frame[SPEAKER], frame[PARTNER]
    for stem in SPEAKERS:
        columns = _sides_of(stem, names)
        if columns:
            if columns != ("speaker_a", "speaker_b"):
                told.append(("speakers", f"columns {_listed(columns)}", "name them speaker_a and speaker_b"))
            return _text(frame[columns[0]]), _text(frame[columns[1]])
    for stem in CLIPS:
        clips = _sides_of(stem, names)
        if clips is not None and all(
            _text(frame[c]).dropna().str.contains("/", regex=False).all() for c in clips
        ):
            text = f"the first folder of {_listed(clips)}"
            told.append(("speakers", text, "name them in columns speaker_a and speaker_b"))
            first, second = (_text(frame[column]).str.split("/").str[0] for column in clips)
            return first, second
    raise UnclearTableError(
        f"no two columns of {_listed(names)} name the speakers of a trial, on whom every interval rests; "
        "call them speaker_a and speaker_b"
    )


def _text(column: pd.Series) -> pd.Series:
    """Names as text, blanks off; nothing where there is none."""
    if pd.api.types.is_numeric_dtype(column):
        return column.map(lambda v: None if pd.isna(v) else str(int(v)) if float(v).is_integer() else str(v))
    text = column.astype(object).map(lambda value: None if pd.isna(value) else str(value).strip())
    return text.where(~text.isin(["", "NA", "nan", "None"]), None)


def _column(asked: str, usual: str, likely: Sequence[str], names: Sequence[str], option: str) -> str | None:
    """The column of a role: the one asked for, else the first likely one."""
    if asked != usual:
        if found := spelled(asked, names):
            return found
        raise MissingColumnError(
            f"there is no column '{asked}'; there are {_listed(names)}; say {option} NAME"
        )
    return next((found for name in likely if (found := spelled(name, names))), None)


def _same(
    frame: pd.DataFrame,
    name: str | None,
    speakers: tuple[pd.Series, pd.Series],
    config: AuditConfig,
    told: list[Told],
) -> pd.Series:
    """1.0 for one speaker, 0.0 for two, NaN where the table does not say."""
    by_name = (speakers[0] == speakers[1]).astype(float).where(speakers[0].notna() & speakers[1].notna())
    if name is None:
        told.append(("same", "the two speakers have one name", "--label-column NAME"))
        return by_name
    if name not in ("same", LABEL):
        told.append(("same", f"column '{name}'", "--label-column NAME"))
    text = _whole(_text(frame[name]))
    values = [str(value) for value in text.dropna().unique()]
    meaning = {value: _meaning(value, config) for value in values}
    unclear = [value for value, found in meaning.items() if found is None and value not in NUMBER_MISSING]
    if unclear:
        raise LabelError(
            f"column '{name}' holds {_listed(unclear[:5])}, and which of its labels means the same speaker "
            "cannot be told; say --positive LABEL"
        )
    plain = {"0", "1", "same", "different"}
    if config.positive is None and not set(values) <= plain:
        shown = ", ".join(
            f"{value} is {'same' if found else 'different'}"
            for value, found in meaning.items()
            if found is not None
        )
        told.append(("labels", shown, "--positive LABEL"))
    return text.map({value: float(found) for value, found in meaning.items() if found is not None}).astype(
        float
    )


def _whole(text: pd.Series) -> pd.Series:
    """Labels as text, "1.0" as "1": a program writes so where a column of whole numbers has an empty cell."""
    return text.map(
        lambda one: one.removesuffix(".0") if one in ("1.0", "0.0", "-1.0") else one, na_action="ignore"
    )


def _meaning(value: str, config: AuditConfig) -> bool | None:
    if config.positive is not None:
        return None if value in NUMBER_MISSING and value != config.positive else value == config.positive
    word = value.lower()
    return True if word in SAME else False if word in DIFFERENT else None


def _score(column: pd.Series, config: AuditConfig, decimal: str, told: list[Told]) -> pd.Series:
    """Numbers that are higher for one speaker."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.astype(float)
    else:
        text = column.astype(object).map(lambda v: None if pd.isna(v) else str(v).strip())
        text = text.where(~text.isin(NUMBER_MISSING), None)
        numbers = pd.to_numeric(
            text.str.replace(",", ".", regex=False) if decimal == "," else text, errors="coerce"
        )
        bad = (numbers.isna() & text.notna()).to_numpy()
        if bad.any():
            row = int(np.argmax(bad))
            raise ScoreValueError(
                f"column '{column.name}' is not numeric: {int(bad.sum())} of {len(bad)} values are no "
                f"numbers, the first ({text.iloc[row]!r}) in row {row + 1}; correct them, or name another "
                "with --score-column NAME"
            )
    asked, name = config.read_as.get("higher"), normal(str(column.name))
    distance = bool(DISTANCES & set(name.split("_")))
    if asked is None and distance:
        told.append(("score", f"'{column.name}' is low for one speaker: turned round", "--read higher=same"))
    return -numbers if asked == "different" or (asked is None and distance) else numbers


def _attributes(
    frame: pd.DataFrame, config: AuditConfig, names: Sequence[str], sides: Mapping[str, tuple[str, str]]
) -> list[str]:
    """Those asked for; else all that are known of both speakers, then usual columns of the whole trial."""
    if config.attributes:
        found = [spelled(name, [*sides, *names]) for name in config.attributes]
        for asked, name in zip(config.attributes, found, strict=True):
            if name is None:
                raise MissingColumnError(
                    f"there is no column '{asked}', nor '{asked}_a' and '{asked}_b'; there are "
                    f"{_listed(names)}"
                )
        return [name for name in found if name is not None]
    few = [
        name
        for name, columns in sides.items()
        if name in config.bins or pd.concat([frame[c] for c in columns]).nunique() <= FEW_VALUES
    ]
    usual = [name for name in preferred(names) if name not in sides and frame[name].nunique() <= FEW_VALUES]
    found_few = [*few, *usual]
    if not found_few:
        raise UnclearTableError(
            f"no attribute to audit among the columns {_listed(names)}; give the group of each speaker, as "
            "in gender_a and gender_b, or name a column with --attribute"
        )
    return found_few


def _one_spelling(
    frame: pd.DataFrame,
    attributes: Sequence[str],
    sides: Mapping[str, tuple[str, str]],
    config: AuditConfig,
    told: list[Told],
) -> pd.DataFrame:
    """The table in which groups whose names differ only in capitals are one, on both sides alike."""
    if config.read_as.get("case") == "keep":
        return frame
    changed: dict[str, pd.Series] = {}
    for name in attributes:
        columns = list(sides.get(name, (name,)))
        column, merged = one_spelling(pd.concat([_text(frame[one]) for one in columns], ignore_index=True))
        if not merged:
            continue
        parts = np.split(column.astype(object).to_numpy(), len(columns))
        changed |= {one: pd.Series(part, index=frame.index) for one, part in zip(columns, parts, strict=True)}
        told += [(guess.name, guess.text, guess.option) for guess in spelling_guesses(name, merged)]
    return frame.assign(**changed) if changed else frame


def label_doubts(trials: Trials) -> list[str]:
    """Sentences on speakers who have two labels of one attribute, in one trial or in several."""
    frame, notes = trials.frame, list[str]()
    for name, (first, second) in trials.sides.items():
        if name in trials.config.bins or name not in frame:
            continue
        said = pd.DataFrame(
            {
                "speaker": pd.concat([frame[SPEAKER], frame[PARTNER]], ignore_index=True),
                "label": pd.concat([_text(frame[first]), _text(frame[second])], ignore_index=True),
            }
        ).dropna()
        several = said.drop_duplicates().groupby("speaker", sort=False)["label"].agg(list)
        several = several[several.map(len) > 1]
        if several.empty:
            continue
        one, apart = several.index[0], int(((frame[LABEL] == 1) & (frame[name] == CROSSED)).sum())
        known = f"{len(several):,} speaker{' has' if len(several) == 1 else 's have'}"
        notes.append(
            f"{known} more than one label of {name}, the first '{one}' ({_listed(several.iloc[0][:3])}): "
            "each trial counts by the labels in its row"
            + (f", and {apart:,} of one speaker by none, as they name two" if apart else "")
            + ". Give each speaker one label."
        )
    return notes


def _common(first: pd.Series, second: pd.Series, name: str, config: AuditConfig) -> pd.Series:
    """The group both speakers belong to; CROSSED where they belong to two, nothing where one has no label."""
    edges = config.bins.get(name)
    if edges is not None:
        values = [pd.to_numeric(side, errors="coerce") for side in (first, second)]
        places = [pd.Series(np.searchsorted(edges, v, side="right"), index=v.index) for v in values]
        common = values[0].astype(object)
        known: NDArray[np.bool_] = (values[0].notna() & values[1].notna()).to_numpy()
        apart = (places[0] != places[1]).to_numpy()
    else:
        sides = [_text(side) for side in (first, second)]
        common = sides[0].astype(object)
        known = (sides[0].notna() & sides[1].notna()).to_numpy()
        apart = (sides[0] != sides[1]).to_numpy()
    return common.where(~apart, CROSSED).where(known, None)


def _refuse_contradictions(frame: pd.DataFrame) -> None:
    """See that labels and speakers agree, and that there are two speakers."""
    one = (frame[SPEAKER] == frame[PARTNER]).to_numpy()
    wrong = one != (frame[LABEL] == 1).to_numpy()
    if wrong.any():
        row = frame.iloc[int(np.argmax(wrong))]
        says = "the same speaker" if row[LABEL] == 1 else "different speakers"
        raise LabelError(
            f"{int(wrong.sum()):,} of {len(frame):,} trials contradict themselves: trial '{row['image_id']}' "
            f"is of {says}, by its label, and of '{row[SPEAKER]}' and '{row[PARTNER]}'; correct the one or "
            "the other"
        )
    speakers = pd.unique(pd.concat([frame[SPEAKER], frame[PARTNER]]))
    if len(speakers) < 2:
        raise UnitError(
            f"all {len(frame):,} trials are of {len(speakers)} speaker: an audit compares groups of "
            "speakers, and the speaker is what is independent; give trials of many"
        )
