"""The report on paper: printed to PDF by an installed Chromium.

Enters: a run folder; `report.html` is written if it is not there. Leaves: `report.pdf`.

Why a browser and not a PDF library: the page has its own print layout, and one renderer is enough. Why the
page is opened as `report.html#print`: there it draws all figures for paper before the printer looks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pipelines.storage import replace_file
from reports.errors import ChromiumNotFound, PrintingFailed
from reports.pages.report_page import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pdf-header-footer",
    "--virtual-time-budget=20000",
)
PATIENCE_S = 300


def find_browser() -> str:
    """Path of an installed Chromium or one of its kin.

    Raises:
        ChromiumNotFound: there is none on the PATH.
    """
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise ChromiumNotFound(
        f"a PDF needs a browser, and none of {', '.join(BROWSERS)} is on the PATH: install Chromium, or open "
        "report.html and print it"
    )


def print_page(page: Path, pdf: Path) -> Path:
    """Print an HTML file of ours to a PDF file.

    Args:
        page: The HTML file.
        pdf: Where the PDF goes; written under a temporary name first.

    Raises:
        ChromiumNotFound: no browser is installed.
        PrintingFailed: the browser gave up.
    """
    browser = find_browser()
    root = (
        ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    )  # its sandbox refuses root
    with tempfile.TemporaryDirectory(prefix="report-pdf-") as scratch:
        draft = Path(scratch) / "report.pdf"
        command = [browser, *FLAGS, *root, f"--user-data-dir={scratch}/profile", f"--print-to-pdf={draft}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri() + "#print"],
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PrintingFailed(
                f"{browser} did not print {page} within {PATIENCE_S} s; try again"
            ) from error
        if done.returncode or not draft.is_file():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise PrintingFailed(f"{browser} could not print {page} (exit {done.returncode}): {last[0]}")
        replace_file(pdf, lambda part: shutil.copyfile(draft, part))
    return pdf


def write_pdf(run_dir: str | Path) -> Path:
    """Write `report.pdf` into a run folder and return its path.

    Args:
        run_dir: Folder that holds `audit.json`; an existing `report.html` is printed as it is.

    Raises:
        RunNotFound: there is neither `report.html` nor `audit.json` in the folder.
        ChromiumNotFound: no browser is installed.
        PrintingFailed: the browser gave up.
    """
    folder = Path(run_dir)
    page = folder / "report.html"
    return print_page(page if page.is_file() else write_report(folder), folder / "report.pdf")
