"""Images that share a person, a video or a source photo: found, refused, and counted for what they are
worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data import score_file
from audit.data.sampling_units import (
    one_of_each,
    refuse_hidden_units,
    trials_note,
    units_note,
    weights_note,
    with_source_units,
)
from audit.data.score_table import score_table
from audit.errors import ConfigError, MissingColumnError, UnitError
from audit.runs.score_audit import audit_file, audit_score_file, audit_scores

CONFIG = AuditConfig(unit_column="person", n_boot=300, attributes=("race",))
FREE = replace(CONFIG, unit_column=None)


def clustered(n_units, seed, n_each=10, rates=(0.05, 0.05), together=0.4, fake=False):
    """Images of units in groups a, b, ...; errors are beta-binomial with intraclass correlation
    `together`."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(n_units) % len(rates))
    spread = (1 - together) / together
    rate = np.array(rates)[group]
    chance = np.repeat(rng.beta(rate * spread, (1 - rate) * spread), n_each)
    wrong = rng.random(len(chance)) < chance
    return pd.DataFrame(
        {
            "label": int(fake),
            "score": np.where(wrong != fake, 0.9, 0.1) + rng.normal(0, 0.01, len(chance)),
            "race": np.repeat(np.array(list("abcdefg"))[group], n_each),
            "person": np.repeat([f"u{i:04d}" for i in range(n_units)], n_each),
        }
    )


def disparities(frames, config):
    return np.mean([audit_scores(f, config).verdicts[0].verdict == "disparity" for f in frames])


def test_frames_of_a_person_are_not_taken_for_persons_unasked():
    """Without a word on it a third of such audits found a disparity that is not there."""
    frame = clustered(120, 0)
    with pytest.raises(UnitError, match=r"1,200 images share 120 values of 'person'.*--unit-column person"):
        audit_scores(frame, FREE)
    said = audit_scores(frame, replace(FREE, independent=True))
    assert any("taken as independent, as --independent says" in note for note in said.notes)
    assert said.config.independent
    with pytest.raises(ConfigError, match="contradict each other"):
        audit_scores(frame, replace(CONFIG, independent=True))


def of_models(n=300):
    """The same images scored by three models, one row each."""
    rng = np.random.default_rng(2)
    label, race = np.arange(n) % 2, rng.choice(["A", "B"], n)
    ease = rng.normal(size=n)
    one = pd.DataFrame({"image": [f"{i}.jpg" for i in range(n)], "label": label, "race": race})
    scores = [0.5 + 0.2 * label + 0.2 * ease + 0.05 * rng.normal(size=n) for _ in range(3)]
    return pd.concat(
        [
            one.assign(model=name, score=score)
            for name, score in zip(("Alpha", "Beta", "Gamma"), scores, strict=True)
        ]
    )


@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_a_table_of_several_models_is_to_be_audited_by_model(tmp_path, suffix):
    """It was told to name the image as the unit, and got one audit of all models mixed."""
    wanted = (
        r"900 rows share 300 values of 'image': column 'model' has 3 values \('Alpha', 'Beta', 'Gamma'\) and "
        "each image occurs once in each: audit each by itself, with a table of the rows of one model alone"
    )
    frame = of_models()[["image", "model", "label", "race", "score"]]
    frame.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(UnitError, match=wanted):
        audit_score_file(tmp_path / "s.csv", FREE) if suffix else audit_scores(frame, FREE)
    [note] = [
        one for one in audit_scores(frame, replace(FREE, unit_column="image")).notes if "up to 3" in one
    ]
    assert note.endswith("verdict takes the image, not the row, for independent.")


def test_frames_of_a_person_are_no_models():
    frame = clustered(120, 0).assign(camera=lambda table: np.tile(list("abcdefghij"), 120))
    with pytest.raises(UnitError, match=r"1,200 images share .* images of one person are not independent"):
        audit_scores(frame, FREE)


