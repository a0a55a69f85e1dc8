"""What must happen in one place alone: opening images, tables and records of strangers, writing CSV."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    p for layer in ("pipelines", "detectors", "audit", "reports") for p in (ROOT / layer).rglob("*.py")
)
ONE_PLACE = {
    "pd.read_csv": {"pipelines/untrusted.py"},
    "tomllib.loads": {"pipelines/untrusted.py", "reports/text/glossary.py"},
    "soundfile.SoundFile": {"pipelines/voices/sound.py"},
    "csv.writer": {"pipelines/csv_text.py"},
    "csv.reader": {"pipelines/untrusted.py"},
    "table.to_csv": set(),
    "frame.to_csv": set(),
}
"""Call to the modules that may make it; the glossary is a file of our own."""


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def id_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def every_call() -> list[tuple[Path, ast.Call]]:
    return [(path, call) for path in MODULES for call in calls(path)]


def test_benchmarks_run_as_scripts_and_import_each_other_by_their_own_names():
    """`python benchmarks/NAME.py` finds what lies beside it; the folder is no package."""
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not str(node.module).startswith("benchmarks"), path.name


def test_every_image_is_opened_by_named_formats_and_no_postscript():
    for path, call in every_call():
        name = ast.unparse(call.func)
        assert not name.startswith(("cv2.imread", "plt.imread", "torchvision.io.")), name
        if name == "Image.open":
            formats = [word for word in call.keywords if word.arg == "formats"]
            assert formats, f"{id_of(path)}:{call.lineno} lets Pillow choose among all its decoders"
            assert "EPS" not in ast.unparse(formats[0].value)


def test_tables_and_records_are_read_and_written_in_one_place():
    for path, call in every_call():
        name = ast.unparse(call.func)
        if name in ONE_PLACE:
            assert id_of(path) in ONE_PLACE[name], f"{id_of(path)}:{call.lineno} calls {name} itself"


def test_the_reader_of_images_names_no_format_that_starts_a_program():
    from pipelines.sources.photos import FORMATS

    assert not {"EPS", "WMF", "PDF", "FITS"} & set(FORMATS)
