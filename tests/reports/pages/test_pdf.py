"""The report as a PDF, where a Chromium is installed."""

import re
import shutil

import pytest

from reports.errors import ChromiumNotFound, PrintingFailed
from reports.pages import pdf
from reports.pages.report_page import write_report

HAS_BROWSER = any(shutil.which(name) for name in pdf.BROWSERS)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not HAS_BROWSER, reason="no Chromium: apt-get install chromium")
def test_the_report_prints(build, write):
    folder = write(build({"race": ["White", "Black"]}, n=300))
    write_report(folder)
    content = pdf.write_pdf(folder).read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 4
    assert len(content) < 5_000_000
    assert not list(folder.glob(".report.pdf*"))


def test_without_a_browser_the_next_step_is_named(run_dir, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ChromiumNotFound, match=r"install Chromium, or open report\.html and print it"):
        pdf.write_pdf(run_dir)


def test_a_browser_that_fails_is_quoted(run_dir, tmp_path, monkeypatch):
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\necho out of memory >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(PrintingFailed, match=r"exit 3\): out of memory"):
        pdf.write_pdf(run_dir)
