"""Which photos a generator was trained on."""

import hashlib
import json

import pytest

from pipelines.generators.training_photos import training_list

KNOWN, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize("listed", [[KNOWN], json.dumps([KNOWN])])
def test_a_list_in_the_weights(listed, tmp_path):
    held = training_list(tmp_path / "w.safetensors", {"trained_on": listed})
    assert (held.holds(KNOWN), held.holds("b" * 64), held.holds(None)) == (True, False, None)


def test_a_list_beside_the_weights(tmp_path):
    (tmp_path / "small.photos.txt").write_text(f"{KNOWN}\n{OTHER}\n")
    digest = hashlib.sha256(f"{KNOWN}\n{OTHER}".encode()).hexdigest()
    held = training_list(tmp_path / "small.safetensors", {"training_photos_sha256": digest})
    assert (held.holds(KNOWN), held.holds(OTHER), held.holds("c" * 64)) == (True, True, False)


def test_a_list_of_other_weights_is_no_list(tmp_path):
    (tmp_path / "small.photos.txt").write_text(f"{KNOWN}\n")
    held = training_list(tmp_path / "small.safetensors", {"training_photos_sha256": "0" * 64})
    assert held.holds(KNOWN) is None


def test_a_list_that_is_elsewhere_is_unknown(tmp_path):
    assert training_list(tmp_path / "w.safetensors", {"training_photos_sha256": "0"}).holds(KNOWN) is None


def test_official_weights_saw_none_of_ours(tmp_path):
    assert training_list(tmp_path / "psp.pt", {"options": {}}).holds(KNOWN) is False
