"""The page as a file: whole, small, quiet, and safe with any name in it."""

import base64
import hashlib
import math
import re
import subprocess
import sys
import time

import pytest

from audit.config import AuditConfig
from audit.errors import ResultFormatError
from audit.runs.score_audit import audit_scores
from audit.schema.result import AuditResult
from reports.errors import RecordFormatError
from reports.pages.html_page import json_block
from reports.pages.report_page import build as build_page
from reports.pages.report_page import write_report

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def page(run_dir):
    return write_report(run_dir).read_text(encoding="utf-8")


def test_sixty_pairs_fit_into_three_megabytes(page):
    """Three attributes, 4,000 pairs; the first two of both kinds of mistakes stand before the appendix
    too."""
    assert page.count("data:image/jpeg") == 120 + 2 * 4
    assert len(page.encode()) < 3_000_000


@pytest.mark.slow
def test_rendering_takes_under_three_seconds_of_work(run_dir):
    start = time.process_time()
    write_report(run_dir)
    assert time.process_time() - start < 3


def test_rendering_again_gives_the_same_bytes(run_dir, page):
    assert write_report(run_dir).read_text(encoding="utf-8") == page


def test_nothing_is_loaded_from_anywhere(page):
    document = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", document)
    assert "@import" not in document and "url(" not in document


def test_the_policy_names_exactly_the_scripts_of_the_page(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page).group(1)
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert set(re.findall(r"sha256-([\w+/=]+)", policy.replace("&#39;", "'"))) == hashes
    assert "unsafe-eval" not in policy and "default-src" in policy


def test_every_section_of_the_menu_exists(page):
    menu = re.search(r'<nav class="toc".*?</nav>', page, flags=re.S).group(0)
    for anchor in re.findall(r'href="#([^"]+)"', menu):
        assert f'id="{anchor}"' in page
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert all(f'id="{anchor}"' in page for anchor in links)


def test_ids_are_unique(page):
    document = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    ids = re.findall(r'\sid="([^"]+)"', document)
    assert len(ids) == len(set(ids))


def test_every_press_on_a_term_finds_its_meaning(page):
    for target in set(re.findall(r'popovertarget="([^"]+)"', page)):
        assert f'id="{target}"' in page


def test_the_answer_stands_before_everything_else(page):
    affected = page.index("Who is affected, and how much</h2>")
    assert page.index("Its error rates differ by race.") < affected < page.index('<details id="appendix">')
    assert page.index("rendered by a program") < affected
    assert page.index("Audited on 1 March 2026.") < affected


@pytest.mark.parametrize("place", ["attribute and group", "provenance", "note", "sample"])
def test_markup_in_a_name_is_shown_as_text(build, write, place):
    attributes = (
        {f"tone{HOSTILE}": ["light", HOSTILE]} if place == "attribute and group" else {"tone": ["a", "b"]}
    )
    result = build(attributes, n=120)
    if place == "provenance":
        p = result.provenance.model_copy(
            update={"command": HOSTILE, "detector": {HOSTILE: HOSTILE, "name": HOSTILE}}
        )
        result = result.model_copy(update={"provenance": p})
    if place == "note":
        result = result.model_copy(update={"notes": [HOSTILE]})
    if place == "sample":
        bad = {"pair_id": HOSTILE, "groups": {"tone": HOSTILE}, "reason": HOSTILE, "kind": HOSTILE}
        result = result.model_copy(update={"samples": [result.samples[0].model_copy(update=bad)]})
    page = write_report(write(result)).read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in page
    assert page.count("</script>") == 4, "two data blocks, two scripts"


def test_json_cannot_close_its_block():
    text = json_block('{"a":"</script><!--\u2028&"}')
    assert not set("<>&\u2028") & set(text)


def test_one_attribute_alone(build, write):
    page = write_report(write(build({"race": ["a", "b"]}, n=150))).read_text(encoding="utf-8")
    assert 'id="intersections"' not in page
    assert "one attribute alone was audited" in page


def test_scores_without_pairs(build, write):
    page = write_report(write(build({"race": ["a", "b"]}, n=150, pairs=False))).read_text(encoding="utf-8")
    assert 'id="pairs"' not in page
    assert "Drop-out: the record does not say" in page


