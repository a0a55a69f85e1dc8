"""How many photos there are to be had, and what all of them would show."""

import numpy as np
import pytest

from audit.inference.equality_test import detectable_gap, range_critical, smoothed
from audit.schema.result import Dropout
from reports.text.next_steps import next_steps
from reports.text.photo_pool import FAIRFACE, pool_of, provable_gap


def test_the_counts_are_those_of_the_two_label_tables():
    assert {sum(counts.values()) for counts in FAIRFACE.values()} == {86_744 + 10_954}


def thin(judge, result, needed, attribute="age"):
    found = judge(result, (attribute, "fpr", "insufficient evidence"))
    verdict = found.verdicts[0].model_copy(update={"images_needed": needed})
    return found.model_copy(update={"verdicts": [verdict]})


def steps(record):
    return " ".join(step.text for step in next_steps(record))


def test_a_plan_beyond_the_pool_says_so_and_what_all_of_it_would_show(judge, result):
    record = thin(judge, result, 12_717)
    pool = pool_of(record, "age")
    assert pool.name == "FairFace" and pool.smallest == ("more than 70", 960)
    images = np.array(list(FAIRFACE["age"].values()))
    rate = smoothed(record.overall.fpr, float(images.sum()))
    expected = detectable_gap(rate, images, range_critical(9, 0.05 / record.n_tests))
    least = provable_gap(record, record.verdicts[0], pool)
    assert least == pytest.approx(expected) and 0 < least < 0.2
    told = steps(record)
    assert (
        "audit about 12,800 images per group; if the groups are equal, that gives an 80% chance of a clear "
        "result." in told
    )
    assert (
        "FairFace has only 960 photos in its smallest group by age (more than 70); with all of its photos, "
        f"only a gap of {100 * least:.1f} points or more has an 80% chance of being proven." in told
    )


def test_a_plan_that_the_pool_can_meet_needs_no_warning(judge, result):
    assert "FairFace has only" not in steps(thin(judge, result, 900))


def test_other_faces_have_no_known_pool(judge, result, build):
    drawn = {"kind": "pairs", "source": {"kind": "rendered"}}
    rendered = result.model_copy(
        update={"provenance": result.provenance.model_copy(update={"data": drawn}), "dropout": []}
    )
    assert pool_of(rendered, "age") is None
    own = build({"age": ["young", "old"]}, n=300, pairs=False)
    assert pool_of(own, "age") is None and pool_of(result, "age:race") is None


def test_a_dataset_with_more_pairs_than_were_audited_is_its_own_pool(build):
    own = build({"tone": ["light", "dark"]}, n=300)
    assert pool_of(own, "tone") is None, "all its pairs were audited"
    more = [Dropout(attribute="tone", group=g, n_attempted=900, n_ok=800) for g in ("light", "dark")]
    pool = pool_of(own.model_copy(update={"dropout": more}), "tone")
    assert (pool.name, pool.photos) == ("this data set", {"light": 800, "dark": 800})
