"""An audit of several kinds of fake: a mixture, each kind alone, and whether they agree."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.config import AuditConfig
from audit.runs.image_audit import audit_scored, check_request
from audit.runs.kinds_of_fake import left_out_of, mixture, of_kind
from audit.schema.result import AuditResult
from detectors.data.datasets import read_images
from detectors.scoring.dataset_scores import Scored
from pipelines.dataset.manifest import MANIFEST, table_of, write_provenance, write_table

KINDS = ("self-blend", "swap")
RACES = ("Black", "White")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """160 photos with two kinds of fake; every tenth has no swap."""
    root = tmp_path_factory.mktemp("pairs")
    for folder in ("real", *(f"fake/{kind}" for kind in KINDS)):
        (root / folder).mkdir(parents=True)
    rows, image = [], Image.new("RGB", (16, 16), (90, 80, 70))
    for i in range(160):
        pair_id = f"train-{i:06d}"
        image.save(root / "real" / f"{pair_id}.png")
        for kind in KINDS:
            row = {
                "pair_id": pair_id, "kind": kind, "source": f"train/{i}.jpg", "source_sha256": f"{i:064d}",
                "age": "20-29", "gender": ("Female", "Male")[i // 2 % 2], "race": RACES[i % 2], "seed": 0,
            }  # fmt: skip
            if kind == "swap" and i % 10 == 0:
                rows.append({**row, "status": "no donor", "detail": "alone in its cell"})
                continue
            image.save(root / "fake" / kind / f"{pair_id}.png")
            rows.append({**row, "status": "ok", "detail": "", "real": f"real/{pair_id}.png",
                         "fake": f"fake/{kind}/{pair_id}.png", "reconstruction_l1": 0.01 * (i % 7),
                         "real_confidence": 0.9, "fake_confidence": 0.9})  # fmt: skip
    write_table(root / MANIFEST, table_of(rows))
    makers = [{"kind": kind, "name": f"maker of {kind}"} for kind in KINDS]
    write_provenance(root, {"generators": makers, "notes": []})
    return root


@pytest.fixture(scope="module")
def scored(pairs):
    """Swaps of one group are missed far more often; self-blends are missed alike."""
    images = read_images(pairs)
    rng = np.random.default_rng(0)
    table = images.table.copy()
    missed = np.where(table["kind"] == "swap", np.where(table["race"] == "White", 0.7, 0.1), 0.2)
    flagged = np.where(table["label"] == 1, rng.random(len(table)) >= missed, rng.random(len(table)) < 0.1)
    table["score"] = np.where(flagged, 0.9, 0.1)
    table = table.assign(status="ok", detail="")
    data = {"layout": "pairs", "path": str(pairs), "folder": str(pairs), "provenance": images.provenance}
    return Scored(table, images.attributes, images.n_left_out, {"name": "made up"}, data)


@pytest.fixture(scope="module")
def audited(scored, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    config = AuditConfig(n_boot=500)
    return out, audit_scored(scored, out, config)


def test_the_first_page_takes_one_fake_a_photo(audited, scored):
    _, result = audited
    assert result.data.n_real == result.data.n_fake == result.data.n_pairs == 160
    assert any(
        "This audit takes one fake a photo, of a kind drawn at random (seed 0)" in n for n in result.notes
    )
    drawn = mixture(scored.table, 0)
    assert drawn["pair_id"].value_counts().eq(2).all()
    assert drawn.query("label == 1")["kind"].nunique() == 2
    shuffled = mixture(scored.table.sample(frac=1, random_state=1), 0)
    pd.testing.assert_frame_equal(drawn, shuffled)


def test_every_kind_has_a_run_of_its_own(audited):
    out, _ = audited
    swap = AuditResult.load(out / "kinds" / "swap")
    assert swap.data.n_fake == swap.data.n_real == 144
    assert swap.data.n_left_out == {"no donor": 16}
    assert swap.provenance.generator["name"] == "maker of swap"
    assert AuditResult.load(out / "kinds" / "self-blend").data.n_fake == 160
    (whole,) = [d for d in swap.dropout if d.attribute == "overall"]
    assert (whole.n_attempted, whole.n_ok) == (160, 144)


def test_the_record_says_whom_the_gap_follows_and_survives_the_disk(audited):
    out, result = audited
    by = {each.attribute: each for each in result.kinds}
    assert by["race"].verdict == "depends on the kind"
    assert by["race"].worst_kind["White"] == "swap"
    assert result.notes[: len(result.kinds)] == [each.sentence for each in result.kinds]
    assert AuditResult.load(out).kinds == result.kinds


def test_what_is_asked_for_is_checked_before_the_scoring(pairs):
    config = check_request(read_images(pairs), AuditConfig(attributes=("race",)))
    assert config.attributes == ("race",)


def test_pairs_of_a_kind_are_whole(scored):
    pairs = of_kind(scored.table, "swap")
    labels = pairs.groupby("pair_id")["label"].agg(["size", "sum"])
    assert labels["size"].eq(2).all()
    assert labels["sum"].eq(1).all()


def test_reasons_are_told_under_their_kind():
    reasons = {"swap: no donor": 3, "self-blend: no face found": 1, "in the detector's training data": 9}
    assert left_out_of(reasons, "swap", list(KINDS)) == {"no donor": 3, "in the detector's training data": 9}


@pytest.mark.parametrize(("photos", "verdict"), [(2, "depends on the kind"), (16, "insufficient evidence")])
def test_photos_of_one_person_are_one_for_kinds_too(scored, tmp_path, photos, verdict):
    number = scored.table["pair_id"].str[-6:].astype(int)
    person = number // (2 * photos) * 2 + number % 2
    table = scored.table.assign(person="p" + person.astype(str))
    config = AuditConfig(n_boot=100, attributes=("race",), unit_column="person")
    result = audit_scored(replace(scored, table=table), tmp_path / "run", config)
    assert [each.verdict for each in result.kinds] == [verdict]
    alone = audit_scored(scored, tmp_path / "alone", AuditConfig(n_boot=100, attributes=("race",)))
    rates = {(r.group, r.kind): r for r in result.kind_rates if r.attribute == "race"}
    for one in (r for r in alone.kind_rates if r.attribute == "race"):
        found = rates[one.group, one.kind]
        assert found.apcer == one.apcer and found.interval[1] - found.interval[0] > (
            one.interval[1] - one.interval[0] - 0.02
        )


def test_images_without_a_score_are_counted_of_all_kinds_and_by_photo(scored, tmp_path):
    """Of White people's photos a third of the fakes of both kinds fail: the mixture tells of all of them."""
    table = scored.table.copy()
    number = table["pair_id"].str[-6:].astype(int)
    lost = (table["label"] == 1) & (table["race"] == "White") & (number % 3 == 0)
    table.loc[lost, ["score", "status"]] = [np.nan, "no score"]
    config = AuditConfig(n_boot=100, attributes=("race",))
    result = audit_scored(replace(scored, table=table), tmp_path / "run", config)
    [told] = result.no_scores
    assert (told.attribute, told.label, told.more, told.less) == ("race", "fake", ["White"], "Black")
    by_name = {group.group: group for group in told.groups}
    white = table[(table["label"] == 1) & (table["race"] == "White")]
    assert (by_name["White"].n, by_name["White"].n_without) == (len(white), lost.sum())
    assert result.notes.count(told.sentence) == 1
    assert told.sentence == (
        "By race, fakes of some groups got no score more often, proven (p = 0.005): White 33.8% (54 of 160) "
        "against Black 0% (0 of 144). How those fakes would have been judged, nothing here says."
    )
    swap = AuditResult.load(tmp_path / "run" / "kinds" / "swap").no_scores[0]
    n_swaps = int((lost & (table["kind"] == "swap")).sum())
    assert {g.group: g.n_without for g in swap.groups} == {"Black": 0, "White": n_swaps}
