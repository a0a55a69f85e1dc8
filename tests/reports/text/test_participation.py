"""A few persons with many images are shown, and nowhere look as if they were compared."""

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.score_audit import audit_scores
from reports.figures.gap_plots import gap_plot
from reports.figures.threshold_explorer import payload
from reports.pages.report_page import build
from reports.tables.coverage import pass_ratio
from reports.tables.report_tables import rates_table
from reports.text.answer import sureness
from reports.text.participation import takes_part


@pytest.fixture(scope="module")
def few_persons():
    """300 images of each class in three races: of 100 persons each in two, of eight in the third."""
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "person": [f"{race}{i % n_persons}" for i in range(300)],
                "race": race,
                "label": label,
                "score": rng.normal(label, 0.6 if race != "c" else 1.2, 300),
            }
        )
        for race, n_persons in (("a", 100), ("b", 100), ("c", 8))
        for label in (0, 1)
    ]
    config = AuditConfig(attributes=["race"], unit_column="person", n_boot=200)
    return audit_scores(pd.concat(parts, ignore_index=True), config)


def test_many_images_of_few_persons_are_shown_and_not_compared(few_persons):
    groups = {g.group: g for g in few_persons.groups}
    assert {name: g.few_units for name, g in groups.items()} == {"a": [], "b": [], "c": ["fpr", "fnr"]}
    assert groups["c"].n_real == groups["c"].n_fake == 300 and groups["c"].small
    for rate in ("fpr", "fnr"):
        assert [name for name, g in groups.items() if takes_part(g, rate, 30)] == ["a", "b"]
        verdict = next(v for v in few_persons.verdicts if v.rate == rate)
        assert verdict.n_groups == 2 and verdict.n_small_groups == 1
        plot = gap_plot(few_persons, "race", rate, verdict)
        assert {row.group: row.taken for row in plot.rows} == {"a": True, "b": True, "c": False}


def test_it_is_said_why(few_persons):
    told = " ".join(sureness(few_persons))
    assert (
        "One of 3 groups has fewer than 30 images of each kind, or of fewer than 10 values of person as if "
        "of equal size; it is shown but not judged."
    ) in told
    assert few_persons.verdicts[0].explanation.endswith(
        "1 group is not judged (fewer than 30 real images, or of fewer than 10 values of person as if of "
        "equal size)."
    )
    notes = {row["group"]: row["note"] for row in rates_table(few_persons, "race").rows}
    assert notes["c"] == "few units" and notes["a"] == notes["b"] == ""


def test_the_page_says_it_beside_the_plots(few_persons, tmp_path):
    page = build(tmp_path, few_persons, {})
    assert page.count("(under 30, or of fewer than 10 values of person as if of equal size)") == 1


def test_the_slider_names_no_group_that_is_not_compared(few_persons):
    groups = payload(few_persons, ["race"])["attributes"][0]["groups"]
    compared = {group["name"]: group["compared"] for group in groups}
    assert compared["c"] == {"fpr": False, "fnr": False}
    assert compared["a"] == compared["b"] == {"fpr": True, "fnr": True}


def test_the_ratio_of_those_who_pass_is_of_groups_that_are_compared(few_persons):
    passed = [1 - g.fpr for g in few_persons.groups if g.group in ("a", "b")]
    assert pass_ratio(few_persons, "race") == pytest.approx(min(passed) / max(passed))
