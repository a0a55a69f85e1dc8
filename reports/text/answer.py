"""The first screen in words: the headline, what stands under it, and how sure we are.

Enters: an `AuditResult`. Leaves: sentences put together from its findings.

Why single attributes are named before their intersections: they hold more images, and an intersection of
an unequal attribute is nearly always unequal too. Where only an intersection is unequal, it is the headline.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from audit.data.columns import NOT_AUDITED
from audit.data.table_reading import HOW_READ
from audit.judge.kinds_agreement import IT_IS_OPEN, OF_EVERY_KIND
from audit.judge.sanity_checks import fault_in, sentences
from audit.judge.usefulness import unanswered, usefulness_in
from audit.runs.kinds_of_fake import KINDS_HELD
from audit.schema.gates import Reason
from audit.schema.result import UNCOMPARED, AuditResult, Verdict
from audit.task import Task
from audit.wording.criterion_text import (
    by_four_fifths,
    headline_of,
    in_ratios,
    may_be_within,
    nothing_exceeds,
)
from audit.wording.numbers import count, listing, p_value, percent, percent_interval, points
from audit.wording.verdict_text import (
    DISPARITY,
    INSUFFICIENT,
    NOT_TWO,
    RATES,
    UNEQUAL,
    WITHIN,
    Finding,
    beyond_proven,
    by,
    far_in_proportion,
    findings,
    is_alone,
    or_few_units,
    standing,
    too_few,
)
from reports.text.participation import takes_part


def not_answerable(reason: Reason, task: Task) -> str:
    """The headline of a record whose verdicts must not be read as an answer."""
    told: dict[Reason, str] = {
        "reversed": "scores or labels look reversed",
        "guessing": f"the {task.system} is not shown to be better than guessing",
        "threshold": "the threshold does not fit these scores",
        "one class": f"{task.items} of one class alone do not show that the {task.system} works",
    }
    return f"Not answerable: {told[reason]}."


def _named(result: AuditResult, *words: str) -> str:
    """The attributes of some standing; with the kind of error where the other kind stands differently.

    Intersections are named only where no single attribute is.
    """
    return listed(result, [v for v in result.verdicts if standing(result, v) in words])


def listed(result: AuditResult, chosen: list[Verdict]) -> str:
    """The attributes of these verdicts; with the kind of error where the other kind is not among them."""
    chosen = [v for v in chosen if ":" not in v.attribute] or chosen
    names: dict[str, list[str]] = {}
    for attribute in dict.fromkeys(v.attribute for v in chosen):
        rates = [v.rate for v in chosen if v.attribute == attribute]
        whole = len(rates) == sum(v.attribute == attribute for v in result.verdicts)
        kind = "" if whole else f" ({result.task.rate_name(rates[0]).lower()})"
        names.setdefault(kind, []).append(by(attribute).removeprefix("by "))
    told = [listing(names[kind]) + kind for kind in sorted(names)]  # those of both kinds first
    return listing([told[0], *(f"by {one}" for one in told[1:])] if told else [])


def _differ(result: AuditResult, chosen: list[Verdict]) -> str:
    """'It flags real images at different rates by race, and lets fakes through at different rates by age'."""
    chosen = [v for v in chosen if ":" not in v.attribute] or chosen
    names: dict[str, list[str]] = {}
    for attribute in dict.fromkeys(v.attribute for v in chosen):
        rates = [v.rate for v in chosen if v.attribute == attribute]
        whole = len(rates) == sum(v.attribute == attribute for v in result.verdicts)
        names.setdefault("" if whole else rates[0], []).append(by(attribute).removeprefix("by "))
    task = result.task
    clauses = {"": "its error rates differ by {}", "fpr": task.fpr_differs, "fnr": task.fnr_differs}
    told = [clause.format(listing(names[kind])) for kind, clause in clauses.items() if kind in names]
    first, *others = told
    if first.startswith("it "):
        others = [clause.removeprefix("it ") for clause in others]
    return ", and ".join([first[:1].upper() + first[1:], *others])


def _unequal(result: AuditResult) -> str:
    """The headline of disparities: no stronger than what is proven of their size."""
    task = result.task
    disparities = [v for v in result.verdicts if v.verdict == DISPARITY]
    disparities = [v for v in disparities if ":" not in v.attribute] or disparities
    proven = {v.attribute for v in disparities if beyond_proven(result, v)}
    open_ = [v for v in disparities if v.attribute not in proven]
    if by_four_fifths(result):
        where = listed(result, disparities)
        return (
            f"No. {task.negatives.capitalize()} pass less than four fifths as often in some group by {where}."
        )
    if not proven:
        return f"{_differ(result, open_)}; {may_be_within(result)}."
    told = f"No. {_differ(result, [v for v in disparities if v not in open_])}."
    return f"{told} {_differ(result, open_)} too, but there {may_be_within(result)}." if open_ else told


def headline(result: AuditResult) -> str:
    """The answer to "is it fair?" in a few words."""
    reason = unanswered(result)
    if reason is not None:
        return not_answerable(reason, result.task)
    found = {standing(result, v) for v in result.verdicts}
    if DISPARITY in found:
        return _unequal(result)
    if not found:
        return "No verdict: no group was compared."
    if UNEQUAL in found:
        unequal = [v for v in result.verdicts if standing(result, v) == UNEQUAL]
        return f"{_differ(result, unequal)}; {may_be_within(result)}."
    if found == {WITHIN}:
        return f"{headline_of(result, WITHIN)} by {_named(result, WITHIN)}{_apart(result)}."
    unknown = [v for v in result.verdicts if standing(result, v) == INSUFFICIENT]
    thin = [v for v in unknown if not is_alone(v)]
    why = too_few(result) if thin else NOT_TWO
    open_ = f"inconclusive by {listed(result, thin or unknown)}: {why}."
    if WITHIN not in found:
        return open_[:1].upper() + open_[1:]
    return f"{headline_of(result, WITHIN)} by {_named(result, WITHIN)}; {open_}"


def _apart(result: AuditResult) -> str:
    """The end of a headline within tolerance where some rates are far apart in proportion."""
    far = [v.attribute for v in result.verdicts if far_in_proportion(result, v)]
    far = list(dict.fromkeys([a for a in far if ":" not in a] or far))
    if not far:
        return ""
    judged = {v.attribute for v in result.verdicts}
    where = f" {listing([by(a) for a in far])}" if set(far) != judged else ""
    return f", but in proportion the rates lie far apart{where}"


def _proven(result: AuditResult) -> list[tuple[str, str]]:
    """The two gravest findings, on single attributes where there are any, and how many more there are."""
    told = findings(result)
    disparities = [f for f in told if f.verdict.verdict == DISPARITY]
    unequal = [f for f in told if standing(result, f.verdict) == UNEQUAL]
    ranked = [*disparities, *unequal]
    named = ([f for f in ranked if ":" not in f.verdict.attribute] or ranked)[:2]
    rest = [f for f in disparities if f not in named]
    lines = [(f.claim, f.evidence) for f in named]
    if rest:
        noun = "disparity" if len(rest) == 1 else "disparities"
        where = " in intersections" if all(":" in f.verdict.attribute for f in rest) else ""
        of_one = any(":" not in f.verdict.attribute for f in rest)
        of_several = " and Intersections" if any(":" in f.verdict.attribute for f in rest) else ""
        place = f"the table of verdicts{of_several}" if of_one else "Intersections"
        lines.append((f"{count(len(rest))} more {noun}{where}:", f"see {place}."))
    return lines


def lead(result: AuditResult) -> list[tuple[str, str]]:
    """The paragraphs under the headline, each a claim and its evidence: what is proven, and what is small.

    What is open is named only where nothing is proven; the table of verdicts beside it has the rest.
    """
    if not is_answerable(result):
        return [
            (
                "No group is named here:",
                "the numbers below follow your settings, and say nothing about groups yet.",
            )
        ]
    found = {standing(result, v) for v in result.verdicts}
    if not found:
        return [("There are no groups to compare:", "only the overall error rates can be read.")]
    told = _proven(result)
    if found == {INSUFFICIENT}:
        where = "In the error rates, unequal" if any(one.more for one in result.no_scores) else "Unequal"
        told.append((f"{where} treatment is neither proven nor ruled out.", ""))
        told += [(f.claim, f.evidence) for f in findings(result)][:1]
    if WITHIN in found:
        kept = f"by {_named(result, WITHIN)}: {nothing_exceeds(result)}."
        told.append((headline_of(result, WITHIN), kept))
        told += [line for f in findings(result) for line in _in_proportion(result, f)]
    return told + _vacuous(result)


def _in_proportion(result: AuditResult, f: Finding) -> list[tuple[str, str]]:
    """What a small gap between the groups of a single attribute hides: rates far apart in proportion."""
    v = f.verdict
    if v.verdict != WITHIN or ":" in v.attribute:
        return []
    return [(f.claim, f.evidence)] if far_in_proportion(result, v) else []


def _vacuous(result: AuditResult) -> list[tuple[str, str]]:
    """A warning of errors that are rarer than the tolerance, where nothing stood out in points."""
    rare: list[str] = []
    if in_ratios(result):
        return []
    for rate in RATES:
        overall = getattr(result.overall, rate)
        verdicts = [v for v in result.verdicts if v.rate == rate]
        rarely = 0 < overall < result.config.tolerance  # without any error there are no proportions either
        if verdicts and rarely and all(v.verdict != DISPARITY for v in verdicts):
            rare.append(f"{result.task.rate_name(rate).lower()} are {percent(overall)} of all")
    if not rare:
        return []
    told = f"{listing(rare)}, less than the tolerance of {points(result.config.tolerance)}."
    so = "A group can fare many times worse and still be within it, so look at the proportions too."
    return [("Points say little here:", f"{told[:1].upper()}{told[1:]} {so}")]


def sureness(result: AuditResult) -> list[str]:
    """How sure: level, multiplicity, and the thinnest well-filled group."""
    level = percent(result.config.confidence, 0)
    told = [f"Intervals of gaps are {level} intervals for all pairs of groups of an attribute at once."]
    if any(v.differences for v in result.verdicts):
        told = [
            f"Intervals of gaps ({level}) allow for all pairs of groups and for all comparisons of the audit."
        ]
    if result.n_tests > 1:
        every = "both" if result.n_tests == 2 else f"all {count(result.n_tests)}"
        told.append(f"p-values are corrected for {every} comparisons made (Holm’s method).")
        told += _within_together(result)
    tests = [_p_of_pair(v) for v in result.verdicts if v.verdict == DISPARITY]
    if tests and is_answerable(result):
        shown = p_value(max(tests))
        told.append(
            "If all groups were treated alike, a gap as clear as the disparity named would have a chance of "
            f"{shown.replace('<', 'less than') if shown.startswith('<') else 'at most ' + shown}."
        )
    return told + _left_out(result)


def _within_together(result: AuditResult) -> list[str]:
    """How many attributes are said to be within tolerance, and how sure all of that is together."""
    said = [v for v in result.verdicts if v.verdict == WITHIN]
    if not said or not is_answerable(result):
        return []
    level = percent(result.config.confidence, 0)
    word = headline_of(result, WITHIN)
    times = "once" if len(said) == 1 else f"{count(len(said))} times"
    if any(math.isnan(v.gap_corrected) for v in said):  # a record from before 1.2
        return [f"“{word}” is said {times} here, each at {level} on its own."]
    return [f"“{word}” is said {times} here; that no such statement is wrong holds at {level}."]


def _p_of_pair(v: Verdict) -> float:
    """Of the two groups that are named; of the attribute in records before 1.2."""
    return v.adjusted_p_value if math.isnan(v.pair_p_value) else v.pair_p_value


def _left_out(result: AuditResult) -> list[str]:
    """Groups of single attributes too small for a verdict, for each kind of error on its own."""
    task = result.task
    one_way = [g for g in result.groups if g.attribute in result.config.attributes]
    labelled = [g for g in one_way if g.group not in UNCOMPARED]
    few = {
        kind: [g.group for g in labelled if not takes_part(g, rate, result.config.min_n)]
        for rate, kind in (("fpr", task.negatives), ("fnr", task.positives))
    }
    if few[task.negatives] == few[task.positives]:
        few = {f"{task.items} of each kind": few[task.positives]}
    return [_few(result, names, len(labelled), kind) for kind, names in few.items() if names]


def _few(result: AuditResult, names: list[str], n_groups: int, kind: str) -> str:
    task = result.task
    which, have, they = f"{count(len(names))} of {count(n_groups)} groups", "have", "they are"
    dropped = any(g.few_units for g in result.groups if g.group in names)
    or_units = or_few_units(result.config) if dropped else ""
    if len(names) == 1:
        which, have, they = f"One of {count(n_groups)} groups", "has", "it is"
        if n_groups == 1:
            which = "The one group"
    on = "" if kind == f"{task.items} of each kind" else f" on {kind}"
    return (
        f"{which} {have} fewer than {result.config.min_n} {kind}{or_units}; {they} shown but not judged{on}."
    )


def is_weak(result: AuditResult) -> bool:
    """Whether the detector is barely better than a coin toss; fairness says little then."""
    return fault_in(result) == "weak"


def is_answerable(result: AuditResult) -> bool:
    """Whether verdicts may be read as an answer."""
    return unanswered(result) is None


def notes(result: AuditResult) -> list[str]:
    """What is important: a fault of scores or threshold before everything else, older records included."""
    c, useful = result.config, usefulness_in(result)
    faults = [useful.sentence, *sentences(result.overall, c.threshold, c.threshold_rule, result.task)]
    return list(dict.fromkeys([*filter(None, faults), *result.notes]))


def is_aside(note: str) -> bool:
    """Whether a note only tells how the table was taken: said quietly, since nothing need be wrong."""
    return note.startswith((HOW_READ, NOT_AUDITED))


EMBEDDED = "Fakes come from the small embedded generator"
"""How the note on the default generator begins."""


def is_limit(note: str) -> bool:
    """Whether a note bounds what the fakes can show: it stands among the limits, not above the answer."""
    return any(words in note for words in (IT_IS_OPEN, OF_EVERY_KIND, KINDS_HELD, EMBEDDED))


def rendered(result: AuditResult) -> bool:
    """Whether the faces were drawn by a program."""
    kinds = [result.provenance.data.get("source"), result.provenance.data.get("pairs")]
    sources = [k.get("source", k) for k in kinds if isinstance(k, dict)]
    return any(isinstance(s, dict) and s.get("kind") == "rendered" for s in sources)


def overall_sentence(result: AuditResult) -> str:
    """How good the detector is at all."""
    task = result.task
    m = result.overall
    reals, fakes = task.negatives_of(m.n_real), task.positives_of(m.n_fake)
    flagged = f"{percent(m.fpr)} ({percent_interval(m.fpr_interval)}) of {count(m.n_real)} {reals}"
    missed = f"{percent(m.fnr)} ({percent_interval(m.fnr_interval)}) of {count(m.n_fake)} {fakes}"
    if m.n_fake == 0:
        return f"Overall it {task.flags} {flagged}; there are no {task.positives}."
    if m.n_real == 0:
        return f"Overall it {task.misses} {missed}; there are no {task.negatives}."
    return f"Overall it {task.flags} {flagged} and {task.misses} {missed}."


def baseline_sentence(result: AuditResult) -> str:
    """What it is worth beside detectors that look at nothing; nothing where a class is lacking."""
    accuracy = result.overall.balanced_accuracy
    if math.isnan(accuracy):
        return ""
    shown = percent_interval(usefulness_in(result).balanced_accuracy_interval)
    return (
        f"Its balanced accuracy is {percent(accuracy)} ({shown}); guessing, or always giving one answer, "
        f"would give {percent(0.5, 0)}."
    )


def crossed_line(result: AuditResult) -> list[tuple[str, str]]:
    """Verdicts on the intersections, as (verdict, by what): one line where a table would push the rest
    away.
    """
    lines = []
    for word in (DISPARITY, INSUFFICIENT, WITHIN):
        names = _crossed_names(result, word)
        if names:
            lines.append((headline_of(result, word), listing(names)))
    return lines


def _crossed_names(result: AuditResult, word: str) -> list[str]:
    """Intersections with this verdict; with the kind of image where the other kind has another verdict."""
    crossed = [v for v in result.verdicts if ":" in v.attribute]
    names = []
    for attribute in dict.fromkeys(v.attribute for v in crossed):
        rates = [v.rate for v in crossed if v.attribute == attribute and v.verdict == word]
        both = len(rates) == sum(v.attribute == attribute for v in crossed)
        kind = "" if both or not rates else f" ({result.task.of_rate(rates[0])})"
        names += [by(attribute) + kind] if rates else []
    return names


def audited_on(run: dict[str, Any]) -> str:
    """The day of the run, as '1 March 2026'; nothing where `run.json` does not say."""
    try:
        day = datetime.fromisoformat(str(run.get("started", "")))
    except ValueError:
        return ""
    return f"{day.day} {day:%B %Y}"
