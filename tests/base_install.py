"""What the base install must do without torch; `make test-base` runs it in an environment of its own.

python tests/base_install.py           in an environment without the extras
python tests/base_install.py --hidden  anywhere: the packages of the extras are hidden first
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HEAVY = ("torch", "torchvision", "facenet_pytorch", "safetensors", "cv2", "lightning", "timm", "optuna",
         "onnxruntime", "ray", "diffusers", "cyclonedx_py",
         "captum", "fastapi", "uvicorn", "python_multipart")  # fmt: skip
NEEDS = {
    "train": "images,train", "sweep": "images,train", "generate-pairs": "images", "demo": "images,train",
    "score --detector x.pt a.png": "images", "check --detector x.pt d": "images",
    "explain --detector x.pt a.png": "explain", "benchmark --detector x.pt --data d": "images",
    "stress --detector x.pt": "images", "shortcuts --detector x.pt": "images",
    "run --detector x.pt": "images", "run --scores x.csv --sbom": "sbom", "doctor --sbom x.json": "sbom",
    "import-pairs real fake labels.csv": "images", "export-pairs pairs": "images", "unpack-pairs x": "images",
}  # fmt: skip
"""Command line to the extras it asks for; none of the files exist, so whatever else is said came too late."""


class Hiding(PathFinder):
    """Finds what the path finder finds, but nothing of `HEAVY`."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        """The module's place; None for what is hidden."""
        return None if name.split(".")[0] in HEAVY else super().find_spec(name, path, target)


def audit(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    from audit.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as stop:
            return int(stop.code or 0), out.getvalue(), " ".join(err.getvalue().split())
    return 0, out.getvalue(), " ".join(err.getvalue().split())


def write_scores(path: Path) -> None:
    """1,200 scores; real faces of B are flagged far more often."""
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "label", "score", "race"])
        for number in range(1200):
            label, race = number % 2, "AB"[number // 600]
            shift = 0.35 if race == "B" and not label else 0.0
            writer.writerow(
                [number, label, min(1.0, max(0.0, rng.gauss(0.2 + 0.6 * label + shift, 0.1))), race]
            )


def main() -> None:
    """Audit a table, render its report, compare it, and see that everything else asks for its extra."""
    here = Path(__file__).resolve().parent  # tests/audit is no package, yet would be found before audit/
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != here]
    if "--hidden" in sys.argv:
        sys.meta_path[sys.meta_path.index(PathFinder)] = Hiding  # type: ignore[call-overload]
    assert not [name for name in HEAVY if find_spec(name)], "the extras are installed here"
    import audit as package

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_scores(Path("scores.csv"))
        code, out, err = audit("run", "--scores", "scores.csv", "--out", "run")
        assert code == 0 and "Disparity" in out, (code, out, err)
        assert Path("run/report.html").stat().st_size > 100_000
        assert audit("report", "run")[0] == 0
        assert audit("run", "--scores", "scores.csv", "--out", "again", "--threshold", "0.6")[0] == 0
        assert audit("compare", "run", "again", "--out", "both")[0] == 0
        assert audit("doctor")[0] == 0 and audit("schema")[0] == 0
        assert package.audit_scores("scores.csv", "race").verdicts["verdict"][0] == "disparity"
        for line, extras in NEEDS.items():
            code, out, err = audit(*line.split())
            assert code == 2 and "not installed here; in the checkout: pip install" in err, (line, err)
            assert err.endswith(f"pip install -e '.[{extras}]'") and not out, (line, err)
    assert "torch" not in sys.modules
    print("the base install audits score tables, renders reports and asks for what it lacks")


if __name__ == "__main__":
    main()
