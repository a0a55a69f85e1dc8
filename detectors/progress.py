"""Progress bars for the long steps.

Enters: what is being done and how much of it there is. Leaves: a bar on standard error, so that what a
command prints can be piped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(what: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar while a step runs.

    Args:
        what: Two or three words.
        total: Items there are.
        shown: False for none.

    Yields:
        Call it with the number of items done since the last call.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
