"""Of 1,000 images flagged, real people: what the page tells without a script."""

import pytest

from reports.pages.report_page import build as page
from reports.tables.share_of_fakes import discovery_table, sentence


def test_the_table_has_every_group_and_all_images_last(result):
    table = discovery_table(result, ["race", "gender"])
    assert [c.label for c in table.columns][2:6] == [
        "If 1% are fakes",
        "Interval",
        "If 50% are fakes",
        "Interval",
    ]
    assert len(table.rows) == 7 + 2 + 1 and table.rows[-1]["group"] == "All images"
    first = [row["fdr_at_0.01"] for row in table.rows[:7]]
    assert first == sorted(first, reverse=True)
    half = table.rows[-1]["fdr_at_0.5"]
    assert half == pytest.approx(1 - result.overall.precision), "the set is half fakes"


def test_the_sentence_and_the_table_stand_on_the_page_without_a_script(result, tmp_path):
    text = sentence(result)
    assert text.startswith("Of 1,000 images flagged at the audited threshold, ")
    assert "if 1% of the images are fakes and" in text
    html = page(tmp_path, result, {}, images=False)
    assert "What a flag means where fakes are rare" in html and "If 50% are fakes" in html
    for label in ('for="fake-share"', 'aria-describedby="fake-share-help"', 'aria-pressed="true"'):
        assert label in html


def test_one_class_alone_cannot_be_told(build):
    real = build({"gender": ["Female", "Male"]}, n=200, keep="real")
    assert "Undefined" in sentence(real)
    table = discovery_table(real, ["gender"])
    shown = [c.show(table.rows[0]) for c in table.columns]
    assert "no data" in shown and "no interval" in shown
