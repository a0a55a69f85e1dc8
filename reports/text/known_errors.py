"""What a detector's audit says about errors like the one a single answer may be.

Enters: an `AuditResult`, an answer ("fake" or "real"). Leaves: one sentence on all people, one on groups.

Why a rate of errors and not a probability that the face is fake: that depends on how many of the faces
someone brings are fakes, which nobody knows. Why a group is named only where a verdict proves it: the
audit's own tests hold for that claim (familywise, over all its questions), and for no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audit.schema.result import AuditResult, Measures, RateName, Verdict
from audit.wording.numbers import count, of_thousand, of_thousand_interval, percent
from audit.wording.verdict_text import DISPARITY, find, findings, people
from reports.text.answer import headline, is_answerable
from reports.text.legible import legible

Answer = Literal["fake", "real"]
_KINDS: dict[Answer, tuple[RateName, str, str]] = {
    "fake": ("fpr", "real faces", "flags {} as fake"),
    "real": ("fnr", "fakes", "lets {} through as real"),
}
NO_AUDIT = "How often it errs is not known here: start with --run RUN_DIR to say what its audit found."


@dataclass(frozen=True)
class KnownErrors:
    """Two sentences about the error that an answer may be."""

    everyone: str
    """How often it happens among all images of the audit."""
    groups: str
    """Whom it is proven to happen to more often, or that nobody is."""


def known_errors(result: AuditResult, answer: Answer) -> KnownErrors:
    """What an audit says about wrong answers of this kind.

    Args:
        result: The audit of the detector that answered, at the threshold it answered with.
        answer: "fake", which is wrong of a real face; or "real", which is wrong of a fake.
    """
    result = legible(result)
    if not is_answerable(result):
        return KnownErrors(f"What its audit found: {headline(result)}", "")
    rate, whom, does = _KINDS[answer]
    overall = result.overall
    n = overall.n_real if rate == "fpr" else overall.n_fake
    if n == 0:
        return KnownErrors(f"Its audit had no {whom}, so it cannot say how often this answer is wrong.", "")
    told = does.format(_rate(overall, rate))
    everyone = (
        f"Of 1,000 {whom} like those of its audit, it {told} "
        f"({percent(result.config.confidence, 0)} interval; {count(n)} were tried)."
    )
    return KnownErrors(everyone, _groups(result, rate, whom, does))


def _rate(measures: Measures, rate: RateName) -> str:
    interval = measures.fpr_interval if rate == "fpr" else measures.fnr_interval
    return f"{of_thousand(getattr(measures, rate))} ({of_thousand_interval(interval)})"


def _groups(result: AuditResult, rate: RateName, whom: str, does: str) -> str:
    proven = [
        f.verdict
        for f in findings(result)
        if f.verdict.rate == rate and f.verdict.verdict == DISPARITY and f.verdict.worse_groups
    ]
    chosen = next((v for v in proven if ":" not in v.attribute), proven[0] if proven else None)
    if chosen is None:
        return (
            "Its audit proves no group to be worse off than another in this; that does not prove that all "
            "fare alike."
        )
    return _worst(result, chosen, rate, whom, does)


def _worst(result: AuditResult, verdict: Verdict, rate: RateName, whom: str, does: str) -> str:
    worse = verdict.worse_groups[0]
    high, low = (find(result, verdict.attribute, group) for group in (worse.group, worse.than))
    if high is None or low is None:
        return ""
    return (
        f"Proven to happen more often: of 1,000 {whom} {people(verdict.attribute, worse.group)} it "
        f"{does.format(_rate(high, rate))}, {people(verdict.attribute, worse.than)} {_rate(low, rate)}."
    )
