"""What `audit run` prints: what is important, the answer, a line a verdict, where the report lies.

Enters: an `AuditResult`. Leaves: text on standard output. The reasons stand in the report.

Why every name is made visible first: groups and columns are called as strangers called them, and a terminal
obeys what it is sent.
"""

from __future__ import annotations

import math
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.schema.result import AuditResult, Verdict
from pipelines.visible import visible

PIPE_WIDTH = 120
"""Characters a line where the output is no terminal."""

VERDICT_CELL = 2
STYLES = {"disparity": "bold red", "within tolerance": "green", "insufficient evidence": "yellow"}


def print_outcome(result: AuditResult, report: Path) -> None:
    """Print the notes, the headline, the verdicts and the path of the report."""
    from reports.text.answer import baseline_sentence, headline, notes, overall_sentence
    from reports.text.legible import legible

    result = legible(result)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    for note in notes(result):
        console.print(Text(f"Important: {note}", style="yellow"), soft_wrap=True)
    console.print(Text(headline(result), style="bold"), soft_wrap=True)
    told = f"{overall_sentence(result)} {baseline_sentence(result)}".rstrip()
    console.print(Text(told), soft_wrap=True)
    asked = [v for v in result.verdicts if ":" not in v.attribute or not math.isnan(v.p_value)]
    if asked:
        console.print(_table(result, asked))
    if len(asked) < len(result.verdicts):
        n = len(result.verdicts) - len(asked)
        print(f"{n} comparisons of intersections could not be made: too few images in a group.")
    print(f"report: {visible(report)}")


def _table(result: AuditResult, verdicts: list[Verdict]) -> Table:
    from audit.api.outcome import UNANSWERED, verdict_columns, verdict_row

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in verdict_columns(result):
        table.add_column(name, overflow="fold")
    for v in verdicts:
        cells = [Text(cell, overflow="fold") for cell in verdict_row(result, v)]
        cells[VERDICT_CELL].stylize(
            "yellow" if cells[VERDICT_CELL].plain == UNANSWERED else STYLES[v.verdict]
        )
        table.add_row(*cells)
    return table
