"""Drop-out and pair quality by group."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from audit import audit_scores
from audit.config import AuditConfig
from audit.judge.attrition import dropout_by_group, no_scores
from audit.judge.gates import exit_code, gate_failures
from audit.runs.junit import cases
from audit.runs.score_audit import audit_score_file
from audit.wording.numbers import p_equals


def manifest() -> pd.DataFrame:
    rows = [
        ("a", "ok", "Female", 0.02, 0.99, 0.98),
        ("b", "ok", "Female", 0.04, 0.99, float("nan")),
        ("c", "no face found", "Female", float("nan"), float("nan"), float("nan")),
        ("d", "ok", "Male", 0.06, float("nan"), float("nan")),
    ]
    names = ["pair_id", "status", "gender", "reconstruction_l1", "real_confidence", "fake_confidence"]
    return pd.DataFrame(rows, columns=names)


def test_counts_by_reason_and_means_over_pairs():
    whole, women, men = dropout_by_group(manifest(), ["gender"])
    assert (whole.attribute, whole.n_attempted, whole.n_ok) == ("overall", 4, 3)
    assert women.n_by_status == {"no face found": 1, "ok": 2}
    assert women.quality["reconstruction_l1"] == pytest.approx(0.03)
    assert women.quality["fake_face_found"] == pytest.approx(0.5)
    assert men.n_ok == 1


def test_nothing_to_average_is_undefined():
    men = dropout_by_group(manifest(), ["gender"])[2]
    assert math.isnan(men.quality["fake_face_found"])


def test_an_attribute_the_manifest_lacks_is_passed_over():
    assert [d.attribute for d in dropout_by_group(manifest(), ["hat"])] == ["overall"]


def images(n: int, lost_of: dict[str, float], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images with a score, and without: of each race a share is lost, of both classes alike."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"label": np.arange(n) % 2, "race": rng.choice(list(lost_of), n)})
    lost = rng.random(n) < frame["race"].map(lost_of)
    return frame[~lost], frame[lost]


def test_a_group_without_scores_is_named_in_both_classes():
    scored, lost = images(3000, {"A": 0.02, "B": 0.02, "C": 0.2}, seed=1)
    reals, fakes = no_scores(scored, lost, ["race"], AuditConfig())
    assert [(one.attribute, one.label, one.more) for one in (reals, fakes)] == [
        ("race", "real", ["C"]), ("race", "fake", ["C"]),
    ]  # fmt: skip
    assert reals.less in {"A", "B"} and reals.adjusted_p_value < 0.001
    of_c = next(one for one in reals.groups if one.group == "C")
    assert of_c.n == (pd.concat([scored, lost]).query("label == 0 and race == 'C'").shape[0])
    assert of_c.n_without == lost.query("label == 0 and race == 'C'").shape[0]
    assert of_c.interval[0] < of_c.share < of_c.interval[1]


@settings(max_examples=25)
@given(st.data())
def test_images_with_and_without_add_up(data):
    n = data.draw(st.integers(2, 60))
    frame = pd.DataFrame({
        "label": data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)),
        "race": data.draw(st.lists(st.sampled_from(["A", "B", None]), min_size=n, max_size=n)),
        "person": data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)),
    })  # fmt: skip
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    config = AuditConfig(unit_column=data.draw(st.sampled_from([None, "person"])), n_boot=100)
    for one in no_scores(frame[~gone], frame[gone], ["race"], config):
        here = frame["label"] == (one.label == "fake")
        assert sum(group.n for group in one.groups) == here.sum()
        assert sum(group.n_without for group in one.groups) == (here & gone).sum() > 0
        assert not {"(missing)"} & {*one.more, one.less}


def test_persons_who_lose_all_their_photos_are_few():
    """Of 12 persons in C one lost all of 20 photos: as images 8 % against 0, as persons one of twelve."""
    person = np.repeat(np.arange(24), 20)
    frame = pd.DataFrame({"label": 0, "race": np.where(person < 12, "A", "C"), "person": person})
    gone = person == 23
    one = no_scores(frame[~gone], frame[gone], ["race"], AuditConfig(unit_column="person"))[0]
    assert (one.more, one.less) == ([], None)
    assert no_scores(frame[~gone], frame[gone], ["race"], AuditConfig())[0].more == ["C"]


def test_nothing_lost_is_nothing_to_say():
    scored, lost = images(50, {"A": 0.0, "B": 0.0}, seed=2)
    assert no_scores(scored, lost, ["race"], AuditConfig()) == []


@pytest.mark.parametrize(
    ("lost_of_c", "fail_on", "failed"),
    [
        (0.2, None, 0), (0.2, "proven", 2), (0.2, "disparity", 2), (0.2, "insufficient", 2),
        (0.05, "proven", 0), (0.05, "disparity", 2), (0.02, "disparity", 0),
    ],
)  # fmt: skip
def test_a_gate_cannot_be_passed_by_giving_no_answer(tmp_path, lost_of_c, fail_on, failed):
    """Without the hard images of one group its error rate is that of the others."""
    scored, lost = images(6000, {"A": 0.02, "B": 0.02, "C": lost_of_c}, seed=1)
    frame = pd.concat([scored.assign(score=scored["label"] * 0.8 + 0.1), lost]).sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "s.csv", index=False)
    result = audit_score_file(tmp_path / "s.csv", AuditConfig(attributes=("race",), n_boot=500)).result
    assert [v.verdict for v in result.verdicts] == ["within tolerance"] * 2
    lines = [one.line for one in gate_failures(result, fail_on) if one.kind == "no score"]
    assert len(lines) == failed and exit_code(gate_failures(result, fail_on)) == bool(failed)
    states = [(c.name, c.state) for c in cases(result, fail_on) if c.group == "no_score"]
    assert states == [(f"race: {of}", "failed" if failed else "ok") for of in ("real images", "fakes")]
    assert all(line.startswith("no score: By race, ") for line in lines)


def test_a_notebook_sees_who_got_no_score(tmp_path):
    scored, lost = images(3000, {"A": 0.02, "B": 0.02, "C": 0.2}, seed=1)
    frame = pd.concat([scored.assign(score=scored["label"] * 0.8 + 0.1), lost], ignore_index=True)
    frame.to_csv(tmp_path / "s.csv", index=False)
    found = audit_scores(tmp_path / "s.csv", "race", n_boot=200)
    told = found.no_scores
    assert told.query("more")[["label", "group"]].values.tolist() == [["real", "C"], ["fake", "C"]]
    assert told["n_without"].sum() == len(lost) and (told["n"].sum() == len(frame))
    assert ((told["low"] <= told["share"]) & (told["share"] <= told["high"])).all()
    whole = audit_scores(frame.dropna(), "race", n_boot=200).no_scores
    assert whole.empty and list(whole.columns) == list(told.columns)


@pytest.mark.parametrize(
    ("column", "word", "n_missing"),
    [("race", "x:y", True), ("years", "unknown?", True), ("label", "error", False)],
)
def test_an_image_without_a_score_stops_no_audit(column, word, n_missing):
    """What stands beside it, a failed row's perhaps, need be no group and no class."""
    scored, lost = images(900, {"A": 0.05, "B": 0.05}, seed=3)
    scored, lost = (half.assign(years=np.arange(len(half)) % 80) for half in (scored, lost))
    scored, lost = (half.replace({"label": {0: "real", 1: "fake"}}).astype(object) for half in (scored, lost))
    lost.loc[lost.index[:6], column] = word
    config = AuditConfig(bins={"years": (30.0,)}, n_boot=100)
    found = no_scores(scored, lost, [column if column != "label" else "race"], config)
    assert sum(g.n_without for one in found for g in one.groups) == len(lost) - (0 if n_missing else 6)
    missing = [g for one in found for g in one.groups if g.group == "(missing)"]
    assert bool(missing) == n_missing


