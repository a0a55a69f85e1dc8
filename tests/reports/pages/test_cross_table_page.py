"""The page of a cross table: the sentences hold what the numbers show, and names of strangers are text."""

import math

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.cross_table import cells
from audit.schema.cross_table import CROSS_FILE, CrossTable, CrossTraining
from reports.errors import RecordFormatError, RunNotFound
from reports.pages.cross_table_page import grid, write_cross_table_page
from reports.text.cross_table_text import headline, learned, left_out, lines, settings

EVIL = "<script>alert(1)</script>"


def scores(n: int, gains: dict[str, float], seed: int) -> pd.DataFrame:
    """Scores of one detector: real photos, and fakes that stand out by so many standard deviations."""
    random = np.random.default_rng(seed)
    rows = [
        pd.DataFrame(
            {
                "label": int(kind != "real"),
                "kind": kind,
                "score": 1 / (1 + np.exp(-random.normal(gain, 1, n))),
                "pair_id": [f"p{i:03d}" for i in range(n)],
                "status": "ok",
            }
        )
        for kind, gain in {"real": 0.0, **gains}.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    return table.assign(image_id=table["kind"] + table["pair_id"])


def record(kinds: dict[str, dict[str, float]], n: int = 90) -> CrossTable:
    """A table in which the detector of each row finds each kind by so much."""
    tables = {row: scores(n, gains, seed) for seed, (row, gains) in enumerate(kinds.items())}
    names = [name for name in kinds if name != "all kinds"]
    training = {"sha256": "0" * 64, "n_train_images": 180, "n_drawn": 1800, "best_epoch": 3}
    return CrossTable(
        arch="simplenet",
        settings={"epochs": 10},
        starts_from="random weights, as asked",
        data="kinds",
        threshold=0.5,
        confidence=0.95,
        kinds=names,
        n_photos={"train": 90, "valid": 15, "test": n},
        n_left_out={
            "photo with fakes of some kinds only": 7,
            "swap: no donor": 5,
            "swap: face covered": 1200,
        },
        trainings=[
            CrossTraining(trained_on=k, checkpoint=f"detectors/{i}.pt", valid_accuracy=0.7, **training)
            for i, k in enumerate(kinds)
        ],
        cells=cells(tables, names, AuditConfig()),
    )


@pytest.fixture(scope="module")
def usual():
    """Each kind is told by its own detector alone, but swaps by nobody; all kinds cure it."""
    return record(
        {
            "small": {"small": 3.0, "swap": 0.0, "tint": 0.1},
            "swap": {"small": 0.0, "swap": 0.0, "tint": 0.0},
            "tint": {"small": 0.1, "swap": 0.0, "tint": 2.5},
            "all kinds": {"small": 2.8, "swap": 0.0, "tint": 2.4},
        }
    )


def test_the_headline_spans_the_kinds_that_were_learned(usual):
    assert learned(usual, "small") and learned(usual, "tint") and not learned(usual, "swap")
    own = sorted(usual.cell(kind, kind).measures.auc for kind in ("small", "tint"))
    text = headline(usual)
    assert f"AUC of {own[0]:.2f} to {own[1]:.2f} on that kind" in text and "trained on all kinds" in text


def test_a_kind_that_was_not_learned_says_nothing_about_others(usual):
    small, swap, _, both = lines(usual)
    assert "not shown to be better than guessing" in swap and "says nothing about other kinds" in swap
    cell = usual.cell("small", "tint")
    low, high = cell.difference_interval
    told = f"guessing, {-cell.difference:.3f} ({-high:.3f}–{-low:.3f}) below the detector trained on it"
    assert high < 0 and told in small
    cell = usual.cell("all kinds", "swap")
    low, high = cell.difference_interval
    assert low < 0 < high and f"trained on it, which may be chance ({low:.3f}".replace("-", "−") in both
    assert both.startswith("Trained on all kinds: on small ")


def test_photos_left_out_come_before_what_each_kind_could_not_make(usual):
    assert left_out(usual) == [
        "photo with fakes of some kinds only: 7",
        "no fake by swap: 1,205 (face covered 1,200, no donor 5)",
    ]


def test_settings_are_words_and_not_python(usual):
    given = {"epochs": 4, "size_px": None, "augment": ["flip", "jpeg"], "gray": False, "fair_by": []}
    assert settings(usual.model_copy(update={"settings": given})) == "epochs 4; augment flip, jpeg; gray no"


def test_no_kind_was_learned():
    nothing = {"a": 0.0, "b": 0.0}
    text = headline(record({"a": nothing, "b": nothing, "all kinds": nothing}))
    assert text.startswith("No kind is shown to be learned")
    assert "a and b" in text and "90 photos" in text


def test_squares_of_a_detectors_own_kind_have_no_difference(usual):
    squares = dict(grid(usual, "difference"))
    assert squares["small"][0] == ("its own", "", None) and squares["all kinds"][0][0] != "its own"
    assert math.isnan(usual.cell("small", "small").difference)
    shade = dict(grid(usual, "auc"))["small"]
    assert shade[0][2] == 5 and shade[1][2] in (0, 1)


def test_the_page_escapes_names_and_loads_nothing(tmp_path, usual):
    evil = usual.model_copy(update={"data": EVIL})
    (tmp_path / CROSS_FILE).write_text(evil.to_json(), encoding="utf-8")
    page = write_cross_table_page(tmp_path).read_text(encoding="utf-8")
    assert EVIL not in page and "&lt;script&gt;alert(1)" in page
    assert (
        "http://" not in page.replace("http://www.w3.org", "")
        and "photo with fakes of some kinds only: 7" in page
    )


def test_a_folder_without_a_record_and_one_with_another(tmp_path):
    with pytest.raises(RunNotFound, match=r"no cross-table\.json"):
        write_cross_table_page(tmp_path)
    (tmp_path / CROSS_FILE).write_text("{}")
    with pytest.raises(RecordFormatError, match="is not a cross table"):
        write_cross_table_page(tmp_path)
