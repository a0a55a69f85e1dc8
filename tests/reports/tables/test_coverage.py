"""What auditors ask for: every item leads to a part of the page, and its numbers are the record's."""

import pytest

from audit.schema.result import KindRate, NoScores
from reports.pages.report_page import build as build_page
from reports.tables.coverage import coverage, pass_ratio


def test_every_item_leads_to_a_part_of_the_page_and_says_what_is_missing(result, tmp_path):
    page = build_page(tmp_path, result, {}, images=False)
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


def test_what_the_record_holds_is_shown_and_what_it_lacks_is_missing(result, build):
    def told(record):
        return {item.source: (item.shown, item.missing) for item in coverage(record)}

    photos, table = told(result), told(build({"race": ["a", "b"]}, n=300, pairs=False))
    shown, missing = photos["EU AI Act, Article 10"]
    assert "drop-out" in shown and "rop-out" not in missing
    shown, missing = table["EU AI Act, Article 10"]
    assert shown == "Size and group counts" and missing.startswith("Drop-out, and the quality of the fakes;")
    bare = result.model_copy(update={"provenance": result.provenance.model_copy(update={"detector": {}})})
    for record, known in ((result, True), (bare, False)):
        shown, missing = told(record)["NIST AI RMF, Measure 1.1 and 2.1"]
        assert ("checksum of the detector" in shown) is known
        assert ("checksum of the detector" in missing) is not known
    kinds = [KindRate(attribute="race", group="a", kind="swap", n_fake=9, apcer=0.1, interval=(0.0, 0.4))]
    lost = [NoScores(attribute="race", label="real", groups=[])]
    shown, missing = told(result.model_copy(update={"kind_rates": kinds, "no_scores": lost}))[
        "ISO/IEC 30107-3"
    ]
    assert "APCER of each kind of fake; images without a score, by group" in shown
    assert "Non-response" not in missing and "Non-response" in photos["ISO/IEC 30107-3"][1]
