"""The first screen: headline, paragraphs, sureness, next steps."""

import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.errors import MitigationError
from audit.runs.kinds_of_fake import mixture_note
from audit.runs.mitigate_run import mitigate_table
from audit.runs.score_audit import audit_score_file, audit_scores
from audit.schema.result import NoScores
from pipelines.jobs.plans import SMALL_NOTE
from reports.tables.reliability import multiplicity
from reports.text import answer
from reports.text import threshold_text as threshold
from reports.text.next_steps import next_steps

D, W, T = "disparity", "within tolerance", "insufficient evidence"  # too thin


def planted(judge, result, *words):
    """Verdicts by race, gender and age; fpr then fnr."""
    names = ("race", "gender", "age")
    rows = [(names[i // 2], ("fpr", "fnr")[i % 2], word) for i, word in enumerate(words)]
    return judge(result, *rows)


@pytest.mark.parametrize(
    ("words", "headline"),
    [
        ((D, D, T, T, T, T), "No. Its error rates differ by race."),
        ((D, W, W, D), "No. It flags real images at different rates by race, and lets fakes through at "
         "different rates by gender."),
        ((T, T, D, D, D, T), "No. Its error rates differ by gender, and it flags real images at "
         "different rates by age."),
        ((W, T, W, T), "Within tolerance by race and gender (real images flagged as fake); inconclusive by "
         "race and gender (fakes let through): too few images for a clear answer."),
        ((W, W, W, W), "Within tolerance by race and gender."),
        ((T, T, T, T), "Inconclusive by race and gender: too few images for a clear answer."),
        ((W, W, T, T), "Within tolerance by race; inconclusive by gender: too few images for a clear "
         "answer."),
        ((W, T, W, W), "Within tolerance by gender and by race (real images flagged as fake); inconclusive "
         "by race (fakes let through): too few images for a clear answer."),
        ((), "No verdict: no group was compared."),
    ],
)  # fmt: skip
def test_headline(judge, result, words, headline):
    assert answer.headline(planted(judge, result, *words)) == headline


def test_the_headline_says_no_more_of_the_size_than_is_proven(judge, prove, result):
    record = planted(judge, result, D, W, D, W)
    record.verdicts[0].worse_groups[0] = prove(result, "race", "fpr", (0.01, 0.2))
    assert answer.headline(record) == (
        "No. It flags real images at different rates by gender. It flags real images at different rates by "
        "race too, but there the difference may still be within your tolerance."
    )
    alone = planted(judge, result, D, D)
    for i, rate in enumerate(("fpr", "fnr")):
        alone.verdicts[i].worse_groups[0] = prove(result, "race", rate, (0.01, 0.2))
    assert (
        answer.headline(alone)
        == "Its error rates differ by race; the difference may still be within your tolerance."
    )


def test_it_is_said_how_often_within_tolerance_is_said(judge, result):
    older = planted(judge, result, W, W, W, T)
    assert "“Within tolerance” is said 3 times here, each at 95% on its own." in answer.sureness(older)
    verdicts = [v.model_copy(update={"gap_corrected": 0.01}) for v in older.verdicts]
    told = answer.sureness(older.model_copy(update={"verdicts": verdicts}))
    assert "“Within tolerance” is said 3 times here; that no such statement is wrong holds at 95%." in told
    assert "Within tolerance" not in " ".join(answer.sureness(planted(judge, result, T, T)))


def test_an_intersection_is_the_headline_only_where_nothing_simpler_is_unequal(judge, result):
    alone = judge(result, ("race", "fpr", W), ("gender:race", "fpr", D))
    assert answer.headline(alone) == "No. Its error rates differ by gender × race."
    both = judge(result, ("race", "fpr", D), ("gender:race", "fpr", D))
    assert answer.headline(both) == "No. Its error rates differ by race."
    assert answer.crossed_line(both) == [("Disparity", "by gender × race")]


def test_intersections_are_one_line_and_name_the_kind_of_image_where_verdicts_differ(judge, result):
    rows = [
        ("gender:race", "fpr", D),
        ("gender:race", "fnr", T),
        ("age:race", "fpr", T),
        ("age:race", "fnr", T),
    ]
    told = answer.crossed_line(judge(result, *rows))
    assert told == [
        ("Disparity", "by gender × race (real images)"),
        ("Inconclusive", "by gender × race (fakes) and by age × race"),
    ]


def test_a_detector_without_errors_is_to_be_tried_on_harder_images(judge, result):
    record = planted(judge, result, T, T)
    told = "It was wrong about none of these images: audit it on other kinds of fake"
    assert told not in " ".join(step.text for step in next_steps(record))
    none = record.overall.model_copy(update={"fpr": 0.0, "fnr": 0.0})
    flawless = record.model_copy(update={"overall": none})
    assert next_steps(flawless)[0].text.startswith(told)
    assert "Points say little here:" not in dict(answer.lead(flawless))


@pytest.mark.parametrize("words", [(T, T, T, T), (W, T, T, T), (W, W, W, W), ()])
def test_without_a_disparity_nothing_accuses(judge, result, words):
    record = planted(judge, result, *words)
    text = " ".join([answer.headline(record), *(" ".join(pair) for pair in answer.lead(record))])
    for accusing in ("No.", "differ by", "at different rates", "times as often", "more often"):
        assert accusing not in text


@pytest.mark.parametrize("words", [(T, T, T, T), (W, T, T, T), (D, D, T, T)])
def test_what_is_not_shown_to_be_equal_is_not_cleared(judge, result, words):
    record = planted(judge, result, *words)
    text = " ".join([answer.headline(record), *(" ".join(pair) for pair in answer.lead(record))])
    assert ("nconclusive" in text) == (D not in words)
    assert ("Within tolerance" in text) == (W in words)


def test_what_is_proven_unequal_is_not_called_unknown(judge, result):
    record = planted(judge, result, T, T)
    verdicts = [v.model_copy(update={"adjusted_p_value": 0.01}) for v in record.verdicts]
    unequal = record.model_copy(update={"verdicts": verdicts})
    assert (
        answer.headline(unequal)
        == "Its error rates differ by race; the difference may still be within your tolerance."
    )
    text = " ".join(claim for claim, _ in answer.lead(unequal))
    assert "not flagged as fake equally often by race" in text
    assert "neither proven nor ruled out" not in text


def test_within_tolerance_but_far_apart_in_proportion_is_in_the_headline(judge, prove, result):
    record = planted(judge, result, W, W)
    record.verdicts[0].worse_groups.append(prove(result, "race", "fpr", (0.001, 0.018), (3.2, 5.1)))
    assert answer.headline(record) == "Within tolerance by race, but in proportion the rates lie far apart."
    assert "points are the right measure" in " ".join(s.text for s in next_steps(record))
    assert any(
        claim.startswith("Within 2 points, but real images of people") for claim, _ in answer.lead(record)
    )


def test_points_are_called_vacuous_where_errors_are_rarer_than_the_tolerance(judge, result):
    overall = result.overall.model_copy(update={"fpr": 0.003})
    rare = result.model_copy(update={"overall": overall})
    said = dict(answer.lead(planted(judge, rare, W, W)))
    assert "lagged as fake are 0.3% of all, less than the tolerance" in said["Points say little here:"]
    for words in ((D, D), (W, W)):
        record = planted(judge, rare if words == (D, D) else result, *words)
        assert "Points say little here:" not in dict(answer.lead(record))


def test_advice_tells_unequal_from_unknown(judge, result):
    record = planted(judge, result, T, T, T, T)
    record.verdicts[:2] = [
        v.model_copy(update={"adjusted_p_value": 0.01, "images_needed": None}) for v in record.verdicts[:2]
    ]
    told = " ".join(s.text for s in next_steps(record))
    assert (
        "To learn whether the gap by race exceeds the tolerance of 2 points, audit more images per group."
        in told
    )
    assert (
        "For a clear answer by gender, audit about 4,100 images per group; if the groups are equal, that "
        "gives an 80% chance of a clear result." in told
    )


def test_advice_and_headline_speak_of_what_the_criterion_tolerates(judge, result):
    record = planted(judge, result, T, T)
    record.verdicts[:] = [v.model_copy(update={"adjusted_p_value": 0.01}) for v in record.verdicts]
    told = {}
    for name in ("ratio", "four-fifths"):
        ruled = record.model_copy(update={"config": result.config.model_copy(update={"criterion": name})})
        told[name] = " ".join([answer.headline(ruled), *(step.text for step in next_steps(ruled))])
        assert "the gap" not in told[name] and "your tolerance" not in told[name]
    assert "To learn whether the ratio by race exceeds the tolerated ratio of 1.25," in told["ratio"]
    assert "the ratio may still be within the tolerated ratio of 1.25." in told["ratio"]
    assert "To learn whether four fifths (0.8) are kept by race," in told["four-fifths"]


def test_only_thin_data_says_that_nothing_is_ruled_out(judge, result):
    lead = answer.lead(planted(judge, result, T, T))
    assert lead[0][0] == "Unequal treatment is neither proven nor ruled out."
    lost = NoScores(attribute="race", label="real", groups=[], more=["A"], less="B")
    told = answer.lead(planted(judge, result, T, T).model_copy(update={"no_scores": [lost]}))
    assert told[0][0] == "In the error rates, unequal treatment is neither proven nor ruled out."


def test_more_than_two_disparities_are_counted(judge, result):
    lead = answer.lead(planted(judge, result, D, D, D, D))
    assert lead[2] == ("2 more disparities:", "see the table of verdicts.")
    crossed = judge(result, *[(a, "fpr", D) for a in ("race", "gender", "gender:race")])
    assert answer.lead(crossed)[2] == ("1 more disparity in intersections:", "see Intersections.")
    every = judge(result, *[(a, "fpr", D) for a in ("race", "gender", "age", "gender:race")])
    assert answer.lead(every)[2][1] == "see the table of verdicts and Intersections."


def test_sureness_states_level_family_and_chance(judge, result):
    told = " ".join(answer.sureness(planted(judge, result, D, D, T, T)))
    assert "95%" in told
    assert "all 4 comparisons" in told
    assert "at most 0.002" in told


def test_next_steps_follow_the_verdicts(judge, result):
    unequal = " ".join(s.text for s in next_steps(planted(judge, result, D, D, T, T)))
    assert "Do not let a flag decide on its own" in unequal
    assert "4,100 images per group" in unequal
    assert unequal.index("threshold") < unequal.index("a flag decide") < unequal.index("4,100"), (
        "cheapest first"
    )
    fair = result.model_copy(update={"other_thresholds": []})
    clear = [s.text for s in next_steps(planted(judge, fair, W, W))]
    assert clear == [
        "Audit again whenever the detector, its threshold, the kind of fakes or the people change."
    ]


@pytest.mark.slow
def test_a_detector_that_guesses_is_told_first(build, judge):
    guesses = build(n=300, skill=0.1)
    assert answer.headline(guesses) == "Not answerable: the detector is not shown to be better than guessing."
    [step] = next_steps(guesses)
    assert "shown to be better than guessing" in step.text
    weak = build(n=3000, skill=0.3)
    assert answer.is_weak(weak) and answer.is_answerable(weak)
    assert "barely better than a coin toss" in next_steps(weak)[0].text


def test_rendered_faces_call_for_photographs(judge, result):
    data = {"kind": "pairs", "source": {"kind": "rendered"}}
    provenance = result.provenance.model_copy(update={"data": data})
    drawn = result.model_copy(update={"provenance": provenance})
    assert answer.rendered(drawn) and not answer.rendered(result)
    assert any("photographs of people" in s.text for s in next_steps(drawn))


def test_the_planted_population_is_found(result):
    """End to end: scores with race planted, through the audit, to the words."""
    assert answer.headline(result) == "No. Its error rates differ by race."
    assert "people labelled Black are flagged as fake" in answer.lead(result)[0][0]


@pytest.mark.parametrize(
    ("change", "headline", "step"),
    [
        (lambda p: 1 - p, "Not answerable: scores or labels look reversed.", "which way the scores"),
        (lambda p: 100 * p, "Not answerable: the threshold does not fit these scores.", "threshold eer"),
    ],
)
def test_a_fault_of_the_scores_comes_before_every_verdict(score_frame, change, headline, step):
    frame = score_frame({"race": ["White", "Black"]}, 600, {"Black": 1.5}, 2.4)
    found = audit_scores(frame.assign(score=change(frame.score)), AuditConfig(n_boot=200))
    assert answer.headline(found) == headline
    assert "Black" not in " ".join(" ".join(pair) for pair in answer.lead(found))
    assert [step in s.text for s in next_steps(found)] == [True]
    old = found.model_copy(update={"notes": ["Else."]})
    assert answer.notes(old) == [found.notes[0], "Else."]


def test_the_cure_of_a_table_that_runs_the_wrong_way_is_the_option_that_turns_it(score_frame, tmp_path):
    frame = score_frame({"race": ["White", "Black"]}, 600, {"Black": 1.5}, 2.4)
    frame.assign(score=1 - frame.score).to_csv(tmp_path / "scores.csv")
    found = audit_score_file(tmp_path / "scores.csv", AuditConfig(n_boot=200)).result
    first = next_steps(found)[0].text
    assert first.startswith("If a high score in this table means real, audit again with --read higher=real.")
    assert threshold.answer(found).startswith("No threshold answers for these scores.")
    config = AuditConfig(n_boot=200, read_as={"higher": "real"})
    turned = audit_score_file(tmp_path / "scores.csv", config).result
    assert answer.is_answerable(turned)
    frame.to_csv(tmp_path / "scores.csv")
    twice = audit_score_file(tmp_path / "scores.csv", config).result
    assert "--read higher=fake" in next_steps(twice)[0].text


def test_how_a_table_was_read_is_an_aside_and_no_warning():
    assert answer.is_aside("How the table was read: separator ';'.")
    assert answer.is_aside("Columns not audited: camera (2 values; to audit it: --attribute camera).")
    assert not answer.is_aside("Scores or labels look reversed.")
    assert answer.is_limit(mixture_note(["small", "swap"], 0)) and answer.is_limit(SMALL_NOTE)
    assert not answer.is_limit("By race the gap in missed fakes depends on the kind of fake.")


def test_the_day_of_the_run_is_told_where_it_is_known():
    assert answer.audited_on({"started": "2026-03-01T12:00:00Z"}) == "1 March 2026"
    assert answer.audited_on({}) == answer.audited_on({"started": "yesterday"}) == ""


def test_a_table_of_real_images_alone_says_that_there_are_no_fakes(build):
    found = build({"race": ["White", "Black"]}, n=1500, shift={"Black": 2.0}, keep="real")
    assert "disparity" in [v.verdict for v in found.verdicts]
    told = answer.overall_sentence(found)
    assert told.endswith("; there are no fakes.") and "no data" not in told
    steps = [step.text for step in next_steps(found)]
    assert steps[0].startswith("Audit real images and fakes together")
    assert not any("another threshold" in step for step in steps)
    with pytest.raises(MitigationError, match=r"All images are real.*audit real images and fakes together"):
        mitigate_table(found, pd.DataFrame())


def test_one_group_alone_is_not_told_to_bring_more_images(build):
    """612 images of one group are not too few: there is nobody to compare them with."""
    found = build({"race": ["White"], "gender": ["Female", "Male"]}, n=600, shift={}, pairs=False)
    lone = build({"race": ["White"]}, n=600, shift={}, pairs=False)
    assert answer.headline(lone) == "Inconclusive by race: there are not two groups to compare."
    told = " ".join(" ".join(line) for line in answer.lead(lone))
    assert "All real images are of one group; a comparison needs two." in told
    steps = " ".join(step.text for step in next_steps(lone))
    assert "To compare groups by race, audit images of two groups or more." in steps
    assert "per group" not in steps and "too few" not in told
    assert "by gender" in answer.headline(found) and "by race" not in answer.headline(found).split(":")[0]
    assert multiplicity(lone) == "No comparison was made." and "by race," not in multiplicity(found)


def test_a_plan_names_the_kind_of_error_that_is_open(judge, result):
    steps = [step.text for step in next_steps(planted(judge, result, D, T, T, T))]
    assert any(s.startswith("For a clear answer by gender and by race (fakes let through), ") for s in steps)


def test_one_comparison_is_corrected_for_nothing(build):
    found = build({"race": ["White", "Black"]}, n=600, shift={}, keep="real")
    assert multiplicity(found).startswith("One comparison was made (by race). Rates of single cells")
