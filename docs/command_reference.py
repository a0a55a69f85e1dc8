"""Writes the page of commands from the commands themselves, so that it cannot fall behind.

Enters: the Markdown of `reference/commands.md`. Leaves: the same, with the help of every command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

PAGE, MARK = "reference/commands.md", "<!-- commands -->"


def command_help() -> str:
    """The help of every command as Markdown, by typer's own generator."""
    done = subprocess.run(
        [sys.executable, "-m", "typer", "audit.cli", "utils", "docs", "--name", "audit"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    )
    return done.stdout.replace("\n# ", "\n## ").removeprefix("# `audit`\n")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """MkDocs calls this for every page."""
    return markdown.replace(MARK, command_help()) if page.file.src_uri == PAGE else markdown
