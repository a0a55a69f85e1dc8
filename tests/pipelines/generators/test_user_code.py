"""Somebody's own generator: what it may do, and what is told in one line."""

import sys

import numpy as np
import pytest

from pipelines.errors import GeneratorCodeError
from pipelines.generators.protocol import FaceCrop
from pipelines.generators.user_code import UserCode, called, load_factory
from pipelines.generators.user_imports import imported_files
from pipelines.jobs.generation import generate_pairs

CODE = """
import numpy as np
def invert():
    return lambda images: 255 - images
def writes():
    def make(images):
        images[:] = 0
        return images
    return make
def grows():
    return lambda images: np.concatenate([images, images], 1)
def floats():
    return lambda images: images / 255
def lists():
    return lambda images: images.tolist()
def raises():
    def make(images):
        raise RuntimeError("no such layer")
    return make
def number():
    return 3
def ends():
    raise SystemExit(1)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "mygen.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield "mygen"
    sys.modules.pop("mygen", None)


def crops():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)


def test_what_it_gives_is_the_fake(module):
    make, sha256 = load_factory("mygen:invert")
    assert (called(make, crops(), "x") == 255 - crops()).all()
    faces = [FaceCrop(str(i), c) for i, c in enumerate(crops())]
    made = [fake for batch in UserCode("mygen:invert", sha256, 2).fakes(0, faces) for fake in batch]
    assert (np.stack([fake.pixels for fake in made]) == 255 - crops()).all()


def test_it_cannot_change_the_real_half(module):
    mine = crops()
    assert not called(load_factory("mygen:writes")[0], mine, "x").any()
    assert (mine == crops()).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "grows",
            r"mygen:grows gave uint8 \[3, 16, 8, 3\] for uint8 \[3, 8, 8, 3\]; it must give the same type",
        ),
        ("floats", r"mygen:floats gave float64 \[3, 8, 8, 3\]"),
        ("lists", "mygen:lists gave list for"),
        ("raises", "mygen:raises raised RuntimeError: no such layer"),
    ],
)
def test_what_breaks_the_contract_is_one_line(module, name, message):
    with pytest.raises(GeneratorCodeError, match=message):
        called(load_factory(f"mygen:{name}")[0], crops(), f"mygen:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mygen:absent", "AttributeError: .*absent"),
        ("no_such_module_here:make", "ModuleNotFoundError: .*set PYTHONPATH"),
        ("mygen:number", "the factory gave int, not a callable"),
        ("mygen:ends", "SystemExit: 1"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(module, name, message):
    with pytest.raises(GeneratorCodeError, match=message):
        load_factory(name)


def test_source_that_changed_since_the_plan_is_refused(module):
    with pytest.raises(
        GeneratorCodeError, match=r"its source, .*, is not that which this run was planned with"
    ):
        UserCode("mygen:invert", "0" * 64, 2)


FILES = {
    "hisgen.py": "import numpy, hishelper as h\nfrom hisplain import deep\nfrom hispack import net\n"
    "def make():\n    return lambda images: images + h.N\n",
    "hishelper.py": "N = 1\ndef later():\n    import hislazy\n",
    "hislazy.py": "",
    "hisplain/deep.py": "",
    "hispack/__init__.py": "from .net import *\n",
    "hispack/net.py": "from . import layers\nimport hispack.sub.far\n",
    "hispack/low.py": "",
    "hispack/layers.py": "import hisgen\n",
    "hispack/sub/__init__.py": "",
    "hispack/sub/far.py": "from ..low import *\n",
}


@pytest.fixture
def several(tmp_path, monkeypatch):
    """A generator of several files; one of them is imported by none but a function."""
    for name, text in {**FILES, "hisother.py": "import numpy\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("his")]:
        del sys.modules[name]


def test_a_module_that_it_imports_is_part_of_what_was_planned(several):
    _, planned = load_factory("hisgen:make")
    UserCode("hisgen:make", planned, 2)
    assert {planned} == {load_factory("hisgen:make")[1] for _ in range(2)}
    (several / "hisother.py").write_text("changed = 1\n")
    assert load_factory("hisgen:make")[1] == planned
    for name in FILES:
        if name != "hisgen.py":
            before = (several / name).read_text()
            (several / name).write_text(f"{before}# changed\n")
            with pytest.raises(GeneratorCodeError, match="a module of yours that it imports, is not that"):
                UserCode("hisgen:make", planned, 2)
            (several / name).write_text(before)
    UserCode("hisgen:make", planned, 2)


def test_what_is_looked_at_is_the_users_own(several):
    (several / "hispack" / "low.py").write_text("def")
    found = imported_files("hisgen")
    wanted = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in FILES}
    assert set(found) == wanted - {"hisgen"}
    assert imported_files("hispack.layers").keys() == wanted - {"hispack.layers"}
    (several / "hisgen.py").write_text("import pipelines.visible, numpy, json, pytest\n")
    assert imported_files("hisgen") == {}
    assert imported_files("json") == {} == imported_files("numpy.linalg")


def test_what_is_installed_and_found_first_is_not_the_users_own(several, monkeypatch):
    """A worker may have another working folder on its path than the command that planned the run."""
    for name in ("json.py", "sys.py", "numpy/__init__.py"):
        (several / name).parent.mkdir(exist_ok=True)
        (several / name).write_text("")
    (several / "hisgen.py").write_text("import json, sys, numpy.linalg\n")
    assert imported_files("hisgen").keys() == {"json", "numpy"}
    monkeypatch.setattr(sys, "path", [*sys.path[1:], str(several)])
    assert imported_files("hisgen") == {}


def test_a_dataset_of_it_says_whose_code_it_is(module, drawn, tmp_path):
    made = generate_pairs(
        drawn, tmp_path / "pairs", "mygen:invert", limit=4, size_px=32, device="cpu", workers=1
    )
    assert made.by_kind == {"mygen-invert": {"ok": made.n_pairs}}
    assert any("come from code of the user's own, mygen:invert" in note for note in made.notes)
