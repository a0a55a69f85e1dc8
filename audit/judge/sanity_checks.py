"""Do scores, labels and threshold belong together at all? Asked before any group is compared.

Enters: the overall measures, the rule of the threshold, the scores. Leaves: a `Fault`, in words too.

Why an AUC far below 0.5 is no bad detector: one that cannot tell real from fake guesses, at 0.5. One that is
wrong nearly always knows the answer and says it the wrong way round, or is asked the wrong way round; then
every error of the audit is a right decision, and the groups it names are the wrong ones.

Why accuracy at the threshold is held against the equal error rate: where some threshold decides far better
than the one given, it is the threshold that fails, not the detector. Scores in percent or logits at a
threshold for probabilities do that.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit.schema.result import AuditResult, Measures

Fault = Literal["reversed", "threshold", "rule", "weak"]
"""Scores or labels the wrong way round; a threshold that does not fit; a rule that costs as much; a detector
that guesses."""

REVERSED = 0.4
"""An AUC below this, its interval below 0.5, is taken for a reversal."""

GUESSING = 0.6
"""Balanced accuracy, or AUC, below which a detector hardly beats a coin."""

FITS = 0.1
"""Balanced accuracy that another threshold would add, from which on the one given does not fit."""

PROBABILITY_THRESHOLD = 0.5


def fault_of(overall: Measures, rule: str) -> Fault | None:
    """What is wrong with scores, labels or threshold; None where nothing is, or where it is undefined.

    Args:
        overall: Measures on all images.
        rule: "fixed", or the rule that the threshold came from.
    """
    if overall.auc < REVERSED and overall.auc_interval[1] < 0.5:
        return "reversed"
    if overall.balanced_accuracy < GUESSING and 1 - overall.eer - overall.balanced_accuracy >= FITS:
        return "threshold" if rule == "fixed" else "rule"
    return "weak" if overall.balanced_accuracy < GUESSING or overall.auc < GUESSING else None


def fault_in(result: AuditResult) -> Fault | None:
    """The same for a record."""
    return fault_of(result.overall, result.config.threshold_rule)


def sentences(overall: Measures, threshold: float, rule: str) -> list[str]:
    """What the reader must know of a fault: none or one sentence.

    Args:
        overall: Measures on all images.
        threshold: Fake if score >= this.
        rule: "fixed", or the rule it came from.
    """
    fault = fault_of(overall, rule)
    auc, accuracy = f"AUC {overall.auc:.3f}", f"balanced accuracy {overall.balanced_accuracy:.3f}"
    told = {
        "reversed": (
            f"Scores or labels look reversed: real images score higher than fakes ({auc}; guessing gives "
            "0.5). A score must say how fake an image is, and the label 1 (or that of --positive) must mean "
            "fake. Put that right and audit again: until then errors count as right decisions, and the wrong "
            "groups are named."
        ),
        "threshold": (
            f"The threshold does not fit these scores: at {threshold:.4g} decisions are hardly better than "
            f"guessing ({accuracy}), though the scores tell real images from fakes ({auc}). Give --threshold "
            "in the units of the scores, or a rule such as --threshold eer, and audit again."
        ),
        "rule": (
            f"The rule {rule} has its price: at its threshold of {threshold:.4g} decisions are hardly better "
            f"than guessing ({accuracy}), though the scores tell real images from fakes ({auc})."
        ),
        "weak": (
            f"On these images the detector is hardly better than guessing ({auc}, {accuracy}); whether it is "
            "fair matters less than that it does not work."
        ),
    }
    return [] if fault is None else [told[fault]]


def scale_sentences(score: NDArray[np.float64], threshold: float, rule: str) -> list[str]:
    """What the reader must know where scores are no probabilities and the threshold is one for those.

    Args:
        score: float64 [N].
        threshold: Fake if score >= this.
        rule: "fixed", or the rule it came from.
    """
    outside = int(((score < 0) | (score > 1)).sum())
    if rule != "fixed" or threshold != PROBABILITY_THRESHOLD or not outside:
        return []
    return [
        f"{outside:,} of {len(score):,} scores lie outside 0 to 1 (they run from {score.min():.4g} to "
        f"{score.max():.4g}), and the threshold is 0.5, the default for probabilities. Say with --threshold "
        "where these scores turn fake (0 for logits, 50 for percentages), or give a rule such as eer."
    ]
