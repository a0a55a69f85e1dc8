"""The answer in plain words, generated from the verdicts and never stronger than they are.

Enters: an `AuditResult`. Leaves: a headline, one sentence a verdict, how sure we are, and what to do next.

Why the words are chosen by the verdict and not by the size of a gap: "insufficient evidence" must never
read as "fair", nor a large gap in thin data as "unfair". The estimates, their intervals and n are quoted in
every sentence, so that a reader can disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.result import OVERALL, AuditResult, GroupResult, Verdict
from reports.numbers import count, listing, p_value, percent, percent_interval, point_interval, points, times

DISPARITY, WITHIN, INSUFFICIENT = "disparity", "within tolerance", "insufficient evidence"
_ORDER = {DISPARITY: 0, INSUFFICIENT: 1, WITHIN: 2}
_LABELLED = {"race": "labelled {}", "gender": "labelled {}", "age": "labelled as aged {}"}
RATE_NAMES = {"fpr": "Real images flagged as fake", "fnr": "Fakes let through"}


@dataclass(frozen=True)
class Finding:
    """One verdict, put into words."""

    verdict: Verdict
    headline: str
    """'Disparity', 'Within tolerance', 'Cannot tell'."""
    short: str
    """A line for the table of verdicts."""
    claim: str
    """The statement alone: who, and how much."""
    evidence: str
    """What it rests on: rates, intervals, n."""

    @property
    def sentence(self) -> str:
        """Claim and evidence in one."""
        return f"{self.claim} {self.evidence}"


def title(attribute: str) -> str:
    """'age:gender:race' -> 'Age × gender × race'; an attribute of the user's own keeps its spelling."""
    words = " × ".join(attribute.split(":"))
    return words[:1].upper() + words[1:]


def people(attribute: str, group: str) -> str:
    """'race', 'Black' -> 'of people labelled Black'; 'tone', 'dark' -> 'with tone “dark”'."""
    names, values = attribute.split(":"), group.split(":")
    if len(names) != len(values):
        names, values = [attribute], [group]
    if all(name in _LABELLED for name in names):
        phrases = [_LABELLED[name].format(value) for name, value in zip(names, values, strict=True)]
        return "of people " + listing(phrases)
    return "with " + listing([f"{name} “{value}”" for name, value in zip(names, values, strict=True)])


def find(result: AuditResult, attribute: str, group: str | None) -> GroupResult | None:
    """The group's measures, if the record has them."""
    return next((g for g in result.groups if g.attribute == attribute and g.group == group), None)


def _images(rate: str) -> str:
    return "real images" if rate == "fpr" else "fakes"


def _happens(rate: str) -> str:
    return "flagged as fake" if rate == "fpr" else "let through as real"


def _quoted(group: GroupResult, rate: str) -> str:
    n = group.n_real if rate == "fpr" else group.n_fake
    return f"{percent(getattr(group, rate))} ({percent_interval(getattr(group, rate + '_interval'))}) of {count(n)}"


def _disparity(result: AuditResult, v: Verdict) -> tuple[str, str]:
    worst, best = find(result, v.attribute, v.worst_group), find(result, v.attribute, v.best_group)
    gap = f"a gap of {points(v.gap)} ({point_interval(v.gap_interval)})"
    if worst is None or best is None:
        return f"{_images(v.rate).capitalize()} are not {_happens(v.rate)} equally often:", f"{gap}."
    high, low = getattr(worst, v.rate), getattr(best, v.rate)
    often = f"{times(high / low)} as often as" if low > 0 and high / low >= 1.1 else "more often than"
    claim = (
        f"{_images(v.rate).capitalize()} {people(v.attribute, worst.group)} are {_happens(v.rate)} {often} those "
        f"{people(v.attribute, best.group)}:"
    )
    return claim, f"{_quoted(worst, v.rate)} against {_quoted(best, v.rate)}, {gap}."


def _observed(v: Verdict) -> str:
    groups = f", {v.worst_group} against {v.best_group}" if v.worst_group and v.best_group else ""
    return f"{points(v.gap)} ({point_interval(v.gap_interval)}{groups})"


def _within(result: AuditResult, v: Verdict) -> tuple[str, str]:
    claim = (
        f"{_images(v.rate).capitalize()} are {_happens(v.rate)} about equally often whatever the "
        f"{title(v.attribute).lower()}:"
    )
    tolerance = points(result.config.tolerance)
    return claim, f"any gap is below the tolerance of {tolerance}; the largest seen is {_observed(v)}."


def _insufficient(v: Verdict) -> tuple[str, str]:
    claim = (
        f"The data cannot tell whether {_images(v.rate)} are {_happens(v.rate)} equally often by "
        f"{title(v.attribute).lower()}."
    )
    if v.gap != v.gap:
        return claim, v.explanation
    seen = f"The largest gap seen is {_observed(v)}"
    if v.min_detectable_gap == v.min_detectable_gap:
        seen += f"; a true gap under {points(v.min_detectable_gap)} would usually go unnoticed"
    needed = f" About {count(v.images_needed)} images per group would settle it." if v.images_needed else ""
    return claim, f"{seen}.{needed}"


def _short(v: Verdict) -> str:
    if v.gap != v.gap:
        return "too few images"
    groups = f"{v.worst_group} vs {v.best_group}: " if v.worst_group and v.best_group else ""
    return f"{groups}gap {points(v.gap)} ({point_interval(v.gap_interval)})"


