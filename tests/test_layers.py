"""The house stands: arrows between packages point one way, and light parts stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["pipelines", "detectors", "audit", "reports"]
"""Left to right; a package imports itself and what stands left of it."""
SEES_ALL = {"audit/cli.py", "audit/commands"}


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def modules() -> list[Path]:
    return sorted(p for layer in LAYERS for p in (ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_arrow_to_the_right(path: Path):
    relative = path.relative_to(ROOT).as_posix()
    if any(relative.startswith(allowed) for allowed in SEES_ALL):
        return
    own = LAYERS.index(relative.split("/")[0])
    assert not imported_packages(path) & set(LAYERS[own + 1 :])


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import audit.cli", "import audit.result", "import audit.run", "import reports.html"],
)
def test_help_statistics_and_reports_never_load_torch(statement: str):
    assert "torch" not in loaded_by(statement)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
