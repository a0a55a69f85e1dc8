"""What `audit run` prints: what is important, the answer, a line a verdict, what next, where the report lies.

Enters: an `AuditResult`. Leaves: text on standard output, in 80 columns. The reasons stand in the report.

Why every name is made visible first: groups and columns are called as strangers called them, and a terminal
obeys what it is sent.
Why intersections are one sentence: nobody reads eighteen rows of a terminal, and the report has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.schema.result import AuditResult, Verdict
from audit.wording.verdict_text import RATES
from pipelines.visible import visible

PIPE_WIDTH = 120
"""Characters a line where the output is no terminal."""

STYLES = {"disparity": "bold red", "within tolerance": "green", "insufficient evidence": "yellow"}


def print_outcome(result: AuditResult, report: Path) -> None:
    """Print the notes, the headline with its evidence, the verdicts, the next step and the report's path."""
    from reports.pages.cure_part import cure_of, steps_with_cure
    from reports.text.answer import (
        baseline_sentence,
        headline,
        is_aside,
        is_limit,
        lead,
        notes,
        overall_sentence,
    )
    from reports.text.legible import legible
    from reports.text.next_steps import next_steps

    cure = cure_of(Path(report).parent, result)
    result = legible(result)
    console = _console()
    for note in notes(result):
        if not (is_aside(note) or is_limit(note)):
            _tell(console, Text(f"Important: {note}", style="yellow"))
    _tell(console, Text(headline(result), style="bold"))
    for claim, evidence in lead(result):
        _tell(console, Text(f"{claim} {evidence}".rstrip()))
    for title, table in _tables(result):
        console.print(Text(f"\n{title}", style="dim"), table)
    print()
    for line in _intersections(result):
        _tell(console, Text(line))
    _tell(console, Text(f"{overall_sentence(result)} {baseline_sentence(result)}".rstrip()))
    for step in steps_with_cure(next_steps(result), cure)[:1]:
        _tell(console, Text(f"What next: {step.text}"))
    print(f"report: {visible(report)}")


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def _tell(console: Console, text: Text) -> None:
    """A paragraph: broken between words on a terminal, one line elsewhere."""
    console.print(text, soft_wrap=not console.is_terminal)


def _tables(result: AuditResult) -> Iterator[tuple[str, Table]]:
    """A title and a row an attribute, for each kind of error."""
    from audit.wording.criterion_text import column_of_sizes

    task, sizes = result.task, column_of_sizes(result)
    for rate in RATES:
        title = f"{task.rate_name(rate)} ({task.rate(rate)})"
        chosen = [v for v in result.verdicts if v.rate == rate and ":" not in v.attribute]
        table = Table(box=None, show_header=False, pad_edge=False)
        for v in chosen:
            table.add_row(*_cells(result, v))
        if chosen:
            yield f"{title}: {sizes[:1].lower()}{sizes[1:]}", table


def _cells(result: AuditResult, v: Verdict) -> list[Text]:
    from audit.api.outcome import verdict_row
    from audit.wording.verdict_text import UNANSWERED

    name, _, word, gap, _ = verdict_row(result, v)
    style = "yellow" if word == UNANSWERED else STYLES[v.verdict]
    return [Text(f"  {name}", overflow="fold"), Text(word, style=style), Text(gap, overflow="fold")]


def _intersections(result: AuditResult) -> list[str]:
    """'Intersections: disparity by gender × race; inconclusive by age × race.' where they were judged."""
    from reports.text.answer import crossed_line, is_answerable

    told = [f"{word.lower()} {which}" for word, which in crossed_line(result)]
    return [f"Intersections: {'; '.join(told)}."] if told and is_answerable(result) else []
