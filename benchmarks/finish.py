"""Which finish leaves nothing in the file that tells the halves apart? Prints a table in Markdown.

    python benchmarks/finish.py FAIRFACE PAIRS [--finish png jpeg=90 source]

PAIRS is a dataset of FAIRFACE's photos written with --finish png. Each half of each pair is written again in
every finish, and a classifier that sees the files alone (`pipelines.dataset.file_traces`) says how well they
tell real from fake: 0.5 is nothing. Beside each AUC stands the half-width of its 95 % interval, from pairs
drawn again.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.dataset.file_traces import auc, file_scores
from pipelines.dataset.manifest import OK, read_manifest, read_provenance
from pipelines.sources.finish import Finish, parse_finish
from pipelines.sources.jpeg_tables import Tables, tables_of
from pipelines.sources.photos import read_photo

N_RESAMPLES = 1000


def written(
    row: dict[str, str], half: str, pairs: Path, tables: Tables | None, to: Path, how: Finish
) -> Path:
    """One half, written again."""
    path = to / f"{row['kind']}-{half}-{row['pair_id']}{how.suffix(tables)}"
    path.write_bytes(how.encode(read_photo(pairs / row[half]).pixels, tables))
    return path


def measured(rows: pd.DataFrame, fairface: Path, pairs: Path, how: Finish) -> tuple[float, float]:
    """(AUC of files alone, half-width of its 95 % interval) of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for row in rows.to_dict("records"):
            tables = tables_of((fairface / row["source"]).read_bytes())
            files.append([written(row, half, pairs, tables, Path(folder), how) for half in ("real", "fake")])
        real, fake = file_scores([f[0] for f in files], [f[1] for f in files])
    random = np.random.default_rng(0)
    draws = random.integers(0, len(real), (N_RESAMPLES, len(real)))
    resampled = [auc(real[one], fake[one]) for one in draws]
    return auc(real, fake), float(1.96 * np.std(resampled))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("fairface", type=Path)
    asked.add_argument("pairs", type=Path)
    asked.add_argument("--finish", nargs="+", default=["png", "jpeg=90", "source"])
    given = asked.parse_args()
    if read_provenance(given.pairs)["finish"]["how"] != "png":
        raise SystemExit(f"{given.pairs} was not written with --finish png: a loss cannot be taken back")
    manifest = read_manifest(given.pairs)
    ok = manifest[manifest["status"] == OK]
    kinds = sorted(set(ok["kind"]))
    print(f"| finish | {' | '.join(kinds)} |\n|{'---|' * (1 + len(kinds))}")
    for finish in given.finish:
        cells = [
            "{:.3f} ± {:.3f}".format(*measured(rows, given.fairface, given.pairs, parse_finish(finish)))
            for _, rows in ok.groupby("kind", sort=True)
        ]
        print(f"| {finish} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
