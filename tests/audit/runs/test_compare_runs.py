"""Runs compared on the images they share."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from audit.config import AuditConfig
from audit.errors import ComparisonError, ResultFormatError
from audit.inference.equality_test import holm
from audit.runs.compare_runs import compare_runs, write_comparison
from audit.runs.score_audit import Extras, audit_file, audit_scores
from audit.schema.comparison import Comparison
from audit.schema.result import Provenance


@pytest.fixture(scope="module")
def frames():
    """Two detectors on the same 400 pairs; the second sees less, and accuses group B."""
    rng = np.random.default_rng(3)
    n = 400
    race = rng.choice(["A", "B"], n)
    person = rng.normal(size=(2, n))
    names = pd.Series([f"p{i:03d}" for i in range(n)])

    def table(noise, accuse):
        halves = []
        for label in (0, 1):
            score = person[label] + 2.5 * label - 1.25 + noise * rng.normal(size=n)
            score = score + accuse * (race == "B") * (label == 0)
            halves.append(pd.DataFrame({
                "image_id": f"{label}" + names, "pair_id": names, "label": label, "score": score,
                "race": race,
            }))  # fmt: skip
        return pd.concat(halves, ignore_index=True)

    return table(0.3, 0.0), table(1.0, 1.0)


@pytest.fixture(scope="module")
def folders(frames, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    config = AuditConfig(threshold=0.0, n_boot=500)
    for name, frame in zip(("good", "bad"), frames, strict=True):
        frame.sample(frac=1, random_state=1).to_csv(root / f"{name}.csv", index=False)
        audit_file(root / f"{name}.csv", root / name, config)
    return [root / "good", root / "bad"]


@pytest.fixture(scope="module")
def found(folders):
    return compare_runs(folders)


def test_what_is_compared(found):
    assert [run.name for run in found.runs] == ["good", "bad"]
    assert found.n_images == 800 and found.n_pairs == 400 and found.n_left_out == {"good": 0, "bad": 0}
    assert [(one.attribute, one.group) for one in found.auc] == [
        ("overall", "overall"), ("race", "A"), ("race", "B")
    ]  # fmt: skip
    assert len(found.errors) == 6 and [(one.attribute, one.rate) for one in found.gaps] == [
        ("race", "fpr"), ("race", "fnr")
    ]  # fmt: skip


def test_mcnemar_of_every_group(found, frames):
    good, bad = (frame.set_index("image_id").sort_index() for frame in frames)
    for one in found.errors:
        rows = good["label"] == (one.rate == "fnr")
        if one.group != "overall":
            rows &= good["race"] == one.group
        wrong = [(frame[rows]["score"] >= 0) != (frame[rows]["label"] == 1) for frame in (good, bad)]
        table = pd.crosstab(*wrong).reindex(index=[False, True], columns=[False, True], fill_value=0)
        assert one.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert one.difference == pytest.approx(wrong[0].mean() - wrong[1].mean())
        assert one.interval[0] <= one.difference <= one.interval[1]
        assert one.n == rows.sum() == table.to_numpy().sum()


def test_paired_delong_by_resampling_pairs(found, frames):
    good, bad = (frame.set_index("image_id").sort_index() for frame in frames)
    rng = np.random.default_rng(0)

    def area(frame, rows):
        fake = frame["score"].to_numpy()[400:][rows]
        real = frame["score"].to_numpy()[:400][rows]
        return (fake[:, None] > real).mean()

    draws = [area(good, rows) - area(bad, rows) for rows in (rng.integers(0, 400, 400) for _ in range(300))]
    one = found.auc[0]
    assert one.difference == pytest.approx(area(good, slice(None)) - area(bad, slice(None)))
    half = (one.interval[1] - one.interval[0]) / 2
    assert half == pytest.approx(1.96 * np.std(draws), rel=0.15)


def test_change_of_the_gap_is_seen(found):
    fpr = found.gaps[0]
    assert fpr.gap_second > fpr.gap_first + 0.1 and fpr.interval[1] < 0 and fpr.adjusted_p_value < 0.05
    assert found.gaps[1].interval[0] < 0 < found.gaps[1].interval[1]


def test_holm_within_each_family(found):
    tests = [*found.auc, *found.errors, *found.gaps]
    for family in found.families:
        members = [one for one in tests if one.family == family.name]
        assert len(members) == family.n_tests
        assert [one.adjusted_p_value for one in members] == pytest.approx(
            holm([one.p_value for one in members])
        )
    assert {family.name: family.n_tests for family in found.families} == {"headline": 5, "groups": 6}
    assert found.n_tests == 11


def test_headline_family_is_what_was_asked_beforehand(found):
    for one in (*found.auc, *found.errors):
        assert one.family == ("headline" if one.attribute == "overall" else "groups")
    assert {one.family for one in found.gaps} == {"headline"}


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """Five detectors on the same 400 pairs and three attributes; the second accuses nearly all of race B."""
    rng, n, root = np.random.default_rng(8), 400, tmp_path_factory.mktemp("five")
    groups = {"age": ["X", "Y"], "gender": ["F", "M"], "race": list("ABC")}
    people = pd.DataFrame({name: rng.choice(values, n) for name, values in groups.items()})
    people["pair_id"] = [f"p{i:03d}" for i in range(n)]
    for number, shift in enumerate((0.0, 3.0, 0.0, 0.0, 0.0)):
        real = rng.normal(-1.7, 1, n) + shift * (people["race"] == "B")
        halves = [
            people.assign(image_id=f"{label}" + people["pair_id"], label=label, score=score)
            for label, score in ((0, real), (1, rng.normal(1.7, 1, n)))
        ]
        pd.concat(halves).to_csv(root / f"{number}.csv", index=False)
        config = AuditConfig(threshold=0.0, n_boot=100, confidence=0.9)
        audit_file(root / f"{number}.csv", root / str(number), config)
    return compare_runs([root / str(number) for number in range(5)])


def test_five_detectors_can_be_told_apart(five):
    gap = next(g for g in five.gaps if (g.attribute, g.rate, g.second) == ("race", "fpr", "1"))
    assert gap.gap_second > gap.gap_first + 0.7 and gap.interval[1] < -0.6
    assert gap.adjusted_p_value < 0.1
    crossed = next(g for g in five.gaps if (g.attribute, g.rate, g.second) == ("gender:race", "fpr", "1"))
    assert crossed.family == "intersections" and crossed.adjusted_p_value < 0.1


def test_replicates_follow_the_largest_family_of_gaps(five):
    sizes = {family.name: family.n_tests for family in five.families}
    assert sizes["headline"] == 10 * (3 + 2 * 3) and sizes["groups"] == 10 * 3 * (2 + 2 + 3)
    for name in ("headline", "intersections"):
        assert 2 / (five.n_boot + 1) * sizes[name] < 0.1 / 4


def test_round_trip(found, tmp_path):
    path = write_comparison(found, tmp_path / "new")
    assert Comparison.load(path).to_json() == Comparison.load(tmp_path / "new").to_json() == found.to_json()


def test_a_detector_against_itself(folders):
    same = compare_runs([folders[0], folders[0]])
    assert {one.p_value for one in (*same.auc, *same.errors, *same.gaps)} == {1.0}
    assert same.runs[0].name == f"1: {folders[0]}"


def test_three_runs_give_three_comparisons(folders):
    three = compare_runs([*folders, folders[0]])
    assert len(three.auc) == 9 and three.n_tests == 33


def test_only_shared_images(frames, folders, tmp_path):
    frames[0].iloc[10:].to_csv(tmp_path / "part.csv", index=False)
    audit_file(tmp_path / "part.csv", tmp_path / "part", AuditConfig(threshold="eer", n_boot=500))
    found = compare_runs([folders[0], tmp_path / "part"])
    left = found.n_left_out["good"]
    assert left > 200 and found.n_images == 800 - left  # ten missing, and those that fixed the threshold
    assert any("not scored in every run" in note for note in found.notes)


def test_small_groups_have_no_test(frames, tmp_path):
    for number, frame in enumerate(frames):
        few = frame[(frame["race"] == "A") | (frame["pair_id"] < "p040")]
        few.to_csv(tmp_path / "few.csv", index=False)
        audit_file(tmp_path / "few.csv", tmp_path / str(number), AuditConfig(n_boot=200))
    found = compare_runs([tmp_path / "0", tmp_path / "1"])
    small = [one for one in (*found.auc, *found.errors) if one.group == "B"]
    assert small and all(math.isnan(one.p_value) and one.reason for one in small)
    assert all(gap.interval is None and gap.reason for gap in found.gaps)


def change(frame, **columns):
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("make", "config", "message"),
    [
        (lambda f: f.assign(image_id="x" + f["image_id"]), {}, "no image_id in common"),
        (lambda f: f.assign(label=1 - f["label"]), {}, "800 shared images are real in one"),
        (lambda f: f.assign(race=f["race"].replace({"A": "Z"})), {}, "carry different groups"),
        (lambda f: f.assign(pair_id=f["image_id"]), {}, "paired differently"),
        (lambda f: f.drop(columns="image_id"), {}, r"no column image_id.*--image-id-column NAME, "),
        (
            lambda f: f.rename(columns={"image_id": "Image"}),
            {},
            r"no column image_id.*--image-id-column Image$",
        ),
        (lambda f: f.assign(camera=f["race"]), {"attributes": ["camera"]}, "audits camera, .* race"),
    ],
)
def test_runs_that_cannot_be_compared(frames, folders, tmp_path, make, config, message):
    make(frames[0]).to_csv(tmp_path / "s.csv", index=False)
    audit_file(tmp_path / "s.csv", tmp_path / "run", AuditConfig(n_boot=200, **config))
    with pytest.raises(ComparisonError, match=message):
        compare_runs([folders[0], tmp_path / "run"])


def test_runs_that_are_not_there(folders, tmp_path):
    with pytest.raises(ComparisonError, match="at least two runs, got 1"):
        compare_runs(folders[:1])
    with pytest.raises(ResultFormatError, match=r"no audit\.json at"):
        compare_runs([folders[0], tmp_path])
    (tmp_path / "audit.json").write_text((folders[0] / "audit.json").read_text())
    with pytest.raises(ComparisonError, match=r"has no scores\.parquet"):
        compare_runs([folders[0], tmp_path])


def test_detectors_are_called_by_their_names(frames, tmp_path):
    from audit.runs.run_folder import write_result, write_scores

    for name, frame in zip(("simplenet", "resnet50"), frames, strict=True):
        extras = Extras(provenance=Provenance(detector={"name": name}))
        config = AuditConfig(n_boot=200)
        write_result(audit_scores(frame, config, extras), tmp_path / f"run-{name}")
        write_scores(frame, config, frame["label"] == 1, tmp_path / f"run-{name}")
    found = compare_runs([tmp_path / "run-simplenet", tmp_path / "run-resnet50"])
    assert [run.name for run in found.runs] == ["simplenet", "resnet50"]


@pytest.mark.parametrize("column", ["label", "race"])
def test_one_image_that_disagrees_is_enough_to_refuse(frames, tmp_path, column):
    config = AuditConfig(threshold=0.0, n_boot=200, attributes=("race",))
    good = frames[0].drop(columns="pair_id")
    other = good.copy()
    other.loc[other.index[7], column] = {"label": 1 - int(good["label"].iloc[7]), "race": "B"}[column]
    if column == "race":
        other.loc[other.index[7], "race"] = "A" if good["race"].iloc[7] == "B" else "B"
    for name, frame in (("one", good), ("two", other)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        audit_file(tmp_path / f"{name}.csv", tmp_path / name, config)
    message = {"label": "1 shared images are real in one and fake in the other", "race": "different groups"}
    with pytest.raises(ComparisonError, match=message[column]):
        compare_runs([tmp_path / "one", tmp_path / "two"])


def persons(seed, n=60, each=10, better=0.0, weights=False):
    """Two detectors of equal skill on ten reals and ten fakes a person, who decides who errs."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n), 2 * each)
    label = np.tile(np.repeat([0, 1], each), n)
    frames = []
    for skill in (0.0, better):
        liking = rng.normal(size=(n, 2))[person, label] * 1.5
        score = (2 * label - 1) * (1.5 + skill) + liking + rng.normal(size=len(label))
        frames.append(
            pd.DataFrame(
                {
                    "image_id": [f"i{i}" for i in range(len(label))],
                    "label": label,
                    "score": score,
                    "race": np.where(person % 2, "A", "B"),
                    "person": person,
                    "weight": np.where(person % 3, 1.0, 0.4),
                }
            )
        )
    return frames