def test_the_p_value_told_is_that_of_the_groups_named_and_names_are_spelled_as_they_are(tmp_path):
    scored, lost = images(6000, {"A": 0.02, "B": 0.02, "C": 0.06}, seed=5)
    frame = pd.concat([scored.assign(score=scored["label"] * 0.8 + 0.1), lost], ignore_index=True)
    frame.rename(columns={"race": "Skin_Tone"}).to_csv(tmp_path / "s.csv", index=False)
    config = AuditConfig(attributes=("Skin_Tone",), n_boot=2000)
    told = [one for one in audit_score_file(tmp_path / "s.csv", config).result.no_scores if one.more]
    assert told
    for one in told:
        assert one.adjusted_p_value <= one.pair_p_value <= 0.05
        assert one.sentence.startswith("By Skin_Tone, ") and p_equals(one.pair_p_value) in one.sentence


def test_every_quality_of_the_pairs_is_averaged():
    names = ("confidence", "border_share", "reconstruction_l1", "reconstruction_ms_ssim")
    table = manifest().assign(**{name: [0.25, 0.5, 9.0, None] for name in names})
    whole, women, men = dropout_by_group(table, ["gender"])
    assert {name: women.quality[name] for name in names} == dict.fromkeys(names, 0.375)
    assert {name: whole.quality[name] for name in names} == dict.fromkeys(names, 0.375)
    assert all(math.isnan(men.quality[name]) for name in names)
    assert set(women.quality) == {*names, "fake_face_found"} and women.group == "Female"


def counted(**lost_of):
    """100 reals of each group, so many of them without a score, and one fake of each that has one."""
    rows = [(0, race, i < n, f"{race}{i // 4}") for race, n in lost_of.items() for i in range(100)]
    rows += [(1, race, False, f"{race}x") for race in lost_of]
    frame = pd.DataFrame(rows, columns=["label", "race", "lost", "person"])
    return frame[~frame["lost"]], frame[frame["lost"]]


def test_shares_without_a_score_have_exact_intervals_and_one_correction():
    [one] = no_scores(*counted(A=2, B=0, C=30), ["race"], AuditConfig())
    assert (one.attribute, one.label, one.more, one.less) == ("race", "real", ["C"], "B")
    assert [(g.group, g.n, g.n_without, g.share) for g in one.groups] == [
        ("A", 100, 2, 0.02), ("B", 100, 0, 0.0), ("C", 100, 30, 0.3),
    ]  # fmt: skip
    for group in one.groups:
        wanted = binomtest(group.n_without, 100).proportion_ci(0.95, method="exact")
        assert group.interval == pytest.approx((wanted.low, wanted.high))
    assert one.beyond_tolerance_proven
    assert one.pair_p_value == one.adjusted_p_value == pytest.approx(0.5 / 10_001)  # the least there is
    [small] = no_scores(*counted(A=2, B=0), ["race"], AuditConfig())
    assert (small.more, small.less) == ([], None) and math.isnan(small.pair_p_value)
    assert small.adjusted_p_value > 0.05 and not small.beyond_tolerance_proven


def test_persons_are_as_many_images_as_they_are_worth():
    config = AuditConfig(unit_column="person")
    [one] = no_scores(*counted(A=8, B=0, C=40), ["race"], config)
    low, high = one.groups[2].interval
    wanted = binomtest(10, 25).proportion_ci(0.95, method="exact")  # 25 persons lose all or none of four
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=0.03) and one.groups[2].n == 100
