"""One of what is counted is not called by its plural: in every page, card and line of an audit."""

from __future__ import annotations

import re
from html import unescape

import pandas as pd
import pytest

import audit
from reports.pages.model_card import write_model_card
from reports.pages.report_page import write_report

PLURALS = (
    "images", "photos", "fakes", "reals", "groups", "pairs", "trials", "speakers", "cells", "comparisons",
    "rows", "scores", "detectors", "verifiers", "verdicts", "persons", "units", "kinds", "points",
)  # fmt: skip
ONE = re.compile(
    rf"(?<![\d.,–−-])1 (?:(?:real|fake|genuine|impostor|matched|different) )?(?:{'|'.join(PLURALS)})\b"
)
OF_ONE = {
    "one of each": pd.DataFrame({"label": [0, 1], "score": [0.1, 0.9], "race": ["A", "B"]}),
    "one group": pd.DataFrame({"label": [0, 1], "score": [0.1, 0.9], "race": ["A", "A"]}),
    "one image": pd.DataFrame({"label": [0], "score": [0.1], "race": ["A"]}),
    "one fake": pd.DataFrame({"label": [1], "score": [0.1], "race": ["A"]}),
    "a pair": pd.DataFrame({"label": [0, 1], "score": [0.1, 0.9], "race": ["A", "A"], "pair_id": [1, 1]}),
    "one large": pd.DataFrame(
        {"label": [0, 1] * 40, "score": [0.1, 0.9] * 40, "race": ["A"] * 79 + ["B"]},
    ),
    "one unlabelled": pd.DataFrame(
        {"label": [0, 1] * 80, "score": [0.1, 0.9, 0.6, 0.8] * 40, "race": ["A"] * 80 + ["B"] * 79 + [None]},
    ),
    "one left out": pd.DataFrame(
        {"label": [0, 1] * 40, "score": [0.1, 0.9] * 39 + [0.2, None], "race": ["A"] * 40 + ["B"] * 40},
    ),
    "one of two attributes": pd.DataFrame(
        {"label": [0, 1], "score": [0.1, 0.9], "race": ["A", "A"], "gender": ["f", "f"]},
    ),
}  # fmt: skip
TRIALS = pd.DataFrame(
    {
        "speaker_a": ["x", "x"], "speaker_b": ["x", "y"], "same": [1, 0], "score": [0.9, 0.1],
        "accent_a": ["n", "n"], "accent_b": ["n", "n"],
    },
)  # fmt: skip


def said(found, folder):
    """All that is shown of an audit, as text."""
    found.write(folder)
    pages = [
        write_report(folder).read_text(encoding="utf-8"),
        write_model_card(folder).read_text(encoding="utf-8"),
    ]
    pages += [found.summary, found._repr_html_(), repr(found), *found.record.notes]
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", "\n".join(pages), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", text)))


def plurals_of_one(text):
    return sorted({text[max(0, m.start() - 40) : m.end() + 20] for m in ONE.finditer(text)})


@pytest.mark.parametrize("name", OF_ONE)
def test_one_image_is_no_images(name, tmp_path):
    names = [column for column in ("race", "gender") if column in OF_ONE[name]]
    assert plurals_of_one(said(audit.audit_scores(OF_ONE[name], names, n_boot=100), tmp_path / "run")) == []


def test_one_trial_is_no_trials(tmp_path):
    for table in (TRIALS, TRIALS.tail(1)):
        found = audit.audit_scores(table, "accent", task="speaker-verification", n_boot=100)
        assert plurals_of_one(said(found, tmp_path / f"run{len(table)}")) == []
