"""Speaker verification through the whole audit: numbers, words, and what is refused."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

import audit
from audit.config import AuditConfig
from audit.data.trials import as_trials
from audit.errors import ConfigError, MitigationError
from audit.judge.gates import gate_failures, not_judged
from audit.metrics.disparity import MEASURES
from audit.metrics.one_vs_rest import REST_MEASURES
from audit.runs.junit import write_junit
from audit.runs.score_audit import audit_table
from audit.schema.result import CROSSED
from audit.task import task_named
from audit.verification.verify_run import verify_run
from audit.wording.numbers import listing
from reports.pages.comparison_page import write_comparison_page
from reports.pages.model_card import write_model_card
from reports.pages.report_page import write_report
from reports.tables.reliability import limits
from reports.text import answer
from reports.text.next_steps import next_steps

TASK = "speaker-verification"


def trials(seed=0, n_speakers=48, n_impostors=1500, gap=0.0, noise=0.0):
    """Trials of speakers of two genders and two accents; voices of one accent may sound alike by `gap`."""
    rng = np.random.default_rng(seed)
    speaker = pd.DataFrame(
        {"gender": ["f", "m"] * (n_speakers // 2), "accent": ["GB", "GB", "IN", "IN"] * (n_speakers // 4)}
    )
    voice, own = 0.4 * rng.normal(size=n_speakers), 0.4 * rng.normal(size=n_speakers)
    genuine = np.repeat(np.arange(n_speakers), 12)
    first = rng.integers(n_speakers, size=n_impostors)
    second = (first + rng.integers(1, n_speakers, size=n_impostors)) % n_speakers
    a, b = np.concatenate([genuine, first]), np.concatenate([genuine, second])
    same = a == b
    accents = speaker["accent"].to_numpy()
    alike = gap * ((accents[a] == "IN") & (accents[b] == "IN"))
    score = np.where(same, 2.5 + own[a], -1.5 + voice[a] + voice[b] + alike) + rng.normal(size=len(a))
    columns = {"trial_id": [f"t{i}" for i in range(len(a))], "same": same.astype(int)}
    for side, who in (("a", a), ("b", b)):
        columns[f"clip_{side}"] = [
            f"s{i}/{k}" for i, k in zip(who, rng.integers(6, size=len(who)), strict=True)
        ]
        columns[f"speaker_{side}"] = [f"s{i}" for i in who]
        columns |= {f"{name}_{side}": speaker[name].to_numpy()[who] for name in speaker}
    return pd.DataFrame(columns | {"score": score + noise * rng.normal(size=len(a))})


@pytest.fixture(scope="module")
def table():
    return trials(1, gap=2.0)


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    """A run of a file, with everything that can be written about it, and a comparison with a noisier one."""
    place = tmp_path_factory.mktemp("voices")
    table.to_csv(place / "trials.csv", index=False)
    options = {"task": TASK, "threshold": 0.5, "n_boot": 200, "max_fpr": 0.05, "references": {"accent": "GB"}}
    found = audit.audit_scores(place / "trials.csv", out=place / "run", detector="verifier A", **options)
    write_junit(found.record, place / "run.xml")
    write_report(place / "run")
    write_model_card(place / "run")
    noisier = table.assign(score=table["score"] + np.random.default_rng(3).normal(size=len(table)))
    audit.audit_scores(noisier, out=place / "other", detector="verifier B", **options)
    audit.compare(place / "run", place / "other").write(place / "compared")
    write_comparison_page(place / "compared")
    return place, found


def test_every_row_is_audited_or_reported(table):
    table = table.copy()
    table.loc[[3, 4], "score"] = np.nan
    found = audit.audit_scores(table, task=TASK, threshold="eer", n_boot=100).record
    assert found.data.n_images + sum(found.data.n_left_out.values()) == len(table)
    assert set(found.data.n_left_out) == {
        "no score in the table", "used to fix the threshold",
        "between a speaker who fixed the threshold and one who did not",
    }  # fmt: skip
    for attribute in ("gender", "accent"):
        assert sum(g.n_real for g in found.groups if g.attribute == attribute) == found.data.n_real
        assert sum(c.n for c in found.cross_groups if c.attribute == attribute) == found.data.n_real


def test_the_rate_of_a_group_is_that_of_trials_within_it(table, run):
    _, found = run
    impostor = table[table["same"] == 0]
    both = impostor.groupby(["accent_a", "accent_b"])["score"].agg(lambda s: (s >= 0.5).sum())
    shown = {(c.group, c.other_group): c.errors for c in found.record.cross_groups if c.attribute == "accent"}
    assert shown == both.to_dict()
    by_group = {g.group: g.confusion.fp for g in found.record.groups if g.attribute == "accent"}
    assert by_group["IN"] == both["IN", "IN"] and by_group[CROSSED] == both["IN", "GB"] + both["GB", "IN"]


def test_two_groups_are_shown_and_never_compared(run):
    _, found = run
    for verdict in found.record.verdicts:
        assert CROSSED not in f"{verdict.worst_group} {verdict.best_group} {verdict.compared_with}"
    limits = {(one.attribute, one.group): one for one in found.record.rate_limits}
    assert limits["accent", CROSSED].holds is None and not_judged(found.record) == []
    assert any(
        "FMR of accent IN may be up to" in f.line and "--max-fmr" in f.line
        for f in gate_failures(found.record, None)
    )


def test_a_planted_accent_gap_is_found_and_said(run):
    _, found = run
    told = {(v.attribute, v.rate): v for v in found.record.verdicts}
    assert told["accent", "fpr"].verdict == "disparity" and told["accent", "fpr"].worst_group == "IN"
    assert (
        "Impostor trials with accent “IN” are accepted as the same speaker"
        in told["accent", "fpr"].explanation
    )
    assert told["gender", "fpr"].verdict != "disparity"


def test_measures_without_sense_for_a_verifier_are_the_only_ones_missing(run):
    found = {gap.measure for gap in run[1].record.gaps}
    absent = task_named("speaker-verification").without_measures
    assert set(REST_MEASURES) - found == set(REST_MEASURES) & absent == {"disparate_impact"}
    assert set(MEASURES) - found == set(MEASURES) & absent


def test_names_of_speakers_change_nothing(table):
    renamed = table.assign(
        **{f"speaker_{s}": table[f"speaker_{s}"].map(lambda name: name[::-1]) for s in "ab"}
    )
    options = {"task": TASK, "threshold": 0.5, "n_boot": 100}
    one, other = (audit.audit_scores(t, **options).record for t in (table, renamed.iloc[::-1]))
    assert [v.p_value for v in one.verdicts] == pytest.approx([v.p_value for v in other.verdicts])
    assert one.overall.fpr_interval == pytest.approx(other.overall.fpr_interval)


def test_enrolled_and_probe_may_change_places(table):
    swapped = {f"{stem}_a": table[f"{stem}_b"] for stem in ("clip", "speaker", "gender", "accent")}
    swapped |= {f"{stem}_b": table[f"{stem}_a"] for stem in ("clip", "speaker", "gender", "accent")}
    options = {"task": TASK, "threshold": 0.5, "n_boot": 100}
    one, other = (audit.audit_scores(t, **options).record for t in (table, table.assign(**swapped)))
    assert [v.p_value for v in one.verdicts] == pytest.approx([v.p_value for v in other.verdicts])
    worths = [[g.fpr_worth for g in record.groups] for record in (one, other)]
    assert worths[0] == pytest.approx(worths[1], nan_ok=True)
    assert [g.confusion for g in one.groups] == [g.confusion for g in other.groups]


def test_a_copied_trial_list_is_worth_no_more(table):
    config = AuditConfig(task=TASK, n_boot=100, threshold=0.5)
    copies = pd.concat([table] * 4, ignore_index=True).assign(trial_id=lambda t: [f"c{i}" for i in t.index])
    one, many = (audit_table(t, config).result for t in (table, copies))
    for rate in ("fpr", "fnr"):
        assert getattr(many.overall, f"{rate}_worth") <= getattr(one.overall, f"{rate}_worth") * 1.05


def test_a_report_of_synthesised_voices_says_so(table):
    options = {"task": TASK, "threshold": 0.5, "n_boot": 100, "source": {"kind": "rendered"}}
    found = audit.audit_scores(table, "accent", **options).record
    assert (
        "The voices were synthesised by a program. They test the method and say nothing about people."
        in limits(found)
    )
    assert any("Repeat the audit on recordings of people" in step.text for step in next_steps(found))


def test_costs_are_those_of_both_priors(run):
    _, found = run
    m = found.record.overall
    assert set(m.min_dcf_at) == {"0.01", "0.05"} and m.min_dcf_at["0.05"] == m.min_dcf
    curve = next(c for c in found.record.curves if c.attribute == "overall")
    cost = 0.01 * np.array(curve.fnr) + 0.99 * np.array(curve.fpr)
    assert m.min_dcf_at["0.01"] == pytest.approx(cost.min() / 0.01)


def test_a_run_can_be_verified_and_compared(run):
    place, _ = run
    assert not [check for check in verify_run(place / "run") if check.state == "changed"]
    compared = json.loads((place / "compared" / "comparison.json").read_text())
    assert compared["task"] == TASK and compared["n_images"] > 1000


def test_what_needs_one_unit_a_row_is_refused(run, table):
    place, _ = run
    with pytest.raises(
        MitigationError, match="speaker-verification has no search for a better threshold yet"
    ):
        audit.mitigate(place / "run")
    with pytest.raises(ConfigError, match="speaker-verification is audited from a table of trials"):
        audit.audit_images("module:verifier", "pairs", task=TASK)
    with pytest.raises(
        audit.errors.ScoreTableError, match="promises something of trials that are independent"
    ):
        audit.audit_scores(table, task=TASK, threshold="fmr<=0.05@95%")


FACES = re.compile(
    r"\b(faces?|images?|fakes?|photos?|detectors?|real|reals|fpr|fnr|tpr|tnr|apcer|bpcer|deepfakes?|flag|flags|flagged)\b",
    re.IGNORECASE,
)
PROGRAM = re.compile(r"fake-face-fairness-audit|max_fpr|max_fnr")
RECORD = re.compile(r"real|fake|fpr|fnr|always real|always fake|(fpr|fnr)=[\d.]+")
"""Values of the record that are the same for every task, as its keys are."""


def values(content):
    if isinstance(content, dict):
        return [text for value in content.values() for text in values(value)]
    if isinstance(content, list):
        return [text for value in content for text in values(value)]
    return [content] if isinstance(content, str) else []


def said(path):
    """Every text of an output that a person reads."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return values(json.loads(text))
    if path.suffix != ".html":
        return text.splitlines()
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, flags=re.DOTALL)
    attributes = re.findall(r'(?:aria-label|title|alt|download)="([^"]*)"', text)
    body = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    shown = unescape(re.sub(r"<[^>]+>", "\n", body)).splitlines()
    return [*shown, *attributes, *(one for block in data for one in values(json.loads(block)))]


