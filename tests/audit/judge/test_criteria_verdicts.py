"""Verdicts on ratios and by the four-fifths rule, through `audit_scores`: numbers, words, record."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit import audit_scores
from audit.judge.gates import exit_code, gate_failures
from audit.schema.result import AuditResult

SOME = dict(attributes="race", n_boot=400)


def table(flagged: dict[str, tuple[int, int]], each: int = 1) -> pd.DataFrame:
    """Reals with so many flagged of so many in each group, and fakes that are mostly found."""
    parts = []
    for race, (k, n) in flagged.items():
        real = pd.DataFrame({"label": 0, "score": np.repeat([0.9, 0.1], [k, n - k]), "race": race})
        fake = pd.DataFrame(
            {"label": 1, "score": np.repeat([0.1, 0.9], [n // 20, n - n // 20]), "race": race}
        )
        parts += [real, fake]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(person=[f"p{i // each}" for i in range(len(found))])


def verdict(frame, **options):
    found = audit_scores(frame, **(SOME | options))
    return found, next(v for v in found.record.verdicts if v.rate == "fpr")


RARE = {"a": (20, 10_000), "b": (80, 10_000)}
"""0.2 and 0.8 %: four times as often, and 0.6 points apart."""
COMMON = {"a": (4_000, 20_000), "b": (4_400, 20_000)}
"""20 and 22 %: 2 points apart, 1.1 times as often; 0.975 times as many pass."""
HARSH = {"a": (500, 5_000), "b": (2_000, 5_000)}
"""90 and 60 % pass."""


@pytest.mark.parametrize(
    ("flagged", "difference", "ratio", "four_fifths"),
    [
        (RARE, "within tolerance", "disparity", "within tolerance"),
        (COMMON, "insufficient evidence", "within tolerance", "within tolerance"),
        (HARSH, "disparity", "disparity", "disparity"),
        (
            {"a": (5, 60), "b": (14, 60)},
            "insufficient evidence",
            "insufficient evidence",
            "insufficient evidence",
        ),
    ],
)
def test_the_criterion_decides(flagged, difference, ratio, four_fifths):
    wanted = {"difference": difference, "ratio": ratio, "four-fifths": four_fifths}
    assert {name: verdict(table(flagged), criterion=name)[1].verdict for name in wanted} == wanted


def test_the_tolerated_ratio_decides():
    assert verdict(table(RARE), criterion="ratio", ratio_tolerance=(0.1, 10))[1].verdict == "within tolerance"
    _, open_ = verdict(table(RARE), criterion="ratio", ratio_tolerance=(0.3, 3.5))
    assert open_.verdict == "disparity" and not open_.beyond_tolerance_proven
    low, high = open_.ratio_interval
    assert low < 3.5 < open_.ratio == 4 < high


def test_words_follow_the_criterion():
    found, v = verdict(table(RARE), criterion="ratio")
    assert "a ratio of 4.00 (95% interval" in v.explanation
    assert "The ratio is proven to exceed the tolerated ratio of 1.25." in v.explanation
    assert "point" not in v.explanation
    assert found.summary.splitlines()[0].startswith("No. It flags real images at different rates by race")
    page = found._repr_html_()
    assert "Ratio (95% interval), corrected p" in page and "<td>4.00 (" in page


def test_words_of_the_four_fifths_rule():
    found, v = verdict(table(HARSH), criterion="four-fifths")
    assert [one.rate for one in found.record.verdicts] == ["fpr"]
    assert "Real images with race “b” pass 0.67" in v.explanation or "pass 0.67" in v.explanation
    assert "proven to lie below four fifths (0.8)" in v.explanation
    assert v.ratio == pytest.approx(0.6 / 0.9) and v.ratio_interval[1] < 0.8
    assert "No. Real images pass less than four fifths as often in some group by race." in found.summary
    kept, _ = verdict(table(COMMON), criterion="four-fifths")
    assert "Four fifths kept by race." in kept.summary
    assert exit_code(gate_failures(kept.record, "disparity")) == 0
    assert exit_code(gate_failures(found.record, "proven")) == 1


@pytest.mark.parametrize("criterion", ["ratio", "four-fifths"])
def test_the_record_is_read_back_and_shown(criterion, tmp_path):
    from reports.pages.model_card import model_card
    from reports.pages.report_page import build

    frame = table({"a": (0, 400), "b": (40, 400), "c": (60, 400)})
    found, _ = verdict(frame, criterion=criterion)
    again = AuditResult.from_json(found.record.to_json())
    assert again.to_json() == found.record.to_json() and again.config.criterion == criterion
    page = build(tmp_path, again, {})
    told = (
        "real images pass at least four fifths (0.8) as often"
        if criterion == "four-fifths"
        else "a ratio of 1.25"
    )
    assert told in page and told in model_card(again)


@pytest.mark.parametrize("criterion", ["ratio", "four-fifths"])
@pytest.mark.parametrize(
    "options", [{"unit_column": "person"}, {"weight_column": "weight"}, {"controls": "quality"}]
)
def test_units_weights_and_controls_go_with_it(criterion, options):
    frame = table({"a": (40, 1_000), "b": (120, 1_000)}, each=4)
    rng = np.random.default_rng(0)
    frame = frame.assign(weight=rng.uniform(0.5, 1.5, len(frame)), quality=rng.normal(size=len(frame)))
    if "unit_column" not in options:
        frame = frame.drop(columns="person")
    found, plain = verdict(frame, criterion=criterion, **options)
    assert plain.ratio_interval[0] < plain.ratio < plain.ratio_interval[1]
    assert bool(found.record.adjusted_gaps) == ("controls" in options)
    if "unit_column" in options:  # persons whose images err together are worth less
        _, apart = verdict(frame.drop(columns="person"), criterion=criterion)
        assert (
            apart.ratio_interval[1] - apart.ratio_interval[0]
            < plain.ratio_interval[1] - plain.ratio_interval[0]
        )


def test_no_errors_at_all_are_no_ratio():
    found, v = verdict(table({"a": (0, 400), "b": (0, 400)}), criterion="ratio")
    assert v.verdict == "insufficient evidence"
    assert "no data" not in found.summary


def test_a_ratio_to_no_error_has_a_least_and_no_number():
    found, v = verdict(table({"a": (0, 400), "b": (40, 400)}), criterion="ratio")
    assert v.verdict == "disparity" and 10 < v.ratio_interval[0] < 11.5
    least = int(v.ratio_interval[0])
    assert f"no finite ratio (95% interval at least {least}, " in v.explanation
    assert f"at least {least} times as often" in v.explanation
    assert "ratio of no" not in v.explanation and "ratio no" not in found._repr_html_()
