"""What auditors ask for: every item leads to a part of the page, and its numbers are the record's."""

import pytest

from reports.pages.report_page import build
from reports.tables.coverage import coverage, pass_ratio


def test_every_item_leads_to_a_part_of_the_page_and_says_what_is_missing(result, tmp_path):
    page = build(tmp_path, result, {}, images=False)
    for item in coverage(result):
        assert f'id="{item.section}"' in page, item.source
        assert item.asked and item.shown and item.missing
    sources = " ".join(item.source for item in coverage(result))
    for name in (
        "ISO/IEC 19795-10", "ISO/IEC 30107-3", "NIST AI RMF", "Article 10", "Article 15", "Annex IV",
        "Four-fifths",
    ):  # fmt: skip
        assert name in sources
    assert "not legal advice" in page


def test_the_four_fifths_ratio_is_that_of_the_rates(result):
    rates = [g.fpr for g in result.groups if g.attribute == "race"]
    assert pass_ratio(result, "race") == pytest.approx((1 - max(rates)) / (1 - min(rates)))
    assert f"{pass_ratio(result, 'race'):.2f} by race" in coverage(result)[-1].shown


def test_one_group_has_no_ratio(build):
    only = build({"race": ["a", "b"]}, n=100, min_n=300)
    assert coverage(only)[-1].shown.startswith("Not computed")
