"""The progress bar counts shards, not calls."""

import re
import time
from io import StringIO

from rich.console import Console

from pipelines.jobs.progress import progress_bar


def test_counts_of_a_shard_replace_its_earlier_ones():
    screen = Console(file=StringIO(), force_terminal=True, width=120)
    with progress_bar(20, {0: (5, 1)}, shown=True, console=screen) as listen:
        listen(1, 3, 1)
        listen(1, 1, 0)  # begun again by another worker
        listen(1, 5, 2)
        listen(2, 10, 0)
    last = screen.file.getvalue().split("making pairs")[-1]
    assert "20/20" in last
    assert "3 rejected" in last


def test_the_last_rate_is_that_of_the_whole_run():
    """Reports come in bursts: the last half minute of them may hold thousands of photos in no time."""
    screen = Console(file=StringIO(), force_terminal=True, width=120)
    with progress_bar(1200, {0: (200, 0)}, shown=True, console=screen) as listen:
        time.sleep(0.5)
        for n in range(0, 1001, 100):
            listen(1, n, 0)
    last = screen.file.getvalue().split("making pairs")[-1]
    rate = re.search(r"([\d.]+)/s", last)
    assert rate and 0 < float(rate[1]) <= 2000, last


def test_hidden_bar_still_listens():
    with progress_bar(5, {}, shown=False) as listen:
        listen(0, 5, 0)
