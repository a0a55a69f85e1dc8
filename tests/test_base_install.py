"""Without torch and the other packages of the extras, score tables are audited all the same."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipelines.errors import MissingExtra
from pipelines.extras import EXTRAS, package_of, require

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def test_a_table_needs_no_extra():
    script = [sys.executable, str(ROOT / "tests/base_install.py"), "--hidden"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the base install audits score tables")


def test_extras_bring_what_the_messages_say():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        brought = " ".join(optional[extra])
        for module in modules:
            assert package_of(module) in brought
            assert package_of(module) not in " ".join(project["dependencies"])
    torch_comes_with = {f"fake-face-fairness-audit[{extra}]" for extra in ("images", "explain")}
    for extra in set(EXTRAS) - {
        "images",
        "sbom",
        "c2pa",
        "voice",
        "remote",
    }:  # these read files without torch
        assert torch_comes_with & set(optional[extra])


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(EXTRAS, "onnx", ("no_such_package",))
    said = r"^audit check needs no-such-package, not installed here; in the checkout: pip install"
    with pytest.raises(MissingExtra, match=said):
        require("audit check", "images", "onnx")
