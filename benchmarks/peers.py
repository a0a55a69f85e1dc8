"""What other tools say of detectors whose true error rates are known, beside what this one says.

Enters: nothing; tables of decisions are simulated. Leaves: a table of how often each tool says that groups
are treated unequally, and a table of CPU seconds on FairFace's size.

It needs aequitas, which wants an older pandas, so it runs in an environment of its own:

    python3 -m venv peers && peers/bin/pip install -e . 'aequitas==1.1.0'
    peers/bin/python benchmarks/peers.py

Each tool is asked in its own terms, with its own defaults:

- aequitas: "FPR Parity" and "FNR Parity" of every group against the largest one, true where the ratio of the
  two rates lies in 0.8 to 1.25; and its t-tests (`check_significance=True`, alpha 0.05).
- fairlearn: gives no answer of its own. Counted is whether the 95 % interval of `MetricFrame.difference()`,
  from its own bootstrap (`n_boot`), lies above 0.
- AI-Face-FairnessBench and most papers: the largest minus the smallest rate at 0.5, times 100, with no
  interval. Shown is its mean. AIF360 gives such differences between a privileged and an unprivileged group.

Why nothing of DeepfakeBench: it has no groups.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from aequitas.bias import Bias
from aequitas.fairness import Fairness
from aequitas.group import Group
from fairlearn.metrics import MetricFrame, false_negative_rate, false_positive_rate
from statistics_speed import N_PAIRS, scores

from audit.config import AuditConfig
from audit.runs.score_audit import audit_scores

RACES = {
    "White": 2085, "Latino": 1623, "Black": 1556, "East Asian": 1550, "Indian": 1516, "Southeast Asian": 1415,
    "Middle Eastern": 1209,
}  # fmt: skip
"""Photos of each race in FairFace's validation table."""


@dataclass(frozen=True)
class Case:
    """A detector and a set of images.

    Attributes:
        name: For the table.
        share: Of FairFace's validation set that is audited.
        fpr: True FPR of every race but Black.
        fpr_black: True FPR of Black; equal to `fpr` for a detector that treats all alike.
        fnr: True FNR of all.
    """

    name: str
    share: float
    fpr: float
    fpr_black: float
    fnr: float = 0.1

    def table(self, rng: np.random.Generator) -> pd.DataFrame:
        """race, label (1 = fake), score in 0-1, decision (1 = flagged at 0.5), one row an image."""
        sizes = {race: round(n * self.share) for race, n in RACES.items()}
        race = np.repeat(list(sizes), list(sizes.values()))
        wrong = np.where(race == "Black", self.fpr_black, self.fpr)
        flagged = np.concatenate([rng.random(len(race)) < wrong, rng.random(len(race)) >= self.fnr])
        return pd.DataFrame(
            {
                "race": np.concatenate([race, race]),
                "label": np.repeat([0, 1], len(race)),
                "score": (flagged + rng.random(len(flagged))) / 2,
                "decision": flagged.astype(int),
            }
        )


CASES = [
    Case("equal, 5 % FPR, 1,100 photos", 0.1, 0.05, 0.05),
    Case("equal, 5 % FPR, 10,954 photos", 1.0, 0.05, 0.05),
    Case("equal, 0.5 % FPR, 10,954 photos", 1.0, 0.005, 0.005),
    Case("Black 10 %, others 5 %, 10,954 photos", 1.0, 0.05, 0.10),
]


def ours(table: pd.DataFrame) -> bool:
    """Whether any disparity is found."""
    result = audit_scores(table.drop(columns="decision"), AuditConfig(attributes=("race",)))
    return any(verdict.verdict == "disparity" for verdict in result.verdicts)


def _aequitas(table: pd.DataFrame) -> pd.DataFrame:
    given = table[["race"]].assign(score=table["decision"], label_value=table["label"])
    crosstab, _ = Group().get_crosstabs(given, attr_cols=["race"])
    return Bias().get_disparity_major_group(crosstab, given, check_significance=True, mask_significance=True)


def aequitas_parity(bias: pd.DataFrame) -> bool:
    """Whether any group fails FPR or FNR parity."""
    fair = Fairness().get_group_value_fairness(bias)
    return not bool((fair["FPR Parity"] & fair["FNR Parity"]).all())


