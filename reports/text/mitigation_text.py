"""What would help, in words; never stronger than the trial on unseen images.

Enters: a `MitigationResult`. Leaves: a headline, one sentence for a cure with its cost, reasons, levelling
down, the note on law.

Why "is proven to shrink" is said of the change alone: the gap after the cure has an interval of its own, and
that may reach beyond the tolerance still.
"""

from __future__ import annotations

from audit.schema.mitigation import GapShift, GroupShift, MitigationResult, Trial
from audit.wording.numbers import count, listing, percent, point_interval, points, threshold_text
from audit.wording.verdict_text import by, group_label

RATES = {"fpr": "real images flagged", "fnr": "fakes let through"}
METHODS = {
    "threshold": "least gaps and errors",
    "calibration": "calibrated score of one half",
    "worst group": "best for the worst-off group",
    "group-aware thresholds": "a threshold for each group",
}
LAW = (
    "Deciding by a person's group is another matter than measuring by it. The EU AI Act (article 10(5)) "
    "allows special categories of personal data to be used, under conditions, to find and correct bias; "
    "treating people differently because of their group is what anti-discrimination law calls direct "
    "discrimination or disparate treatment. Every cure recommended here decides without knowing the group. "
    "This is no legal advice."
)


def headline(record: MitigationResult) -> str:
    """The answer in one sentence."""
    if record.outcome == "accepted":
        return "Another threshold narrows the gap, and accuracy holds."
    if record.outcome == "levelling down":
        return "Another threshold narrows the gap by levelling down: nobody is shown to gain."
    if record.outcome == "nothing to cure":
        return "Nothing was tried: the images for fitting show no gap to cure."
    return "No cure was found that can be recommended."


def sentence(record: MitigationResult) -> str:
    """The best cure with its cost, or why there is none; one sentence or two."""
    if record.outcome == "nothing to cure":
        compared = (
            f"On the {count(record.fit.n_images)} images set aside for fitting, no gap beyond "
            f"{points(record.tolerance)} stands out from chance, so no cure was tried."
        )
        return f"{compared} {too_few(record)}".rstrip()
    if record.cure is None:
        return f"No other single threshold narrows the gap {aims(record)} while accuracy holds."
    if record.outcome == "accepted":
        return f"{what_it_does(record, record.cure)} {_unseen(record)}"
    if record.outcome == "levelling down":
        return f"{what_it_does(record, record.cure)} {levelled(record.cure)} It is not recommended."
    return (
        f"The best other threshold, {threshold_text(record.cure.threshold)}, is not recommended: "
        f"{'; '.join(record.cure.reasons)}."
    )


def too_few(record: MitigationResult) -> str:
    """Of which attributes nothing can be tried, and what that would need; empty where all can be compared."""
    if not record.not_compared:
        return ""
    return (
        f"Nothing can be tried {listing([by(name) for name in record.not_compared])}: fewer than two groups "
        f"have {record.min_n} images of a class in both parts. Give more images, or coarser groups."
    )


def step(record: MitigationResult) -> str:
    """What to do about the threshold; nothing where none was tried."""
    if record.outcome == "nothing to cure":
        return ""
    if record.outcome == "accepted" and record.cure is not None:
        at = threshold_text(record.cure.threshold)
        return (
            f"Move the threshold to {at}: on images set aside to judge it, a gap shrinks and accuracy holds."
        )
    return "Another threshold is not the cure: none that was tried held up on images set aside."


def aims(record: MitigationResult) -> str:
    """'in real images flagged by race and in fakes let through by age'."""
    return listing([f"in {RATES[t.rate]} {by(t.attribute)}" for t in record.targets])


def what_it_does(record: MitigationResult, trial: Trial) -> str:
    """'At threshold 0.62 the gap in real images flagged by race is 1.1 points (−0.4 to 2.5) instead of 6.3;
    ...'
    """
    where = f"At threshold {threshold_text(trial.threshold)}"
    if trial.attribute is not None:
        where = f"With a threshold for each group {by(trial.attribute)}"
    shown = [gap for gap in trial.gaps if gap.shrinks] or [gap for gap in trial.gaps if gap.target]
    told = listing([_gap(trial, gap) for gap in shown])
    return f"{where} {told}; {_cost(trial)}."