def compared(frames, tmp_path, **options):
    config = AuditConfig(threshold=0.0, n_boot=200, attributes=("race",), **options)
    for name, frame in zip(("one", "two"), frames, strict=True):
        audit_file(_parquet(frame, tmp_path / f"{name}.parquet"), tmp_path / name, config, overwrite=True)
    return compare_runs([tmp_path / "one", tmp_path / "two"])


def _parquet(frame, path):
    frame.to_parquet(path)
    return path


def test_frames_of_a_person_are_all_used_and_count_as_one(tmp_path):
    frames = persons(0)
    found = compared(frames, tmp_path, unit_column="person")
    assert found.n_images == len(frames[0])
    assert any("takes the person, not the image, for independent" in note for note in found.notes)
    ones = [one.assign(person=range(len(one))) for one in frames]
    naive = compared(ones, tmp_path, unit_column="person")
    for by_person, by_image in zip(found.errors, naive.errors, strict=True):
        assert by_person.difference == pytest.approx(by_image.difference)
        assert np.diff(by_person.interval) > 1.5 * np.diff(by_image.interval)
    assert np.diff(found.auc[0].interval) > 1.5 * np.diff(naive.auc[0].interval)
    assert found.auc[0].difference == pytest.approx(naive.auc[0].difference)


