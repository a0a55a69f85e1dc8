"""What an audit records for gates: whether its question can be answered, and which rates keep to a limit.

Enters: numbers computed by `audit.judge`. Leaves: parts of `audit.json`.
"""

from __future__ import annotations

from typing import Literal

from audit.schema.nullable import Interval, Rate, Record

Reason = Literal["reversed", "guessing", "threshold", "one class"]
"""Scores or labels the wrong way round; not shown better than guessing; a threshold that does not fit; images
of one class alone, which cannot show it."""


class Baseline(Record):
    """A detector that looks at nothing, and what it gets right."""

    name: Literal["always real", "always fake", "random"]
    """Flags nothing; flags everything; flags at random, as often as the audited detector does."""
    fpr: Rate
    fnr: Rate
    balanced_accuracy: Rate
    auc: Rate


class NoSkill(Record):
    """The value of one disparity measure for each of the three detectors that look at nothing."""

    always_real: Rate
    always_fake: Rate
    random: Rate
    """Mean over draws on groups of these sizes: what chance alone shows."""


class Usefulness(Record):
    """Whether the detector is shown to be better than those that look at nothing."""

    answerable: bool
    """Whether verdicts on groups may be read as an answer. Where they may not, every gate fails."""
    reason: Reason | None = None
    sentence: str = ""
    """The reason in words; empty where the question is answerable."""
    balanced_accuracy_interval: Interval
    """From the intervals of FPR and FNR, units and weights included."""
    baselines: list[Baseline]


class RateLimit(Record):
    """One rate held to --max-fpr or --max-fnr: of all images, or of one group."""

    rate: Literal["fpr", "fnr"]
    attribute: str
    """"overall" for all images together."""
    group: str
    limit: float
    """The largest rate allowed."""
    value: Rate
    errors: int
    images: int
    upper: Rate
    """Upper limit of the true rate; all those of an audit hold together. NaN for fewer than min_n images."""
    holds: bool | None
    """Whether the upper limit is within what is allowed; None for a group of fewer than min_n images."""