@pytest.mark.slow
def test_equal_groups_of_persons_are_not_called_unequal():
    frames = [clustered(120, seed, rates=(0.1, 0.1)) for seed in range(20)]
    assert disparities(frames, CONFIG) <= 0.1
    assert disparities(frames, replace(FREE, independent=True)) >= 0.2


@pytest.mark.slow
def test_a_true_gap_is_found_as_by_the_permutation_of_person_means():
    frames = [clustered(600, seed, rates=(0.05, 0.092), together=0.3) for seed in range(12)]
    assert disparities(frames, CONFIG) >= 0.8


def test_no_lottery():
    frame = clustered(120, 1, rates=(0.05, 0.12))
    first = audit_scores(frame, CONFIG)
    assert first.data.n_images == 1200 and not first.data.n_left_out
    again = audit_scores(frame.sample(frac=1, random_state=3), CONFIG)
    assert again.verdicts == first.verdicts
    seeds = {
        audit_scores(frame, replace(CONFIG, seed=seed, n_boot=2000)).verdicts[0].verdict for seed in range(5)
    }
    assert len(seeds) == 1


def test_the_record_says_how_closely_images_go_together():
    found = audit_scores(clustered(400, 2, rates=(0.2, 0.2), together=0.5), CONFIG)
    units = found.data.units
    assert (units.column, units.n_units, units.largest) == ("person", 400, 10)
    assert units.fpr_correlation == pytest.approx(0.5, abs=0.1)
    assert units.fpr_design_effect == pytest.approx(1 + 9 * units.fpr_correlation, rel=0.1)
    group = found.groups[0]
    assert group.n_real == 2000 and 300 < group.fpr_worth < 500
    width = np.diff(group.fpr_interval)[0]
    assert width == pytest.approx(2 * 1.96 * (0.2 * 0.8 / group.fpr_worth) ** 0.5, rel=0.1)
    assert found.notes[0].startswith("4,000 images of 400 values of person (up to 10 each)")


def five_fakes(seed, n=300, rates=(0.1, 0.1)):
    """Source photos, each with one real image and five fakes under one pair_id."""
    fakes = clustered(n, seed, n_each=5, rates=rates, fake=True)
    reals = fakes.drop_duplicates("person").assign(label=0, score=0.1)
    return pd.concat([reals, fakes], ignore_index=True).rename(columns={"person": "pair_id"})


@pytest.mark.slow
def test_several_fakes_of_a_photo_are_a_legal_pairs_table():
    """PairError before, and 35 % false disparities without the pair column."""
    found = audit_scores(five_fakes(0), FREE)
    assert found.config.unit_column == "pair_id" and found.data.n_pairs == 1500
    assert found.data.units.fnr_correlation > 0.2
    frames = [five_fakes(seed) for seed in range(15)]
    wrong = [any(v.verdict == "disparity" for v in audit_scores(f, FREE).verdicts) for f in frames]
    assert np.mean(wrong) <= 0.14


def three_fakes_of_each_photo(seed, photos=4):
    """Persons with so many photos, each with a real image and three fakes; errors go with the person."""
    halves = [clustered(60, seed, n_each=photos, rates=(0.2, 0.2), fake=fake) for fake in (False, True)]
    for half in halves:
        half["pair_id"] = [f"p{i}" for i in range(len(half))]
    fakes = pd.concat([halves[1].assign(kind=kind) for kind in ("swap", "blend", "gan")])
    return pd.concat([halves[0].assign(kind="real"), fakes], ignore_index=True)


