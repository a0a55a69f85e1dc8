"""The mutants that `make mutants` draws: changes of code, one at a time, the same for the same seed."""

import ast

from tests.mutants import ROOT, draw


def test_mutants_are_other_programs_and_the_same_ones_each_time(monkeypatch):
    monkeypatch.chdir(ROOT)
    path = "audit/metrics/rates.py"
    n_all, mutants = draw([path], 5, seed=3)
    assert n_all > 5 and len({mutant.source for mutant in mutants}) == 5
    code = ast.dump(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    for mutant in mutants:
        assert mutant.before != mutant.after and ast.dump(ast.parse(mutant.source)) != code
    assert draw([path], 5, seed=3) == (n_all, mutants)
