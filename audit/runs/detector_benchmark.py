"""Detectors x data sets: how well each detector does on each set, and what it gets wrong.

Enters: detectors, labelled image sets. Leaves: a folder with `benchmark.json` (`BenchmarkResult`),
`benchmark.csv` and the scores of every detector on every set.

Why a detector's own training photos are left out and the rest of the set is kept: the diagonal of a table of
train-set x test-set is the reference for everything else, but only on photos the detector has not seen.
Why this module is in `audit`: measures with intervals are computed here; `detectors` may not look to the
right.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd

from audit.config import AuditConfig
from audit.data.counts import count
from audit.data.groups import whole
from audit.data.sampling_units import refuse_hidden_units
from audit.data.score_table import ScoreTable, score_table
from audit.errors import ConfigError, MissingColumnError, ScoreTableError
from audit.inference.proportion_intervals import z_value
from audit.judge.damage import overall_damage
from audit.judge.file_shortcuts import finding
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.group_measures import group_results, measures_of
from audit.metrics.operating_point import as_scores_have_it
from audit.metrics.plotted_series import axes_for, series_of
from audit.runs.image_audit import with_unit_column
from audit.runs.kinds_of_fake import mixture
from audit.runs.shortcuts_run import files_alone
from audit.runs.stress_run import checked, stressed_of
from audit.schema.benchmark import (
    BENCHMARK_FILE,
    OTHER_FAKES,
    TABLE_FILE,
    BenchmarkCell,
    BenchmarkDataset,
    BenchmarkDetector,
    BenchmarkResult,
    FilesAlone,
    Harm,
    Misclassified,
)
from audit.schema.result import Curve, GroupResult, Measures
from audit.schema.stress import Damage
from pipelines.csv_text import frame_text
from pipelines.places import name_of, remove
from pipelines.storage import write_text

if TYPE_CHECKING:
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.options import Options, RayCluster

MAX_SHOWN = 60
"""Misclassified images listed of each detector on each set; all are in the score tables."""
_NAME_BYTES = 100
"""Of a detector's or a set's name in that of a file; file systems allow 255 for the whole."""
_WHOLE = ("whole set",)
"""Stands in for the attributes of a set that has none; its one group is not reported."""


def benchmark(
    detectors: Sequence[str | Path | Detector],
    datasets: Sequence[str | Path | LabelledImages],
    out_dir: str | Path,
    config: AuditConfig | None = None,
    *,
    device: str = "auto",
    batch_size: int = 32,
    progress: bool = True,
    overwrite: bool = False,
    trust: Sequence[str] = (),
    shortcuts: bool = False,
    transformations: Sequence[str] = (),
    cluster: RayCluster | None = None,
) -> BenchmarkResult:
    """Score every data set with every detector, decoding each image once, and write the benchmark's folder.

    Args:
        detectors: Detector files, `module:factory`, or detectors in memory.
        datasets: Whatever `detectors.data.datasets.read_images` reads, or images read before.
        out_dir: Where to; an interrupted benchmark continues there.
        config: Threshold (a number), confidence, min_n, the column of units and whether images that share
            another are independent; the attributes are those of each set. A set without the column has none.
        device: "auto", "cpu" or "cuda".
        batch_size: Images per forward pass.
        progress: Show a bar for each set.
        overwrite: Replace another benchmark in the folder.
        trust: SHA-256 of foreign model files to run in this process instead of isolated ones.
        shortcuts: Say of each set how well its files alone tell real from fake.
        transformations: Keys of `TRANSFORMATIONS`; say how far each raises the error rates.
        cluster: Score on a Ray cluster, on its device; None for this process.

    Raises:
        ConfigError: no detector, no set, a threshold that is a rule, or a folder that holds a benchmark.
        MissingColumnError: no set has the column of units.
        UnitError: images of a set share persons, videos or source photos, and nobody has said so.
        ExpectedError: of `detectors`, where a detector or a set cannot be read.
    """
    from detectors.data.datasets import read_images
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.loading import load_detectors
    from detectors.scoring.options import Options
    from detectors.scoring.parts import staying

    config, out = (config or AuditConfig()).check(), Path(out_dir)
    _check(detectors, datasets, config, out, overwrite)
    names = checked(transformations) if transformations else []
    loaded = load_detectors(detectors, device="cpu" if cluster else device, trust=trust)
    sets = [
        with_unit_column(d if isinstance(d, LabelledImages) else read_images(d), config) for d in datasets
    ]
    _require_units(sets, config)
    detector_names = unique_names([d.name for d in loaded], [str(d) for d in detectors])
    set_names = unique_names([s.root.stem for s in sets], [str(s.root) for s in sets])
    cells, described = [], []
    options = Options(batch_size, None, out / ".scoring", progress, cluster=cluster)
    with staying(cluster):
        for images, set_name in zip(sets, set_names, strict=True):
            tables, own = _score_set(loaded, images, options), _of_set(images, config)
            for detector, name, table in zip(loaded, detector_names, tables, strict=True):
                cells.append(_cell(detector, name, images, set_name, table, own, out))
            if names:
                harm = _harm(loaded, images, tables, names, own, options)
                cells[-len(loaded) :] = [
                    cell.model_copy(update={"harm": rows})
                    for cell, rows in zip(cells[-len(loaded) :], harm, strict=True)
                ]
            described.append(_dataset(images, set_name, own, shortcuts, progress))
    result = BenchmarkResult(
        threshold=float(config.threshold),
        confidence=config.confidence,
        detectors=[_detector(d, name) for d, name in zip(loaded, detector_names, strict=True)],
        datasets=described,
        cells=cells,
    )
    write_benchmark(result, out)
    _remove_other_scores(out / "scores", {_scores_name(c.detector, c.dataset) for c in cells})
    return result


def _remove_other_scores(folder: Path, own: Collection[str]) -> None:
    """Take away the score tables of the benchmark that stood here before."""
    for path in sorted(folder.glob("*--*.parquet")):
        if path.name not in own:
            path.unlink()
            remove(path)


def _check(
    detectors: Sequence[object], datasets: Sequence[object], config: AuditConfig, out: Path, overwrite: bool
) -> None:
    if not detectors or not datasets:
        raise ConfigError("a benchmark takes at least one detector and one data set")
    if isinstance(config.threshold, str):
        raise ConfigError(f"threshold {config.threshold!r}: a benchmark needs a number, the same for all")
    if (out / BENCHMARK_FILE).exists() and not overwrite:
        raise ConfigError(
            f"{out} holds a benchmark already: choose another folder, or "
            "overwrite it: --overwrite, in Python overwrite=True"
        )


def _require_units(sets: Sequence[LabelledImages], config: AuditConfig) -> None:
    """Refuse, before anything is scored, a column of units that no set has."""
    name = config.unit_column
    if name is not None and not any(name in images.table for images in sets):
        first = sets[0]
        has = [*first.attributes, *first.others, *(["pair_id"] if "pair_id" in first.table else [])]
        told = ", ".join(map(repr, has)) or "none to name"
        raise MissingColumnError(f"no data set has a column {name!r}; {first.root} has {told}")


def _of_set(images: LabelledImages, config: AuditConfig) -> AuditConfig:
    """The options for one set: its attributes, and the column of units where it has it."""
    return replace(
        config,
        attributes=images.attributes or _WHOLE,
        unit_column=config.unit_column if config.unit_column in images.table else None,
    )


def unique_names(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """Names to tell things apart by: the short ones, the longer ones where short ones clash, then numbers.

    >>> unique_names(["a", "b"], ["x/a", "x/b"]), unique_names(["a", "a"], ["x/a", "y/a"])
    (['a', 'b'], ['x/a', 'y/a'])
    >>> unique_names(["a", "a"], ["x/a", "x/a"])
    ['x/a', 'x/a (2)']
    """
    chosen = [long if names.count(short) > 1 else short for short, long in zip(names, longer, strict=True)]
    earlier = [chosen[:i].count(name) for i, name in enumerate(chosen)]
    return [f"{name} ({n + 1})" if n else name for name, n in zip(chosen, earlier, strict=True)]


def _score_set(detectors: Sequence[Detector], images: LabelledImages, options: Options) -> list[pd.DataFrame]:
    """A score table for each detector, its own training photos marked by a status."""
    from detectors.data.labelled_images import with_hashes
    from detectors.scoring.dataset_scores import SEEN, seen_sources
    from detectors.scoring.engine import score_images

    tables = score_images(detectors, images, options)
    hashes = with_hashes(images).table["source_sha256"] if any(map(seen_sources, detectors)) else None
    if hashes is not None:
        for detector, table in zip(detectors, tables, strict=True):
            table.loc[hashes.isin(seen_sources(detector)).to_numpy(), "status"] = SEEN
    return tables


def _cell(
    detector: Detector,
    name: str,
    images: LabelledImages,
    set_name: str,
    table: pd.DataFrame,
    config: AuditConfig,
    out: Path,
) -> BenchmarkCell:
    """The numbers of one detector on one set; its scores are written beside them."""
    from detectors.scoring.dataset_scores import SEEN
    from detectors.scoring.score_table import OK, write_score_table

    write_score_table(table, out / "scores" / _scores_name(name, set_name))
    usable = table[table["status"] == OK].reset_index(drop=True).assign(**dict.fromkeys(_WHOLE, "all"))
    left_out = table.loc[table["status"] != OK, "status"].value_counts().sort_index()
    if usable["label"].nunique() < 2:
        why = f"; left out are {', '.join(f'{n} {reason}' for reason, n in left_out.items())}"
        raise ConfigError(
            f"{name} on {set_name}: real and fake images it has not learned from are both needed"
            f"{why if len(left_out) else ''}"
        )
    single, n_others = one_fake_a_photo(usable, config.seed)
    judged = score_table(single, config)
    columns = [name for name in images.others if name in single]
    refuse_hidden_units(judged, (single[column] for column in columns), config, config)
    measures, groups, curve = measure(judged, config)
    others = {OTHER_FAKES: n_others} if n_others else {}
    wrong = misclassified(usable, float(config.threshold), images.attributes)
    return BenchmarkCell(
        detector=name,
        dataset=set_name,
        seen_in_training=SEEN in left_out.index and _is_own(detector, images),
        n_left_out=dict(images.n_left_out) | {str(k): int(v) for k, v in left_out.items()} | others,
        measures=measures,
        by_kind=by_kind(usable, config),
        curve=curve,
        groups=groups if images.attributes else [],
        n_misclassified=len(wrong),
        misclassified=wrong[:MAX_SHOWN],
    )


def _is_own(detector: Detector, images: LabelledImages) -> bool:
    """Whether a set is the very one that a detector was trained on, and not one with some of its photos."""
    from detectors.data.labelled_images import fingerprint

    data = detector.provenance.get("data")
    if not isinstance(data, dict):
        return False
    known = data.get("fingerprint")
    return known == fingerprint(images) if known else data.get("name") == images.root.name


def one_fake_a_photo(usable: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, int]:
    """Images of which no two fakes are of one photo, drawn as `audit run` draws them.

    Args:
        usable: Scored images with image_id, pair_id, label and kind.
        seed: Of the draw.

    Returns:
        The images, and how many fakes were left out.
    """
    paired = usable["pair_id"].notna()
    if not usable[paired & (usable["label"] == 1)].duplicated("pair_id").any():
        return usable, 0
    single = pd.concat([mixture(usable[paired], seed), usable[~paired]], ignore_index=True)
    return single, len(usable) - len(single)


def measure(table: ScoreTable, config: AuditConfig) -> tuple[Measures, list[GroupResult], Curve]:
    """Measures of all images, of every group of every attribute, and the curve of all images."""
    threshold = as_scores_have_it(float(config.threshold), table.score)
    cells, scores = count(table, threshold), SortedScores.of(table)
    everything, z = whole(len(cells)), z_value(config.confidence)
    axes = axes_for(scores.curve(), threshold)
    overall = score_measures(scores, everything, z, axes)
    groups: list[GroupResult] = []
    for grouping in table.cells.groupings():
        counts = cells.merge(grouping.of_cell, len(grouping))
        groups += group_results(grouping, counts, score_measures(scores, grouping, z), config)
    curve = series_of(everything, overall, axes).curves[0]
    return measures_of(cells.total(), overall, config)[0], groups, curve


def by_kind(usable: pd.DataFrame, config: AuditConfig) -> dict[str, Measures]:
    """Measures on all real images and one kind of fake at a time; empty where there is one kind alone."""
    kinds = sorted(set(usable.loc[usable["label"] == 1, "kind"]))
    if len(kinds) < 2:
        return {}
    parts = {kind: usable[(usable["label"] == 0) | (usable["kind"] == kind)] for kind in kinds}
    return {
        kind: measure(score_table(part.reset_index(drop=True), config), config)[0]
        for kind, part in parts.items()
    }


def misclassified(usable: pd.DataFrame, threshold: float, attributes: Sequence[str]) -> list[Misclassified]:
    """Images on the wrong side of the threshold, the most confident mistakes first."""
    threshold = as_scores_have_it(threshold, usable["score"].to_numpy(dtype=float))
    fake = usable["score"] >= threshold
    wrong = usable[fake != (usable["label"] == 1)].copy()
    over = (wrong["score"] - threshold) / max(1 - threshold, 1e-9)
    under = (threshold - wrong["score"]) / max(threshold, 1e-9)
    wrong["confidence"] = over.where(wrong["score"] >= threshold, under)
    wrong = wrong.sort_values(["confidence", "image_id"], ascending=[False, True])
    return [
        Misclassified(
            image_id=row["image_id"],
            kind=row["kind"],
            score=row["score"],
            confidence=row["confidence"],
            groups={name: str(row[name]) for name in attributes},
        )
        for row in wrong.to_dict("records")
    ]


def _detector(detector: Detector, name: str) -> BenchmarkDetector:
    data = detector.provenance.get("data")
    trained_on = str(data.get("name", "")) if isinstance(data, dict) else ""
    return BenchmarkDetector(name=name, arch=detector.arch, sha256=detector.sha256, trained_on=trained_on)


def _harm(
    detectors: Sequence[Detector],
    images: LabelledImages,
    tables: Sequence[pd.DataFrame],
    names: Sequence[str],
    config: AuditConfig,
    options: Options,
) -> list[list[Harm]]:
    """For each detector how far transformations raise its error rates, on the images its cell is about."""
    from detectors.scoring.score_table import OK
    from detectors.scoring.stress_scores import stress_scores

    found = []
    for detector, table, scored in zip(
        detectors, tables, stress_scores(detectors, images, names, config.seed, options), strict=True
    ):
        own = scored.of(table.loc[table["status"] == OK, "image_id"])
        own = replace(own, table=own.table.assign(**dict.fromkeys(_WHOLE, "all")))
        rows = overall_damage(stressed_of(detector.name, own, config), config)
        found.append([_harm_of(name, rows) for name in names])
    return found


def _harm_of(name: str, rows: Sequence[Damage]) -> Harm:
    by_rate = {row.rate: row for row in rows if row.transformation == name}
    return Harm(
        transformation=name, fpr=by_rate["fpr"].damage, fpr_interval=by_rate["fpr"].interval,
        fnr=by_rate["fnr"].damage, fnr_interval=by_rate["fnr"].interval,
    )  # fmt: skip


def _files(images: LabelledImages, config: AuditConfig, progress: bool) -> FilesAlone:
    parts, families = files_alone(images, replace(config, attributes=()), progress)
    told = [family for family in families if family.told]
    best = max(told, key=lambda family: family.auc, default=None)
    return FilesAlone(
        finding=finding(parts), auc=parts[0].auc, interval=parts[0].interval,
        betrays=best.label if best else None,
    )  # fmt: skip


def _dataset(
    images: LabelledImages, name: str, config: AuditConfig, shortcuts: bool, progress: bool
) -> BenchmarkDataset:
    files, reason = None, None
    if shortcuts:
        try:
            files = _files(images, config, progress)
        except ScoreTableError as error:  # too few images to look: the rest of the benchmark stands
            reason = str(error)
    return BenchmarkDataset(
        name=name,
        path=name_of(images.root),
        layout=images.layout,
        n_images=len(images.table),
        kinds=images.kinds,
        attributes=list(images.attributes),
        unit_column=config.unit_column,
        files=files,
        files_reason=reason,
    )


def write_benchmark(result: BenchmarkResult, out_dir: str | Path) -> Path:
    """Write `benchmark.json` and `benchmark.csv`; returns the path of the first."""
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(result.rows())
    write_text(out / TABLE_FILE, frame_text(table))
    write_text(out / BENCHMARK_FILE, result.to_json())
    return out / BENCHMARK_FILE


def _scores_name(detector: str, dataset: str) -> str:
    """Name of the file of a detector's scores on a set: another one for every pair of names.

    >>> _scores_name("resnet50", "my-set"), _scores_name("x y", "a--b")
    ('resnet50--my-set.parquet', 'x%20y--a%2D%2Db.parquet')
    """
    return f"{_file_name(detector)}--{_file_name(dataset)}.parquet"


def _file_name(name: str) -> str:
    """A name as part of a file's: what no file's may have as %XX, as in an address, and "--" in none.

    One that is too long is cut, and told apart by its sha256 after "%.", which nothing else gives.
    """
    plain = "".join(c if c.isalnum() or c in "-_." else quote(c, "", errors="surrogatepass") for c in name)
    plain = re.sub("^-|-$|-(?=-)|(?<=-)-", "%2D", plain)
    if len(data := plain.encode()) <= _NAME_BYTES:
        return plain
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"{data[: _NAME_BYTES - 18].decode(errors='ignore')}%.{digest}"
