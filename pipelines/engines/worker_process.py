"""A worker process of the local engine: reads shard numbers, makes shards, says how it goes.

One shard number a line enters by standard input; one JSON record a line leaves by standard output:
{"shard", "done", "rejected"} for progress, {"finished": shard}, or {"error", "message"}.

Why a process of its own and not a pool: it dies with its parent, because the end of its standard
input is the end of the process at once; so nothing goes on writing after a run was killed. And it
needs no `if __name__ == "__main__"` in a user's script. The networks' packages are imported only
after it listens, so that it dies with its parent during the seconds that this import takes, too.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from pipelines.errors import ExpectedError
from pipelines.places import attach


def _speak(out: TextIO, **record: Any) -> None:
    """One record to the parent."""
    out.write(json.dumps(record) + "\n")
    out.flush()


def _listen(numbers: "queue.Queue[int]") -> None:
    """Take shard numbers from the parent; when it is gone, so is this process."""
    with open(0, "rb", buffering=0, closefd=False) as pipe:  # unbuffered: no lock to trip over at exit
        for line in pipe:
            numbers.put(int(line))
    os._exit(0)


def main(out_dir: str, device: str, copies: str = "[]") -> None:
    """Work until the parent closes standard input.

    Args:
        out_dir: the output folder, with a plan in it.
        device: torch device name.
        copies: what `places.attached` says in the parent, as JSON.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees Ctrl-C and closes our input
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints must not speak for us
    numbers: queue.Queue[int] = queue.Queue()
    threading.Thread(target=_listen, args=(numbers,), daemon=True).start()

    from pipelines.dataset.job import load_job
    from pipelines.dataset.shards import ShardMaker
    from pipelines.generators.compute import exact

    attach(json.loads(copies))
    try:
        with exact():
            maker = ShardMaker(load_job(Path(out_dir)), device)
            while True:
                number = numbers.get()
                maker.make(number, lambda s, n, r: _speak(out, shard=s, done=n, rejected=r))
                _speak(out, finished=number)
    except ExpectedError as fault:
        _speak(out, error=type(fault).__name__, message=str(fault))


if __name__ == "__main__":
    main(*sys.argv[1:])
