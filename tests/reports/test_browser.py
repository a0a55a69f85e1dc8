"""The page in a real Chromium, with every way out of it cut."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from audit.config import AuditConfig
from audit.inference.proportion_intervals import z_value
from audit.metrics.false_discovery import false_discovery
from audit.runs.compare_runs import compare_runs, write_comparison
from audit.runs.score_audit import audit_file
from audit.wording.numbers import (
    of_thousand,
    of_thousand_interval,
    percent,
    percent_interval,
    threshold_text,
)
from audit.wording.verdict_text import gap_line
from reports.pages.comparison_page import write_comparison_page
from reports.pages.report_page import build, write_report

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).resolve().parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def large(run_dir):
    """FairFace's attributes, 126 cells, 60 pairs."""
    return write_report(run_dir)


@pytest.fixture(scope="module")
def small(build):
    """Two attributes and a planted disparity: every part of the page, in fewer rows."""
    groups = {"gender": ["Female", "Male"], "race": ["White", "Black", "Indian"]}
    whole = build(groups, n=1500, shift={"Black": 1.1})
    return whole.model_copy(update={"samples": whole.samples[::6]})


@pytest.fixture(scope="module")
def report(small, lay_out, tmp_path_factory):
    return write_report(lay_out(tmp_path_factory.mktemp("browser") / "run", small))


expect.set_options(timeout=PATIENCE_MS)


class Visit:
    """One page with its complaints: console messages, errors, and requests that tried to leave."""

    def __init__(self, browser, path, appendix=False, content=False, **context):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), self._cut)
        if content:
            self.page.set_content(path)
        else:
            self.page.goto(f"file://{path}")
        if appendix:
            self.page.locator("#appendix > summary").click()

    def _cut(self, route):
        self.complaints.append(route.request.url)
        route.abort()

    def bring(self, selector):
        """Scroll to an element and wait until the figures near it are drawn."""
        self.page.locator(selector).first.scroll_into_view_if_needed()
        return self.page.locator(selector).first


@pytest.fixture
def visit(browser, report):
    made = []

    def start(path=report, appendix=False, content=False, **context):
        made.append(Visit(browser, path, appendix, content, **context))
        return made[-1]

    yield start
    for one in made:
        one.context.close()


def draw_all(page):
    """Let every figure on the page come near the window."""
    page.evaluate(
        """async () => {
            for (let y = 0; y < document.body.scrollHeight; y += 600) {
                scrollTo(0, y);
                await new Promise((done) => setTimeout(done, 30));
            }
            scrollTo(0, 0);
        }"""
    )


def test_it_opens_quietly_and_draws_every_figure_in_sight(visit, large):
    one = visit(large)
    drawn = "document.querySelectorAll('[data-figure]:has(.main-svg)').length"
    assert one.page.evaluate(drawn) == 0, "figures out of sight would delay the first paint"
    one.page.locator("#appendix > summary").click()
    draw_all(one.page)
    undrawn = """() => [...document.querySelectorAll('[data-figure]')]
        .filter((e) => e.checkVisibility() && !e.querySelector('.main-svg')).map((e) => e.dataset.figure)"""
    for _ in range(100):
        if not one.page.evaluate(undrawn):
            break
        one.page.wait_for_timeout(100)
    assert one.page.evaluate(undrawn) == []
    assert one.complaints == []


def test_the_answer_is_on_the_first_screen(visit, large):
    page = visit(large).page
    for text in ("Is resnet50 fair?", "Audited on 1 March 2026", "What next"):
        box = page.get_by_text(text, exact=False).first.bounding_box()
        assert box["y"] + box["height"] < 800, text
    assert page.locator("#answer .verdicts").bounding_box()["y"] < 800


