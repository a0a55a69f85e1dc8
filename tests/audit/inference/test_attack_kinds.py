"""APCER by kind and its worst case by group; a real image belongs to no kind."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.groups import cells_of
from audit.errors import GroupError
from audit.inference.attack_kinds import kind_rates
from audit.inference.proportion_intervals import exact
from audit.runs.score_audit import audit_file, audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=100)
MISSED = {("A", "swap"): 0.1, ("A", "gan"): 0.3, ("B", "swap"): 0.5, ("B", "gan"): 0.2}


def table(seed=0, n=600, of_reals=None):
    rng = np.random.default_rng(seed)
    label, race = rng.integers(0, 2, n), rng.choice(["A", "B"], n)
    kind = rng.choice(["swap", "gan"], n)
    missed = np.array([MISSED[pair] for pair in zip(race, kind, strict=True)])
    caught = np.where(label == 1, rng.random(n) >= missed, rng.random(n) < 0.05)
    return pd.DataFrame(
        {"label": label, "score": caught * 0.9, "race": race, "kind": np.where(label == 1, kind, of_reals)}
    )


def test_rates_are_counted_and_the_worst_case_is_the_largest():
    frame = table()
    record = audit_scores(frame, CONFIG)
    fakes = frame[frame.label == 1]
    for one in record.kind_rates:
        of = fakes[fakes.kind == one.kind]
        of = of if one.attribute == "overall" else of[of.race == one.group]
        assert (one.n_fake, one.apcer) == (len(of), pytest.approx((of.score < 0.5).mean()))
        assert one.interval == pytest.approx(tuple(map(float, exact(one.apcer, len(of), 0.025))))
    worst = {one.group: one for one in record.worst_kinds}
    assert {group: one.kind for group, one in worst.items() if group != "overall"} == {
        "A": "gan",
        "B": "swap",
    }
    for group, one in worst.items():
        rates = [r for r in record.kind_rates if r.group == group]
        assert one.apcer == max(r.apcer for r in rates)
        assert one.interval == (max(r.interval[0] for r in rates), max(r.interval[1] for r in rates))


@pytest.mark.parametrize("of_reals", [None, "", "real", "bona fide"])
def test_a_real_is_never_a_missing_kind(of_reals, tmp_path):
    frame = table(of_reals=of_reals)
    record = audit_scores(frame, CONFIG)
    assert {one.kind for one in record.kind_rates} == {"swap", "gan"}
    assert "missing" not in json.dumps([one.model_dump(mode="json") for one in record.kind_rates])
    assert all("kind" not in note for note in record.notes)
    frame.to_csv(tmp_path / "s.csv", index=False)
    assert audit_file(tmp_path / "s.csv", tmp_path / "run", CONFIG).kind_rates == record.kind_rates
    with pytest.raises(GroupError, match="'kind' says what made a fake and nothing of real images"):
        audit_scores(frame, replace(CONFIG, attributes=("race", "kind")))


def test_a_kind_is_not_found_as_an_attribute():
    frame = table().rename(columns={"race": "region"})
    assert audit_scores(frame, AuditConfig(n_boot=100)).config.attributes == ["region"]


def test_a_kind_of_camera_is_an_attribute_like_any_other():
    frame = table(of_reals="phone")
    assert audit_scores(frame, CONFIG).kind_rates == []
    assert audit_scores(frame, replace(CONFIG, attributes=("kind",))).config.attributes == ["kind"]


def test_a_kind_of_a_few_fakes_sets_no_worst_case():
    frame = table()
    frame.loc[frame.index[frame.label == 1][:5], ["kind", "score"]] = ["rare", 0.0]
    worst = {one.group: one for one in audit_scores(frame, CONFIG).worst_kinds}
    assert worst["overall"].kind != "rare"
    assert worst["overall"].left_out == ["rare"]
    few = audit_scores(frame, replace(CONFIG, min_n=400)).worst_kinds[0]
    assert few.kind is None and few.interval is None and "no kind has 400 fakes" in few.reason


def test_units_and_weights():
    frame = table(n=300)
    copies = frame.loc[frame.index.repeat(8)].assign(person=np.repeat(np.arange(300), 8))
    once = audit_scores(frame, CONFIG).kind_rates
    many = audit_scores(copies, replace(CONFIG, unit_column="person")).kind_rates
    for one, other in zip(once, many, strict=True):
        assert other.apcer == pytest.approx(one.apcer)
        assert np.diff(other.interval) >= 0.95 * np.diff(one.interval)
    weighted = frame.assign(w=np.where(frame.score > 0.5, 0.5, 1.5))
    found = audit_scores(weighted, replace(CONFIG, weight_column="w")).kind_rates[0]
    of = weighted[(weighted.label == 1) & (weighted.kind == found.kind)]
    assert found.apcer == pytest.approx(np.average(of.score < 0.5, weights=of.w))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_group_may_lack_a_kind_and_a_fake_its_kind(weighted):
    """B, the last group, has no fake of the last kind; a fake without a kind takes no part."""
    race = ["A"] * 90 + ["B"] * 50 + ["A"] * 10
    kind = ["gan"] * 40 + ["swap"] * 45 + [None] * 5 + ["gan"] * 50 + ["swap"] * 10
    cells, cell = cells_of(pd.DataFrame({"race": race}), ["race"], {})
    missed = np.arange(150) % 4 == 0
    weight = np.where(np.arange(150) % 3, 1.5, 0.5) if weighted else np.ones(150)
    rates, worst = kind_rates(
        pd.Series(kind), missed, cells, cell, CONFIG, weight=weight if weighted else None
    )
    found = {(one.group, one.kind): one for one in rates}
    n = {
        ("overall", "gan"): 90,
        ("overall", "swap"): 55,
        ("A", "gan"): 40,
        ("A", "swap"): 55,
        ("B", "gan"): 50,
    }
    assert {key: one.n_fake for key, one in found.items()} == n | {("B", "swap"): 0}
    table = pd.DataFrame({"race": race, "kind": kind, "missed": missed, "weight": weight})
    for group, name in n:
        of = table[(table.kind == name) & ((table.race == group) | (group == "overall"))]
        assert found[group, name].apcer == pytest.approx(np.average(of.missed, weights=of.weight))
    lacking = found["B", "swap"]
    assert np.isnan(lacking.apcer) and lacking.interval is None
    assert [(one.attribute, one.group) for one in worst] == [
        ("overall", "overall"), ("race", "A"), ("race", "B"),
    ]  # fmt: skip
    assert worst[2].kind == "gan" and worst[2].left_out == ["swap"] and worst[1].left_out == []


def test_one_kind_has_no_worst_case():
    cells, cell = cells_of(pd.DataFrame({"race": ["A"] * 40}), ["race"], {})
    assert kind_rates(pd.Series(["gan"] * 40), np.zeros(40, bool), cells, cell, CONFIG) == ([], [])
