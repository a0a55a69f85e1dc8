"""The options of `audit run`, by panel: what each is called, takes and means.

Enters: nothing. Leaves: annotated types for the command's signature.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import DEVICES, THRESHOLDS, chosen_from, complete, set_quiet
from audit.config import CRITERIA
from audit.task import TASKS

DATA, DETECTOR, STATISTICS, GATE, OUTPUT = "Data", "Detector", "Statistics", "Gate", "Output"
"""Titles of the panels, in the order of the help."""

Scores = Annotated[
    Path | None,
    typer.Option(
        help="A CSV or Parquet table of scores, instead of a detector.", metavar="TABLE", rich_help_panel=DATA
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(help="A pairs dataset. Default: ./pairs.", metavar="DIR", rich_help_panel=DATA),
]
Images = Annotated[
    Path | None,
    typer.Option(
        help="Instead of pairs: a table of labelled images (CSV), or a folder.", metavar="PATH",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
Trials = Annotated[
    Path | None,
    typer.Option(
        help="With --task speaker-verification: a trials folder (its test part is audited), a table of "
        "trials, or VoxCeleb's list. Default: ./trials.",
        metavar="PATH", rich_help_panel=DATA,
    ),
]  # fmt: skip
Clips = Annotated[
    Path | None,
    typer.Option(
        help="With --trials: where the clips lie, if not where the trials say.", metavar="DIR",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
Attribute = Annotated[
    list[str] | None,
    typer.Option(
        help="Column to audit; repeat. Default: age, gender, race.", metavar="COLUMN", rich_help_panel=DATA
    ),
]
Bins = Annotated[
    list[str] | None,
    typer.Option(
        help="Edges for a numeric column: age=18,40,65; repeat.", metavar="COLUMN=EDGES", rich_help_panel=DATA
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(help="With --scores: the label that means fake.", metavar="LABEL", rich_help_panel=DATA),
]
LabelColumn = Annotated[
    str, typer.Option(help="With --scores: real or fake.", metavar="COLUMN", rich_help_panel=DATA)
]
ScoreColumn = Annotated[
    str, typer.Option(help="With --scores: higher = more fake.", metavar="COLUMN", rich_help_panel=DATA)
]
ImageIdColumn = Annotated[
    str,
    typer.Option(help="With --scores: names each image once.", metavar="COLUMN", rich_help_panel=DATA),
]
PairIdColumn = Annotated[
    str,
    typer.Option(
        help="With --scores: shared by a real image and its fake.", metavar="COLUMN", rich_help_panel=DATA
    ),
]
UnitColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the person, video or source photo that several images share: all images count, and "
        "it, not the image, is taken for independent.",
        metavar="COLUMN", rich_help_panel=DATA,
    ),
]  # fmt: skip
Independent = Annotated[
    bool,
    typer.Option(
        "--independent", help="Each image stands for itself, though a column's values repeat.",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
WeightColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of population weights, 0 or more: rates are weighted by them.", metavar="COLUMN",
        rich_help_panel=DATA,
    ),
]  # fmt: skip

TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        help="What is audited: fake-face, or speaker-verification: a verifier's --scores of trials, each of "
        "two clips, or --detector and --trials.",
        metavar="NAME", callback=chosen_from(TASKS), autocompletion=complete(TASKS), rich_help_panel=DATA,
    ),
]  # fmt: skip

Detector = Annotated[
    str | None,
    typer.Option(
        help="A detector's file such as resnet50.pt, or module:factory, or file.py:factory to run your own "
        "Python.",
        metavar="FILE", rich_help_panel=DETECTOR,
    ),
]  # fmt: skip
RunDevice = Annotated[
    str,
    typer.Option(
        help="auto, cpu or cuda.", metavar="DEVICE", callback=chosen_from(DEVICES),
        autocompletion=complete(DEVICES), rich_help_panel=DETECTOR,
    ),
]  # fmt: skip
RunBatchSize = Annotated[
    int,
    typer.Option(
        min=1, help="Images in a batch; more take more memory.", metavar="IMAGES", rich_help_panel=DETECTOR
    ),
]
IncludeSeen = Annotated[
    bool,
    typer.Option(
        "--include-seen", help="Audit photos the detector learned from, too.", rich_help_panel=DETECTOR
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="With --scores: the detector's name, for the report.", metavar="NAME", rich_help_panel=DETECTOR
    ),
]
DetectorVersion = Annotated[
    str | None,
    typer.Option(help="With --scores: the detector's version.", metavar="VERSION", rich_help_panel=DETECTOR),
]

Threshold = Annotated[
    str,
    typer.Option(
        help="Fake if score >= this: a number, or a rule: eer, youden, fpr=0.01 (on the images that fix it), "
        "'fpr<=0.01@95%' (in truth, in 95 of 100 audits), fnr likewise.",
        metavar="NUMBER|RULE", autocompletion=complete(THRESHOLDS), rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
CalibrationShare = Annotated[
    float,
    typer.Option(
        help="Share of the pairs on which a threshold rule is fixed; not audited.", metavar="SHARE",
        rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
Control = Annotated[
    list[str] | None,
    typer.Option(
        help="Column at equal value of which every gap is shown again; repeat. Default with pairs: their "
        "quality.",
        metavar="COLUMN", rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
Reference = Annotated[
    list[str] | None,
    typer.Option(
        help="Compare every other group with this one: race=White; repeat for other attributes. For a rule "
        "such as: no group may exceed White by more than 2 points (the --tolerance).",
        metavar="COLUMN=GROUP", rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
Confidence = Annotated[
    float,
    typer.Option(help="Of every interval and verdict.", metavar="SHARE", rich_help_panel=STATISTICS),
]


def points(text: str | float) -> float:
    """A tolerance as typed: a share below 1, or points.

    >>> points("0.02"), points("2"), points("2%"), points("1.5 points")
    (0.02, 0.02, 0.02, 0.015)

    Raises:
        typer.BadParameter: No number, or no tolerance.
    """
    share = _share(text)
    if share is None:
        raise typer.BadParameter(
            f"'{text}' is no tolerance: write 0.02 or 2 for 2 points, the largest acceptable gap between two "
            "rates"
        )
    return share


def limit(text: str | float) -> float:
    """The highest rate that is allowed, as typed: a share below 1, or percent.

    >>> limit("0.05"), limit("5"), limit("20%")
    (0.05, 0.05, 0.2)

    Raises:
        typer.BadParameter: No number, or no rate.
    """
    share = _share(text)
    if share is None:
        raise typer.BadParameter(f"'{text}' is no limit of a rate: write 0.05, 5 or 5% for 5 percent")
    return share


def _share(text: str | float) -> float | None:
    """A share, or points from 1 on; None where it is neither."""
    found = re.fullmatch(r"([0-9.]+)\s*(%|points?|pp|pts?)?", str(text).strip().lower())
    try:
        number = float(found[1]) if found else math.nan
    except ValueError:
        number = math.nan
    in_points = found is not None and (found[2] is not None or number >= 1)
    share = round(number / 100, 12) if in_points else number
    return share if 0 < share < 1 else None


Tolerance = Annotated[
    float,
    typer.Option(
        help="Largest acceptable gap between two rates: 0.02, or 2, is 2 points.", metavar="SHARE|POINTS",
        rich_help_panel=STATISTICS, parser=points,
    ),
]  # fmt: skip
Read = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        help="With --scores: how the table is written, where it is not guessed rightly: separator, decimal, "
        "encoding, percent=no, higher=real, real=LABEL, missing=WORD,WORD (more words for no value), "
        "case=keep; repeat.",
        metavar="KEY=VALUE", rich_help_panel=DATA,
    ),
]  # fmt: skip
RatioTolerance = Annotated[
    tuple[float, float],
    typer.Option(
        help="Acceptable ratios of two rates: from, to.", metavar="LOW HIGH", rich_help_panel=STATISTICS
    ),
]
Criterion = Annotated[
    str,
    typer.Option(
        help="What verdicts judge: the difference of two rates (--tolerance), their ratio "
        "(--ratio-tolerance), or four-fifths: whether real images of each group pass at least 0.8 times as "
        "often.",
        metavar="NAME", callback=chosen_from(CRITERIA), autocompletion=complete(CRITERIA),
        rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
MinN = Annotated[
    int,
    typer.Option(
        min=1, help="Smaller groups never drive a verdict.", metavar="IMAGES", rich_help_panel=STATISTICS
    ),
]
NBoot = Annotated[
    int,
    typer.Option(
        help="Permutation and bootstrap replicates; raised where too few to find anything.", metavar="COUNT",
        rich_help_panel=STATISTICS,
    ),
]  # fmt: skip
RunSeed = Annotated[
    int,
    typer.Option(
        min=0, help="The same seed gives the same bytes.", metavar="NUMBER", rich_help_panel=STATISTICS
    ),
]

GATES = ("proven", "disparity", "insufficient")
"""From the mildest to the strictest; `audit.judge.gates.FailOn` says the same, and a test that they agree."""
FailOn = Annotated[
    str | None,
    typer.Option(
        help="Exit with 1 on: proven (a gap proven beyond the tolerance), disparity (groups proven unequal), "
        "or insufficient (evidence) as well. Every gate exits with 3 where the detector is not shown to be "
        "better than guessing.",
        metavar="VERDICT", callback=chosen_from(GATES), autocompletion=complete(GATES),
        rich_help_panel=GATE,
    ),
]  # fmt: skip
MaxFpr = Annotated[
    float | None,
    typer.Option(
        "--max-fpr", "--max-fmr",
        help="Exit with 1 unless the FPR (FMR of a verifier) is shown to be at most this, overall and in "
        "every group of an audited attribute: 0.05, 5 or 5%.",
        metavar="SHARE|PERCENT", rich_help_panel=GATE, parser=limit,
    ),
]  # fmt: skip
MaxFnr = Annotated[
    float | None,
    typer.Option(
        "--max-fnr", "--max-fnmr", help="The same for the FNR (FNMR).", metavar="SHARE|PERCENT",
        rich_help_panel=GATE, parser=limit,
    ),
]  # fmt: skip
Junit = Annotated[
    Path | None,
    typer.Option(
        help="Write one test case per verdict to this file.", metavar="FILE",
        rich_help_panel=GATE,
    ),
]  # fmt: skip

Out = Annotated[
    Path | None,
    typer.Option(help="The run folder. Default: runs/NAME.", metavar="DIR", rich_help_panel=OUTPUT),
]
Sbom = Annotated[
    bool,
    typer.Option(
        "--sbom", help="Keep a bill of materials of this environment beside the run (CycloneDX).",
        rich_help_panel=OUTPUT,
    ),
]  # fmt: skip
RunOverwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace what another run left there.", rich_help_panel=OUTPUT),
]
RunJson = Annotated[
    bool,
    typer.Option("--json", help="Print the record as JSON, and nothing else.", rich_help_panel=OUTPUT),
]
RunQuiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=set_quiet, help="No progress and no remarks; errors alone.",
        rich_help_panel=OUTPUT,
    ),
]  # fmt: skip