QUESTIONS = {
    "answer": "Is resnet50 fair?",
    "affected": "Who is affected, and how much",
    "certainty": "How sure is this?",
    "next": "What next",
    "thresholds": "Is the threshold right?",
}


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_five_questions_are_answered_in_six_screens(visit, large, width, height):
    page = visit(large, viewport={"width": width, "height": height}).page
    fold = page.locator("#appendix > summary").bounding_box()
    assert fold["y"] <= 6 * height
    for anchor, words in QUESTIONS.items():
        heading = page.locator(f"#{anchor} :is(h1, h2)").first
        assert words in heading.inner_text() and heading.bounding_box()["y"] < fold["y"]
        assert page.locator(f"nav.toc a[href='#{anchor}']").count() == 1
    assert not page.locator("#numbers").is_visible(), "the rest is folded"
    sections = page.locator("main > *:not(noscript)").evaluate_all("(all) => all.map((e) => e.id)")
    assert sections == ["answer", "affected", "certainty", "thresholds", "examples", "appendix"]


def n_pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_four_pages_are_printed_and_nothing_on_them_is_cut_off(visit, large):
    page = visit(large, color_scheme="dark").page
    assert 2 <= n_pages(page.pdf(prefer_css_page_size=True)) <= 4
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 less its margins
    page.emulate_media(media="print")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('main table, main p, main th, main td, .track text, .card')]
            .filter((e) => e.checkVisibility() && !e.closest('.vh') && !e.classList.contains('vh'))
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.outerHTML.slice(0, 90))"""
    )
    assert cut == []
    assert page.get_by_text("The appendix is in report.html").is_visible()


def test_an_open_appendix_is_printed_too(visit):
    one = visit()
    closed = n_pages(one.page.pdf(prefer_css_page_size=True))
    one.page.locator("#appendix > summary").click()
    assert n_pages(one.page.pdf(prefer_css_page_size=True)) > closed + 2
    assert one.complaints == []


def test_every_verdict_shows_the_numbers_that_decided_it(visit, small):
    page = visit().page
    table = page.locator("#answer .verdicts").inner_text().replace("\u00a0", " ")
    for v in (v for v in small.verdicts if ":" not in v.attribute):
        assert gap_line(small, v) in table
        assert "p =" in gap_line(small, v) or "p <" in gap_line(small, v)
    for word in ("cannot tell", "insufficient evidence"):
        assert word not in page.locator("main").inner_text().lower()


def test_a_link_into_the_appendix_opens_it(visit):
    page = visit().page
    page.locator("#thresholds a[href='#explorer']").click()
    expect(page.locator("#threshold")).to_be_visible()
    expect(page.locator("#explorer-h")).to_be_in_viewport()


def test_the_table_of_thresholds_fits_a_phone(visit, large):
    page = visit(large, viewport={"width": 390, "height": 844}).page
    region = page.locator("#thresholds .table-wrap")
    assert region.evaluate("(e) => e.scrollWidth <= e.clientWidth")
    for region in page.locator("#affected .table-wrap, #answer .table-wrap").all():
        assert region.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")


def test_a_phone_needs_no_sideways_scrolling(visit, large):
    page = visit(large, viewport={"width": 375, "height": 800}).page
    draw_all(page)
    for details in page.query_selector_all("details"):
        details.evaluate("(e) => { e.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_slider_moves_rates_gap_and_marks(visit, small):
    one = visit(appendix=True)
    one.bring("#threshold")
    page = one.page
    assert "At threshold 0.5:" in page.locator("#explorer-summary").inner_text()
    before = page.locator("#explorer-table tbody tr").first.inner_text()
    mark = (
        "() => { const p = document.querySelector('[data-figure^=roc][data-marks]'); return p.data.at(-1).x }"
    )
    page.wait_for_selector("[data-figure^=roc][data-marks] .main-svg")
    at_start = page.evaluate(mark)
    page.locator("#threshold").focus()
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    at = small.sweep_thresholds.index(0.5) - 20
    moved = f"At threshold {threshold_text(small.sweep_thresholds[at])}:"
    expect(page.locator("#explorer-summary")).to_contain_text(moved)
    row = page.locator("#explorer-table tbody tr").first.inner_text()
    black = next(s for s in small.sweep if s.group == "Black")
    assert row != before
    assert f"{100 * black.fp[at] / black.n_real:.1f}%" in row
    assert page.evaluate(mark) != at_start
    page.locator("#threshold-reset").click()
    expect(page.locator("#explorer-summary")).to_contain_text("At threshold 0.5:")
    assert one.complaints == []


def test_the_intervals_of_the_slider_are_those_of_the_audit(visit, small):
    page = visit(appendix=True).page
    rows = page.locator("#explorer-table tbody tr").all_inner_texts()
    for group in (g for g in small.groups if g.attribute == "race"):
        row = next(r for r in rows if r.startswith(group.group))
        assert f"({percent_interval(group.fpr_interval)})" in row


def test_the_slider_rounds_as_the_rest_of_the_page_does(visit, small):
    """10 of 160 is 6.25%: one text for one number."""
    everyone = next(s for s in small.sweep if s.attribute == "overall")
    at, fp = small.sweep_thresholds.index(0.5), list(everyone.fp)
    fp[at], fp[at - 1], fp[at - 2] = 10, 30, 1
    half = everyone.model_copy(update={"n_real": 160, "fp": fp})
    changed = small.model_copy(update={"sweep": [half if s is everyone else s for s in small.sweep]})
    page = visit(build(Path("."), changed, {}, images=False), appendix=True, content=True).page
    page.locator("#threshold").focus()
    for errors in (10, 30, 1):
        expect(page.locator("#explorer-summary")).to_contain_text(f": {percent(errors / 160)} of real images")
        page.keyboard.press("ArrowLeft")


def discovered(result, group, at, share):
    """What the explorer should say of a group: of 1,000 flagged, real people, with the interval."""
    s = next(s for s in result.sweep if s.group == group)
    z = z_value(result.config.confidence)
    rate, limits = false_discovery(s.fp[at], s.n_real, s.fn[at], s.n_fake, share, z)
    return f"{of_thousand(float(rate))} ({of_thousand_interval(tuple(map(float, limits)))})"


def test_what_a_flag_means_follows_the_share_of_fakes_and_the_threshold(visit, small):
    one = visit(appendix=True)
    page, at = one.page, small.sweep_thresholds.index(0.5)
    one.bring("#fake-share")
    cell = page.locator("#explorer-table tbody tr").first.locator("td").last
    expect(cell).to_have_text(discovered(small, "Black", at, 0.01))
    page.get_by_role("button", name="50% fakes").focus()
    page.keyboard.press("Enter")
    expect(cell).to_have_text(discovered(small, "Black", at, 0.5))
    expect(page.locator("button.fake-share[aria-pressed=true]")).to_have_text("50%")
    page.get_by_label("Share of fakes in use", exact=True).fill("0.2")
    expect(cell).to_have_text(discovered(small, "Black", at, 0.002))
    expect(page.locator("#explorer-table thead")).to_contain_text("if 0.2% are fakes")
    expect(page.locator("#explorer-summary")).to_contain_text(
        "If 0.2% of the images are fakes, of 1,000 flagged"
    )
    assert page.locator("button.fake-share[aria-pressed=true]").count() == 0
    page.locator("#threshold").focus()
    page.keyboard.press("ArrowLeft")
    expect(cell).to_have_text(discovered(small, "Black", at - 1, 0.002))
    assert one.complaints == []


def test_an_impossible_share_is_marked_and_changes_nothing(visit):
    page = visit(appendix=True).page
    field = page.get_by_label("Share of fakes in use", exact=True)
    before = page.locator("#explorer-table").inner_text()
    for wrong in ("", "0", "100", "-3"):
        field.fill(wrong)
        expect(field).to_have_attribute("aria-invalid", "true")
        assert page.locator("#explorer-table").inner_text() == before
        field.fill("1")
        expect(field).to_have_attribute("aria-invalid", "false")


def test_the_ends_of_the_threshold_leave_no_wrong_number(visit):
    one = visit(appendix=True)
    cell = one.page.locator("#explorer-table tbody tr").first.locator("td").last
    one.page.locator("#threshold").focus()
    for key, text in (("Home", "990 (990–990)"), ("End", "no data")):
        one.page.keyboard.press(key)
        expect(cell).to_contain_text(text)
    assert one.complaints == []


def test_another_attribute_can_be_chosen(visit):
    one = visit(appendix=True)
    one.bring("#explorer-attribute").select_option(label="Gender")
    assert one.page.locator("#explorer-table tbody tr").count() == 3
    assert one.page.locator(".explorer-figures:visible").count() == 1


def test_a_table_sorts_by_any_column_with_the_keyboard(visit):
    page = visit(appendix=True).page
    table = page.locator("#numbers-0 table").first
    header = table.locator("thead button").nth(1)
    header.focus()
    page.keyboard.press("Enter")
    column = "(t) => [...t.tBodies[0].rows].map((r) => +r.cells[1].dataset.sort)"
    falling = table.evaluate(column)
    assert falling == sorted(falling, reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1
    page.keyboard.press("Enter")
    assert table.evaluate(column) == sorted(falling)
    assert table.locator("th[aria-sort=ascending]").count() == 1


def test_a_table_downloads_as_csv(visit, small, tmp_path):
    page = visit(appendix=True).page
    with page.expect_download() as started:
        page.locator("#numbers-0 .download a").first.click()
    started.value.save_as(tmp_path / "t.csv")
    assert started.value.suggested_filename == "rates-race.csv"
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = {row["group"]: row for row in csv.DictReader(file)}
    black = next(g for g in small.groups if g.group == "Black")
    assert float(rows["Black"]["fpr"]) == black.fpr


def test_a_figure_is_saved_as_a_picture(visit, tmp_path):
    one = visit(appendix=True)
    one.bring("#accuracy [data-figure]")
    one.page.wait_for_selector("#accuracy [data-figure] .main-svg")
    with one.page.expect_download() as started:
        one.page.locator("#accuracy button.save").first.click()
    assert started.value.suggested_filename == "resnet50-roc-all-images.svg"
    with one.page.expect_download() as started:
        one.page.locator("#affected a.save").first.click()
    assert started.value.suggested_filename == "resnet50-race-real-images-flagged-as-fake.svg"
    started.value.save_as(tmp_path / "f.svg")
    assert "<svg" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert one.complaints == []


def test_a_term_opens_its_meaning_by_keyboard(visit):
    page = visit().page
    page.locator("#answer .term").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(":popover-open").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(":popover-open").count() == 0


def test_the_theme_can_be_switched(visit):
    one = visit(color_scheme="light", appendix=True)
    one.bring("#accuracy [data-figure]")
    one.page.wait_for_selector("#accuracy [data-figure] .main-svg")
    ink = """() => [getComputedStyle(document.body).backgroundColor,
                    document.querySelector('#accuracy [data-figure]').layout.font.color]"""
    light = one.page.evaluate(ink)
    one.page.locator("#theme").click()
    dark = one.page.evaluate(ink)
    assert light[0] != dark[0] and light[1] != dark[1]
    assert one.page.locator("#theme").inner_text() == "Light"


def test_paper_shows_every_figure_and_every_table_in_light_colours(visit):
    one = visit(color_scheme="dark", appendix=True)
    one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    state = one.page.evaluate(
        """() => ({
            undrawn: [...document.querySelectorAll('[data-figure]')]
                .filter((e) => e.checkVisibility() && !e.querySelector('.main-svg')).length,
            closed: document.querySelectorAll('details:not([open])').length,
            wide: [...document.querySelectorAll('[data-figure] .main-svg')]
                .filter((e) => e.clientWidth > e.closest('[data-figure]').clientWidth + 1).length,
            theme: document.documentElement.dataset.theme,
        })"""
    )
    assert state == {"undrawn": 0, "closed": 0, "wide": 0, "theme": "light"}
    one.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert one.page.evaluate("document.documentElement.dataset.theme") is None
    assert one.complaints == []


def test_without_scripts_every_number_is_still_there(visit, small):
    page = visit(java_script_enabled=False).page
    assert page.locator("noscript").count() == 1
    assert "Its error rates differ by race." in page.content()
    assert page.locator("#numbers-0 table").first.locator("tbody tr").count() == 4
    assert page.locator("#attribute-0 .gaps").first.locator("circle").count() >= 3


def test_hostile_names_are_text_in_tables_and_figures(visit, build, write):
    names = ["<script>document.title='x'</script>", "<img src=x onerror=alert(1)>", "<b>bold</b>"]
    result = build({"tone": names, names[0]: ["a", "b"]}, n=400)
    one = visit(write_report(write(result)))
    for details in one.page.query_selector_all("details"):
        details.evaluate("(e) => { e.open = true }")
    draw_all(one.page)
    assert one.page.title().startswith("Fairness audit")
    shown = one.page.locator("#affected .gaps tbody th").all_inner_texts()
    assert all(name in [text.strip() for text in shown] for name in names)
    assert one.complaints == []


def test_long_names_leave_the_numbers_in_sight(visit, build, write):
    names = ["x" * 200, "a long name with blanks " * 8, "short"]
    page = visit(
        write_report(write(build({"tone_" * 25: names}, n=400))), viewport={"width": 360, "height": 800}
    ).page
    for details in page.query_selector_all("details"):
        details.evaluate("(e) => { e.open = true }")
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    right = "(e) => e.getBoundingClientRect().right"
    if page.locator(".verdicts tbody td").count():
        assert page.locator(".verdicts tbody td").last.evaluate(right) <= 360
    page.set_viewport_size({"width": 1280, "height": 800})
    for cell in page.locator("table.data tbody th").all():
        assert cell.evaluate("(e) => e.getBoundingClientRect().width") <= 400


def violations(page):
    """What axe-core objects to, with everything unfolded; skips where it is not installed."""
    if not AXE.exists():
        pytest.skip("no axe-core: sh tests/install_browser.sh")
    for details in page.query_selector_all("details"):
        details.evaluate("(e) => { e.open = true }")
    draw_all(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    page.evaluate("scrollTo(0, 0)")
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{v['id']}: {v['help']}: {n['html'][:120]}" for v in found for n in v["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, scheme):
    told = violations(visit(color_scheme=scheme).page)
    assert not told, "\n".join(told)


@pytest.fixture(scope="module")
def comparison(score_file, tmp_path_factory):
    """Two runs compared."""
    folder, config = tmp_path_factory.mktemp("compared"), AuditConfig(attributes=["race"], n_boot=200)
    for name, shift in (("a", {}), ("b", {"Black": 1.5})):
        scores = score_file({"race": ["White", "Black"]}, 500, shift, 2.4, folder / f"{name}.csv")
        audit_file(scores, folder / name, config)
    write_comparison(compare_runs([folder / "a", folder / "b"]), folder)
    return write_comparison_page(folder)


def test_the_comparison_is_quiet_and_axe_finds_nothing(visit, comparison):
    one = visit(comparison)
    told = violations(one.page)
    assert not told, "\n".join(told)
    assert one.complaints == []


def test_on_a_phone_the_comparison_breaks_between_words(visit, comparison):
    page = visit(comparison, viewport={"width": 390, "height": 800}).page
    chips = page.locator(".chip").evaluate_all(
        "(all) => all.map((e) => [e.innerText.trim().split(/\\s+/).length,"
        " Math.round(e.clientHeight / parseFloat(getComputedStyle(e).lineHeight))])"
    )
    assert chips and all(lines <= words for words, lines in chips)
    heights = page.locator(".tools button").evaluate_all("(all) => all.map((e) => e.clientHeight)")
    assert max(heights) < 40, "a button is one line"
