"""How fast the statistics are, beside fairlearn's own bootstrap in the same run on the same rows.

Enters: FairFace's labels if they are beside the checkout, else the same cell sizes drawn at random. Leaves: a
table of CPU and wall-clock seconds, the ratio to `MetricFrame(n_boot=...)`, and with `--rows` the whole
`audit run --scores` on Parquet files of so many rows, with its peak memory; `--with` says with which options.

Why CPU seconds: they hardly depend on what else the machine is doing. Everything here runs on one core.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fairlearn.metrics import MetricFrame, false_negative_rate, false_positive_rate

from audit.config import AuditConfig
from audit.data.counts import Counts, bootstrap, count
from audit.data.score_table import score_table
from audit.metrics.disparity import group_rates_of
from audit.runs.score_audit import audit_scores

LABELS = Path(__file__).resolve().parents[2] / "shared" / "fairface" / "full_labels"
N_PAIRS = 108_501
"""Photos in FairFace; each with its fake makes 217,002 images."""

OF_ONE_PERSON = 5
"""Photos of each person, where they share persons."""

WITH: dict[str, dict[str, Any]] = {
    "nothing": {},
    "rule": {"threshold": "eer"},
    "units": {"unit_column": "person"},
    "weights": {"weight_column": "weight"},
    "control": {"controls": ("sharpness",)},
    "camera": {},
}
"""Names for `--with`, and the options each stands for; `with_column` makes the column that it needs."""


@contextmanager
def timed(what: str, note: str = "") -> Iterator[dict[str, Any]]:
    """Print a row with the seconds the body took; the body may add to the note."""
    row: dict[str, Any] = {"note": note}
    wall, cpu = time.perf_counter(), time.process_time()
    yield row
    row["cpu"], row["wall"] = time.process_time() - cpu, time.perf_counter() - wall
    print(f"| {what} | {row['cpu']:.2f} | {row['wall']:.2f} | {row['note']} |", flush=True)


def labels(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """n rows of age, gender and race, distributed as in FairFace."""
    if LABELS.is_dir():
        parts = [pd.read_csv(LABELS / f"fairface_label_{part}.csv") for part in ("train", "val")]
        real = pd.concat(parts)[["age", "gender", "race"]]
        return real.iloc[np.arange(n) % len(real)].reset_index(drop=True)
    ages = ["0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"]
    sizes = np.array([199, 1356, 1181, 3300, 2330, 1353, 796, 321, 118])
    races = ["White", "Latino", "Black", "East Asian", "Indian", "Southeast Asian", "Middle Eastern"]
    return pd.DataFrame(
        {
            "age": rng.choice(ages, n, p=sizes / sizes.sum()),
            "gender": rng.choice(["Female", "Male"], n),
            "race": rng.choice(races, n),
        }
    )


def scores(n_pairs: int, seed: int = 0, first: int = 0) -> pd.DataFrame:
    """Pairs with scores in 0-1 of a detector that accuses one race more often; numbered from `first`."""
    rng = np.random.default_rng(seed)
    groups = labels(n_pairs, rng)
    person = 0.6 * rng.normal(size=n_pairs)
    real = person - 1.5 + rng.normal(size=n_pairs) + 0.4 * groups["race"].eq("Black").to_numpy()
    fake = person + 1.5 + rng.normal(size=n_pairs)
    groups = groups.astype("category")
    pair = "train/" + pd.Series(np.arange(first, first + n_pairs)).astype("str")
    halves = [
        groups.assign(image_id=pair + str(label), pair_id=pair, label=label, score=1 / (1 + np.exp(-logit)))
        for label, logit in ((0, real), (1, fake))
    ]
    return pd.concat(halves, ignore_index=True)


def with_column(frame: pd.DataFrame, name: str, first: int) -> pd.DataFrame:
    """Pairs with the column that an option of `WITH` needs; the same numbers of a pair in every call.

    Args:
        frame: 2 P rows of `scores`: P reals, then their fakes.
        name: Of `WITH`.
        first: Number of the first pair.
    """
    n_pairs = len(frame) // 2
    rng = np.random.default_rng([first, 1])
    if name == "units":
        person = "person " + pd.Series((first + np.arange(n_pairs)) // OF_ONE_PERSON).astype("str")
        groups = frame[["age", "gender", "race"]].iloc[np.arange(n_pairs) // OF_ONE_PERSON * OF_ONE_PERSON]
        both = pd.concat([groups, groups], ignore_index=True)
        return frame.assign(**both, person=pd.concat([person, person], ignore_index=True))
    column: dict[str, Any] = {}
    if name == "weights":
        column["weight"] = np.tile(rng.gamma(4.0, size=n_pairs), 2)
    if name == "control":
        column["sharpness"] = rng.normal(size=2 * n_pairs)
    if name == "camera":
        column["camera"] = pd.Series(rng.integers(0, 1000, 2 * n_pairs)).map("model {}".format)
    return frame.assign(**column)


def write_large(path: Path, n_rows: int, name: str = "nothing") -> None:
    """A Parquet file of any size in row groups of half a million: all reals, then all fakes."""
    step, writer = 500_000, None
    for label in (0, 1):
        for first in range(0, n_rows // 2, step):
            n = min(step, n_rows // 2 - first)
            part = with_column(scores(n, seed=first, first=first), name, first)
            table = pa.Table.from_pandas(part[part["label"] == label], preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    assert writer is not None
    writer.close()


def bootstrap_rates(counts: Counts, n_replicates: int) -> np.ndarray:
    """FPR and FNR of every cell in every replicate."""
    rates = group_rates_of(bootstrap(counts, n_replicates, np.random.default_rng(0)))
    return np.stack([rates.fpr, rates.fnr])


def fairlearn_bootstrap(frame: pd.DataFrame, n_boot: int) -> None:
    """fairlearn's own bootstrap of the same two rates over the same cells."""
    MetricFrame(
        metrics={"fpr": false_positive_rate, "fnr": false_negative_rate},
        y_true=frame["label"],
        y_pred=frame["score"] >= 0.5,
        sensitive_features=frame[["age", "gender", "race"]].astype(str),
        n_boot=n_boot,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )


