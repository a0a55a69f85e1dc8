"""The page in a real Chromium: every way in, by every means, with every way out of the machine cut."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).resolve().parents[3] / "build/axe/node_modules/axe-core/axe.min.js"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
ANSWER = re.compile("(Fake|Real) face")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, served):
    """Opens a page of the server; fails the test if anything complained or wanted to leave."""
    contexts, complaints = [], []

    def note(message):
        if "Failed to load resource" not in message.text:  # a 4xx that was asked for
            complaints.append(message.text)

    def cut(route):
        complaints.append(route.request.url)
        route.abort()

    def start(path="/", **how):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **how})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route(lambda url: not url.startswith((served.address, "data:", "blob:")), cut)
        page.goto(f"{served.address}{path}")
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def face_file(face_jpeg):
    return {"name": "face.jpg", "mimeType": "image/jpeg", "buffer": face_jpeg}


def objections(page) -> list[str]:
    """What axe-core objects to (WCAG 2.2 A and AA, and best practice); skips where it is not installed."""
    if not AXE.exists():
        pytest.skip("no axe-core: sh tests/install_browser.sh")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [f"{v['id']}: {v['help']}: {n['html'][:120]}" for v in found for n in v["nodes"]]


def hand_over(page, kind: str, data: bytes) -> None:
    """Drop or paste a file, as the browser would hand it to the page."""
    page.evaluate(
        """([kind, data]) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], "face.jpg", { type: "image/jpeg" }));
            const event = kind === "drop"
                ? new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
        }""",
        [kind, base64.b64encode(data).decode()],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_upload_is_answered_and_axe_finds_nothing(visit, face_file, scheme):
    page = visit(color_scheme=scheme)
    assert objections(page) == []
    page.locator("#image").set_input_files(face_file)
    expect(page.locator("#answer")).to_have_text(ANSWER)
    expect(page.locator(".box")).to_have_count(1)
    told = page.locator("#result").inner_text()
    assert re.search(r"Score 0\.\d{4}; fake from 0\.5 on", told)
    assert re.search(r"Of 1,000 (real faces|fakes) like those of its audit, it", told)
    assert re.search("lightly changed|Unstable", told)
    assert objections(page) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)"
    )


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted(visit, face_jpeg, kind):
    page = visit()
    hand_over(page, kind, face_jpeg)
    expect(page.locator("#answer")).to_have_text(ANSWER)


def test_the_keyboard_alone_suffices(visit, face_file):
    page = visit()
    page.on("filechooser", lambda _: None)  # a chooser asked for only when the key falls may open unseen
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "image"
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files(face_file)
    expect(page.locator("#answer")).to_be_focused()
    slider = page.locator("input[type=range]")
    if slider.count():
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.type") == "range"
        page.keyboard.press("End")
        assert page.locator(".map").get_attribute("opacity") == "1"


def test_on_a_phone_nothing_is_cut_off(visit, served, face_file):
    page = visit(viewport={"width": 360, "height": 740}, device_scale_factor=2)
    page.locator("#image").set_input_files(face_file)
    expect(page.locator("#answer")).to_have_text(ANSWER)
    for path in ("", "/scores", "/runs", "/docs"):
        if path:
            page.goto(f"{served.address}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path or "/"


def test_the_camera_takes_a_photo(visit, served):
    page = visit()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#camera-view")).to_be_visible()
    # not page.wait_for_function: what it asks again is a string, which the page's policy forbids to run
    expect(page.locator("#camera-view")).not_to_have_js_property("videoWidth", 0)
    page.get_by_role("button", name="Take the photo").click()
    expect(page.locator("#answer")).to_have_text("Not a face")  # a pattern, no person


def test_what_goes_wrong_is_said(visit, served, face_file):
    page = visit()
    page.locator("#image").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
    expect(page.locator("#answer")).to_contain_text("Not a readable image")
    assert objections(page) == []
    page.reload()
    page.evaluate("Object.defineProperty(File.prototype, 'size', { get: () => 21e6 })")
    page.locator("#image").set_input_files(face_file)
    expect(page.locator("#status")).to_have_text("face.jpg has 21.0 MB; it may have 20 MB.")
    page.reload()
    page.route(f"{served.address}/", lambda route: route.abort())
    page.locator("#image").set_input_files(face_file)
    expect(page.locator("#status")).to_contain_text("The server cannot be reached")


def test_without_scripts_the_form_works(visit, face_file):
    page = visit(java_script_enabled=False)
    page.locator("#image").set_input_files(face_file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("#answer")).to_have_text(ANSWER)
    expect(page.locator(".slide").first).to_be_hidden()


def test_a_csv_becomes_the_full_report(visit, score_csv):
    page = visit("/scores")
    page.locator("#table").set_input_files(score_csv)
    expect(page.locator("#label")).to_have_value("is_fake")
    expect(page.locator("#score")).to_have_value("score")
    assert page.get_by_label("race").is_checked() and not page.get_by_label("is_fake").is_checked()
    assert objections(page) == []
    page.locator("#score").select_option("score")
    page.get_by_role("button", name="Audit it").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)
    expect(page.locator("h1")).to_contain_text("fair")
    expect(page.locator("#answer")).to_contain_text("race")
    expect(page.get_by_role("button", name="Print")).to_be_visible()  # its own scripts ran


def test_runs_are_browsed_and_compared(visit):
    page = visit("/runs")
    assert objections(page) == []
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("h1")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="first").click()
    expect(page.locator("h1")).to_contain_text("Is tiny fair?")


def test_the_description_is_quiet_too(visit):
    page = visit("/docs")
    assert objections(page) == []
    expect(page.get_by_role("heading", name="POST /v1/score")).to_be_visible()