@pytest.mark.parametrize(
    "name",
    [
        "run/report.html", "run/audit.json", "run/model_card.md", "run.xml", "compared/comparison.html",
        "compared/comparison.json",
    ],
)  # fmt: skip
def test_no_output_speaks_of_faces(run, name):
    place, _ = run
    found = [text.strip() for text in said(place / name)]
    found = [text for text in found if not RECORD.fullmatch(text) and FACES.search(PROGRAM.sub("", text))]
    assert not found, listing(found[:5])


def test_nor_does_the_notebook_or_the_terminal(run, capsys):
    from audit.commands.verdict_table import print_outcome

    place, found = run
    print_outcome(found.record, place / "run" / "report.html")
    for text in (found.summary, repr(found), found._repr_html_(), capsys.readouterr().out):
        assert not FACES.search(text.replace(str(place), "")), text


def test_an_equal_verifier_is_not_convicted_of_its_trial_list():
    """Trials across groups are easier; that is nobody's disparity."""
    rng = np.random.default_rng(5)
    table = trials(4)
    impostor = (table["same"] == 0) & (table["accent_a"] == table["accent_b"])
    table["score"] += 0.5 * impostor + 0 * rng.normal(size=len(table))
    frame = as_trials(table, AuditConfig(task=TASK)).frame
    assert (frame["accent"] == CROSSED).any()
    assert not [
        v
        for v in audit.audit_scores(table, task=TASK, threshold=0.5, n_boot=100).record.verdicts
        if v.verdict == "disparity"
    ]


