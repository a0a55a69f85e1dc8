"""`audit explain --check --run`: what is measured stands in the run's folder and in its report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from audit import cli
from audit.schema.explanations import ExplanationSummary
from pipelines.dataset.manifest import MANIFEST, read_manifest, table_of, write_table
from reports.errors import RecordFormatError
from reports.pages.report_page import write_report

pytestmark = pytest.mark.slow


def run(*arguments) -> int:
    with pytest.raises(SystemExit, match=r"^(\d|None)$") as ended:
        cli.main(list(map(str, arguments)))
    return ended.value.code


@pytest.fixture
def masked_pairs(pairs_factory):
    """30 pairs of blobs that the detector has not seen; the left half counts as changed."""
    root = pairs_factory(30, 7)
    (root / "mask").mkdir()
    mask = np.zeros((32, 32), np.uint8)
    mask[:, :16] = 255
    rows = read_manifest(root).replace({np.nan: None}).to_dict("records")
    for row in rows:
        if row["status"] == "ok":
            row["mask"] = f"mask/{row['pair_id']}.png"
            Image.fromarray(mask).save(root / row["mask"])
    write_table(root / MANIFEST, table_of(rows))
    return root


def test_a_run_gets_its_explanations_and_the_report_shows_them(checkpoint, masked_pairs, tmp_path, capsys):
    folder = tmp_path / "run"
    asked = ["--detector", checkpoint, "--pairs", masked_pairs]
    assert run("run", *asked, "--out", folder, "--n-boot", 200, "--quiet") == 0
    assert run("explain", *asked, "--run", folder, "--check", "--n", 6, "--json", "--quiet") == 0
    record = json.loads(capsys.readouterr().out)
    summary = json.loads((folder / "explanations" / "summary.json").read_text())
    assert record["summary"] == summary and ExplanationSummary.model_validate(summary).fakes_with_mask == 6
    methods = [row["method"] for row in summary["trust"]]
    assert methods == ["saliency", "integrated-gradients", "grad-cam", "occlusion", "lime"]
    assert all(row["area"] == 0.5 and 0 <= row["hit"] <= 1 for row in summary["trust"])
    assert {row["attribute"] for row in summary["trust_by_group"]} == {"age", "gender", "race"}
    page = write_report(folder).read_text(encoding="utf-8")
    assert "What does it look at?" in page and "Integrated gradients" in page
    assert page.count("map-picture") - page.count(".map-picture") == 5, "mean maps and four drawn pictures"
    assert write_report(folder, images=False).read_text(encoding="utf-8").count('class="map-picture"') == 1
    refused_and_foreign(folder, asked, capsys)


def refused_and_foreign(folder, asked, capsys):
    assert run("explain", *asked, "--run", folder, "--threshold", 0.3) == 2
    assert "cannot stand beside --run" in capsys.readouterr().err
    path = folder / "explanations" / "summary.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"sha256": "99" * 32, "detector": "<b>other</b>"}))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "measured for another detector (&lt;b&gt;other&lt;/b&gt;)" in page and 'map-picture" ' not in page
    path.write_text("{}")
    with pytest.raises(RecordFormatError, match=r"is no record of explanations: .*Field required; run audit"):
        write_report(folder)


def test_check_needs_pairs_and_masks(checkpoint, pairs_dir, tmp_path, capsys):
    assert run("explain", pairs_dir, "--detector", checkpoint, "--check") == 2
    assert "--check needs --pairs" in capsys.readouterr().err
    assert run("explain", "--pairs", pairs_dir, "--detector", checkpoint, "--check", "--n", 2,
               "--out", tmp_path) == 2  # fmt: skip
    assert "has a mask of what was changed" in capsys.readouterr().err
