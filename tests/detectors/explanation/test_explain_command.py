"""`audit explain` from the command line, on files, a folder and a pairs dataset."""

from __future__ import annotations

import json

import pytest

from audit import cli


def run(*arguments) -> int:
    with pytest.raises(SystemExit, match=r"^(\d|None)$") as ended:
        cli.main(list(map(str, arguments)))
    return ended.value.code


def test_pairs_are_drawn_and_written_as_json(checkpoint, pairs_dir, tmp_path, capsys):
    asked = ["explain", "--pairs", pairs_dir, "--detector", checkpoint, "--method", "saliency", "--n", 6]
    assert run(*asked, "--out", tmp_path / "out", "--json", "--quiet") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["method"] == "saliency" and len(record["images"]) == 6
    assert {row["label"] for row in record["images"]} <= {0, 1}
    assert all((tmp_path / "out" / row["picture"]).is_file() for row in record["images"])


def test_a_trained_detectors_fakes_have_no_blank_map(checkpoint, pairs_dir, tmp_path, capsys):
    files = sorted((pairs_dir / "fake").glob("*.png"))[:10]
    assert run("explain", *files, "--detector", checkpoint, "--out", tmp_path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["method"] == "grad-cam" and not any(row["flat"] for row in record["images"])


def test_images_or_pairs_one_of_the_two(checkpoint, pairs_dir, tmp_path, capsys):
    assert run("explain", "--detector", checkpoint) == 2
    assert "one of the two" in capsys.readouterr().err
    (tmp_path / "bad.png").write_bytes(b"")
    assert run("explain", tmp_path, "--detector", checkpoint, "--out", tmp_path / "o") == 1
    assert "unreadable image" in capsys.readouterr().out