def test_a_fault_of_a_verifier_is_told_once_and_in_its_own_words():
    """A report of voices carried the warning that belongs to a detector of fakes."""
    frame = trials()
    found = audit.audit_scores(frame.assign(score=-frame["score"]), "accent", task=TASK, n_boot=100)
    assert "look reversed" in found.record.notes[0]
    assert answer.notes(found.record) == found.record.notes
    assert not re.search(r"fake|\bimages?\b", found.summary)


@pytest.fixture(scope="module")
def unheard(table):
    """Trials in which a third of those within one accent got no score."""
    rng = np.random.default_rng(3)
    within = (table["accent_a"] == "IN") & (table["accent_b"] == "IN")
    lost = table.assign(score=table["score"].where(~within | (rng.random(len(table)) < 0.67)))
    lost.loc[5, "speaker_a"] = lost.loc[5, "clip_a"] = None
    return lost


@pytest.mark.slow
def test_trials_without_a_score_are_counted_by_group_and_named(unheard, tmp_path):
    unheard.to_csv(tmp_path / "trials.csv", index=False)
    found = audit.audit_scores(tmp_path / "trials.csv", task=TASK, n_boot=200)
    rows = found.no_scores
    known = unheard["speaker_a"].notna()
    for name, same in (("fake", 1), ("real", 0)):
        of_class = unheard[known & (unheard["same"] == same)]
        here = rows[(rows["attribute"] == "accent") & (rows["label"] == name)].set_index("group")
        assert here["n"].sum() == len(of_class) and here["n_without"].sum() == of_class["score"].isna().sum()
        within = of_class[(of_class["accent_a"] == "IN") & (of_class["accent_b"] == "IN")]
        assert here.loc["IN", ["n", "n_without"]].tolist() == [len(within), within["score"].isna().sum()]
    (named,) = [one for one in found.record.no_scores if one.more]
    assert (named.attribute, named.label, named.more, named.less) == ("accent", "fake", ["IN"], "GB")
    start = "By accent, genuine trials of some groups got no score more often, proven (p"
    assert named.sentence.startswith(start) and " against GB 0% (0 of 287)." in named.sentence
    assert "image" not in "".join(one.sentence for one in found.record.no_scores)
    page = found.report(tmp_path / "report.html").read_text()
    assert "No score, by group" in page and unescape(named.sentence) in unescape(re.sub("<[^>]+>", "", page))


