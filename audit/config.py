"""What an audit is asked to do: `AuditConfig`, checked as a whole before any number is computed.

Enters: the options of `audit run`. Leaves: a frozen, valid configuration, and the decision threshold rule in
the form `audit.metrics.operating_point` works with.

Why it is not the `Config` of `audit.schema.result`: that one records what *was* done (the attributes found,
the threshold a rule arrived at) and is part of a published format; this one holds requests.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal

from audit.errors import ConfigError
from audit.task import TASKS, TaskName

PREFERRED_ATTRIBUTES = ("age", "gender", "race")
"""Audited, in this order, where no attribute is named and these columns are present."""

CriterionName = Literal["difference", "ratio", "four-fifths"]
CRITERIA: tuple[CriterionName, ...] = ("difference", "ratio", "four-fifths")
"""What a verdict judges of two rates, see `audit.inference.criteria`."""

MAX_REPLICATES = 10_000_000
"""More replicates than this change no number a report shows, and take hours."""

RESERVED_ATTRIBUTES = ("overall", "source")
"""Names that mean something else in a result or a score table."""


READ_AS = {
    "separator": "between fields: , ; tab or |",
    "decimal": "before the fraction of a number: . or ,",
    "encoding": "of the text, such as utf-8, cp1252, utf-16",
    "percent": "yes: scores are percentages; no",
    "higher": "fake or real (of trials: same or different): what a higher score means",
    "real": "the label that means real; all others are fakes",
    "missing": "more words that mean no value, separated by commas; a comma first: these alone",
    "case": "keep: groups whose names differ only in capitals stay apart; merge",
}
"""What can be said about the way a score file is written."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that play a part, as the user's table has them."""

    label: str = "label"
    score: str = "score"
    image_id: str = "image_id"
    pair_id: str = "pair_id"


@dataclass(frozen=True)
class AuditConfig:
    """Options of an audit; every field has the default of the command line.

    Attributes:
        attributes: Columns to audit, in order, or the one to audit; empty means "find them" (see
            `audit.data.columns`).
        threshold: A number, or a rule: "eer", "youden", "fpr=0.01", "fnr=0.05", "fpr<=0.01@95%".
            Fake if score >= threshold.
        calibration_share: Share of the pairs (in 0-1) on which a rule fixes the threshold. They are left out
            of the audit.
        confidence: 1 - alpha of every interval and verdict, in 0.5-1.
        tolerance: Largest acceptable gap between two rates, a difference of proportions in 0-1.
        ratio_tolerance: The same for a ratio of rates: (low <= 1, high >= 1).
        criterion: What verdicts judge: "difference" of two rates against `tolerance`, their "ratio" against
            `ratio_tolerance`, or "four-fifths": the ratio of the shares of reals that pass against 0.8.
        min_n: Groups with fewer images of the class concerned never drive a verdict.
        n_boot: Replicates of every permutation test and bootstrap, at least; an audit of many comparisons
            draws more where so few could not reject anything (`audit.inference.equality_test`).
        seed: Seed of everything random.
        columns: Column names of the table.
        positive: Label that means fake; None expects 0/1 (or "real"/"fake").
        bins: Attribute to inner edges that cut a numeric column into groups.
        controls: Columns at equal value of which every gap is computed again, see
            `audit.judge.adjusted_gaps`.
        unit_column: Column that names what several images share (a person, a video): all images count, and
            intervals and tests take the units, not the images, for independent.
        independent: Take images for independent although a column says that several show one person.
        weight_column: Column of population weights, >= 0: rates are weighted by them.
        references: Attribute to the group that every other group of it is compared with.
        max_fpr: Largest FPR allowed, of all images and of every group of a single attribute, in 0-1; None
            for no limit. Judged by upper limits that hold together (`audit.judge.rate_limits`).
        max_fnr: The same for the FNR.
        read_as: How a score file is written, where it is not guessed rightly: keys of `READ_AS`.
        task: What is audited (`audit.task`): names classes and errors, and how a table is read.
    """

    attributes: Sequence[str] = ()
    threshold: float | str = 0.5
    calibration_share: float = 0.3
    confidence: float = 0.95
    tolerance: float = 0.02
    ratio_tolerance: tuple[float, float] = (0.8, 1.25)
    criterion: CriterionName = "difference"
    min_n: int = 30
    n_boot: int = 10_000
    seed: int = 0
    columns: Columns = field(default_factory=Columns)
    positive: str | None = None
    bins: Mapping[str, Sequence[float]] = field(default_factory=lambda: MappingProxyType({}))
    controls: Sequence[str] = ()
    unit_column: str | None = None
    independent: bool = False
    weight_column: str | None = None
    references: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    max_fpr: float | None = None
    max_fnr: float | None = None
    read_as: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    task: TaskName = "fake-face"

    def __post_init__(self) -> None:
        for name in ("attributes", "controls"):
            object.__setattr__(self, name, _listed(getattr(self, name)))
        for name in ("bins", "references", "read_as"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, MappingProxyType({}))
        for name, spelling in (("bins", _edges), ("references", _spelled)):
            given = getattr(self, name)
            if isinstance(given, Mapping) and given:
                object.__setattr__(self, name, {column: spelling(one) for column, one in given.items()})
        for name in ("min_n", "n_boot", "seed"):
            given = getattr(self, name)
            if isinstance(given, float) and given.is_integer():
                object.__setattr__(self, name, int(given))

    @property
    def alpha(self) -> float:
        """1 - confidence."""
        return 1.0 - self.confidence

    def check(self) -> AuditConfig:
        """Return self if every option is possible.

        Raises:
            ConfigError: Naming every faulty option at once.
        """
        faults = [message for ok, message in _kinds(self) if not ok]
        faults = faults or [message for ok, message in _rules(self) if not ok]
        if faults:
            raise ConfigError("; ".join(faults))
        return self


