"""The progress bar counts shards, not calls."""

import re
import time
from io import StringIO

import pytest
from rich.console import Console

from pipelines.jobs import progress
from pipelines.jobs.progress import progress_bar


@pytest.fixture
def screen(monkeypatch):
    """What stands on standard error, if that were a terminal."""
    drawn = Console(file=StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda stderr: drawn if stderr else None)
    return drawn


def test_counts_of_a_shard_replace_its_earlier_ones(screen):
    with progress_bar(20, {0: (5, 1)}, shown=True) as listen:
        listen(1, 3, 1)
        listen(1, 1, 0)  # begun again by another worker
        listen(1, 5, 2)
        listen(2, 10, 0)
    last = screen.file.getvalue().split("making pairs")[-1]
    assert "20/20" in last
    assert "3 rejected" in last


def test_the_last_rate_is_that_of_the_whole_run(screen):
    """Reports come in bursts: the last half minute of them may hold thousands of photos in no time."""
    with progress_bar(1200, {0: (200, 0)}, shown=True) as listen:
        time.sleep(0.5)
        for n in range(0, 1001, 100):
            listen(1, n, 0)
    last = screen.file.getvalue().split("making pairs")[-1]
    rate = re.search(r"([\d.]+)/s", last)
    assert rate and 0 < float(rate[1]) <= 2000, last


def test_hidden_bar_still_listens():
    with progress_bar(5, {}, shown=False) as listen:
        listen(0, 5, 0)


def test_what_a_command_prints_can_be_piped(capsys):
    with progress_bar(5, {}, shown=True) as listen:
        listen(0, 5, 0)
    printed = capsys.readouterr()
    assert printed.out == "" and "making pairs" in printed.err
