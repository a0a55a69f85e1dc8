"""How a foreign score table is to be read: what is guessed and said, and what has to be asked.

Enters: the first rows of a table and `AuditConfig`. Leaves: `Reading`: columns, words and numbers as they
were understood, every guess with the option that says otherwise, and every problem with the option that
solves it, all at once. `tidied` then applies it to the whole table.

Why guesses are said: a table that is read wrongly gives a wrong audit without an error. Why all problems at
once: whoever has a vendor's file should have to come back once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig, Columns, parse_rule
from audit.data import table_words as words
from audit.data.columns import FEW_VALUES, find_attributes, known_ids, resolved, word_groups
from audit.data.groups import coded
from audit.data.spans import gathered, rows_where, tallied
from audit.errors import GroupError, LabelError, ScoreValueError

HOW_READ = "How the table was read:"
"""How the note on what was guessed begins."""
NUMERIC_SHARE = 0.95
"""Share of a column's values that must be numbers for it to be guessed as the scores."""
MAX_LABELS = 50
MAX_MERGED = 6
"""Spellings of one column that are named in a note; the rest are counted."""
_THOUSANDS = re.compile(r"[+-]?\d{1,3}((,\d{3})+(\.\d+)?|(\.\d{3})+(,\d+)?|([ '’]\d{3})+([.,]\d+)?)")
"""Numbers such as 1,234.5 and 1.234,5."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+ ?%?")
_NOT_SCORES = frozenset(
    {"confidence", "age", "year", "weight", "quality", "sharpness", "blur", "brightness", "width", "height"}
    | {"size", "id", "index", "row"}
)
NEITHER = "--read missing=WORD leaves out what is neither"
"""What can be said of labels where several words mean one thing."""
STANDARD = {"0": False, "1": True, "real": False, "fake": True}


@dataclass(frozen=True)
class Guess:
    """Something that was understood without being told.

    Attributes:
        name: "encoding", "separator", "decimal", "label", "score" or "missing".
        text: What was understood.
        option: How to say otherwise.
    """

    name: str
    text: str
    option: str


@dataclass(frozen=True)
class Problem:
    """Something that cannot be guessed.

    Attributes:
        text: What is wrong or unclear.
        option: What solves it.
    """

    text: str
    option: str


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    Attributes:
        config: The options, with label and score columns found and every name as the table spells it.
        columns: Of the table, in order.
        encoding: Of a text table; "" for Parquet.
        separator: Of a text table; "" for Parquet.
        decimal: "." or ",".
        percent: Whether scores are percentages.
        higher_is_real: Whether a higher score means more real.
        labels: What each label of the first rows means, True for fake.
        missing: Column to the words that mean "no value" in it.
        groups: Columns of words that are audited: names that differ only in capitals are one group.
        guesses: What was not told.
        problems: What has to be.
    """

    config: AuditConfig
    columns: tuple[str, ...]
    encoding: str = ""
    separator: str = ""
    decimal: str = "."
    percent: bool = False
    higher_is_real: bool = False
    labels: Mapping[str, bool] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    guesses: tuple[Guess, ...] = ()
    problems: tuple[Problem, ...] = ()

    def record(self) -> dict[str, Any]:
        """For `audit.json`: how the table was read."""
        text = {"encoding": self.encoding, "separator": self.separator, "decimal": self.decimal}
        return {
            **(text if self.separator else {}),
            "label_column": self.config.columns.label,
            "labels": {name: "fake" if fake else "real" for name, fake in self.labels.items()},
            "score_column": self.config.columns.score,
            "percent": self.percent,
            "higher": "real" if self.higher_is_real else "fake",
            "guessed": [asdict(one) for one in self.guesses],
        }

    def sentence(self) -> str | None:
        """One sentence on everything that was guessed; None where nothing was."""
        if not self.guesses:
            return None
        return f"{HOW_READ} {'; '.join(f'{one.name} {one.text}' for one in self.guesses)}."


