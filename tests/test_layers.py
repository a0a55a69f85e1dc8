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
SEES_ALL = {"audit/cli.py", "audit/commands", "audit/api", "audit/serving"}
ROOMS = {
    "pipelines": [
        "errors", "devices", "extras", "labels", "place_urls", "places", "storage", "visible", "csv_text",
        "pickled", "parquet_limits", "untrusted", "parts", "rendered", "sources", "faces", "generators",
        "dataset", "engines", "jobs", "training", "voices",
    ],
    "detectors": [
        "errors", "progress", "data", "isolation", "models", "scoring", "explanation", "training",
        "voices", "api",
    ],
    "audit": [
        "errors", "task", "config", "schema", "data", "inference", "metrics", "judge", "mitigation",
        "wording", "runs", "verification", "api", "serving", "commands", "cli",
    ],
    "reports": ["errors", "run_files", "text", "tables", "figures", "pages"],
}  # fmt: skip
"""The rooms of each package, and its own few modules; a room imports itself and what stands left of it."""
MAX_MODULES = 15


def imported(path: Path) -> set[str]:
    """Dotted names of what a module imports, wherever in it; of `from a import b`, "a.b"."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; write the whole name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def modules() -> list[Path]:
    return sorted(p for layer in LAYERS for p in (ROOT / layer).rglob("*.py"))


def test_no_arrow_to_the_right():
    for path in modules():
        relative = path.relative_to(ROOT).as_posix()
        if any(relative.startswith(allowed) for allowed in SEES_ALL):
            continue
        own = LAYERS.index(relative.split("/")[0])
        to_the_right = imported_packages(path) & set(LAYERS[own + 1 :])
        assert not to_the_right, f"{relative} imports {to_the_right}"


def test_no_arrow_to_a_later_room():
    for path in modules():
        package, room = path.relative_to(ROOT).parts[0], room_of(path)
        relative = path.relative_to(ROOT).as_posix()
        if room in ("__init__", "pictures") or relative == "audit/commands/demo.py":
            continue
        rooms = ROOMS[package]
        wanted = {name.split(".")[1] for name in imported(path) if name.startswith(f"{package}.")}
        later = set(rooms[rooms.index(room) + 1 :])
        assert not wanted & later, f"{relative} is in {room} and imports {wanted & later}"
        assert wanted <= {*rooms, "__init__"}, f"{relative}: {wanted - set(rooms)} stands in no room"


@pytest.mark.parametrize("package", LAYERS)
def test_every_folder_can_be_taken_in_at_a_glance(package: str):
    for folder in {p.parent for p in (ROOT / package).rglob("*.py")}:
        n = sum(p.stem != "__init__" for p in folder.glob("*.py"))
        assert n <= MAX_MODULES, f"{folder} holds {n} modules"


LIGHT = [
    "import audit, detectors, pipelines, reports",
    "import audit; audit.audit_scores, audit.audit_images, audit.compare, audit.load_result",
    "import audit.cli",
    "import audit.schema.result",
    "import audit.runs.score_audit",
    "import reports.pages.report_page",
    "import audit.runs.shortcuts_run, detectors.data.datasets, detectors.data.file_facts_table",
]


def test_help_statistics_and_reports_never_load_torch():
    """In one process, one after the other: the first that loads torch is named."""
    code = (
        "import sys\nfor statement in sys.argv[1:]:\n    exec(statement)\n"
        "    assert 'torch' not in sys.modules, statement"
    )
    done = subprocess.run([sys.executable, "-c", code, *LIGHT], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_module_says_what_it_is():
    silent = [p for p in modules() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert modules() and not silent