def _listed(given: Any) -> tuple[Any, ...]:
    """Names given one by one, in a list, or not at all."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else (given,)


def _edges(given: Any) -> Any:
    """Bin edges as a tuple, however they come; what is none stays, to be named."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else given


def _spelled(given: Any) -> Any:
    """A group given as a number, as groups are called: 2000.0 is "2000"."""
    if not isinstance(given, Real):
        return given
    return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)


def _kinds(config: AuditConfig) -> list[tuple[bool, str]]:
    """Whether every option is of the kind that its rule speaks of; a notebook gives anything."""
    found: list[tuple[bool, str]] = []

    def ask(names: Sequence[str], fits: Callable[[Any], bool], example: str, none: bool = False) -> None:
        for name in names:
            given = getattr(config, name)
            ok = fits(given) or (none and given is None)
            found.append((ok, f"{name} is {given!r}; it must be {example}"))

    ask(["calibration_share", "confidence", "tolerance"], _is_number, "a number, such as 0.02")
    ask(["max_fpr", "max_fnr"], _is_number, "a number, such as 0.05, or None", none=True)
    ask(["min_n", "n_boot", "seed"], lambda one: isinstance(one, Integral), "a whole number")
    ask(["independent"], lambda one: isinstance(one, bool), "True or False")
    ask(["unit_column", "weight_column"], _is_text, "the name of a column, or None", none=True)
    ask(["ratio_tolerance"], _are_two, "two numbers, such as (0.8, 1.25)")
    ask(["attributes", "controls"], lambda one: all(map(_is_text, one)), "names of columns")
    ask(["bins"], _are_edges, "edges by column, such as {'age': [18, 40, 65]}")
    ask(["references"], _are_texts, "a group by column, such as {'race': 'White'}")
    ask(["read_as"], _are_texts, "words by what they say, such as {'separator': ';'}")
    for name, column in vars(config.columns).items():
        found.append((_is_text(column), f"{name}_column is {column!r}; it must be the name of a column"))
    return found


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)


def _is_text(given: Any) -> bool:
    return isinstance(given, str)


