"""What README and the docs tell a reader to type works, in their order, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audit.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?P<mark><!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL
)


def shell_blocks(page: Path) -> list[str]:
    """The shell blocks that a reader can run anywhere; the others say why not, in a comment above."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [block["text"] for block in found if block["kind"] == "sh" and not block["mark"]]


def score_table(n: int) -> pd.DataFrame:
    """n pairs of two attributes; scores of one race are a little higher."""
    rng = np.random.default_rng(5)
    race = rng.choice(["Black", "White", "Indian"], n)
    rows = []
    for label, kind, middle in ((0, "real", 0.3), (1, "fake", 0.7)):
        score = np.clip(rng.normal(middle + 0.06 * (race == "Indian"), 0.15), 0, 1)
        rows.append(pd.DataFrame({"label": label, "score": score, "race": race, "kind": kind}))
    table = pd.concat(rows)
    table["person"] = np.tile(np.arange(n), 2)
    table["gender"] = np.where(table["person"] % 2, "Male", "Female")
    table["age"] = table["person"] % 60 + 8
    table["sharpness"] = rng.normal(size=2 * n)
    table["pair_id"] = "p" + table["person"].astype(str)
    table.insert(0, "image_id", table["pair_id"] + "-" + table.pop("kind"))
    return table


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: drawn photos where FairFace would lie, and four score tables."""
    from pipelines.rendered import render_population

    home = tmp_path_factory.mktemp("home")
    render_population(home / "fairface", 16, 8, seed=0)
    table = score_table(400)
    table.drop(columns="person").to_csv(home / "scores.csv", index=False)
    vendor = table.assign(truth=np.where(table["label"] == 1, "FAKE", "REAL"), p_fake=table["score"])
    vendor[["image_id", "truth", "p_fake", "race"]].to_csv(home / "vendor.csv", index=False)
    frames = table.drop(columns="pair_id").assign(person=table["person"] // 4)
    frames.to_csv(home / "frames.csv", index=False)
    weights = np.where(table["race"] == "Black", 2.0, 0.5)
    table.drop(columns="person").assign(weight=weights).to_csv(home / "survey.csv", index=False)
    return home


def run_command(line: str, home: Path) -> None:
    """Run one line of a block and expect success: plain `audit` in this process, anything else in bash.

    A start of Python and torch for each of two dozen commands would cost more than what they do.
    """
    may_fail = line.endswith("|| true")
    words = shlex.split(line.removesuffix("|| true"), comments=True)
    if words[:1] == ["audit"] and not re.search(r"[$&|;<>`*]", line.removesuffix("|| true")):
        with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
            main([f"{home}{word[1:]}" if word.startswith("~/") else word for word in words[1:]])
        assert may_fail or not stop.value.code, line
        return
    command = ["bash", "-euo", "pipefail", "-c", line]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", [p for p in PAGES if shell_blocks(p)], ids=lambda p: p.stem)
def test_what_a_page_tells_to_type_works(
    page: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = Path(shutil.copytree(home, tmp_path / "home"))
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for block in shell_blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            run_command(line, home)


def test_what_is_not_run_says_why():
    marks = [
        block["reason"]
        for page in PAGES
        for block in BLOCK.finditer(page.read_text("utf-8"))
        if block["mark"]
    ]
    assert marks and all(len(reason.split()) >= 3 for reason in marks)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def printed(notebook: Any) -> list[str]:
    """What the code cells of a notebook print."""
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.get("outputs", [])]
    return [o["text"] for o in outputs if o["output_type"] == "stream"]


def test_the_tutorial_runs_and_shows_what_is_stored():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    stored = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell for cell in stored[1:]), "execute the notebook before committing it"
    client(notebook, timeout=200, resources={"metadata": {"path": str(ROOT)}}).execute()
    texts = [
        [o.get("text") for o in cell.get("outputs", [])]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert texts == [[o.get("text") for o in outputs] for outputs in stored]