def judged(
    head: pd.DataFrame, config: AuditConfig, encoding: str = "", separator: str = "", whole: bool = True
) -> Reading:
    """Understand a table by its first rows.

    Args:
        head: The first rows; text where the table is text.
        config: Options as asked for.
        encoding: Found in a text table.
        separator: Found in a text table.
        whole: Whether `head` is all of it.

    Returns:
        The reading; what it could not understand is among its problems.
    """
    found = _Found(head, config, separator)
    asked = config.read_as
    found.guess_text(encoding, separator)
    if separator and 2 * sum(_is_number(str(name)) for name in head.columns) >= len(head.columns):
        found.ask("the first line holds numbers, not names of columns", "write a line of names above it")
    label = found.column_for("label", found.label_candidates, "--label-column NAME")
    score = found.column_for("score", lambda: found.score_candidates(label), "--score-column NAME")
    roles = replace(config.columns, label=label or config.columns.label, score=score or config.columns.score)
    told = resolved(replace(config, columns=roles), head.columns)
    found.ask_for_missing_columns(told)
    labels = found.labels(label) if label else {}
    percent, turned = found.scale(score) if score else (False, False)
    missing = {name: found.missing_words(name, told) for name in map(str, head.columns)}
    if whole and label and score and not told.attributes:
        found.ask_for_attributes(told)
    for key in ("separator", "decimal", "encoding"):  # what was told is no guess
        found.guesses = [one for one in found.guesses if one.name != key or key not in asked]
    return Reading(
        told, tuple(map(str, head.columns)), encoding, separator, found.decimal, percent, turned, labels,
        missing, word_groups(head, told), tuple(found.guesses), tuple(found.problems),
    )  # fmt: skip


