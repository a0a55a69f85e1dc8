"""Takes the README's pictures of a report, with an installed Chromium.

    python reports/pictures/take.py RUN_DIR

Enters: a run folder with `report.html` (the demo's: rendered faces only, never photographs of people).
Leaves: PNG files beside this script, each under 200 kB.

Why a script: pictures that nobody can take again go stale.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
DESKTOP, PHONE = (1280, 800), (390, 844)
SHOTS = [
    ("answer", "#answer", DESKTOP, "light"),
    ("answer-dark", "#answer", DESKTOP, "dark"),
    ("affected", "#affected", (1280, 900), "light"),
    ("thresholds", "#thresholds", (1280, 720), "light"),
    ("intersections", "#intersections", (1280, 900), "light"),
    ("explorer", "#explorer", (1280, 1000), "light"),
    ("pairs", "#pairs", (1280, 640), "light"),
    ("phone", "#answer", PHONE, "light"),
]
"""Name of the file, section, window, colours."""
MAX_BYTES = 200_000
N_COLOURS = 256
"""A page of text, few colours and small faces needs no more, and a file of half the size holds them."""


def take(page: Page, name: str, section: str) -> None:
    """One picture of one section, once its figures are drawn; a section that is absent has none."""
    if not page.locator(section).count():
        print(f"{name}: the report has no {section}")
        return
    page.evaluate(
        """(id) => {
            const section = document.querySelector(id);
            const fold = section.closest('#appendix');
            if (fold) fold.open = true;
            section.scrollIntoView();
        }""",
        section,
    )
    page.wait_for_timeout(1500)
    path = HERE / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path, formats=["PNG"]).convert("RGB").quantize(N_COLOURS).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB{' (TOO LARGE)' if size > MAX_BYTES else ''}")


def main(run_dir: str) -> None:
    """Take all pictures of one run's report."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, section, (width, height), scheme in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(Path(run_dir, "report.html").resolve().as_uri())
            take(page, name, section)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
