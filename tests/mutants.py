"""Changes the code that counts, infers and judges in one place at a time, and sees whether a test notices.

    python tests/mutants.py                        # 250 mutants drawn with seed 0, as `make mutants` does
    python tests/mutants.py --n 40 --seed 3 audit/judge
    python tests/mutants.py --all audit/metrics/rates.py

Enters: modules of `audit/{data,inference,metrics,judge}` and a seed. Leaves: how many mutants the tests
killed, with its 95 % interval, and the lines of each that survived.

Why mutmut's mutants but not its runner: it writes every mutant of every module before the first is tried
(minutes), puts them behind a wrapper of its own, so that constants of modules stay as they are, and draws no
sample. Here a mutant is a module's text, put in the module's place before anything is imported, and it meets
the tests that call the function it changed, those of its own module first. Prose is not changed: a test that
repeats a whole message proves nothing.

Mutants that mean the same as the code are listed in `tests/equivalent_mutants.txt`; they are not counted.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("data", "inference", "metrics", "judge")
TESTS = [f"tests/audit/{room}" for room in ROOMS] + [
    "tests/audit/runs/test_score_audit.py",
    "tests/audit/runs/test_trial_audit.py",
    "tests/audit/api/test_misuse.py",
]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not fairface"]
OPTIONS += [
    "--assert=plain"
]  # pytest loads every module called *_test.py itself, where it rewrites assertions


@dataclass(frozen=True)
class Mutant:
    """One change: a file, the function ("" outside of all), and a line before and after."""

    path: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """How it is listed."""
        return f"{self.path} | {self.before} | {self.after}"


def is_prose(code: str) -> bool:
    """Whether a literal is a text of several words."""
    return code.startswith(('"', "'")) and " " in code.strip("\"'")


def draw(paths: list[str], n: int | None, seed: int) -> tuple[int, list[Mutant]]:
    """How many mutants these files have, and n of them."""
    import libcst
    from mutmut.mutation.file_mutation import create_mutations

    found = []
    for path in paths:
        module, changes, *_ = create_mutations(path, (ROOT / path).read_text(encoding="utf-8"))
        code = module.code_for_node
        found += [(path, module, c) for c in changes if not is_prose(code(c.original_node))]
    chosen = found if n is None or n >= len(found) else random.Random(seed).sample(found, n)
    mutants = []
    for path, module, change in chosen:
        changed = module.deep_replace(change.original_node, change.mutated_node)
        assert isinstance(changed, libcst.Module)
        old, new = module.code.splitlines(), changed.code.splitlines()
        at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        owner = change.contained_by_top_level_function
        name = owner.name.value if isinstance(owner, libcst.FunctionDef) else ""
        mutants.append(Mutant(path, name, at + 1, old[at].strip(), new[at].strip(), changed.code))
    return len(found), mutants


class Calls:
    """A plugin that notes which functions of the rooms each test calls, and how long it takes."""

    def __init__(self) -> None:
        self.calls: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        seen: set[str] = set()
        below = str(ROOT / "audit")

        def note(frame: FrameType, *_: Any) -> None:  # without an answer, lines are not traced
            if frame.f_code.co_filename.startswith(below):
                seen.add(f"{frame.f_code.co_filename}::{frame.f_code.co_name}")

        began = time.process_time()
        sys.settrace(note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.seconds[item.nodeid] = time.process_time() - began
            self.calls[item.nodeid] = sorted(os.path.relpath(s, ROOT) for s in seen)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


class Chosen:
    """A plugin that keeps the chosen tests, in the order in which they were chosen."""

    def __init__(self, names: list[str]) -> None:
        self.rank = {name: i for i, name in enumerate(names)}
        self.n_missing = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.rank), key=lambda i: self.rank[i.nodeid])
        self.n_missing = len(self.rank) - len(items)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module the text of a mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.path.removesuffix(".py").replace("/", ".")
        self.path, self.source = str(ROOT / mutant.path), mutant.source

    def find_spec(self, name: str, *_: object) -> Any:
        found = importlib.util.spec_from_file_location(name, self.path, loader=self)
        return found if name == self.name else None

    def get_filename(self, name: str) -> str:
        return self.path

    def get_data(self, path: str) -> bytes:
        if path != self.path:
            raise OSError("not cached")
        return self.source.encode()


def in_child(work: Any, cpu_s: float | None = None) -> tuple[int, Any]:
    """Do something in a silent forked process; its exit code (negative: a signal), and what it gave."""
    with tempfile.NamedTemporaryFile("r+", suffix=".json") as file:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                if cpu_s is not None:
                    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
                with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                    code, given = work()
                Path(file.name).write_text(json.dumps(given), encoding="utf-8")
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, json.loads(Path(file.name).read_text() or "null")


def watch_the_tests() -> tuple[dict[str, list[str]], dict[str, float]]:
    """Run every test once: function to tests, test to CPU seconds.

    Raises:
        SystemExit: if one fails without any change.
    """

    def work() -> tuple[int, Any]:
        calls = Calls()
        code = int(pytest.main([*OPTIONS, *TESTS], plugins=[calls]))
        return code, [calls.calls, calls.seconds, calls.failed]

    code, given = in_child(work)
    if code or given is None:
        sys.exit(f"the tests fail as they are ({code}): {given and given[2]}")
    tests: dict[str, list[str]] = defaultdict(list)
    for name, functions in given[0].items():
        for function in functions:
            tests[function].append(name)
    return tests, given[1]


def kept_calls(path: Path | None) -> tuple[dict[str, list[str]], dict[str, float]]:
    """`watch_the_tests`, or what it found before."""
    if path is not None and path.exists():
        tests, seconds = json.loads(path.read_text(encoding="utf-8"))
        return tests, seconds
    found = watch_the_tests()
    if path is not None:
        path.write_text(json.dumps(found), encoding="utf-8")
    return found


def tests_for(mutant: Mutant, tests: dict[str, list[str]], seconds: dict[str, float]) -> list[str]:
    """The tests that may notice, those of its own module first, then the fastest."""
    called = tests.get(f"{mutant.path}::{mutant.function}", [])
    module, own = f"{mutant.path}::", f"test_{Path(mutant.path).name}"
    called = called or sorted({name for key in tests if key.startswith(module) for name in tests[key]})
    return sorted(called, key=lambda name: (Path(name.split("::")[0]).name != own, seconds[name]))


def is_killed(mutant: Mutant, names: list[str], seconds: dict[str, float]) -> bool:
    """Whether a test fails, is not there any more, or takes four times the CPU time."""

    def work() -> tuple[int, Any]:
        sys.meta_path.insert(0, Changed(mutant))
        files = list(dict.fromkeys(name.split("::")[0] for name in names))
        chosen = Chosen(names)
        code = int(pytest.main([*OPTIONS, *files], plugins=[chosen]))
        return code or int(chosen.n_missing > 0), None

    return bool(names) and in_child(work, 20 + 4 * sum(seconds[name] for name in names))[0] != 0


WARM = ["fairlearn.metrics", "hypothesis.extra.numpy", "pipelines.untrusted", "scipy.optimize", "scipy.stats"]
WARM += ["sklearn.isotonic", "sklearn.metrics", "statsmodels.api"]
"""What every child needs and no mutant changes; imported once."""


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("where", nargs="*", default=[f"audit/{r}" for r in ROOMS], help="folders or files")
    parser.add_argument("--n", type=int, default=250, help="how many mutants are drawn (250)")
    parser.add_argument("--all", action="store_true", help="every mutant, hours")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=Path, help="keep which test calls what in this file")
    given = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    paths = [Path(p) for p in given.where]
    files = sorted({str(f) for p in paths for f in ([p] if p.is_file() else p.glob("*.py"))})
    with ProcessPoolExecutor(1) as apart:
        n_all, mutants = apart.submit(draw, files, None if given.all else given.n, given.seed).result()
    listed = {line for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if " | " in line}
    print(f"{len(mutants)} of {n_all:,} mutants; first every test as it is", flush=True)
    for name in WARM:
        importlib.import_module(name)
    tests, seconds = kept_calls(given.calls)
    counts: Counter[str] = Counter()
    for i, mutant in enumerate(mutants, 1):
        names = tests_for(mutant, tests, seconds)
        if mutant.key in listed or "Literal[" in mutant.before:  # words that types list do nothing
            outcome = "equivalent"
        else:
            outcome = "killed" if is_killed(mutant, names, seconds) else "survived"
        counts[outcome] += 1
        print(f"{i:4} {outcome:10} {len(names):4} tests  {mutant.path}:{mutant.line}", flush=True)
        if outcome == "survived":
            print(f"       - {mutant.before}\n       + {mutant.after}", flush=True)
    report(counts)


def report(counts: Counter[str]) -> None:
    """Print the share that was killed, with Wilson's interval."""
    from audit.inference.proportion_intervals import wilson, z_value

    n = counts["killed"] + counts["survived"]
    if n:
        low, high = (float(end) for end in wilson(counts["killed"] / n, n, z_value(0.95)))
        share = f"{counts['killed'] / n:.1%} killed (95 % interval {low:.1%} to {high:.1%})"
        print(f"{counts['killed']} of {n}, {share}; {counts['equivalent']} equivalent")


if __name__ == "__main__":
    main()
