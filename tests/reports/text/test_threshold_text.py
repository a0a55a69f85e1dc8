"""What is said of other thresholds: their own numbers, and no advice that the record does not bear out."""

import math

import numpy as np

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
    others[-1] = others[-1].model_copy(update={"verdicts": cleared, "fnr": unequal.overall.fnr})
    assert thresholds.fairer(unequal.model_copy(update={"other_thresholds": others})) == others[-1]
    fair = judge(result, ("race", "fpr", "within tolerance"))
    assert thresholds.fairer(fair.model_copy(update={"other_thresholds": others})) is None


def test_errors_that_are_shown_to_differ_are_never_called_balanced(result):
    """Decisions of 0 and 1, or a few levels: no other threshold may bring both errors together."""
    hard = at(result, (0.33, 0.15))
    hard = hard.model_copy(update={"other_thresholds": [o for o in hard.other_thresholds if o.rule != "eer"]})
    assert thresholds.answer(hard).startswith("No other threshold brings both errors closer together. At 0.5")
    level = at(hard, (0.151, 0.15))
    assert thresholds.answer(level).startswith("It balances both errors. At 0.5")


def test_rates_that_are_not_equal_at_the_balanced_threshold_are_both_told(result):
    apart = at(result, (0.641, 0.029), threshold=1.0, fpr=0.109, fnr=0.467)
    assert thresholds.answer(apart) == (
        "Probably not. At threshold 1, 10.9% of real images are flagged and 46.7% of fakes let through, "
        "not 64.1% and 2.9%."
    )
    traded = at(result, (0.3, 0.25), threshold=1.0, fpr=0.2, fnr=0.4)
    assert thresholds.answer(traded).endswith("; they lie closest at 1, where they are 20.0% and 40.0%.")


def test_a_threshold_that_costs_more_errors_is_no_fairer_one(judge, result):
    """Within tolerance is every gap of a detector that lets all fakes through."""
    unequal = at(judge(result, ("race", "fpr", "disparity")), (0.33, 0.15))
    others = [o for o in unequal.other_thresholds if o.rule == "fpr=0.01"]
    within = [v.model_copy(update={"verdict": "within tolerance"}) for v in others[0].verdicts]
    for fpr, fnr in ((0.0, 1.0), (0.003, 0.918)):
        cleared = others[0].model_copy(update={"verdicts": within, "fpr": fpr, "fnr": fnr})
        told = unequal.model_copy(update={"other_thresholds": [cleared]})
        assert thresholds.fairer(told) is None
        assert (
            next_steps(told)[0].text == "See whether another threshold narrows the gap, and what that costs."
        )


def test_a_threshold_is_never_spelled_as_one_that_decides_otherwise():
    shown = thresholds.threshold_text
    given = (0.5, 0.73712, 1.0, 12345.6, 20000.0, -3.2, 0.0, 0.99995, 0.999987, 1.00002, 0.9950, 0.00012345)
    told = "0.5 0.7371 1 12345 20000 -3.2 0 0.99995 0.999987 1.00002 0.995 0.0001234"
    assert " ".join(map(shown, given)) == told
    assert (shown(5e-324), shown(1e300)) == ("4.941e-324", "1e+300")
    assert shown(math.nextafter(1, 2)) == "1.0000000000000002"
    assert shown(math.nextafter(0.25, 1)) == "0.25000000000000006"
    assert (shown(2 / 3), shown(7 / 9), shown(-2 / 3)) == ("0.6666", "0.7777", "-0.6667"), "never above"
    assert shown(float(np.float32(0.7))) == "0.7"


def test_a_rule_that_holds_one_rate_to_a_level_is_not_advised_against(result):
    """Who asks for an FPR of 1 % knows that more fakes pass: equal errors would cost them something."""
    strict = at(result, (0.025, 0.369), threshold=0.505, fpr=0.113, fnr=0.113)
    assert thresholds.better(strict) is not None
    for rule, told in (("fpr=0.01", None), ("fpr<=0.05@95%", None), ("fnr=0.05", None), ("youden", "eer")):
        config = strict.config.model_copy(update={"threshold_rule": rule})
        ruled = strict.model_copy(update={"config": config})
        assert (found := thresholds.better(ruled)) is told or found.rule == told
        assert told or thresholds.answer(ruled).startswith("It depends on which error costs more.")