def _are_two(given: Any) -> bool:
    return isinstance(given, Sequence) and len(given) == 2 and all(map(_is_number, given))


def _are_edges(given: Any) -> bool:
    return isinstance(given, Mapping) and all(
        isinstance(edges, Iterable) and not isinstance(edges, str) and all(map(_is_number, edges))
        for edges in given.values()
    )


def _are_texts(given: Any) -> bool:
    return isinstance(given, Mapping) and all(map(_is_text, given.values()))


def _rules(config: AuditConfig) -> list[tuple[bool, str]]:
    low, high = config.ratio_tolerance
    names = list(config.attributes)
    return [
        (0.5 <= config.confidence < 1, f"confidence {config.confidence} is not in 0.5-1 (1 left out)"),
        (
            0 < config.tolerance < 1,
            f"tolerance {config.tolerance:g} is not between 0 and 1: it is a difference of two rates, and 2 "
            "points are 0.02",
        ),
        (
            0 < low <= 1 <= high < math.inf,
            f"ratio tolerance {low}-{high} does not run from at most 1 to at least 1",
        ),
        (
            config.criterion in CRITERIA,
            f"criterion '{config.criterion}' is none of {', '.join(CRITERIA)}",
        ),
        (
            config.criterion != "ratio" or low < 1 < high,
            f"criterion ratio needs a ratio tolerance that allows for some inequality, not {low}-{high}",
        ),
        (
            config.criterion == "difference" or not config.references,
            f"--reference judges differences, not criterion {config.criterion}; leave one of them out",
        ),
        (config.min_n >= 1, f"min_n {config.min_n} is not at least 1"),
        (
            100 <= config.n_boot <= MAX_REPLICATES,
            f"n_boot {config.n_boot} is not in 100-{MAX_REPLICATES:,}",
        ),
        (config.seed >= 0, f"seed {config.seed} is negative"),
        (
            0 < config.calibration_share < 1,
            f"calibration share {config.calibration_share} is not between 0 and 1",
        ),
        (
            not (config.independent and config.unit_column),
            f"--independent and --unit-column {config.unit_column} contradict each other",
        ),
        *_task_rules(config),
        _threshold_rule(config.threshold),
        *[
            (limit is None or 0 < limit < 1, f"{name} {limit} is not between 0 and 1")
            for name, limit in (("max_fpr", config.max_fpr), ("max_fnr", config.max_fnr))
        ],
        (len(set(names)) == len(names), f"an attribute is named twice in {', '.join(names)}"),
        (
            len(set(config.controls)) == len(config.controls),
            f"a column to hold constant is named twice in {', '.join(config.controls)}",
        ),
        *[_attribute_rule(name) for name in names],
        *[_reading_rule(key, value) for key, value in config.read_as.items()],
        *[_bins_rule(name, edges) for name, edges in config.bins.items()],
    ]


def _task_rules(config: AuditConfig) -> list[tuple[bool, str]]:
    """The task is known, and what is asked makes sense for it."""
    task = TASKS.get(config.task)
    if task is None:
        return [(False, f"no task is called '{config.task}'; there are {', '.join(TASKS)}")]
    return [
        *[
            (config.criterion != name, f"criterion {name} makes no sense for {task.name}: {why}")
            for name, why in task.without_criteria
        ],
        *[
            (not (task.of_trials and given), f"{option} makes no sense for {task.name}: {why}")
            for option, given, why in (
                ("--unit-column", config.unit_column not in (None, "speaker"), "its units are the speakers"),
                ("--independent", config.independent, "a speaker is in many trials"),
                (
                    "--control",
                    bool(config.controls),
                    "an impostor trial has two speakers, which no adjustment for a column allows for yet",
                ),
            )
        ],
        (
            config.read_as.get("higher")
            in ({None, "same", "different"} if task.of_trials else {None, "fake", "real"}),
            f"--read higher={config.read_as.get('higher')} makes no sense for {task.name}",
        ),
    ]


