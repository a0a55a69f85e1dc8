"""Pictures of `audit serve` for the documents: `python docs/draw_page.py DETECTOR RUN_DIR FACE.jpg OUT_DIR`.

Starts the server, uploads a face in headless Chromium, and writes page.jpg (desktop) and page-phone.jpg. The
faces shown in the documents are drawn by `pipelines.rendered`; no person in them exists.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

VIEWS = {
    "page.jpg": {"viewport": {"width": 1180, "height": 840}},
    "page-phone.jpg": {"viewport": {"width": 390, "height": 1250}, "color_scheme": "dark"},
}


def main(detector: str, run: str, face: str, out: str) -> None:
    """Take both."""
    command = [sys.executable, "-m", "audit.cli", "serve", "--detector", detector, "--run", run]
    server = subprocess.Popen([*command, "--port", "0", "--quiet"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for name, view in VIEWS.items():
                page = browser.new_context(**view).new_page()
                page.set_default_timeout(120_000)
                page.goto(address)
                page.locator("#image").set_input_files(face)
                page.locator("#answer").wait_for()
                page.locator("#answer").blur()
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=str(Path(out) / name), type="jpeg", quality=80)
            browser.close()
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
