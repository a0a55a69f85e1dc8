"""The bill of materials names every package that is installed, and is the same bytes each time."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from audit.cli import main
from audit.errors import SbomError
from audit.verification import sbom
from audit.verification.verify_run import verify_run
from pipelines import extras
from pipelines.errors import MissingExtra

CORPUS = Path(__file__).resolve().parents[2] / "corpus"


def ended(*arguments: object) -> int:
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
        main([str(one) for one in arguments])
    return int(stop.value.code or 0)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit with --sbom."""
    out = tmp_path_factory.mktemp("run") / "run"
    scores = ("--scores", CORPUS / "scores.csv", "--attribute", "race", "--n-boot", "100")
    assert ended("run", *scores, "--out", out, "--sbom", "--quiet") == 0
    return out


def test_every_installed_package_is_named_with_its_version(run):
    found = json.loads((run / sbom.SBOM_FILE).read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    named = {(plain(part["name"]), part["version"]) for part in found["components"]}
    # not what setuptools carries inside and shows once it has been imported
    places = [place for place in sys.path if Path(place).name != "_vendor"]
    installed = {(plain(d.metadata["Name"]), d.version) for d in metadata.distributions(path=places)}
    assert installed == named and ("numpy", metadata.version("numpy")) in named
    needs = {part["ref"]: part.get("dependsOn", []) for part in found["dependencies"]}
    [ours] = [name for name in needs if name.startswith("fake-face-fairness-audit==")]
    assert any(name.startswith("scipy==") for name in needs[ours])


def test_it_belongs_to_the_run_and_a_change_of_it_is_named(run):
    def states() -> dict[str, str]:
        return {check.what: check.state for check in verify_run(run)}

    assert states()[sbom.SBOM_FILE] == "ok"
    path = run / sbom.SBOM_FILE
    whole = path.read_text()
    path.write_text(whole.replace("numpy", "numpi", 1))
    assert states()[sbom.SBOM_FILE] == "changed"
    path.write_text(whole)


def test_doctor_writes_the_same_bytes(run, tmp_path, capsys):
    assert ended("doctor", "--sbom", tmp_path / "here.json") == 0
    assert capsys.readouterr().out == f"bill of materials: {tmp_path / 'here.json'}\n"
    assert (tmp_path / "here.json").read_bytes() == (run / sbom.SBOM_FILE).read_bytes()


def test_a_module_in_the_present_folder_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "cyclonedx_py.py").write_text("open('pwned', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sbom, "_COMMAND", (*sbom._COMMAND[:4], "--help"))
    with pytest.raises(SbomError, match="cyclonedx-bom listed no package"):
        sbom.write_sbom(tmp_path / "x.json")
    assert not (tmp_path / "pwned").exists() and not (tmp_path / "x.json").exists()


def test_without_the_package_nothing_is_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[sbom\]'"):
        sbom.write_sbom(tmp_path / "x.json")
    arguments = ("--scores", CORPUS / "scores.csv", "--out", tmp_path / "run", "--sbom")
    assert ended("run", *arguments) == 2 and not (tmp_path / "run").exists()
    assert ended("doctor", "--sbom", tmp_path) == 2
    assert "is a folder, and a file is to be written there" in " ".join(capsys.readouterr().err.split())
