"""Trials: who is compared with whom, in which proportion, and what is left out and why."""

from __future__ import annotations

import shutil
import tracemalloc
from contextlib import nullcontext
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import errors
from pipelines.voices.trial_lists import TrialSettings, make_trials
from pipelines.voices.trials_folder import CLIPS, TRIALS, generate_trials, read_trials

sf = pytest.importorskip("soundfile", reason="needs the extra [voice]")


def clips_of(n_speakers, n_clips, n_cells=2, sessions=None):
    rows = [
        {"clip_id": f"s{s:03d}/{c}", "speaker": f"s{s:03d}", "gender": f"g{s % n_cells}",
         "session": None if sessions is None else f"v{c % sessions}"}
        for s in range(n_speakers) for c in range(n_clips)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    n_speakers=st.integers(16, 40),
    n_clips=st.integers(2, 6),
    n_cells=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_what_always_holds(n_speakers, n_clips, n_cells, seed):
    chosen = TrialSettings(trials_per_speaker=10, fractions=(0.4, 0.25, 0.35), seed=seed)
    clips = clips_of(n_speakers, n_clips, n_cells)
    trials, _ = make_trials(clips, ["gender"], chosen)
    again, _ = make_trials(clips.sample(frac=1, random_state=seed), ["gender"], chosen)
    assert set(map(tuple, trials.astype(object).values)) == set(map(tuple, again.astype(object).values))
    by_part = trials.groupby("part")
    heard = {part: {*t["speaker_a"], *t["speaker_b"]} for part, t in by_part}
    assert sum(map(len, heard.values())) == len(set(chain(*heard.values())))  # nobody is in two parts
    assert ((trials["speaker_a"] == trials["speaker_b"]) == (trials["same"] == 1)).all()
    assert (trials["clip_a"] != trials["clip_b"]).all()
    pairs = {frozenset(pair) for pair in zip(trials["clip_a"], trials["clip_b"], strict=True)}
    assert len(pairs) == len(trials) and trials["trial_id"].is_unique
    same_cell = trials["gender_a"] == trials["gender_b"]
    assert (trials["hard"] == (same_cell & (trials["same"] == 0))).all()
    for part, t in by_part:
        share = 37.26 / 99.52 if part == "train" else 0.5
        assert abs(t["same"].sum() - share * len(t)) <= 1


def test_as_many_trials_as_were_asked_for_where_there_are_clips():
    trials, notes = make_trials(clips_of(48, 10), ["gender"], TrialSettings(fractions=(0.4, 0.1, 0.5)))
    assert trials["part"].value_counts().tolist() == [60 * 24, 60 * 19, 60 * 5] and not notes


def test_a_speaker_of_thousands_of_clips_costs_no_millions_of_pairs():
    many = pd.concat([clips_of(8, 3), clips_of(1, 5000).assign(speaker="s900")], ignore_index=True)
    many.loc[many["speaker"] == "s900", "clip_id"] = [f"s900/{i}" for i in range(5000)]
    tracemalloc.start()
    trials, _ = make_trials(many, ["gender"], TrialSettings(fractions=(0.4, 0.0, 0.6)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 and (trials["speaker_a"] == "s900").any()


def test_hard_pairs_are_within_a_cell():
    clips = clips_of(40, 6, 4)
    for share in (0.0, 1.0):
        trials, _ = make_trials(clips, ["gender"], TrialSettings(hard_share=share))
        different = trials[trials["same"] == 0]
        assert different["hard"].mean() == pytest.approx(1.0 if share else 0.23, abs=0.08)


def test_the_same_speaker_is_compared_across_sessions_first():
    trials, _ = make_trials(clips_of(20, 6, sessions=2), ["gender"], TrialSettings(trials_per_speaker=10))
    same = trials[(trials["same"] == 1) & (trials["part"] == "test")]
    take = lambda column: same[column].str[-1].astype(int) % 2  # noqa: E731
    assert (take("clip_a") != take("clip_b")).all()  # nine pairs cross sessions, and five are wanted


def test_where_clips_run_out_the_proportion_stays():
    trials, notes = make_trials(clips_of(20, 2), ["gender"], TrialSettings(trials_per_speaker=60))
    test = trials[trials["part"] == "test"]
    assert test["same"].mean() == 0.5 and len(test) == 16  # eight speakers, one same pair each
    assert "test: 16 trials instead of 480; there are no more clips to pair." in notes


def test_speakers_who_contradict_themselves_have_no_label():
    clips = clips_of(20, 3)
    clips.loc[0, "gender"] = "other"
    trials, notes = make_trials(clips, ["gender"], TrialSettings())
    assert notes[0] == "1 speakers have clips with different words for gender; theirs is taken as unknown."
    sides = [trials.loc[trials[f"speaker_{x}"] == "s000", f"gender_{x}"] for x in "ab"]
    assert pd.concat(sides).isna().all()


@pytest.mark.parametrize(
    ("n", "message"),
    [(1, "the train part has 1 of 1 speakers with two usable clips, and needs 2"),
     (4, "the valid part has 0 of 4 speakers")],
)  # fmt: skip
def test_too_few_speakers_is_one_line(n, message):
    with pytest.raises(errors.TooFewSpeakers, match=message):
        make_trials(clips_of(n, 4), ["gender"], TrialSettings())


def test_all_that_is_wrong_with_settings_at_once():
    with pytest.raises(errors.SettingError, match=r"trials_per_speaker is 1.*hard_share is 2.*add up to 1"):
        TrialSettings(trials_per_speaker=1, hard_share=2, fractions=(0.5, 0.5, 0.5))


PARTS = TrialSettings(trials_per_speaker=8, fractions=(0.5, 0.2, 0.3))


def test_a_folder_from_clips_to_trials_and_back(hummed, tmp_path):
    seen = []
    bar = lambda total: nullcontext(lambda n: seen.append((n, total)))  # noqa: E731
    made = generate_trials(hummed, tmp_path / "t", settings=PARTS, progress=bar)
    assert seen == [(1, 48)] * 48
    read = read_trials(tmp_path / "t")
    pd.testing.assert_frame_equal(read.table, made.table)
    assert read.clips == made.clips and read.attributes == ("gender", "accent")
    again = generate_trials(hummed, tmp_path / "u", settings=PARTS, workers=1)
    for name in (CLIPS, TRIALS, "provenance.json"):
        assert (tmp_path / "t" / name).read_bytes() == (tmp_path / "u" / name).read_bytes()
    assert len(again.part("test").table) == (again.table["part"] == "test").sum()


def test_every_clip_that_cannot_be_used_is_a_row_with_its_reason(hummed, odd_clips, tmp_path):
    root = tmp_path / "v"
    shutil.copytree(hummed, root)
    shutil.copytree(odd_clips, root / "odd")
    (root / "lonely").mkdir()
    shutil.copy(hummed / "p00" / "0.wav", root / "lonely" / "only.wav")
    made = generate_trials(root, tmp_path / "t", settings=PARTS)
    clips = pd.read_parquet(tmp_path / "t" / CLIPS).set_index("clip_id")
    assert len(clips) == 48 + 16 + 1
    reasons = {
        "odd/stereo.wav": "ok", "odd/eight-bit.wav": "ok", "odd/96k.wav": "ok", "odd/spoken.mp3": "ok",
        "odd/empty.wav": "empty clip", "odd/silent.wav": "silent clip", "odd/clipped.wav": "clipped sound",
        "odd/short.wav": "clip too short", "odd/text.wav": "not audio", "odd/nan.wav": "not audio",
        "lonely/only.wav": "speaker with one usable clip",
    }  # fmt: skip
    assert {name: clips.loc[name, "status"] for name in reasons} == reasons
    assert (clips.loc[clips["status"] != "ok", "detail"] != "").all()
    assert made.n_left_out["not audio"] == 4 and "lonely" not in set(made.table["speaker_a"])
    assert clips.loc["odd/96k.wav", "rate_hz"] == 96_000 and clips.loc["odd/stereo.wav", "n_channels"] == 2


def test_limits_draw_speakers_and_clips(hummed, tmp_path):
    made = generate_trials(hummed, tmp_path / "t", settings=PARTS, max_speakers=10, max_clips=3)
    assert len(made.clips) == 30 and "18 of 48 clips were left out by the limits." in made.provenance["notes"]


def test_no_usable_clip_is_one_line(tmp_path):
    (tmp_path / "v" / "ann").mkdir(parents=True)
    (tmp_path / "v" / "ann" / "1.wav").write_text("words")
    with pytest.raises(
        errors.ClipsNotFound, match=r"none of 1 clips can be used; ann/1\.wav: 1\.wav is not WAV"
    ):
        generate_trials(tmp_path / "v", tmp_path / "t")


def test_a_folder_of_something_else_is_left_alone(hummed, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(errors.OutputHoldsAnotherRun, match="holds files of something else"):
        generate_trials(hummed, tmp_path, overwrite=True)
    generate_trials(hummed, tmp_path / "t", settings=PARTS)
    with pytest.raises(errors.OutputHoldsAnotherRun, match="holds trials already"):
        generate_trials(hummed, tmp_path / "t", settings=PARTS)


def test_the_published_list_of_voxceleb(tmp_path):
    text = (
        "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n"
        "0 id10270/x6uYqmx31kE/00001.wav id10300/ize_eiCFEg0/00003.wav\n"
    )
    (tmp_path / "veri_test.txt").write_text(text)
    trials = read_trials(tmp_path / "veri_test.txt", tmp_path / "wav")
    assert trials.table["same"].tolist() == [1, 0] and trials.table["speaker_b"].tolist() == [
        "id10270",
        "id10300",
    ]
    clip = "id10270/x6uYqmx31kE/00001.wav"
    assert trials.clips[clip] == tmp_path / "wav" / clip
    (tmp_path / "veri_test.txt").write_text(text + "2 a b\n")
    with pytest.raises(errors.ClipTableError, match="line 3 is not 0 or 1 and two clips: '2 a b'"):
        read_trials(tmp_path / "veri_test.txt")


@pytest.mark.parametrize(
    ("row", "message"),
    [("a,b,ann,bob,2", "row 1: same is '2'; it is 1 or 0"),
     ("a,b,ann,bob,1", "says same = 1 of the speakers ann and bob"),
     ("a,b,ann,ann,", "row 1: same is ''")],
)  # fmt: skip
def test_a_trial_that_contradicts_itself(tmp_path, row, message):
    (tmp_path / "t.csv").write_text(f"clip_a,clip_b,speaker_a,speaker_b,same\n{row}\n")
    with pytest.raises(errors.ClipTableError, match=message):
        read_trials(tmp_path / "t.csv")


def test_random_labels_never_reach_a_speaker_twice():
    """A clip listed for two speakers cannot happen: its identifier is unique."""
    clips = clips_of(20, 4)
    trials, _ = make_trials(clips, [], TrialSettings())
    owner = dict(zip(clips["clip_id"], clips["speaker"], strict=True))
    assert (trials["clip_a"].map(owner) == trials["speaker_a"]).all()
    assert np.array_equal(trials.columns[:3], ["trial_id", "part", "clip_a"])
