"""Three outcomes: what leads to each, and what must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep

from audit.config import AuditConfig
from audit.data.counts import Counts
from audit.inference.pairwise import pair_critical
from audit.inference.two_proportions import difference_limits, ratio_limits
from audit.judge.verdicts import Question, judge
from audit.judge.worse_groups import compare_pairs
from audit.metrics.disparity_intervals import Evidence

CONFIG = AuditConfig(n_boot=2000)


def ask(k, n, attribute="race", n_small=0):
    k, n = np.array(k), np.array(n)
    counts = Counts(
        np.zeros((len(n), 2, 2), np.int64), np.stack([n - k, k], 1), np.zeros((len(n), 2), np.int64)
    )
    evidence = Evidence(counts, CONFIG.n_boot, (0,)) if len(n) > 1 else None
    return Question(attribute, "fpr", [f"g{i}" for i in range(len(n))], k, n, n_small, evidence)


def verdict_on(k, n, **options):
    return judge([ask(k, n, **options)], CONFIG)[0]


def test_disparity():
    verdict = verdict_on([50, 150, 60], [1000, 1000, 1000])
    assert verdict.verdict == "disparity"
    assert (verdict.worst_group, verdict.best_group) == ("g1", "g0")
    assert verdict.gap == pytest.approx(0.1) and verdict.gap_interval[0] > 0.02
    assert verdict.images_needed is None and verdict.adjusted_p_value < 0.01


def test_a_disparity_says_whether_the_gap_itself_is_proven_beyond_tolerance():
    """Equality can be rejected, the estimate beyond the tolerance, and the true gap inside it."""
    sure = verdict_on([50, 150, 60], [1000, 1000, 1000])
    assert sure.beyond_tolerance_proven
    unsure = verdict_on([500, 730], [10_000, 10_000])
    low = unsure.worse_groups[0].difference_interval[0]
    assert unsure.verdict == "disparity" and 0 < low < 0.02
    assert not unsure.beyond_tolerance_proven


def test_nothing_but_a_disparity_is_proven_beyond_tolerance():
    for k, n in (([5, 9], [100, 100]), ([5_000, 5_600], [100_000, 100_000])):
        assert not verdict_on(k, n).beyond_tolerance_proven


def test_a_pair_proven_beyond_tolerance_is_named_before_one_further_apart():
    verdict = verdict_on([200, 800, 7], [10_000, 10_000, 80])
    assert verdict.gap == pytest.approx(7 / 80 - 0.02)
    assert (verdict.worst_group, verdict.best_group) == ("g1", "g0") and verdict.beyond_tolerance_proven
    assert [g.group for g in verdict.worse_groups] == ["g2", "g1"]


def test_everyone_proven_worse_is_named_with_limits_near_those_of_statsmodels():
    k, n = np.array([40, 130, 52, 110]), np.array([1000, 1000, 1000, 1000])
    verdict = verdict_on(k, n)
    assert [(g.group, g.than) for g in verdict.worse_groups] == [("g1", "g0"), ("g3", "g0")]
    z = pair_critical(4, CONFIG.alpha)
    for worse, count in zip(verdict.worse_groups, (130, 110), strict=True):
        one = (count / 1000, 1000, 40 / 1000, 1000, z)
        assert worse.difference_interval == pytest.approx([float(x) for x in difference_limits(*one)])
        assert worse.ratio_interval == pytest.approx([float(x) for x in ratio_limits(*one)])
        plain = confint_proportions_2indep(
            count, 1000, 40, 1000, alpha=2 * norm.sf(z), method="newcomb", compare="diff"
        )
        assert worse.difference_interval == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize(
    ("k", "word"),
    [
        ([40, 130, 52, 110], "disparity"),
        ([40, 52, 45, 41], "insufficient evidence"),
        ([400, 400, 410, 405], "within tolerance"),
    ],
)
def test_every_group_is_compared_with_one_and_no_interval_contradicts_another(k, word):
    n = [20_000 if word == "within tolerance" else 1000] * 4
    verdict = verdict_on(k, n)
    assert verdict.verdict == word and len(verdict.differences) == 3
    apart = {d.group: d for d in verdict.differences}
    assert verdict.compared_with == "g0" not in apart
    assert [d.difference for d in verdict.differences] == sorted(
        [k[i] / n[i] - k[0] / n[0] for i in (1, 2, 3)]
    )[::-1]
    for worse in verdict.worse_groups:
        assert apart[worse.group].interval == pytest.approx(worse.difference_interval)
    unequal = {name for name, d in apart.items() if d.interval[0] > 0}
    assert unequal == {g.group for g in verdict.worse_groups}
    inside = all(max(map(abs, d.interval)) <= CONFIG.tolerance for d in verdict.differences)
    assert inside == (word == "within tolerance")


def test_an_interval_reaches_zero_where_the_gate_does_not_let_the_pair_pass():
    """Eight comparisons beside it raise the gate's p-value; the pair alone would still exclude 0."""
    k, n = np.array([20, 60, 40]), np.array([1000, 1000, 1000])
    closed = compare_pairs(k, n, gate=0.2, shared=1, alpha=0.05)
    opened = compare_pairs(k, n, gate=0.001, shared=1, alpha=0.05)
    names = ["g0", "g1", "g2"]
    shut, free = (p.differences(0, names, p.z) for p in (closed, opened))
    assert [d.group for d in shut] == ["g1", "g2"] and free[0].interval[0] > 0
    assert shut[0].interval == (0.0, free[0].interval[1])
    back = closed.differences(1, names, closed.z)
    assert all(d.interval[0] <= 0.0 <= d.interval[1] for d in back)