class _Found:
    """What is being found out about one table."""

    def __init__(self, head: pd.DataFrame, config: AuditConfig, separator: str) -> None:
        self.head, self.config = head, config
        self.names = [str(name) for name in head.columns]
        self.guesses: list[Guess] = []
        self.problems: list[Problem] = []
        self._texts: dict[str, pd.Series] = {}
        self.decimal = config.read_as.get("decimal") or ("," if separator and self._has_commas() else ".")

    def guess(self, name: str, text: str, option: str) -> None:
        self.guesses.append(Guess(name, text, option))

    def ask(self, text: str, option: str) -> None:
        self.problems.append(Problem(text, option))

    def texts(self, name: str) -> pd.Series:
        """How often each different value of a column occurs in the first rows, as text, blanks off."""
        if name not in self._texts:
            column = self.head[name].dropna()
            counts = column.value_counts(sort=False)
            keys = [words.as_text(value) for value in counts.index]
            self._texts[name] = pd.Series(counts.to_numpy(), index=keys).groupby(level=0, sort=False).sum()
        return self._texts[name]

    def values(self, name: str, missing: Sequence[str] = words.NUMBER_MISSING) -> list[str]:
        """The different values of a column that are none of the words for "no value"."""
        return [text for text in self.texts(name).index if text not in missing]

    def _has_commas(self) -> bool:
        """Whether a column holds numbers with a decimal comma and none with a point, a few words aside."""
        for name in self.names:
            values = self.values(name)[:1000]
            commas = [text for text in values if _DECIMAL_COMMA.fullmatch(text)]
            whole = [text for text in values if re.fullmatch(r"[+-]?\d+ ?%?", text)]
            pointed = any(re.fullmatch(r"[+-]?\d*\.\d+ ?%?", text) for text in values)
            if commas and not pointed and len(commas) + len(whole) >= NUMERIC_SHARE * len(values):
                return True
        return False

    def guess_text(self, encoding: str, separator: str) -> None:
        if not separator:
            return
        if encoding != "utf-8-sig":
            shown = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}.get(encoding, encoding.upper())
            self.guess("encoding", shown, "--read encoding=NAME")
        if separator != ",":
            shown = {"\t": "tab"}.get(separator, f"'{separator}'")
            self.guess("separator", shown, "--read separator=MARK")
        if self.decimal != ".":
            self.guess("decimal", "comma", "--read decimal=.")

    def column_for(self, role: str, candidates: Callable[[], list[str]], option: str) -> str | None:
        """The column of a role: the one asked for, or the only likely one."""
        asked = getattr(self.config.columns, role)
        there = getattr(resolved(self.config, self.names).columns, role)
        if there in self.names:
            return str(there)
        if asked != getattr(Columns(), role):
            self.ask(f"there is no column '{asked}'; there are {_listed(self.names)}", option)
            return None
        found = candidates()
        if len(found) == 1:
            self.guess(role, f"column '{found[0]}'", option)
            return found[0]
        what = {"label": "what an image is, real or fake", "score": "the detector's score"}[role]
        which = f"{_listed(found)} may all be" if found else f"none of {_listed(self.names)} seems to be"
        self.ask(f"which column is {what}? {which}", option)
        return None

    def label_candidates(self) -> list[str]:
        named = self._named(words.LABEL_NAMES, self._means_labels)
        if named:
            same = [name for name in named if self._same_labels(named[0], name)]
            return named[:1] if len(same) == len(named) else named
        partly = self._named(words.LABEL_NAMES, self._means_labels_in_part)
        if partly:
            return partly
        return [
            name
            for name in self.names
            if not words.is_decision(name) and words.all_label_words(self.values(name)[: MAX_LABELS + 1])
        ]

    def score_candidates(self, label: str | None) -> list[str]:
        named = self._named(words.SCORE_NAMES, lambda name: name != label and self._is_numeric(name))
        if named:
            return named[:1]
        left = [name for name in self.names if name not in self._spoken_of(label)]
        telling = [name for name in left if words.speaks_of_scores(name) and self._fractions(name)]
        return telling or [name for name in left if self._like_scores(name)]

    def _named(self, usual: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
        by_name = {words.normal(name): name for name in reversed(self.names)}
        return [by_name[name] for name in usual if name in by_name and fits(by_name[name])]

    def _labels_of(self, name: str) -> list[str]:
        return self.values(name, words.with_told(words.NUMBER_MISSING, self._told_missing))

    def _means_labels_in_part(self, name: str) -> bool:
        """Whether a column holds words for real and words for fake, beside others."""
        values = self._labels_of(name)
        sure = [text for text in values if words.all_label_words([text])]
        return len(values) <= MAX_LABELS and len({words.folded(text) in words.FAKE for text in sure}) == 2

    def _means_labels(self, name: str) -> bool:
        values = self._labels_of(name)
        if not values or len(values) > MAX_LABELS:
            return False
        try:
            words.label_meanings(values, name, self.config.positive, self.config.read_as.get("real"))
        except LabelError:
            return False
        return True

    def _same_labels(self, first: str, second: str) -> bool:
        return bool((self._fake(first) == self._fake(second)).all())

    def _fake(self, name: str) -> pd.Series:
        meanings = words.label_meanings(
            self._labels_of(name), name, self.config.positive, self.config.read_as.get("real")
        )
        return self.head[name].map(lambda value: meanings.get(words.as_text(value)))

    def numbers(self, name: str) -> tuple[NDArray[np.float64], list[str]]:
        """The different numbers of a column, and the words in it that are none."""
        values = self.values(name, words.with_told(words.NUMBER_MISSING, self._told_missing))
        numbers = as_numbers(pd.Series(values, dtype=object), self.decimal)
        bad = numbers.isna()
        return numbers[~bad].to_numpy(dtype=float), [v for v, b in zip(values, bad, strict=True) if b]

    def _is_numeric(self, name: str) -> bool:
        numbers, others = self.numbers(name)
        return len(numbers) > 0 and len(numbers) >= NUMERIC_SHARE * (len(numbers) + len(others))

    def _fractions(self, name: str) -> bool:
        """Whether a column holds other numbers than 0 and 1."""
        return self._is_numeric(name) and bool((self.numbers(name)[0] % 1 != 0).any())

    def _like_scores(self, name: str) -> bool:
        if not self._is_numeric(name) or _NOT_SCORES & set(words.words_of(name)):
            return False
        numbers = self.numbers(name)[0]
        signed = any(text.endswith("%") for text in self.values(name)[:100])
        top = 100 if signed or words.is_percent(name) else 1
        inside = numbers.min() >= 0 and numbers.max() <= top
        return bool(inside and len(numbers) > FEW_VALUES and (numbers % 1 != 0).any())

    def _spoken_of(self, label: str | None) -> set[str]:
        config = resolved(self.config, self.names)
        others = [label, config.unit_column, config.weight_column, config.columns.image_id]
        return {*config.attributes, *config.controls, *config.bins, *(name for name in others if name)}

    def labels(self, name: str) -> dict[str, bool]:
        """What the labels mean, said where they are not simply real and fake or 0 and 1."""
        values = self._labels_of(name)
        if len(values) > MAX_LABELS:
            self.ask(f"column '{name}' holds {len(values)} different values and cannot say real or fake",
                     "--label-column NAME")  # fmt: skip
            return {}
        try:
            found = words.label_meanings(values, name, self.config.positive, self.config.read_as.get("real"))
        except LabelError as error:
            text, _, option = str(error).partition(": ")
            self.ask(text, option)
            return {}
        told = self.config.positive is not None or "real" in self.config.read_as
        shared = words.shared_meaning(found)
        if shared is not None:
            self.guess("labels", shared, NEITHER)
        elif not told and any(STANDARD.get(text) != fake for text, fake in found.items()):
            shown = ", ".join(f"{text} is {'fake' if fake else 'real'}" for text, fake in found.items())
            self.guess("labels", shown, "--positive LABEL")
        return found

    def scale(self, name: str) -> tuple[bool, bool]:
        """Whether scores are percentages, and whether they say how real an image is."""
        numbers, others = self.numbers(name)
        if others and all(_THOUSANDS.fullmatch(text) for text in others):
            self.ask(
                f"column '{name}' sets thousands apart ({words.few(others[:2])})",
                "write its numbers without them and save the table again",
            )
        elif others and not len(numbers) and self._are_decisions(others):
            self.ask(
                f"column '{name}' holds decisions ({words.few(others)}), no numbers",
                "write 1 for what was flagged as fake and 0 for the rest, or say --score-column NAME",
            )
        elif others:
            absent = "missing=" + ",".join(others[:3])
            absent = f"--read {shlex.quote(absent)} where they mean no score"
            rare = len(numbers) >= NUMERIC_SHARE * (len(numbers) + len(others))
            self.ask(
                f"column '{name}' holds {words.few(others)}, no numbers",
                absent if rare else f"--score-column NAME, or {absent}",
            )
        if not len(numbers):
            return False, False
        percent = self._percent(name, numbers)
        turned = self.config.read_as.get("higher", "real" if words.says_real(name) else "fake") == "real"
        if turned and "higher" not in self.config.read_as:
            self.guess("score", f"'{name}' says how real an image is: turned round", "--read higher=fake")
        top = 100 if percent else 1
        if turned and (numbers.min() < 0 or numbers.max() > top) and self._fixed_threshold() is not None:
            self.ask(
                f"column '{name}' says how real an image is and is no probability; turned round, a fixed "
                "threshold means nothing", "--threshold eer, or another rule",
            )  # fmt: skip
        return percent, turned

    def _are_decisions(self, texts: list[str]) -> bool:
        """Whether they are words for real and fake, or for yes and no."""
        return {words.folded(text) for text in texts} <= words.FAKE | words.REAL | words.YES | words.NO

    def _percent(self, name: str, numbers: NDArray[np.float64]) -> bool:
        asked = self.config.read_as.get("percent")
        if asked is not None:
            return asked == "yes"
        threshold = self._fixed_threshold()
        if threshold is not None and threshold > 1:
            return False  # the threshold was given in the table's own numbers
        texts = self.values(name)[:1000]
        signed = [text for text in texts if "%" in text]
        plain = [text for text in texts if "%" not in text]
        bare = as_numbers(pd.Series(plain, dtype=object), self.decimal).fillna(0).ne(0).to_numpy()
        if signed and bare.any():  # 0.5 among them may be a half, or a two hundredth
            both = words.few([signed[0], plain[int(np.argmax(bare))]])
            self.ask(
                f"column '{name}' holds numbers with a percent sign and without one ({both})",
                "--read percent=yes where all are percentages, or write all of them alike",
            )
        inside = numbers.min() >= 0 and 1 < numbers.max() <= 100
        if signed or (inside and (words.is_percent(name) or numbers.max() > 50)):
            self.guess("score", f"'{name}' in percent", "--read percent=no")
            return True
        return False

    def _fixed_threshold(self) -> float | None:
        rule = parse_rule(self.config.threshold)
        return rule.value if rule.kind == "fixed" else None

    @property
    def _told_missing(self) -> str | None:
        return self.config.read_as.get("missing")

    def missing_words(self, name: str, config: AuditConfig) -> tuple[str, ...]:
        return words.with_told(self._usual_missing(name, config), self._told_missing)

    def _usual_missing(self, name: str, config: AuditConfig) -> tuple[str, ...]:
        measured = {config.columns.label, config.columns.score, config.weight_column, *config.bins}
        if name in measured:
            return words.NUMBER_MISSING
        texts = list(self.texts(name).index[:1000])
        found = words.missing_ids(texts) if name in id_columns(config) else words.missing_words(texts)
        told = words.with_told((), self._told_missing)
        known = "NA" in (*found, *told) or name == config.columns.image_id
        if not known and "NA" in self.texts(name).index:
            self.guess("missing", f"NA in '{name}' is a group like its other codes", "--read missing=NA")
        return found

    def ask_for_missing_columns(self, config: AuditConfig) -> None:
        """Every column that was named and is not there."""
        asked = [
            *(("--attribute", name) for name in config.attributes),
            *(("--control", name) for name in config.controls),
            *(("--bins", name) for name in config.bins),
            *(("--unit-column", name) for name in [config.unit_column] if name),
            *(("--weight-column", name) for name in [config.weight_column] if name),
        ]
        for option, name in asked:
            if name not in self.names:
                self.ask(f"there is no column '{name}'; there are {_listed(self.names)}", f"{option} NAME")

    def ask_for_attributes(self, config: AuditConfig) -> None:
        try:
            find_attributes(self.head, config)
        except GroupError as error:
            text, _, option = str(error).partition("; ")
            self.ask(text, option)


def _listed(names: Iterable[str], most: int = 12) -> str:
    shown = list(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(f"'{name}'" for name in shown[:most]) + more


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d*[.,]?\d+(\.\d+)? ?%?", text.strip()) is not None


def as_numbers(column: pd.Series, decimal: str = ".") -> pd.Series:
    """A column of numbers written as text, percent signs taken off; NaN where there is none.

    >>> as_numbers(pd.Series(["0,5", "53 %", "high"]), ",").tolist()
    [0.5, 53.0, nan]
    """
    texts = column.astype(str).str.strip().str.rstrip("% ")
    if decimal == ",":
        texts = texts.str.replace(",", ".", regex=False)
    return pd.to_numeric(texts, errors="coerce")


NO_LABEL, NO_SCORE = "no label in the table", "no score in the table"
"""Why rows are left out."""


@dataclass(frozen=True)
class Tidied:
    """A table as it is audited.

    Attributes:
        frame: One row an image that has a label and a score.
        left_out: Reason to number of rows.
        reading: With what was found in the whole table.
        without_score: Rows that have a label and no score, the same columns.
    """

    frame: pd.DataFrame
    left_out: dict[str, int]
    reading: Reading
    without_score: pd.DataFrame


def tidied(frame: pd.DataFrame, reading: Reading) -> Tidied:
    """Apply a reading to the whole table: words for no value, percentages, scores that say how real.

    Args:
        frame: The columns that were read; words as categories.
        reading: As the first rows were understood.

    Returns:
        The rows that have a label and a score, and the number of those that have not.

    Raises:
        ScoreValueError: A score further down is none, or contradicts how the first ones were understood.
    """
    roles = reading.config.columns
    changed: dict[str, pd.Series] = {}
    seen: dict[str, list[str]] = {}
    guesses: list[Guess] = []
    for name in map(str, frame.columns):
        column, found, merged = tidied_column(frame[name], reading)
        if column is not frame[name]:
            changed[name] = column
        guesses += spelling_guesses(name, merged)
        for word, n in found.items():
            seen.setdefault(word, []).append(f"{name} {n:,}")
    frame = frame.assign(**changed) if changed else frame
    reading = missing_guess(seen, replace(reading, guesses=(*reading.guesses, *guesses)))
    if roles.label in frame.columns:
        reading = labels_guess(frame[roles.label], reading)
    frame, left_out, without_score = complete_rows(frame, roles.label, roles.score)
    return Tidied(frame, left_out, reading, without_score)


def id_columns(config: AuditConfig) -> set[str | None]:
    """The columns that name images, pairs and units."""
    return {config.columns.image_id, config.columns.pair_id, config.unit_column}


Merged = dict[str, tuple[str, int]]
"""A spelling to the one that it is read as, and how often it stood there."""


def tidied_column(column: pd.Series, reading: Reading) -> tuple[pd.Series, dict[str, int], Merged]:
    """A column as it is audited, how often each word for "no value" stood there, and what was merged.

    Raises:
        ScoreValueError: as `tidied`.
    """
    name = str(column.name)
    found: dict[str, int] = {}
    merged: Merged = {}
    if isinstance(column.dtype, pd.CategoricalDtype):
        column, found = _without_words(column, reading.missing.get(name, ("",)))
    elif name in id_columns(reading.config):
        column = known_ids(column, reading.missing.get(name, ("",)))
    if name in reading.groups and reading.config.read_as.get("case") != "keep":
        column, merged = one_spelling(column)
    return (_scores(column, reading) if name == reading.config.columns.score else column), found, merged


def one_spelling(column: pd.Series) -> tuple[pd.Series, Merged]:
    """A column of words in which names that differ only in capitals are one name, the most frequent of them.

    Args:
        column: Blanks around words do not count; numbers and mixed columns stay as they are.

    >>> column, merged = one_spelling(pd.Series(["White", "white", "White", "Black"]))
    >>> list(column), merged
    (['White', 'White', 'White', 'Black'], {'white': ('White', 1)})
    """
    if pd.api.types.is_numeric_dtype(column):
        return column, {}
    codes, values = coded(column)
    texts = [value.strip() if isinstance(value, str) else None for value in values]
    alike: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        if text:
            alike.setdefault(text.lower(), []).append(number)
    alike = {key: numbers for key, numbers in alike.items() if len({texts[one] for one in numbers}) > 1}
    if not alike:
        return column, {}
    counts = tallied(len(codes), len(values) + 1, lambda part: codes[part].astype(np.int64) + 1)[1:]
    place, merged = np.arange(len(values) + 1), Merged()
    place[-1] = -1
    for numbers in alike.values():
        n: dict[str, int] = {}
        for one in numbers:
            n[str(texts[one])] = n.get(str(texts[one]), 0) + int(counts[one])
        most = [one for one in numbers if n[str(texts[one])] == max(n.values())]
        kept = most[0] if len(most) == 1 else min(most, key=lambda one: int(np.argmax(codes == one)))
        place[numbers] = kept
        merged |= {text: (str(texts[kept]), n[text]) for text in n if text != texts[kept]}
    used = np.unique(place[:-1])
    names = pd.Index([texts[one] if texts[one] is not None else values[one] for one in used])
    return _spelled(column, codes, np.append(np.searchsorted(used, place[:-1]), -1), names), merged


def _spelled(
    column: pd.Series, codes: NDArray[np.integer], place: NDArray[np.integer], names: pd.Index
) -> pd.Series:
    """The column with other names, as categories; blanks may make two of one, which are then merged."""
    unique = pd.Index(dict.fromkeys(names))
    of_code = np.append(unique.get_indexer(names)[place[:-1]], -1)
    kind = np.int8 if len(unique) < 2**7 else np.int16 if len(unique) < 2**15 else np.int64
    words_left = pd.Categorical.from_codes(gathered(of_code.astype(kind), codes), unique)
    return pd.Series(words_left, column.index, name=column.name, copy=False)


def with_one_spelling(frame: pd.DataFrame, config: AuditConfig) -> tuple[pd.DataFrame, list[str]]:
    """A table in which groups whose names differ only in capitals are one, and a sentence on it, or none.

    Args:
        frame: One row an image.
        config: Options in the table's own spelling.
    """
    if config.read_as.get("case") == "keep":
        return frame, []
    guesses: list[Guess] = []
    changed: dict[str, pd.Series] = {}
    for name in word_groups(frame, config):
        column, merged = one_spelling(frame[name])
        if merged:
            changed[name] = column
            guesses += spelling_guesses(name, merged)
    said = Reading(config, (), guesses=tuple(guesses)).sentence()
    return (frame.assign(**changed) if changed else frame), [said] if said else []


def spelling_guesses(name: str, merged: Merged) -> list[Guess]:
    """What is said of a column in which spellings were merged."""
    if not merged:
        return []
    told = [
        f"'{text}' is read as '{kept}' ({n:,} row{'' if n == 1 else 's'})"
        for text, (kept, n) in sorted(merged.items())
    ]
    more = f" and {len(told) - MAX_MERGED} more" if len(told) > MAX_MERGED else ""
    return [Guess(f"groups of {name}", ", ".join(told[:MAX_MERGED]) + more, "--read case=keep")]


def missing_guess(seen: Mapping[str, Sequence[str]], reading: Reading) -> Reading:
    """The reading, with a guess on the words that were taken for "no value".

    Args:
        seen: Such a word to the columns where it stood and how often, as text.
        reading: As the first rows were understood.
    """
    told = words.with_told((), reading.config.read_as.get("missing"))
    text = ", ".join(f"'{word}' ({', '.join(where)})" for word, where in seen.items() if word not in told)
    if not text:
        return reading
    guess = Guess("missing", f"where it says {text}", "--read missing=")
    return replace(reading, guesses=(*reading.guesses, guess))


def labels_guess(column: pd.Series, reading: Reading) -> Reading:
    """The reading with what the labels of the whole table mean, said where several words mean one thing.

    Args:
        column: Labels, tidied.
        reading: As the first rows were understood.
    """
    config = reading.config
    categories = isinstance(column.dtype, pd.CategoricalDtype)
    values = coded(column)[1] if categories else column.unique()
    further = sorted({words.as_text(value) for value in values if not pd.isna(value)} - {*reading.labels})
    if not further or len(further) > MAX_LABELS:
        return reading
    try:
        labels = words.label_meanings(
            [*reading.labels, *further], config.columns.label, config.positive, config.read_as.get("real")
        )
    except LabelError:  # of a word further down; `score_table` refuses it
        return reading
    text = words.shared_meaning(labels)
    if text is None:
        return replace(reading, labels=labels)
    guess = Guess("labels", text, NEITHER)
    others = tuple(one for one in reading.guesses if one.name != "labels")
    return replace(reading, labels=labels, guesses=(*others, guess))


def _without_words(column: pd.Series, missing: Sequence[str]) -> tuple[pd.Series, dict[str, int]]:
    """A column of categories without those that mean "no value", and how often each of them stood there."""
    categories = column.cat.categories
    if not all(isinstance(one, str) for one in categories):
        return column, {}
    plain = [str(one).strip() for one in categories]
    gone = [text in missing for text in plain]
    if not any(gone) and plain == list(categories):
        return column, {}
    kept = list(dict.fromkeys(text for text, lost in zip(plain, gone, strict=True) if not lost))
    place = {text: number for number, text in enumerate(kept)}
    of_code = np.array([-1 if lost else place[text] for text, lost in zip(plain, gone, strict=True)] + [-1])
    codes = column.cat.codes.to_numpy()
    n = np.bincount(codes[codes >= 0], minlength=len(plain))
    found = {text: int(n[i]) for i, text in enumerate(plain) if gone[i] and text and n[i]}
    words_left = pd.Categorical.from_codes(of_code[codes].astype(np.int64), pd.Index(kept))
    return pd.Series(words_left, column.index, name=column.name), found


def _row(row: int, reading: Reading) -> str:
    """Where a row stands in the file, before any was left out."""
    return f"row {row + 1}{' below the header' if reading.separator else ''}"


def _refuse_endless(numbers: pd.Series, reading: Reading) -> None:
    """Refuse infinite scores while the rows are still those of the file."""
    values = numbers.to_numpy()
    if values.dtype.kind != "f":
        return
    rows = rows_where(len(values), lambda part: np.isinf(values[part]))
    if len(rows):
        raise ScoreValueError(
            f"{len(rows):,} of {len(values):,} scores in column '{numbers.name}' are not finite, the first "
            f"({values[rows[0]]}) in {_row(int(rows[0]), reading)}; score those images again or leave "
            "them out"
        )


def _scores(column: pd.Series, reading: Reading) -> pd.Series:
    """Scores as numbers, higher for fakes, percentages as shares."""
    if pd.api.types.is_numeric_dtype(column):
        numbers = column
    else:
        numbers = as_numbers(column, reading.decimal)
        blank = column.isna() | column.astype(str).str.strip().isin(
            [*reading.missing.get(str(column.name), ())]
        )
        bad = (numbers.isna() & ~blank).to_numpy()
        if bad.any():
            row = int(np.argmax(bad))
            raise ScoreValueError(
                f"column '{column.name}' is not numeric: {int(bad.sum())} of {len(bad)} values are no "
                f"numbers, the first ({column.iloc[row]!r}) in {_row(row, reading)}; correct them, or say "
                "--read missing=WORD"
            )
    _refuse_endless(numbers, reading)
    if reading.percent:
        outside = ((numbers < 0) | (numbers > 100)).to_numpy(dtype=bool, na_value=False)
        if outside.any():
            raise ScoreValueError(
                f"scores in column '{column.name}' were taken for percentages, but {int(outside.sum())} are "
                f"beyond 0-100, the first ({numbers.iloc[int(np.argmax(outside))]}) in "
                f"{_row(int(np.argmax(outside)), reading)}; say --read percent=no if they are none"
            )
        numbers = numbers / 100
    if not reading.higher_is_real:
        return numbers
    inside = bool(numbers.min() >= 0 and numbers.max() <= 1)
    return 1 - numbers if inside else -numbers


def complete_rows(
    frame: pd.DataFrame, label: str, score: str
) -> tuple[pd.DataFrame, dict[str, int], pd.DataFrame]:
    """The rows that have a label and a score, how many have none, and those that have a label alone.

    Args:
        frame: One row an image.
        label: Name of a column; one that it lacks leaves nothing out.
        score: Another.
    """
    left_out: dict[str, int] = {}
    keep, unscored = np.ones(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    for name, reason in ((label, NO_LABEL), (score, NO_SCORE)):
        if name in frame.columns:
            empty = frame[name].isna().to_numpy() & keep
            keep &= ~empty
            if empty.any():
                left_out[reason] = int(empty.sum())
            if name == score:
                unscored = empty
    without_score = frame[unscored].reset_index(drop=True)
    return (frame if keep.all() else frame[keep].reset_index(drop=True)), left_out, without_score