def test_one_speaker_whose_voice_is_never_heard_convicts_no_group(table):
    quiet = (table["speaker_a"] == "s2") | (table["speaker_b"] == "s2")
    found = audit.audit_scores(
        table.assign(score=table["score"].where(~quiet)), "accent", task=TASK, n_boot=200
    )
    rows = found.no_scores.set_index(["label", "group"])
    assert rows.loc[("fake", "IN"), "n_without"] == 12 and rows.loc[("fake", "GB"), "n_without"] == 0
    assert not rows["more"].any()


def test_trials_of_one_class_are_called_trials():
    table = trials(n_impostors=300)
    for same, word in ((0, "impostor trials"), (1, "genuine trials")):
        notes = audited_table(table[table["same"] == same]).record.notes
        assert f"All trials are {word}: every rate of the other class is undefined." in notes


def test_trials_of_two_groups_alone_are_said_to_be_of_two():
    table = trials(n_impostors=300)
    table = table[(table["same"] == 1) | (table["accent_a"] != table["accent_b"])]
    table["accent_a"] = table["accent_a"].where(table["same"] == 0, None)
    summary = audited_table(table).summary
    assert "All impostor trials are of two groups or have no label; a comparison needs two." in summary


def test_a_speaker_with_two_accents_is_a_note():
    table = trials(n_impostors=300)
    table.loc[0, "accent_a"] = "IN" if table.loc[0, "accent_b"] == "GB" else "GB"
    (note,) = [n for n in audited_table(table).record.notes if "more than one label" in n]
    assert note.startswith("1 speaker has more than one label of accent, the first 's0' (")


def audited_table(table):
    return audit.audit_scores(table, "accent", task=TASK, n_boot=100)