def test_the_ratio_to_a_rate_of_zero_has_no_upper_limit():
    [worse] = verdict_on([0, 60], [1000, 1000]).worse_groups
    assert worse.ratio_interval[0] > 1.25 and worse.ratio_interval[1] == math.inf


def test_within_tolerance():
    verdict = verdict_on([500, 520], [20_000, 20_000])
    assert verdict.verdict == "within tolerance"
    assert verdict.gap_interval[1] <= 0.02


def test_the_largest_gap_of_many_is_corrected():
    """Nine equal groups: chance alone spreads them, and the page says so."""
    rng = np.random.default_rng(1)
    n = np.full(9, 300)
    verdict = verdict_on(rng.binomial(n, 0.05), n)
    assert verdict.verdict == "insufficient evidence" and verdict.gap > 0.02 > verdict.gap_corrected


def test_insufficient_evidence_says_what_would_settle_it():
    verdict = verdict_on([5, 9], [100, 100])
    assert verdict.verdict == "insufficient evidence"
    assert verdict.min_detectable_gap > 0.02 and verdict.images_needed > 1000
    enough = verdict.images_needed
    again = verdict_on([round(0.07 * enough)] * 2, [enough] * 2)
    assert again.verdict == "within tolerance" and again.min_detectable_gap <= 0.02


def test_what_would_settle_a_proven_inequality_is_measured_from_the_tolerance():
    """A gap of 1.2 points must be told from 2 points, not from 0."""
    verdict = verdict_on([45, 75], [2_500, 2_500])
    assert verdict.verdict == "insufficient evidence" and verdict.worse_groups
    rates, gap = np.array([47, 77]) / 2_504, 30 / 2_504
    normal = (rates * (1 - rates)).sum() * ((1.96 + 1.2816) / (0.02 - gap)) ** 2
    assert verdict.images_needed == pytest.approx(normal, rel=0.02)


def test_near_the_tolerance_no_number_of_images_is_promised():
    verdict = verdict_on([500, 690], [10_000, 10_000])
    assert verdict.verdict == "insufficient evidence" and verdict.images_needed is None


def test_no_images_are_asked_for_that_are_there_already():
    verdict = verdict_on([150, 180], [3_000, 3_000])
    assert verdict.verdict == "insufficient evidence" and not verdict.worse_groups
    assert verdict.images_needed is None


def test_significant_but_small_is_no_disparity():
    verdict = verdict_on([5_000, 5_600], [100_000, 100_000])
    assert verdict.p_value < 0.001 and verdict.verdict == "within tolerance"


def test_small_rates_within_tolerance_that_differ_in_proportion():
    verdict = verdict_on([100, 400], [100_000, 100_000])
    assert verdict.verdict == "within tolerance"
    assert verdict.worse_groups[0].ratio_interval[0] == pytest.approx(3.2, abs=0.05)


def test_rejected_but_open_says_so():
    verdict = verdict_on([50, 95], [1000, 1000])
    assert verdict.verdict == "disparity"
    open_ = verdict_on([500, 690], [10_000, 10_000])
    assert open_.verdict == "insufficient evidence" and open_.worse_groups


def test_noise_of_small_groups_does_not_turn_a_tiny_difference_into_a_disparity():
    """g0 and g1 differ surely, by 0.6 points; g2's 10 % is four of forty."""
    verdict = verdict_on([5_000, 5_600, 4], [100_000, 100_000, 40])
    assert verdict.p_value < 0.001 and verdict.gap > 0.02
    assert verdict.verdict == "insufficient evidence"


def test_disparity_names_the_pair_that_is_proven():
    verdict = verdict_on([500, 800, 4], [10_000, 10_000, 40])
    assert verdict.verdict == "disparity"
    assert (verdict.worst_group, verdict.best_group) == ("g1", "g0")
    assert verdict.gap == pytest.approx(0.05)


def test_many_questions_make_each_harder():
    alone = verdict_on([20, 40], [500, 500])
    many = judge(
        [ask([20, 40], [500, 500])] + [ask([30, 31], [500, 500], f"a{i}") for i in range(13)], CONFIG
    )
    assert alone.verdict == "disparity" and many[0].verdict == "insufficient evidence"
    assert many[0].adjusted_p_value == pytest.approx(14 * many[0].p_value)
    assert many[0].min_detectable_gap > alone.min_detectable_gap


@pytest.mark.parametrize(("k", "n"), [([3], [50]), ([], [])])
def test_nothing_to_compare(k, n):
    verdict = verdict_on(np.array(k, int), np.array(n, int), n_small=3)
    assert verdict.verdict == "insufficient evidence"
    assert math.isnan(verdict.p_value) and math.isnan(verdict.gap) and verdict.gap_interval is None
    assert (verdict.n_groups, verdict.n_small_groups) == (len(n), 3) and verdict.images_needed > 100


def test_nobody_errs():
    verdict = verdict_on([0, 0], [40, 40])
    assert verdict.verdict == "insufficient evidence"
    assert verdict.worst_group is None and verdict.gap == 0
    assert verdict_on([0, 0], [4000, 4000]).verdict == "within tolerance"


def test_unanswerable_questions_do_not_count_as_tests():
    first, second = judge([ask([20, 40], [500, 500]), ask([3], [50], "b")], CONFIG)
    assert first.adjusted_p_value == first.p_value and math.isnan(second.adjusted_p_value)
