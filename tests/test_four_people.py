"""Four people who were given the README and nothing else: what it prints for each of them works as printed.

Every command that is typed here is taken out of a shell block of README.md, under the heading where that
person would look for it; a command that README no longer prints cannot be typed.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.cli import main
from pipelines.dataset.manifest import MANIFEST, table_of, write_provenance, write_table

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
Typed = tuple[int, str, str]


def printed_under(heading: str) -> list[str]:
    """The commands of the shell blocks in one section of README, their continued lines joined."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert section, f"README has no section '{heading}'"
    blocks = re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if shlex.split(line, comments=True)]


@pytest.fixture
def types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Type one command in a folder of one's own; exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def type_it(line: str) -> Typed:
        words = shlex.split(line, comments=True)
        assert words[0] == "audit", line
        capsys.readouterr()
        with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
            main(words[1:])
        return int(stop.value.code or 0), *capsys.readouterr()

    return type_it


def images_of(i: int, fake: bool) -> np.ndarray:
    """A face's stand-in: a smooth slope, with a checkerboard over it if fake; uint8 [64, 64, 3]."""
    slope = np.add.outer(np.arange(64), np.arange(64)) + np.random.default_rng(i).normal(0, 2, (64, 64))
    board = 40 * ((np.indices((64, 64)).sum(0) % 2) * 2 - 1) if fake else 0
    return np.repeat((60 + slope + board).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def put_pairs(folder: Path, n: int) -> None:
    """A pairs dataset of n pairs."""
    rows = []
    for i in range(n):
        halves = {half: f"{half}/p{i}.png" for half in ("real", "fake")}
        for half, name in halves.items():
            (folder / half).mkdir(parents=True, exist_ok=True)
            Image.fromarray(images_of(i, half == "fake")).save(folder / name)
        groups = {"gender": ("Female", "Male")[i % 2], "race": ("Black", "White")[i // 2 % 2], "age": "20-29"}
        about = {"pair_id": f"p{i}", "source": f"{i}.jpg", "status": "ok", "detail": "", "seed": 0}
        rows.append({**about, **halves, **groups})
    write_table(folder / MANIFEST, table_of(rows))
    write_provenance(folder, {"generator": {"name": "checkerboard"}})


def put_detectors(folder: Path) -> None:
    """What an engineer has: a Python file, weights with one logit, ONNX of three classes."""
    onnx = pytest.importorskip("onnx")
    torch = pytest.importorskip("torch")
    from detectors.models.architectures import build

    (folder / "mydet.py").write_text(
        "def load():\n"
        "    def score(batch):\n"
        "        roughness = (batch[:, :, :, 1:] - batch[:, :, :, :-1]).abs().mean((1, 2, 3))\n"
        "        return roughness / (roughness + 0.2)\n"
        "    return score\n"
    )
    torch.manual_seed(0)
    network = build("timm:resnet18", 1, least=1)
    torch.save({"state_dict": network.state_dict()}, folder / "weights.pt")
    shape = ["n", 3, 224, 224]
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 3])
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        onnx.helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "three", [image], [logits]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, folder / "exported.onnx")


def test_an_engineer_brings_her_own_detector(types: Callable[[str], Typed], tmp_path: Path):
    put_pairs(tmp_path / "pairs", 40)
    put_detectors(tmp_path)
    python, weights, exported, audit_run = printed_under("Your own detector")

    code, out, _ = types(python)
    assert code == 0 and out.count("✓") == 6 and "✗" not in out
    code, out, err = types(weights)
    assert code == 1 and "✗ constancy" in out and "--set output=..." in " ".join(err.split())
    code, out, _ = types(exported)
    assert code in (0, 1) and json.loads(out)["findings"][0] == {
        "name": "input size", "ok": True, "text": "224 px, rgb",
    }  # fmt: skip
    code, _, err = types(exported.replace("--set fake_index=1,2", ""))
    assert code == 2 and "--set fake_index=1,2" in " ".join(err.split())
    code, _, _ = types(audit_run)
    assert code == 0 and (tmp_path / "runs/mydet/report.html").is_file()
    assert len(pd.read_parquet(tmp_path / "runs/mydet/scores.parquet")) == 80


def put_vendor_table(path: Path, n: int) -> None:
    """A vendor's export: semicolons, decimal commas, percent, Windows-1252, own words; 3 rows failed."""
    rng = np.random.default_rng(1)
    race = rng.choice(["Weiß", "Black"], n)
    rows = ["Datei;Ground Truth;Fake Probability (%);Race;Prediction"]
    for i in range(n):
        fake = i % 2 == 1
        score = np.clip(rng.normal(0.75 if fake else 0.25 + 0.2 * (race[i] == "Black"), 0.15), 0, 1)
        shown = f"{100 * score:.1f}".replace(".", ",") if i >= 3 else "n/a"
        words = ("Deepfake" if fake else "Bona fide", "FAKE" if score > 0.5 else "REAL")
        rows.append(f"bild{i}.jpg;{words[0]};{shown};{race[i]};{words[1]}")
    path.write_bytes("\r\n".join(rows).encode("cp1252"))


