"""Do scores, labels and threshold belong together at all? Asked before any group is compared.

Enters: the overall measures, the rule of the threshold, the scores. Leaves: a `Fault`, in words too.

Why an AUC far below 0.5 is no bad detector: one that cannot tell real from fake guesses, at 0.5. One that is
wrong nearly always knows the answer and says it the wrong way round, or is asked the wrong way round; then
every error of the audit is a right decision, and the groups it names are the wrong ones.

Why accuracy at the threshold is held against the equal error rate: where some threshold decides far better
than the one given, it is the threshold that fails, not the detector. Scores in percent or logits at a
threshold for probabilities do that.

Why a detector must be *shown* to be better than guessing: one that flags nothing, everything or at random
treats all groups alike, and every fairness figure is perfect. Both the scores (lower limit of the AUC) and
the decisions (lower limit of the balanced accuracy) must lie above 0.5, so that a coin passes only if both
intervals miss.

Why a threshold does not fit only if it flags most reals or misses nearly all fakes: few reals are fake, so
strict thresholds are usual, and one that catches a tenth of the fakes at an FPR of 0.1 % is meant. Scores in
other units end up far beyond. A rule (fpr=0.001) says what is meant, and is never called a misfit.

Source of the interval: the method of variance estimates recovery, Zou & Donner 2008, Statistics in Medicine
27:1693-1702; for two independent rates it is Newcombe's. The halves of a pair have scores that rise
together, which makes it wider than need be.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit.schema.nullable import Interval
from audit.schema.result import AuditResult, Measures
from audit.task import Task

Fault = Literal["reversed", "guessing", "threshold", "rule", "weak"]
"""Scores or labels the wrong way round; not shown better than guessing; a threshold that does not fit; a
threshold or rule that costs as much, and is meant; a detector that is little better than guessing."""

REVERSED = 0.4
"""An AUC below this, its interval below 0.5, is taken for a reversal."""

GUESSING = 0.6
"""Balanced accuracy, or AUC, below which a detector hardly beats a coin."""

FITS = 0.1
"""Balanced accuracy that another threshold would add, from which on the one given does not fit."""

PROBABILITY_THRESHOLD = 0.5


MOST_FLAGGED = 0.5
"""Share of reals flagged (its lower limit) from which on a number is no threshold for these scores."""

NEARLY_ALL_MISSED = 0.9
"""The same for the share of fakes that pass."""


def balanced_accuracy_interval(overall: Measures) -> Interval:
    """Limits of 1 - (FPR + FNR) / 2 from those of both rates; NaN where one of them is undefined."""
    value = 1 - (overall.fpr + overall.fnr) / 2
    least = [overall.fpr - overall.fpr_interval[0], overall.fnr - overall.fnr_interval[0]]
    most = [overall.fpr_interval[1] - overall.fpr, overall.fnr_interval[1] - overall.fnr]
    return max(0.0, value - math.hypot(*most) / 2), min(1.0, value + math.hypot(*least) / 2)


def fault_of(overall: Measures, rule: str) -> Fault | None:
    """What is wrong with scores, labels or threshold; None where nothing is, or where it is undefined.

    Args:
        overall: Measures on all images.
        rule: "fixed", or the rule that the threshold came from.
    """
    if math.isnan(overall.auc):
        return None
    if overall.auc < REVERSED and overall.auc_interval[1] < 0.5:
        return "reversed"
    if overall.auc_interval[0] <= 0.5:
        return "guessing"
    low, high = balanced_accuracy_interval(overall)
    another_fits = 1 - overall.eer - overall.balanced_accuracy >= FITS
    if low <= 0.5:
        return "threshold" if another_fits and rule == "fixed" else "guessing"
    if another_fits and rule == "fixed" and high < GUESSING and _one_sided(overall):
        return "threshold"
    if another_fits and overall.balanced_accuracy < GUESSING:
        return "rule"
    return "weak" if overall.balanced_accuracy < GUESSING or overall.auc < GUESSING else None


def _one_sided(overall: Measures) -> bool:
    """Whether most reals are shown to be flagged, or nearly all fakes to pass."""
    return overall.fpr_interval[0] >= MOST_FLAGGED or overall.fnr_interval[0] >= NEARLY_ALL_MISSED


def fault_in(result: AuditResult) -> Fault | None:
    """The same for a record."""
    return fault_of(result.overall, result.config.threshold_rule)


def sentences(overall: Measures, threshold: float, rule: str, task: Task) -> list[str]:
    """What the reader must know of a fault: none or one sentence.

    Args:
        overall: Measures on all images.
        threshold: Fake if score >= this.
        rule: "fixed", or the rule it came from.
        task: Whose words are used.
    """
    fault = fault_of(overall, rule)
    auc, accuracy = f"AUC {overall.auc:.3f}", f"balanced accuracy {overall.balanced_accuracy:.3f}"
    what = "The threshold" if rule == "fixed" else f"The rule {task.rule(rule)}"
    told = {
        "reversed": (
            f"Scores or labels look reversed: {task.negatives} score higher than {task.positives} "
            f"({auc}; guessing gives 0.5). {task.must_mean} Put that right and audit again: until "
            "then errors count as right decisions, and any group that was named would be the wrong one."
        ),
        "threshold": (
            f"The threshold does not fit these scores: at {threshold:.4g} decisions are hardly better than "
            f"guessing ({accuracy}), though the scores tell {task.negatives} from {task.positives} ({auc}). "
            "Give --threshold in the units of the scores, or a rule such as --threshold eer, and audit "
            "again."
        ),
        "guessing": _not_shown(overall, threshold, task),
        "rule": (
            f"{what} has its price: at {threshold:.4g} decisions are hardly better "
            f"than guessing ({accuracy}), though the scores tell {task.negatives} from "
            f"{task.positives} ({auc})."
        ),
        "weak": (
            f"On these {task.items} the {task.system} is hardly better than guessing ({auc}, {accuracy}); "
            "whether it is fair matters less than that it does not work."
        ),
    }
    return [] if fault is None else [told[fault]]


def _not_shown(overall: Measures, threshold: float, task: Task) -> str:
    """The detector is not shown to be better than one that looks at nothing: by its scores, or decisions."""
    low, high = overall.auc_interval
    seen = f"its scores have an AUC of {overall.auc:.3f} ({low:.3f} to {high:.3f})"
    if low > 0.5:
        low, high = balanced_accuracy_interval(overall)
        seen = (
            f"its decisions at {threshold:.4g} have a balanced accuracy of {overall.balanced_accuracy:.3f} "
            f"({low:.3f} to {high:.3f})"
        )
    return (
        f"On these {task.items} the {task.system} is not shown to be better than guessing: {seen}, and "
        f"guessing gives 0.5. {task.flagging.capitalize()} nothing, everything or at random treats all "
        "groups alike too; that does not make it fair."
    )


def scale_sentences(score: NDArray[np.float64], threshold: float, rule: str, task: Task) -> list[str]:
    """What the reader must know where scores are no probabilities and the threshold is one for those.

    Args:
        score: float64 [N].
        threshold: Fake if score >= this.
        rule: "fixed", or the rule it came from.
        task: Whose words are used.
    """
    outside = int(((score < 0) | (score > 1)).sum())
    if rule != "fixed" or threshold != PROBABILITY_THRESHOLD or not outside:
        return []
    return [
        f"{outside:,} of {len(score):,} scores lie outside 0 to 1 (they run from {score.min():.4g} to "
        f"{score.max():.4g}), and the threshold is 0.5, the default for probabilities. Say with --threshold "
        f"where these scores turn {task.positive_word} (0 for logits, 50 for percentages), or give a "
        "rule such as eer."
    ]
