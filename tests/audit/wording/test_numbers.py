"""Numbers in words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint, samplesize_confint_proportion

from audit.wording import numbers


@given(st.floats(0, 1))
def test_a_percentage_says_none_or_all_only_where_it_is_so(value):
    text = numbers.percent(value)
    assert (text == "0%") == (value == 0)
    assert (text == "100%") == (value == 1)


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_interval_says_none_or_all_only_where_it_is_so(low, high):
    """0 of 10,000 leaves up to 0.04% open: that end must not read as 0."""
    first, second = numbers.percent_interval((low, high)).removesuffix("%").split("–")
    assert (float(first.strip("<>")) == 0) == (low == 0) and (first == "100") == (low == 1)
    assert (float(second.strip("<>")) == 0) == (high == 0) and (second == "100") == (high == 1)


def test_the_interval_of_no_error_in_ten_thousand():
    low, high = proportion_confint(0, 10_000, 0.05, "wilson")
    assert numbers.percent_interval((low, high)) == "0–0.04%"
    assert numbers.percent_interval((1 - high, 1.0)) == "99.96–100%"


@given(st.floats(0.0006, 0.9994))
def test_a_percentage_is_the_value_to_its_last_digit(value):
    assert float(numbers.percent(value).rstrip("%")) / 100 == pytest.approx(value, abs=0.0005001)


@pytest.mark.parametrize(
    "show", [numbers.percent, numbers.points, numbers.number, numbers.p_value], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_undefined_number_is_no_data(show, value):
    assert show(value) == "no data"


@pytest.mark.parametrize(
    "show",
    [numbers.percent_interval, numbers.point_interval, numbers.number_interval],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("interval", [None, (math.nan, 0.1), (0.1, math.nan)])
def test_an_undefined_interval_is_no_interval(show, interval):
    assert show(interval) == "no interval"


def test_listing_joins_as_people_do():
    assert numbers.listing([]) == ""
    assert numbers.listing(["a"]) == "a"
    assert numbers.listing(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(("errors", "n"), [(0, 40), (5, 40), (20, 40), (300, 1000)])
def test_images_for_a_margin_agree_with_statsmodels(errors, n):
    low, high = proportion_confint(errors, n, 0.05, "agresti_coull")
    z = 1.959963984540054
    oracle = samplesize_confint_proportion((errors + z * z / 2) / (n + z * z), 0.02)
    assert numbers.images_for_margin(errors, n, 0.02, z) == pytest.approx(oracle, abs=1)
    assert low <= (errors + z * z / 2) / (n + z * z) <= high