@pytest.mark.slow
def test_alike_detectors_on_frames_of_persons_have_no_winner(tmp_path):
    winners = 0
    for seed in range(4):
        found = compared(persons(seed, n=40), tmp_path, unit_column="person")
        headline = [one for one in (*found.auc, *found.errors, *found.gaps) if one.family == "headline"]
        winners += any(one.adjusted_p_value <= 0.05 for one in headline)
    assert winners <= 1


def test_a_better_detector_is_seen_through_persons(tmp_path):
    found = compared(persons(1, n=150, better=1.5), tmp_path, unit_column="person")
    overall = [one for one in found.errors if one.attribute == "overall"]
    assert all(one.adjusted_p_value <= 0.05 and one.difference > 0 for one in overall)


def test_weights_are_those_of_the_audits(tmp_path):
    frames = persons(2)
    found = compared(frames, tmp_path, unit_column="person", weight_column="weight")
    one = next(d for d in found.errors if d.attribute == "overall" and d.rate == "fpr")
    real = frames[0].label == 0
    wrong = [np.average(f.score[real] >= 0, weights=f.weight[real]) for f in frames]
    assert one.difference == pytest.approx(wrong[0] - wrong[1])
    assert found.runs[0].fpr == pytest.approx(wrong[0])


def test_runs_of_different_units_are_refused(tmp_path):
    frames = persons(3)
    compared(frames, tmp_path, unit_column="person")
    audit_file(tmp_path / "two.parquet", tmp_path / "free", AuditConfig(threshold=0.0, n_boot=200,
               attributes=("race",), independent=True))  # fmt: skip
    with pytest.raises(ComparisonError, match=r"has the unit column \(none\), .* person; audit both"):
        compare_runs([tmp_path / "one", tmp_path / "free"])
