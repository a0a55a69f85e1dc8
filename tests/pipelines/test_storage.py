"""Atomic writing: whole or not there, and faults of the disk in one line."""

import json
import os
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage import remove_leftovers, storing, write_bytes, write_json

FULL = Path("/dev/full")


def test_replaces_whole_files(tmp_path):
    write_bytes(tmp_path / "a", b"one")
    write_bytes(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "a").mkdir()  # a folder of that name: the rename fails
    with (
        pytest.raises(StorageError, match=f"cannot write to {tmp_path}.*same command again"),
        storing(tmp_path),
    ):
        write_bytes(tmp_path / "a", b"data")
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_killed_process_left_is_cleared(tmp_path):
    write_bytes(tmp_path / "summary.json", b"{}")
    (tmp_path / ".summary.json.8124.part").write_bytes(b"{")
    (tmp_path / "kept.part").write_bytes(b"a user's own")
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["kept.part", "summary.json"]


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(StorageError, match="No space left on device"), storing(tmp_path):
        FULL.write_bytes(b"x" * 10)


def test_json_keeps_order_and_text(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": 1,\n  "a": "é"\n}\n'
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["b", "a"]
