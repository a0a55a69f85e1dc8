"""What is said of other thresholds: their own numbers, and no advice that the record does not bear out."""

import math

from audit.inference.proportion_intervals import wilson
from reports.text import threshold_text as thresholds
from reports.text.next_steps import next_steps


def at(result, rates, n=1000, **eer):
    """The record with these error rates of n images each, and another threshold with its own."""
    update = dict(zip(("fpr", "fnr"), rates, strict=True))
    for name, rate in list(update.items()):
        limits = wilson(rate, n, 1.96)
        update[f"{name}_interval"] = None if math.isnan(rate) else tuple(map(float, limits))
    overall = result.overall.model_copy(update=update)
    others = [o.model_copy(update=eer) if o.rule == "eer" else o for o in result.other_thresholds]
    return result.model_copy(update={"overall": overall, "other_thresholds": others})


def test_a_threshold_with_fewer_errors_comes_first(result):
    bad = at(result, (0.27, 0.0), threshold=0.737, fpr=0.02, fnr=0.02)
    said = (
        "At threshold 0.737, both error rates are about 2.0%, not 27.0% (real images flagged) and 0% "
        "(fakes let "
        "through)."
    )
    assert thresholds.answer(bad) == f"Probably not. {said}"
    first = next_steps(bad)[0]
    assert first.text.startswith("Try another threshold first; it costs nothing.") and said in first.text
    assert first.text.endswith("Confirm it on other images: it was found by looking at these.")
    assert first.anchor == "thresholds"


def test_a_threshold_that_only_trades_one_error_for_the_other_is_not_recommended(result):
    level = at(result, (0.082, 0.079), threshold=0.51, fpr=0.08, fnr=0.08)
    assert thresholds.better(level) is None
    assert thresholds.answer(level).startswith("It balances both errors well. At 0.5 it flags 8.2%")
    uneven = at(result, (0.05, 0.065), threshold=0.45, fpr=0.058, fnr=0.058)
    assert thresholds.better(uneven) is None
    assert thresholds.answer(uneven).startswith("It depends on which error costs more.")


def test_rates_that_are_not_shown_to_differ_recommend_no_other_threshold(result):
    rates, other = (0.2, 0.1), {"threshold": 0.55, "fpr": 0.14, "fnr": 0.14}
    assert thresholds.better(at(result, rates, **other)) is not None
    few = at(result, rates, n=40, **other)
    assert thresholds.better(few) is None
    assert thresholds.answer(few).startswith("It depends on which error costs more.")


def test_one_kind_of_image_alone_says_nothing_of_the_threshold(result):
    assert thresholds.answer(at(result, (0.1, math.nan))).startswith("Only one kind of image was audited")


def test_fairer_means_proven_within_tolerance_and_not_merely_unproven(judge, result):
    unequal = judge(result, ("race", "fpr", "disparity"))
    others = [
        o.model_copy(
            update={
                "verdicts": [v.model_copy(update={"verdict": "insufficient evidence"}) for v in o.verdicts]
            }
        )
        for o in result.other_thresholds
    ]
    assert thresholds.fairer(unequal.model_copy(update={"other_thresholds": others})) is None
    cleared = [v.model_copy(update={"verdict": "within tolerance"}) for v in others[-1].verdicts]
    others[-1] = others[-1].model_copy(update={"verdicts": cleared})
    assert thresholds.fairer(unequal.model_copy(update={"other_thresholds": others})) == others[-1]
    fair = judge(result, ("race", "fpr", "within tolerance"))
    assert thresholds.fairer(fair.model_copy(update={"other_thresholds": others})) is None
