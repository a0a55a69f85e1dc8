"""Names that turn numbers around, end lines or drive a terminal reach no reader as they are."""

import re

import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.junit import cases, junit_xml
from audit.runs.score_audit import audit_scores
from reports.pages.model_card import model_card
from reports.pages.report_page import build
from reports.tables.report_tables import write_tables
from reports.text.legible import legible

HOSTILE = "\u202eWhite\x1b[2J\n=1"
HEBREW = "עברית"
DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066\u2067\x1b]")


@pytest.fixture(scope="module")
def hostile():
    rows = [
        {
            "image_id": f"{i}",
            "label": i % 2,
            "score": (i * 37 % 100) / 100,
            "race": (HOSTILE, HEBREW)[i // 2 % 2],
        }
        for i in range(400)
    ]
    return audit_scores(pd.DataFrame(rows), AuditConfig(n_boot=200))


def test_the_record_keeps_the_name_and_the_page_spells_it_out(hostile, tmp_path):
    assert any(group.group == HOSTILE for group in hostile.groups)
    page = build(tmp_path, hostile, {"machine": "\u202eevil"})
    assert not DIRECTION.search(page) and r"\u202eWhite\x1b[2J\n=1" in page
    assert f"\u2068{HEBREW}\u2069" in page


def test_the_card(hostile):
    card = model_card(hostile)
    assert not DIRECTION.search(card) and f"\u2068{HEBREW}\u2069" in card


def test_the_tables(hostile, tmp_path):
    (tmp_path / "audit.json").write_text(hostile.to_json(), encoding="utf-8")
    for path in write_tables(tmp_path):
        text = path.read_text(encoding="utf-8")
        assert not DIRECTION.search(text)
        assert not re.search(r"(^|,)\"?=", text, re.MULTILINE)


def test_junit(hostile):
    xml = junit_xml(cases(hostile, "disparity"))
    assert not DIRECTION.search(xml)


def test_the_console(hostile, monkeypatch, capsys):
    from audit.commands.verdict_table import print_outcome

    print_outcome(hostile, "runs/\x1b]0;title\x07")
    out = capsys.readouterr().out
    assert not DIRECTION.search(out) and r"\x1b]0;title\x07" in out


def test_legible_changes_nothing_that_is_legible(result):
    assert legible(result).to_json() == result.to_json()
