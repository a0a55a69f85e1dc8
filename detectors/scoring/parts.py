"""Scores of many files in parts, here or on a cluster, each part kept as soon as it is finished.

Enters: detectors, files, the `Work` that scores a part of them. Leaves: one table of all parts, in order.
Whatever scores many images goes through here, and so continues where it stopped, on either engine.

Why parts have fixed borders: networks then see the same batches whoever computes them, and what one engine
finished the other one takes up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import pandas as pd

from detectors.data.image_batches import contents_of
from detectors.errors import ClusterError
from detectors.models.detector import Detector
from detectors.progress import progress_bar
from detectors.scoring.options import Options, RayCluster
from detectors.scoring.resume import Shards, run_key
from detectors.scoring.work import Engine, Here, Work
from pipelines.errors import PhotoMissing


def cut(n: int, size: int) -> list[range]:
    """The parts of so many files.

    >>> cut(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def engine_for(
    cluster: RayCluster | None,
    detectors: Sequence[Detector],
    work: Work,
    parts: Sequence[range],
    workers: int | None = None,
) -> AbstractContextManager[Engine]:
    """This process, or a cluster.

    Args:
        cluster: None for this process.
        detectors: In order.
        work: What is done with a part.
        parts: All there are.
        workers: Decoding threads of this process.

    Raises:
        ClusterError, EngineError: the cluster cannot be used.
    """
    if cluster is None:
        return Here(detectors, work, workers)
    from detectors.scoring.ray_workers import on_cluster

    return on_cluster(cluster, detectors, work, parts)


def staying(cluster: RayCluster | None) -> AbstractContextManager[object]:
    """Stay a member of a cluster while several things are scored on it; nothing where there is none.

    Raises:
        EngineError: no cluster answers.
    """
    if cluster is None:
        return nullcontext()
    from pipelines.engines.ray_fleet import joined

    return joined(cluster.address)


def in_order(engine: Engine, parts: Sequence[range]) -> Iterator[Any]:
    """What is made of each part, in the order of the parts; later ones wait for earlier ones."""
    early: dict[int, Any] = {}
    following = 0
    numbers = {part: number for number, part in enumerate(parts)}
    for part, made in engine.run(parts, lambda n: None):
        early[numbers[part]] = made
        while following in early:
            yield early.pop(following)
            following += 1


def in_parts(
    detectors: Sequence[Detector],
    work: Work,
    paths: Sequence[str],
    size: int,
    n_scores: int,
    how: Sequence[object],
    options: Options,
    what: str,
) -> pd.DataFrame:
    """Score files, taking up the parts that an interrupted run finished.

    Args:
        detectors: In order.
        work: Makes of a part a table of its files: status, detail, content, score_0 ...
        paths: N files.
        size: Files in a part.
        n_scores: Columns of scores.
        how: Everything but detectors and files that scores depend on; see `resume.run_key`.
        options: How scoring runs.
        what: Title of the progress bar.

    Returns:
        [N] rows, in the order of the files.
    """
    parts = cut(len(paths), size)
    done: dict[int, pd.DataFrame] = {}
    with (
        engine_for(options.cluster, detectors, work, parts, options.workers) as engine,
        progress_bar(what, len(paths), options.progress) as advance,
    ):
        shards = Shards(options.work_dir, run_key(engine.identity, paths, how), n_scores)
        for part in parts:
            files = paths[part.start : part.stop]
            found = shards.read(part.start, len(part), partial(contents_of, files, options.workers))
            if found is not None:
                done[part.start] = found
                advance(len(part))
        for part, found in engine.run([one for one in parts if one.start not in done], advance):
            if options.cluster is not None:
                _refuse_unseen(found, paths[part.start : part.stop])
            shards.write(part.start, found)
            done[part.start] = found
    shards.remove()
    return pd.concat([done[part.start] for part in parts], ignore_index=True)


def _refuse_unseen(found: pd.DataFrame, paths: Sequence[str]) -> None:
    """Refuse a worker's part in which files are missing that lie here: it does not see our folders.

    Raises:
        ClusterError: Naming the first of them.
    """
    for row in found.index[found["status"] == PhotoMissing.reason]:
        if os.path.exists(paths[row]):
            raise ClusterError(
                f"a worker of the Ray cluster does not see {paths[row]}, which is there: every machine "
                "must see the images under the same paths; what was finished is kept"
            )