def _threshold_rule(threshold: float | str) -> tuple[bool, str]:
    try:
        parse_rule(threshold)
    except ConfigError as error:
        return False, str(error)
    return True, ""


def _attribute_rule(name: str) -> tuple[bool, str]:
    ok = bool(name) and ":" not in name and name not in RESERVED_ATTRIBUTES
    return ok, f"'{name}' cannot be an attribute name (empty, reserved, or with ':'); rename the column"


def _reading_rule(key: str, value: str) -> tuple[bool, str]:
    """One setting of `read_as`."""
    if key not in READ_AS:
        return False, f"no way of reading is called '{key}'; there are {', '.join(READ_AS)}"
    allowed = {
        "decimal": (".", ","),
        "percent": ("yes", "no"),
        "case": ("keep", "merge"),
        "higher": ("fake", "real", "same", "different"),
    }.get(key)
    if key == "encoding":
        return _known_encoding(value), f"no encoding is called '{value}'; utf-8, cp1252 and utf-16 are usual"
    if key == "separator":
        ok = (len(value) == 1 and value not in '"\r\n') or value in ("tab", "comma", "semicolon", "pipe")
        return ok, f"separator '{value}' is none of , ; tab | or another single mark"
    ok = isinstance(value, str) and (allowed is None or value in allowed)
    return ok, f"{key} is '{value}'; it must be {' or '.join(allowed or ('text',))}"


def _known_encoding(name: str) -> bool:
    """Whether Python decodes text under that name."""
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


def _bins_rule(name: str, edges: Sequence[float]) -> tuple[bool, str]:
    increasing = all(low < high for low, high in zip(edges, list(edges)[1:], strict=False))
    ok = len(edges) > 0 and increasing and all(math.isfinite(edge) for edge in edges)
    return ok, f"bin edges of '{name}' must be finite and increasing, got {list(edges)}"


RULES = ("eer", "youden", "fpr", "fnr")


@dataclass(frozen=True)
class ThresholdRule:
    """How the decision threshold is found.

    Attributes:
        kind: "fixed", or one of RULES.
        value: The threshold itself for "fixed"; the error level in 0-1 for "fpr" and "fnr".
        confidence: For "fpr" and "fnr", the chance with which the true rate shall keep the level, in 0-1;
        None
            where only the images that fix the threshold must keep it.
    """

    kind: str
    value: float = 0.0
    confidence: float | None = None

    def __str__(self) -> str:
        if self.confidence is not None:
            return f"{self.kind}<={self.value:g}@{100 * self.confidence:g}%"
        return f"{self.kind}={self.value:g}" if self.kind in {"fpr", "fnr"} else self.kind


def parse_rule(text: float | str) -> ThresholdRule:
    """Read what `--threshold` accepts; "fmr" and "fnmr" of a verifier are "fpr" and "fnr".

    Raises:
        ConfigError: If it is neither a finite number nor a rule.

    >>> str(parse_rule("fpr=0.01")), str(parse_rule("fpr<=0.01@95%"))
    ('fpr=0.01', 'fpr<=0.01@95%')
    """
    words = str(text).strip().lower().replace(" ", "")
    words = words.replace("fnmr", "fnr").replace("fmr", "fpr")  # as other tasks call the same two rates
    promise = re.fullmatch(r"(fpr|fnr)<=([^@]+)@([^%]+)%", words)
    name, _, level = words.partition("=")
    try:
        if promise and 0 < float(promise[2]) < 1 and 50 <= float(promise[3]) < 100:
            return ThresholdRule(promise[1], float(promise[2]), float(promise[3]) / 100)
        if name in {"fpr", "fnr"} and 0 < float(level) < 1:
            return ThresholdRule(name, float(level))
        if name in {"eer", "youden"} and not level:
            return ThresholdRule(name)
        if not level and math.isfinite(float(name)):
            return ThresholdRule("fixed", float(name))
    except ValueError:
        pass
    raise ConfigError(
        f"threshold '{text}' is neither a number nor one of eer, youden, fpr=0.01, fnr=0.05, fpr<=0.01@95%"
    )