def test_a_policy_person_audits_a_vendors_csv(types: Callable[[str], Typed], tmp_path: Path):
    first_try, told = printed_under("A vendor's table")
    put_vendor_table(tmp_path / "vendor.csv", 800)
    code, out, err = types(first_try)
    assert code == 0 and "Disparity" in out
    said = " ".join(err.split())
    for part in ("Windows-1252", "';'", "comma", "in percent", "Deepfake is fake", "Left out: 3, no score"):
        assert part in said, part
    record = json.loads((tmp_path / "runs/vendor/audit.json").read_text())
    data = record["data"]
    assert data["n_images"] + sum(data["n_left_out"].values()) == 800
    assert record["config"]["tolerance"] == 0.02 and record["config"]["attributes"] == ["Race"]
    worst = next(v for v in record["verdicts"] if v["rate"] == "fpr")
    assert worst["verdict"] == "disparity"
    assert (worst["worst_group"], worst["best_group"]) == ("Black", "Weiß")

    table = pd.DataFrame({"Outcome": ["passed", "blocked", "challenged", "passed"] * 20})
    table["score"] = np.linspace(0, 1, 80)
    table["Race"] = ["a", "b", "unknown", "b", "a"] * 16
    table.to_csv(tmp_path / "vendor.csv", index=False)
    code, _, err = types(first_try.replace("runs/vendor", "runs/again"))
    assert code == 2 and "--label-column NAME" in " ".join(err.split())
    code, _, _ = types(told)
    record = json.loads((tmp_path / "runs/told/audit.json").read_text())
    assert code == 0 and record["data"]["n_real"] == 40
    assert [g["group"] for g in record["groups"]] == ["a", "b", "(missing)"]


class Elements(HTMLParser):
    """The words of every element that has an id."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "hr", "rect", "line", "path", "circle"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: dict[str, str] = {}
        self.n_of: dict[str, int] = {}
        self._open: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("id")
        if name:
            self.n_of[name] = self.n_of.get(name, 0) + 1
        if tag not in self.VOID:
            self._open.append((tag, name))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, name in self._open:
            if name:
                self.words[name] = self.words.get(name, "") + " " + data


FIVE = {
    "is it fair": "answer",
    "who is affected and how much": "affected",
    "how sure is this": "certainty",
    "what next": "next",
    "is the threshold right": "thresholds",
}
"""A question as README asks it, and the one element of the page that answers it."""


def test_a_lead_finds_five_answers_in_the_page_she_was_mailed(types: Callable[[str], Typed], tmp_path: Path):
    put_vendor_table(tmp_path / "vendor.csv", 800)
    assert types(printed_under("A vendor's table")[0])[0] == 0
    record = json.loads((tmp_path / "runs/vendor/audit.json").read_text())
    page = (tmp_path / "runs/vendor/report.html").read_text(encoding="utf-8")
    found = Elements(page)
    for question, element in FIVE.items():
        assert question in " ".join(README.split()), f"README no longer asks: {question}"
        assert found.n_of[element] == 1 and len(found.words[element].split()) > 12, element
    worst = next(v for v in record["verdicts"] if v["rate"] == "fpr")
    assert worst["worst_group"] in found.words["answer"] and worst["worst_group"] in found.words["affected"]
    assert "95" in found.words["certainty"] and "0.5" in found.words["thresholds"]
    assert not re.search(r"""(src|href)=["']?https?:""", page.split('id="appendix"')[0])


def test_a_researcher_compares_two_trainings(types: Callable[[str], Typed], tmp_path: Path):
    pytest.importorskip("lightning")
    put_pairs(tmp_path / "pairs", 40)
    train_one, train_two, listing, benchmark = printed_under("Your own comparison")
    for line in (train_one, train_two):
        code, out, err = types(line.replace("--epochs 4", "--epochs 1"))
        assert code == 0, err
        assert "learning curves: " in out
    epochs = pd.read_csv(tmp_path / "a.training.csv")
    assert set(epochs) == {"epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"}
    assert (tmp_path / "b/a.training.html").is_file()
    code, out, _ = types(listing)
    assert code == 0 and out.count("Held-out images of pairs") == 2  # other seeds hold other images out
    code, out, err = types(benchmark)
    assert code == 0, err
    assert "a.pt on pairs" in out and "b/a.pt on pairs" in out
    cells = json.loads((tmp_path / "benchmark/benchmark.json").read_text())["cells"]
    assert len({cell["detector"] for cell in cells}) == 2
