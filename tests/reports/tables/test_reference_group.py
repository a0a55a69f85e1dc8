"""Groups against the reference: words never stronger than the intervals."""

import pytest

from audit.schema.result import Gap
from reports.pages.report_page import write_report
from reports.tables.reference_group import exceeds, reference_claims, reference_table
from reports.tables.report_tables import gaps_table, rest_table


@pytest.fixture(scope="module")
def against_white(build):
    return build(references={"race": "White"})


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((0.021, 0.1), "yes"), ((0.02, 0.1), "inconclusive"), ((-0.1, 0.02), "no"), ((-0.3, -0.2), "no"),
        ((-0.01, 0.03), "inconclusive"), (None, "inconclusive"),
    ],
)  # fmt: skip
def test_exceeding_is_one_sided(interval, word):
    gap = Gap(attribute="a", measure="fpr_difference_to_reference", value=0.0, interval=interval)
    assert exceeds(gap, 0.02) == word


def test_table_and_claims_hold_the_record(against_white):
    rows = {row["group"]: row for row in reference_table(against_white, "race").rows}
    gaps = [gap for gap in against_white.gaps if gap.measure == "fpr_difference_to_reference"]
    assert len(rows) == len(gaps) and "White" not in rows
    for gap in gaps:
        assert rows[gap.groups[0]]["fpr"] == gap.value and rows[gap.groups[0]]["fpr interval"] == gap.interval
    (what, claim), _ = reference_claims(against_white, "race")
    assert what == "Real images flagged as fake"
    shown = [group for group, row in rows.items() if row["fpr exceeds"] == "yes"]
    assert shown and claim.startswith("Proven to exceed White by more than 2 points: " + shown[0])


@pytest.mark.slow
def test_other_tables_are_left_alone(against_white, build):
    plain = build()
    for table in (gaps_table, rest_table):
        assert table(against_white, "race").to_csv() == table(plain, "race").to_csv()
    assert reference_table(plain, "race").rows == [] and reference_claims(plain, "race") == []


@pytest.mark.slow
def test_the_page_shows_it_beside_the_others(against_white, write):
    page = write_report(write(against_white)).read_text(encoding="utf-8")
    at, others = page.index("Each race group minus White"), page.index("Each group against all others")
    assert at < others and page.count("Proven to exceed White by more than") == 2 * 2


def test_a_hostile_name_is_text(build, write):
    bad = "<script>alert(1)</script>"
    result = build(attributes={"race": ["White", bad]}, shift={}, n=400, references={"race": bad})
    assert bad not in write_report(write(result)).read_text(encoding="utf-8")