@pytest.mark.parametrize("large", [False, True])
def test_persons_are_seen_behind_photos_with_several_fakes(tmp_path, monkeypatch, large):
    """The photo became the unit unasked, and nobody looked any further."""
    monkeypatch.setattr(score_file, "LARGE_ROWS", 0 if large else 10**9)
    frame = three_fakes_of_each_photo(0)
    frame.to_parquet(tmp_path / "s.parquet")
    told = r"480 images share 60 values of 'person': .*name it with --unit-column person"
    with pytest.raises(UnitError, match=told):
        audit_scores(frame, FREE)
    with pytest.raises(UnitError, match=told):
        audit_score_file(tmp_path / "s.parquet", FREE)
    assert audit_scores(frame, replace(FREE, unit_column="person")).config.unit_column == "person"
    alone = frame.assign(person=frame["pair_id"] + "x")
    assert audit_scores(alone, FREE).config.unit_column == "pair_id"


def named(frame, values, name):
    return frame.drop(columns="person").assign(**{name: values})


def innocent():
    rng = np.random.default_rng(5)
    frame = clustered(100, 5, rates=(0.2, 0.2))
    n = len(frame)
    number = rng.integers(0, 60, n)
    blurred = frame.assign(score=frame["score"] + number / 200)
    return {
        "file format": named(frame, rng.choice(["jpg", "png", "webp"], n), "format"),
        "a quality that moves the scores": named(blurred, number, "jpeg_quality"),
        "a measured number": named(frame, rng.normal(size=n).round(2), "blur"),
        "another name of the groups": named(frame, frame["race"] + "_group", "ethnicity"),
        "a constant": named(frame, "studio", "place"),
        "a constant source": named(frame, "FairFace", "source"),
        "data sets": named(frame, rng.choice(["FFHQ", "FairFace"], n), "source"),
        "a path": named(frame, [f"{i}.png" for i in range(n)], "path"),
        "an age in years": named(
            frame, np.where(frame["race"] == "a", 20, 50) + rng.integers(0, 20, n), "age_years"
        ),
        "frame numbers": named(frame, np.tile(np.arange(10), n // 10), "frame"),
    }


@pytest.mark.parametrize("case", innocent())
def test_columns_that_name_nobody_do_not_stop_an_audit(case):
    audit_scores(innocent()[case], FREE)


@pytest.mark.parametrize("name", ["person", "video_id", "subjectId", "source", "who", "Identity"])
def test_units_are_found_by_their_values(name):
    frame = clustered(100, 6, rates=(0.2, 0.2)).rename(columns={"person": name})
    with pytest.raises(UnitError, match=f"100 values of '{name}'"):
        audit_scores(frame, FREE)
    numbered = frame.assign(**{name: pd.factorize(frame[name])[0]})
    with pytest.raises(UnitError, match=f"100 values of '{name}'"):
        audit_scores(numbered, FREE)


def test_a_column_that_is_held_constant_has_been_spoken_of():
    frame = clustered(100, 6, rates=(0.2, 0.2)).assign(person=lambda f: pd.factorize(f["person"])[0])
    audit_scores(frame, replace(FREE, controls=("person",)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_is_searched_in_the_columns_that_are_not_loaded(tmp_path, suffix):
    frame = clustered(100, 7, rates=(0.2, 0.2)).assign(blur=0.5)
    path = tmp_path / f"s.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(UnitError, match="100 values of 'person'"):
        audit_file(path, tmp_path / "run", FREE)
    found = audit_file(path, tmp_path / "run", CONFIG)
    assert found.verdicts == audit_scores(frame, CONFIG).verdicts
    assert len(pd.read_parquet(tmp_path / "run" / "scores.parquet")) == 1000


def test_one_unit_and_units_of_one_image():
    frame = clustered(60, 8, rates=(0.2, 0.2))
    with pytest.raises(UnitError, match="all 600 images have the same person"):
        audit_scores(frame.assign(person="x"), CONFIG)
    alone = frame.assign(person=[f"p{i}" for i in range(len(frame))])
    found, plain = audit_scores(alone, CONFIG), audit_scores(frame.drop(columns="person"), FREE)
    assert "Every person has one image" in found.notes[0]
    assert found.groups[0].fpr_interval == pytest.approx(plain.groups[0].fpr_interval, rel=0.02)
    with pytest.raises(MissingColumnError, match="no column 'video'"):
        audit_scores(frame, replace(CONFIG, unit_column="video"))


def test_groups_of_a_few_persons_are_shown_and_never_judged():
    both = [clustered(100, 9, rates=(0.2, 0.2)), clustered(100, 9, rates=(0.2, 0.2), fake=True)]
    frame = pd.concat(both, ignore_index=True)
    few = frame["person"].isin(frame.loc[frame["race"] == "b", "person"].unique()[:9])
    found = audit_scores(frame[(frame["race"] == "a") | few], CONFIG)
    [fpr, _] = found.verdicts
    assert fpr.verdict == "insufficient evidence" and np.isnan(fpr.gap)
    assert "real images, of at least 10 values of person as if of equal size;" in fpr.explanation
    assert [g.small for g in found.groups] == [False, True] and found.groups[1].n_real == 90


def test_units_in_both_classes_and_in_two_groups():
    rng = np.random.default_rng(10)
    both = pd.concat([clustered(150, 10), clustered(150, 10, fake=True)], ignore_index=True)
    both.loc[rng.random(len(both)) < 0.05, "race"] = "a"
    found = audit_scores(both, CONFIG)
    assert {v.verdict for v in found.verdicts} <= {"insufficient evidence", "within tolerance"}
    assert all(0 < g.fpr_worth <= g.n_real for g in found.groups)


def test_one_image_of_each_for_what_has_no_form_for_units():
    frame = pd.concat([clustered(50, 1), clustered(50, 1, fake=True)], ignore_index=True)
    frame["image_id"] = [f"i{i}" for i in range(len(frame))]
    kept, left = one_of_each(frame, CONFIG)
    assert left == 900 and (kept.groupby(["person", "label"]).size() == 1).all()
    again, _ = one_of_each(frame.sample(frac=1, random_state=1), CONFIG)
    assert set(again["image_id"]) == set(kept["image_id"])
    assert one_of_each(frame, FREE)[1] == 0


BLANK = ["", "  ", "NA", "n/a", "-", "None"]


@pytest.mark.parametrize("nothing", BLANK)
def test_images_without_a_pair_share_none(simulate, nothing):
    """A blank was one pair of a hundred images, and so the unit of all of them."""
    frame = simulate(60)
    frame["pair_id"] = frame["pair_id"].where(frame["pair_id"] < "p000010")
    known = audit_scores(frame, AuditConfig(n_boot=100))
    found = audit_scores(frame.assign(pair_id=frame["pair_id"].fillna(nothing)), AuditConfig(n_boot=100))
    assert found.data.n_pairs == 10 and found.data.units is None
    assert found.to_json() == known.to_json()


@pytest.mark.parametrize("kind", [str, object, "category"])
@pytest.mark.parametrize("nothing", BLANK)
def test_images_without_a_unit_or_a_name_stand_alone(nothing, kind):
    frame = clustered(120, 3).assign(image_id=[f"i{i:04d}" for i in range(1200)])
    frame["person"] = frame["person"].where(frame["person"] < "u0100")
    frame["image_id"] = frame["image_id"].where(frame["image_id"] > "i0003")
    names = ["person", "image_id"]
    known = audit_scores(frame, CONFIG)
    found = audit_scores(frame.assign(**frame[names].fillna(nothing).astype(kind)), CONFIG)
    assert found.data.units.n_units == 100 + 200
    assert found.to_json() == known.to_json()


def test_images_without_a_name_are_dealt_to_parts_one_by_one(simulate):
    frame = simulate(300).drop(columns="pair_id").assign(image_id=None)
    found = audit_scores(frame, AuditConfig(n_boot=100, threshold="eer"))
    assert 100 < found.data.n_left_out["used to fix the threshold"] < 260


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("nothing", ["", "  ", "n/a"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_may_leave_pairs_blank(simulate, tmp_path, monkeypatch, nothing, suffix, large):
    frame = simulate(60).drop(columns="image_id")
    frame["pair_id"] = frame["pair_id"].where(frame["pair_id"] < "p000010")
    known = audit_scores(frame, AuditConfig(n_boot=100))
    frame["pair_id"] = frame["pair_id"].fillna(nothing)
    path = tmp_path / f"scores.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    monkeypatch.setattr(score_file, "LARGE_ROWS", 0 if large else 10**9)
    found = audit_score_file(path, AuditConfig(n_boot=100)).result
    assert found.data.n_pairs == 10 and found.verdicts == known.verdicts


def few_persons(name, n=240):
    """Six people with 40 images each, whose scores say nothing of them; a name must tell."""
    person = np.arange(n) % 6
    frame = pd.DataFrame(
        {"label": (np.arange(n) // 6) % 2, "score": np.random.default_rng(0).random(n),
         "race": np.array(list("ab"))[person % 2], name: [f"n{i}" for i in person]}
    )  # fmt: skip
    table = score_table(frame, FREE)
    return table, frame[name]


TELLING = [
    "person",
    "people",
    "subject",
    "identity",
    "individual",
    "participant",
    "volunteer",
    "speaker",
    "actor",
    "celebrity",
    "celeb",
    "patient",
    "user",
    "video",
    "clip",
    "sequence",
    "session",
    "scene",
    "source",
]


@pytest.mark.parametrize("word", TELLING)
def test_a_name_tells_of_units_that_are_too_few_to_show(word):
    for name in (f"{word}_id", f"the{word.title()}No", word.upper()):
        table, column = few_persons(name)
        with pytest.raises(
            UnitError, match=f"^240 images share 6 values of '{name}': images of one {name} are"
        ):
            refuse_hidden_units(table, [column], FREE, FREE)
    assert refuse_hidden_units(*_with(few_persons("place")), FREE, FREE) == []


def _with(found):
    return found[0], [found[1]]


@pytest.mark.parametrize("word", ["age", "ages", "year", "years", "birth", "born", "dob", "date"])
def test_a_number_of_years_is_no_person(word):
    table, column = few_persons(f"person_{word}")
    assert refuse_hidden_units(table, [column], FREE, FREE) == []


@pytest.mark.parametrize(
    "name", ["image_id", "pair_id", "status", "detail", "sha256", "overall", "label", "score", "race"]
)
def test_what_plays_another_part_is_no_person(name):
    table, column = few_persons("video")
    assert refuse_hidden_units(table, [column.rename(name)], FREE, FREE) == []
    for options in ({"controls": ("video",)}, {"bins": {"video": (1.0,)}}, {"weight_column": "video"}):
        assert refuse_hidden_units(table, [column], replace(FREE, **options), FREE) == []


def test_what_is_said_where_images_are_taken_as_independent():
    table, column = few_persons("video")
    config = replace(FREE, independent=True)
    said = "240 images share 6 values of 'video'; they are taken as independent, as --independent says."
    assert refuse_hidden_units(table, [column], config, config) == [said]
    assert refuse_hidden_units(table, [column], FREE, CONFIG) == []  # a unit was named


def test_a_few_images_that_repeat_are_no_units():
    """Of 300 named images three repeat a name of their class: one in a hundred; the fourth is too many."""
    n = 300
    frame = pd.DataFrame({"label": 0, "score": np.linspace(0, 1, n), "race": list("ab") * 150})
    table = score_table(frame, FREE)
    for repeated, found in ((3, False), (4, True)):
        video = pd.Series([f"v{i}" for i in range(n)], name="video")
        video[-repeated:] = video[:repeated].to_numpy()
        video[:repeated] = [f"w{i}" for i in range(repeated)]
        video[:repeated] = video[-repeated:].to_numpy()
        if found:
            with pytest.raises(UnitError, match="300 images share 296 values of 'video'"):
                refuse_hidden_units(table, [video], FREE, FREE)
        else:
            assert refuse_hidden_units(table, [video], FREE, FREE) == []


def test_notes_on_units_weights_and_trials():
    config = replace(FREE, unit_column="person")
    assert units_note(FREE, None) == units_note(FREE, np.array([0, 0])) == []
    assert units_note(config, np.array([0, 2, 5])) == [
        "Every person has one image: naming it with --unit-column changes nothing."
    ]
    assert units_note(config, np.array([0, 2, 2, 5])) == [
        "4 images of 3 values of person (up to 2 each): all images count, and every interval, test "
        "and verdict "
        "takes the person, not the image, for independent."
    ]
    [said] = units_note(replace(FREE, unit_column="images"), np.array([0, 0, 1]))
    assert said.startswith("3 rows of 2 values of images (up to 2 each): all rows count")
    assert weights_note(FREE) == []
    [said] = weights_note(replace(FREE, weight_column="w"))
    assert said.startswith(
        "Rates, gaps and verdicts are those of the population that the weights in w stand for"
    )
    frame = pd.DataFrame(
        {"image_id": list("abcde"), "label": [1, 0, 0, 0, 0], "score": 0.5, "speaker": list("xxxyz"),
         "other_speaker": list("xyzxy"), "gender": ["f", "f", "(two groups)", "f", "(two groups)"]}
    )  # fmt: skip
    config = AuditConfig(task="speaker-verification", attributes=("gender",))
    first, second = trials_note(score_table(frame, config), config)
    assert first.startswith(
        "5 trials of 3 speakers (up to 4 each): every interval, test and verdict takes the"
    )
    assert second.startswith(
        "Impostor trials between two groups (2 by gender) are in the overall rates and in"
    )
    assert len(trials_note(score_table(frame[frame["gender"] == "f"], config), config)) == 1
    assert trials_note(few_persons("video")[0], FREE) == []


def test_one_real_and_one_fake_of_each_person_are_of_one_photo_where_there_is_one():
    frame = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(9)], "label": [0, 0, 0, 1, 1, 1, 0, 1, 1],
         "pair_id": ["a", "b", "c", "a", "b", "c", None, "d", "e"],
         "person": ["p"] * 6 + [None] + ["q"] * 2, "score": 0.5}
    )  # fmt: skip
    drawn = set()
    for seed in range(12):
        kept, left = one_of_each(frame, replace(CONFIG, seed=seed))
        assert left == 5 and len(kept) == 4 and kept.index.tolist() == [0, 1, 2, 3]
        own = kept[kept["person"] == "p"]
        assert own["label"].tolist() == [0, 1] and own["pair_id"].nunique() == 1
        assert kept["person"].isna().sum() == 1 and (kept["person"] == "q").sum() == 1
        drawn.add(tuple(kept["image_id"]))
    assert len(drawn) > 2
    bare = frame.drop(columns=["image_id", "pair_id"])
    assert one_of_each(bare, CONFIG)[0].equals(one_of_each(bare, CONFIG)[0])
    with pytest.raises(
        MissingColumnError, match=r"^the score table has no column 'person'; it has 'image_id', "
    ):
        one_of_each(frame.drop(columns="person"), CONFIG)


def test_a_photo_with_several_fakes_is_a_unit_unless_something_else_was_said():
    frame = five_fakes(0, n=40)
    assert with_source_units(frame, FREE).unit_column == "pair_id"
    assert with_source_units(frame, FREE.__class__(independent=True)).unit_column is None
    assert with_source_units(frame, CONFIG) is CONFIG
    once = frame.drop_duplicates(["pair_id", "label"])
    assert with_source_units(once, FREE) is FREE
    renamed = frame.rename(columns={"pair_id": "photo"})
    assert with_source_units(renamed, FREE) is FREE
    assert with_source_units(renamed, FREE, "photo").unit_column == "photo"
    assert with_source_units(frame.drop(columns="label"), FREE) is FREE