def aequitas_significance(bias: pd.DataFrame) -> bool:
    """Whether any group is marked as significantly different in FPR or FNR."""
    return bool(bias["fpr_significance"].any() or bias["fnr_significance"].any())


def fairlearn_interval(table: pd.DataFrame, n_boot: int = 100) -> bool:
    """Whether its interval of either difference lies above 0."""
    frame = MetricFrame(
        metrics={"fpr": false_positive_rate, "fnr": false_negative_rate},
        y_true=table["label"],
        y_pred=table["decision"],
        sensitive_features=table["race"],
        n_boot=n_boot,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    return bool((frame.difference_ci()[0] > 0).any())


def largest_gap(table: pd.DataFrame) -> float:
    """Largest minus smallest FPR, times 100."""
    rates = table[table["label"] == 0].groupby("race")["decision"].mean()
    return float(100 * (rates.max() - rates.min()))


def _share(found: list[bool]) -> str:
    return f"{np.mean(found):.1%} of {len(found)}" if found else ""


def answers(n: int, n_aequitas: int, n_fairlearn: int) -> None:
    """Print how often each tool says "unequal", each on the first so many of the same audits."""
    print("| detector | this tool | aequitas, parity | its t-tests | fairlearn, interval | max - min FPR |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        rng = np.random.default_rng(7)
        found: dict[str, list[bool]] = {"ours": [], "parity": [], "tests": [], "interval": []}
        gaps = []
        for i in range(n):
            table = case.table(rng)
            gaps.append(largest_gap(table))
            found["ours"].append(ours(table))
            if i < n_aequitas:
                bias = _aequitas(table)
                found["parity"].append(aequitas_parity(bias))
                found["tests"].append(aequitas_significance(bias))
            if i < n_fairlearn:
                found["interval"].append(fairlearn_interval(table))
        shares = " | ".join(_share(one) for one in found.values())
        print(f"| {case.name} | {shares} | {np.mean(gaps):.2f} points |", flush=True)


def _timed(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def speed() -> None:
    """Print CPU seconds of one audit of FairFace's size: 217,002 rows, age, gender and race."""
    table = scores(N_PAIRS)
    for name in ("age", "gender", "race"):
        table[name] = table[name].astype(str)
    flagged = (table["score"] >= 0.5).astype(int)
    names = ["age", "gender", "race"]

    def with_aequitas() -> None:
        given = table[names].assign(score=flagged, label_value=table["label"])
        crosstab, _ = Group().get_crosstabs(given, attr_cols=names)
        Fairness().get_group_value_fairness(
            Bias().get_disparity_major_group(crosstab, given, check_significance=True, mask_significance=True)
        )

    def with_fairlearn(n_boot: int | None = None) -> None:
        for name in names:
            MetricFrame(
                metrics={"fpr": false_positive_rate, "fnr": false_negative_rate},
                y_true=table["label"],
                y_pred=flagged,
                sensitive_features=table[name],
                n_boot=n_boot,
                ci_quantiles=None if n_boot is None else [0.025, 0.975],
                random_state=None if n_boot is None else 0,
            )

    rows: list[tuple[str, Callable[[], object]]] = [
        ("this tool: rates, intervals, tests, verdicts, curves, intersections", lambda: audit_scores(table)),
        ("aequitas: rates, ratios, t-tests, parity", with_aequitas),
        ("fairlearn: two rates by group", with_fairlearn),
        ("fairlearn: the same with 100 bootstrap replicates", lambda: with_fairlearn(100)),
    ]
    print("\n| 217,002 rows, age, gender and race | CPU s |\n|---|---|")
    for what, call in rows:
        print(f"| {what} | {_timed(call):.1f} |", flush=True)


if __name__ == "__main__":
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("-n", type=int, default=400, help="simulated audits a case")
    parser.add_argument("--n-aequitas", type=int, default=60, help="of them shown to aequitas, too")
    parser.add_argument("--n-fairlearn", type=int, default=10, help="of them bootstrapped with fairlearn")
    parser.add_argument("--no-speed", action="store_true", help="leave out the table of CPU seconds")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    answers(asked.n, asked.n_aequitas, asked.n_fairlearn)
    if not asked.no_speed:
        speed()
