"""The table of verdicts at other thresholds."""

from audit.wording.numbers import points, threshold_text
from audit.wording.verdict_text import deciding
from reports.pages.report_page import build
from reports.tables import other_thresholds as elsewhere

NAMES = ["race", "gender", "age"]


def test_the_audited_threshold_stands_among_the_others(result):
    rows = elsewhere.rows(result, NAMES)
    assert [row.fpr for row in rows] == sorted((row.fpr for row in rows), reverse=True)
    [own] = [row for row in rows if row.reason == "audited"]
    assert own.threshold == threshold_text(result.config.threshold) and len(rows) == 1 + len(
        result.other_thresholds
    )
    for row in rows:
        assert [len(line.cells) for line in row.lines] == [3, 3]
    shown = {(c.verdict.attribute, c.verdict.rate): c.verdict for line in own.lines for c in line.cells}
    assert all(v in result.verdicts for v in shown.values()) and len(shown) == 6


def test_rows_show_their_own_rates_and_gaps(result):
    other = next(o for o in result.other_thresholds if o.rule == "fpr=0.05")
    row = next(r for r in elsewhere.rows(result, NAMES) if r.threshold == threshold_text(other.threshold))
    assert row.reason == "FPR at most 5%"
    assert [line.overall for line in row.lines] == [
        f"FPR {100 * other.fpr:.1f}%",
        f"FNR {100 * other.fnr:.1f}%",
    ]
    race = row.lines[0].cells[0]
    assert (
        race.verdict in other.verdicts and race.gap == points(deciding(result, race.verdict).gap).split()[0]
    )


def test_the_page_marks_them_as_exploratory(result, tmp_path):
    page = build(tmp_path, result, {}, images=False)
    assert 'id="elsewhere"' in page and "24 comparisons are corrected together" in page
    old = result.model_copy(update={"other_thresholds": []})
    assert 'id="elsewhere"' not in build(tmp_path, old, {}, images=False)


def test_rates_that_no_threshold_makes_equal_are_not_called_equal(result):
    others = [
        o.model_copy(update={"fpr": 0.109, "fnr": 0.467}) if o.rule == "eer" else o
        for o in result.other_thresholds
    ]
    assert "equal error rates" in [row.reason for row in elsewhere.rows(result, NAMES)]
    rows = elsewhere.rows(result.model_copy(update={"other_thresholds": others}), NAMES)
    assert {row.reason for row in rows} >= {"closest error rates", "FPR at most 5%"}
