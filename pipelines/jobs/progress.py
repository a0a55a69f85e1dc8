"""A progress bar for pair generation: rate, time left, rejects so far.

Per-shard counts enter; a line on standard error leaves, so that what a command prints can be piped.
Counts of a shard replace its earlier ones, so a shard that a lost worker began and another one makes
again is not counted twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipelines.dataset.shards import Listener


class _Rate(ProgressColumn):
    """Photos a second over the last half minute; at the end over the whole run."""

    def render(self, task: Task) -> Text:
        """The rate as text."""
        speed = task.speed
        if task.finished_time:  # the last half minute may hold one burst of reports
            speed = (task.completed - task.fields["before"]) / task.finished_time
        return Text("" if speed is None else f"{speed:.1f}/s")


@contextmanager
def progress_bar(n_photos: int, done: dict[int, tuple[int, int]], shown: bool) -> Iterator[Listener]:
    """Show a bar while the block runs.

    Args:
        n_photos: how many photos there are in all.
        done: shard to (photos, of these rejected) for shards finished before.
        shown: draw it at all.

    Yields:
        The listener to tell of progress.
    """
    counts = dict(done)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]} rejected"),
    )
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, disable=not shown, speed_estimate_period=30) as bar:
        start = sum(n for n, _ in counts.values())
        rejected = sum(r for _, r in counts.values())
        task = bar.add_task("making pairs", total=n_photos, completed=start, rejected=rejected, before=start)

        def listen(shard: int, n_done: int, n_rejected: int) -> None:
            counts[shard] = (n_done, n_rejected)
            total, bad = (sum(c[i] for c in counts.values()) for i in (0, 1))
            bar.update(task, completed=total, rejected=bad)

        yield listen