def test_no_attribute_at_all(result, tmp_path):
    empty = {"groups": [], "gaps": [], "verdicts": [], "dropout": [], "samples": [], "n_tests": 0}
    config = result.config.model_copy(update={"attributes": []})
    keep = [s for s in result.sweep if s.attribute == "overall"]
    bare = result.model_copy(update={**empty, "config": config, "sweep": keep})
    assert "No verdict: no group was compared." in build_page(tmp_path, bare, {})


def undefined(value):
    """The record with every undefinable number undefined, as JSON knows it."""
    if isinstance(value, float):
        return math.nan
    if isinstance(value, dict):
        fixed = ("config", "sweep_thresholds", "edges")
        return {k: v if k in fixed else undefined(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [undefined(v) for v in value]
    return value


def test_a_record_in_which_nothing_is_defined(build, write):
    result = build({"race": ["a", "b"], "gender": ["f", "m"]}, n=120)
    hollow = AuditResult.model_validate(undefined(result.model_dump()))
    page = write_report(write(hollow)).read_text(encoding="utf-8")
    assert "no data" in page
    text = re.sub(r"<script.*?</script>|<style.*?</style>|data:[^\"]+", "", page, flags=re.S)
    assert not re.findall(r".{40}(?:\bnan\b|NaN).{40}", text)


def test_one_class_only(build, write):
    page = write_report(write(build({"race": ["a", "b"]}, n=150, keep="real"))).read_text(encoding="utf-8")
    assert "All images are real" in page


def test_faces_left_out_for_privacy(run_dir):
    page = write_report(run_dir, images=False).read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page
    assert "pictures were left out of this report" in page


def test_a_missing_record_is_named_with_the_next_step(tmp_path):
    with pytest.raises(
        ResultFormatError, match=r"no audit\.json at .*; give the folder that `audit run` wrote"
    ):
        write_report(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"schema_version": "9.0"}'])
def test_a_broken_record_is_named(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(
        ResultFormatError,
        match=r"(audit\.json: not a result of this program|format 9\.0 is newer|audit\.json is not JSON)",
    ):
        write_report(tmp_path)


def test_a_broken_run_json_is_named(write, result):
    folder = write(result.model_copy(update={"samples": []}))
    (folder / "run.json").write_text("[1]")
    with pytest.raises(RecordFormatError, match=r"run\.json holds list, not an object"):
        write_report(folder)


def test_an_interrupted_writing_leaves_no_half_page(run_dir):
    write_report(run_dir)
    assert not list(run_dir.glob(".report.html*"))


@pytest.mark.slow
def test_reports_never_load_torch():
    code = (
        "import sys, reports.pages.report_page, reports.tables.report_tables\n"
        "import reports.pages.model_card, reports.pages.pdf\n"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('torch', 'fairlearn', 'sklearn')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reversed_scores_accuse_nobody_on_the_first_screen(score_frame, write):
    frame = score_frame({"race": ["White", "Black"]}, 400, {"Black": 1.5}, 2.4)
    found = audit_scores(frame.assign(score=1 - frame.score), AuditConfig(n_boot=200))
    page = write_report(write(found)).read_text(encoding="utf-8")
    first = page[page.index('<section id="answer"') : page.index('<section id="affected"')]
    assert "scores or labels look reversed" in first and "Scores or labels look reversed" in first
    assert "Black" not in first and 'class="chip' not in first
    assert "No group is named here." in page[page.index('<section id="affected"') :]


@pytest.mark.slow
def test_what_depends_on_the_share_of_fakes_is_said_beside_it(build, write):
    result = build(n=400)
    page = write_report(write(result)).read_text(encoding="utf-8")
    performance = page[page.index('id="accuracy-h"') :]
    assert "depend on the share of fakes among the images, 50% here" in performance
    disparities = page[page.index("Disparity measures: demographic parity") :]
    assert "each group’s share of fakes in this data set, 50% over all" in disparities


def test_a_report_of_reversed_scores_blames_nobody_and_advises_no_threshold(score_frame, write):
    frame = score_frame({"race": ["White", "Black"]}, 600, {"Black": 1.5}, 2.4)
    found = audit_scores(frame.assign(score=1 - frame.score), AuditConfig(n_boot=200))
    assert "disparity" in [v.verdict for v in found.verdicts]
    page = write_report(write(found)).read_text(encoding="utf-8")
    document = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "people labelled Black are" not in document and 'class="chip bad"' not in document
    assert document.count("Not answerable</span>") >= 2
    assert 'id="elsewhere"' not in document and "audit mitigate" not in document
    assert "the disparity named" not in document