def _gap(trial: Trial, gap: GapShift) -> str:
    verdict = next((v for v in trial.verdicts if (v.attribute, v.rate) == (gap.attribute, gap.rate)), None)
    interval = verdict.gap_interval if verdict else None
    limits = f" ({point_interval(interval)})" if interval else ""
    before = points(gap.before).split()[0]
    return (
        f"the gap in {RATES[gap.rate]} {by(gap.attribute)} is {points(gap.after)}{limits} instead of {before}"
    )


def _cost(trial: Trial) -> str:
    e = trial.error
    flagged = _moves("real images flagged", e.fpr_before, e.fpr_after)
    missed = _moves("fakes let through", e.fnr_before, e.fnr_after)
    return f"overall, {flagged}, and {missed}"


def _moves(what: str, before: float, after: float) -> str:
    if percent(before) == percent(after):
        return f"{what} stay at {percent(after)}"
    return f"{what} {'rise' if after > before else 'fall'} from {percent(before)} to {percent(after)}"


def _unseen(record: MitigationResult) -> str:
    return (
        f"Chosen on {count(record.fit.n_images)} images, judged on {count(record.judge.n_images)} others; "
        "the gap is proven to shrink."
    )


def levelled(trial: Trial) -> str:
    """Who paid for a gap that shrinks."""
    told = []
    for one in trial.levelling_down:
        shifts = {g.group: g for g in trial.groups if (g.attribute, g.rate) == (one.attribute, one.rate)}
        best, worst = shifts[one.best_group], shifts[one.worst_group]
        told.append(
            f"Levelling down {by(one.attribute)}: {RATES[one.rate]} got worse for {_shift(best)}, and "
            f"{_shift(worst)} is not shown to have gained."
        )
    return " ".join(told)


def _shift(shift: GroupShift) -> str:
    return f"{group_label(shift.attribute, shift.group)} ({percent(shift.before)} to {percent(shift.after)})"


def accuracy(record: MitigationResult, trial: Trial) -> str:
    """Whether accuracy holds, by the stated margin."""
    e = trial.error
    holds = "Accuracy holds" if e.holds else "Accuracy is not shown to hold"
    return (
        f"{holds}: the mean of both error rates goes from {percent(e.error_before)} to "
        f"{percent(e.error_after)}, a change of {points(e.change)} ({point_interval(e.interval)}); a "
        f"rise of at most {points(record.margin)} is allowed."
    )


def bound(record: MitigationResult) -> str:
    """What would be possible if the group were looked at."""
    if record.bound is None:
        return (
            "No bound: fewer than two groups have enough images of both classes to fit a threshold for each."
        )
    told = what_it_does(record, record.bound)
    more = [levelled(record.bound)] if record.bound.levelling_down else []
    if record.bound.reasons and not more:
        more = [f"Even so: {'; '.join(record.bound.reasons)}."]
    return " ".join([told, *more])


def method(record: MitigationResult) -> list[str]:
    """How it was done, and what the answer promises."""
    alpha = percent(1 - record.confidence, 0)
    return [
        f"The images were dealt to two parts by pair and unit: {count(record.fit.n_images)} on which cures "
        f"are fitted and one is chosen, {count(record.judge.n_images)} on which that one is judged, once. No "
        "image does both.",
        "A cure is accepted if a gap it was meant for is proven to shrink (paired interval and p-value of "
        "the change, Holm's correction, an interval that allows for a largest gap being overstated), the "
        f"mean of FPR and FNR is shown not to rise by more than {points(record.margin)}, no other gap is "
        "proven to grow, and somebody gains.",
        f"That any cure is accepted although no gap it was meant for shrinks happens in at most {alpha} of "
        "searches.",
        f"Groups of fewer than {record.min_n} images are shown and not compared. Seed {record.seed}, "
        f"{count(record.n_boot)} replicates.",
        *([told] if (told := too_few(record)) else []),
        *record.notes,
    ]
