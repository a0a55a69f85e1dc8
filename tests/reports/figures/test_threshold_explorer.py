"""What the slider is given."""

import json

from reports.figures.threshold_explorer import payload, start_index


def test_it_starts_at_the_audited_threshold(result):
    assert result.sweep_thresholds[start_index(result)] == result.config.threshold


def test_at_the_start_the_counts_are_those_of_the_audit(result):
    data = payload(result, ["race"])
    at = data["start"]
    groups = {g.group: g for g in result.groups if g.attribute == "race"}
    for group in data["attributes"][0]["groups"]:
        audited = groups[group["name"]]
        assert group["fp"][at] == audited.confusion.fp
        assert group["fn"][at] == audited.confusion.fn
    assert data["overall"]["fp"][at] == result.overall.confusion.fp


def test_groups_keep_one_order_however_the_slider_moves(result):
    names = [g["name"] for g in payload(result, ["race"])["attributes"][0]["groups"]]
    rates = {g.group: g.fpr for g in result.groups if g.attribute == "race"}
    assert names == sorted(names, key=lambda n: -rates[n])


def test_the_slider_spells_a_threshold_as_the_rest_of_the_page_does(result):
    near = [0.5, 0.9996, 0.999987]
    told = payload(result.model_copy(update={"sweep_thresholds": near}), ["race"])
    assert told["shown"] == ["0.5", "0.9996", "0.999987"]


def test_without_a_sweep_there_is_no_explorer(result):
    assert payload(result.model_copy(update={"sweep": []}), ["race"]) is None


def test_the_payload_is_json(result):
    json.dumps(payload(result, ["age", "race"]), allow_nan=False)