def finding(result: AuditResult, v: Verdict) -> Finding:
    """Say one verdict in words."""
    if v.verdict == DISPARITY:
        return Finding(v, "Disparity", _short(v), *_disparity(result, v))
    if v.verdict == WITHIN:
        return Finding(v, "Within tolerance", _short(v), *_within(result, v))
    return Finding(v, "Cannot tell", _short(v), *_insufficient(v))


def findings(result: AuditResult) -> list[Finding]:
    """All verdicts in words: disparities first, wrongful flags before missed fakes, larger gaps first."""
    ranked = sorted(
        result.verdicts,
        key=lambda v: (_ORDER[v.verdict], v.rate != "fpr", -v.gap if v.gap == v.gap else 0.0),
    )
    return [finding(result, v) for v in ranked]


def _named(result: AuditResult, word: str) -> str:
    """The attributes under one verdict; with the kind of error where the other kind got another verdict."""
    parts = []
    for attribute in dict.fromkeys(v.attribute for v in result.verdicts):
        verdicts = [v for v in result.verdicts if v.attribute == attribute]
        rates = [v.rate for v in verdicts if v.verdict == word]
        if rates:
            kind = "" if len(rates) == len(verdicts) else f" ({RATE_NAMES[rates[0]].lower()})"
            parts.append(title(attribute).lower() + kind)
    return listing(parts)


def headline(result: AuditResult) -> str:
    """The answer to "is it fair?" in a few words."""
    words = {v.verdict for v in result.verdicts}
    if DISPARITY in words:
        return f"No. Its errors fall unequally by {_named(result, DISPARITY)}."
    if not words:
        return "No verdict: no group was compared."
    if words == {WITHIN}:
        return f"Within tolerance, by {_named(result, WITHIN)}."
    if words == {INSUFFICIENT}:
        return "The data cannot tell."
    return f"Not settled. The data cannot tell by {_named(result, INSUFFICIENT)}."


def lead(result: AuditResult) -> list[tuple[str, str]]:
    """The paragraphs under the headline, as (claim, evidence): what is found, what is cleared, what is open."""
    words = {v.verdict for v in result.verdicts}
    if not words:
        return [("The record holds no groups to compare;", "only the overall error rates can be read.")]
    told = [(f.claim, f.evidence) for f in findings(result) if f.verdict.verdict == DISPARITY][:2]
    n_more = sum(v.verdict == DISPARITY for v in result.verdicts) - len(told)
    if n_more > 0:
        told.append((f"{count(n_more)} more", f"{'gap is' if n_more == 1 else 'gaps are'} listed in this section."))
    if words == {INSUFFICIENT}:
        told.append(("No unequal treatment is shown, and none is ruled out:", "there are too few images."))
        told += [(f.claim, f.evidence) for f in findings(result)][:1]
    elif INSUFFICIENT in words:
        told.append(("The data cannot tell", f"by {_named(result, INSUFFICIENT)}."))
    if WITHIN in words:
        limit = points(result.config.tolerance)
        told.append(("Within tolerance", f"by {_named(result, WITHIN)}: any gap is below {limit}."))
    return told


def sureness(result: AuditResult) -> list[str]:
    """How sure: level, multiplicity, and the thinnest well-filled group."""
    level = percent(result.config.confidence, 0)
    told = [f"Each gap's interval holds at {level} for all pairs of groups of its attribute together."]
    if result.n_tests > 1:
        told.append(f"Disparities are corrected for all {count(result.n_tests)} comparisons made (Holm).")
    tests = [v.adjusted_p_value for v in result.verdicts if v.verdict == DISPARITY]
    if tests:
        shown = p_value(max(tests))
        told.append(
            f"If all groups were treated alike, chance would produce such gaps with a probability "
            f"{shown if shown.startswith('<') else 'of ' + shown}."
        )
    one_way = [g for g in result.groups if g.attribute in result.config.attributes]
    n_small = sum(g.small for g in one_way)
    if n_small:
        told.append(
            f"{count(n_small)} of {count(len(one_way))} groups {'has' if n_small == 1 else 'have'} fewer than "
            f"{result.config.min_n} images: shown, and left out of the verdicts."
        )
    return told


def is_weak(result: AuditResult) -> bool:
    """Whether the detector hardly beats a coin; fairness says little then."""
    return result.overall.balanced_accuracy < 0.6 or result.overall.auc < 0.6


def rendered(result: AuditResult) -> bool:
    """Whether the faces were drawn by a program."""
    kinds = [result.provenance.data.get("source"), result.provenance.data.get("pairs")]
    sources = [k.get("source", k) for k in kinds if isinstance(k, dict)]
    return any(isinstance(s, dict) and s.get("kind") == "rendered" for s in sources)


def overall_sentence(result: AuditResult) -> str:
    """How good the detector is at all."""
    m = result.overall
    return (
        f"Overall it flags {percent(m.fpr)} ({percent_interval(m.fpr_interval)}) of {count(m.n_real)} real images "
        f"and lets through {percent(m.fnr)} ({percent_interval(m.fnr_interval)}) of {count(m.n_fake)} fakes."
    )


def group_label(attribute: str, group: str) -> str:
    """A group's name in tables and on axes."""
    return "All images" if attribute == OVERALL else group.replace(":", " · ")