def compare_bootstraps(frame: pd.DataFrame, n_fairlearn: int) -> None:
    """Ours at three sizes of the data, fairlearn's at one, and the ratio per replicate."""
    counts = count(score_table(frame, AuditConfig()), 0.5)
    ours = 0.0
    for n_pairs in (1_000, N_PAIRS, 5_000_000):
        factor = n_pairs / N_PAIRS
        parts = (counts.pairs, counts.reals, counts.fakes)
        sized = Counts(*[np.ceil(part * factor).astype(np.int64) for part in parts])
        with timed(f"10,000 replicates over {len(sized)} cells, {2 * n_pairs:,} images") as row:
            bootstrap_rates(sized, 10_000)
        ours = row["cpu"] if n_pairs == N_PAIRS else ours
    with timed("fairlearn, n_boot = 1, 217,002 images") as one:
        fairlearn_bootstrap(frame, 1)
    with timed(f"fairlearn, n_boot = {1 + n_fairlearn}, 217,002 images") as row:
        fairlearn_bootstrap(frame, 1 + n_fairlearn)
        row["note"] = "the difference is the cost of the replicates"
    theirs = (row["cpu"] - one["cpu"]) / n_fairlearn
    each = ours / 10_000
    print(f"\nper replicate: fairlearn {theirs:.2f} s, ours {1e6 * each:.0f} us, ratio {theirs / each:,.0f}")


def run_file(path: str, out: str, name: str) -> None:
    """In a process of its own: `audit run --scores`, and the most memory it held."""
    from audit.runs.score_audit import audit_file

    with timed(f"audit run --scores, {Path(path).name}, with {name}") as row:
        audit_file(path, out, AuditConfig(**WITH[name]))
        row["note"] = f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def in_own_process(make: Callable[[Path], None], name: str, options: str = "nothing") -> None:
    """Write a score file, then audit it in a fresh process, with some options of `WITH`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        make(path)
        command = [sys.executable, __file__, "--file", str(path), str(Path(folder) / "run"), options]
        subprocess.run(command, check=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="audit Parquet files of so many rows")
    parser.add_argument(
        "--with", nargs="*", default=["nothing"], choices=WITH, dest="options", help="audit those with each"
    )
    parser.add_argument("--only-rows", action="store_true", help="nothing but those")
    parser.add_argument("--replicates", type=int, default=3, help="of fairlearn's bootstrap")
    parser.add_argument("--file", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file:
        run_file(*options.file)
        return
    print("| what | CPU s | wall s | |\n|---|---|---|---|", flush=True)
    for n, name in product(options.rows, options.options):
        in_own_process(partial(write_large, n_rows=n, name=name), f"{n}.parquet", name)
    if options.only_rows:
        return
    frame = scores(N_PAIRS)
    with timed(f"audit of {len(frame):,} rows in memory, all intervals, tests and curves"):
        audit_scores(frame, AuditConfig())
    in_own_process(lambda path: frame.to_csv(path, index=False), "217002.csv")
    in_own_process(lambda path: frame.to_parquet(path, index=False), "217002.parquet")
    compare_bootstraps(frame, options.replicates)


if __name__ == "__main__":
    main()
