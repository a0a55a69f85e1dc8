"""Atomic writing: whole or not there, and faults of the disk in one line."""

import json
import os
import threading
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage import remove_leftovers, replace_file, storing, write_bytes, write_json

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


def test_two_threads_write_one_name_and_each_file_is_whole(tmp_path, monkeypatch):
    """Both are at the rename at once, as two containers with one number of a process may be."""
    both, replace, faults = threading.Barrier(2, timeout=120), os.replace, []

    def at_once(part, target):
        both.wait()
        replace(part, target)

    def write(data):
        try:
            write_bytes(tmp_path / "a", data * 1000)
        except OSError as fault:
            faults.append(fault)

    monkeypatch.setattr(os, "replace", at_once)
    threads = [threading.Thread(target=write, args=(data,)) for data in (b"1", b"2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and len(set((tmp_path / "a").read_bytes())) == 1
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["n" * 255, "名" * 85])
def test_the_longest_names_are_written(tmp_path, name):
    write_bytes(tmp_path / name, b"1")
    replace_file(tmp_path / name, lambda part: part.write_bytes(b"2"))
    assert (tmp_path / name).read_bytes() == b"2" and os.listdir(tmp_path) == [name]
