"""What a notebook gets wrong ends in one sentence that says how to put it right, and never in a traceback."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import audit

N = 80


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"label": [0, 1] * 40, "score": [0.1, 0.9, 0.3, 0.6] * 20, "race": ["A"] * 40 + ["B"] * 40}
    )


def audited(scores, *attributes, **options):
    return audit.audit_scores(scores, *(attributes or ("race",)), **{"n_boot": 100, **options})


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"tolerance": "0.02"}, "tolerance is '0.02'; it must be a number"),
        ({"tolerance": None}, "tolerance is None"),
        ({"confidence": "0.95"}, "confidence is '0.95'"),
        ({"max_fpr": "5%"}, "max_fpr is '5%'; it must be a number"),
        ({"min_n": 2.5}, "min_n is 2.5; it must be a whole number"),
        ({"min_n": None}, "min_n is None"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"n_boot": "1000"}, "n_boot is '1000'"),
        ({"ratio_tolerance": 1.25}, r"ratio_tolerance is 1.25; it must be two numbers"),
        ({"ratio_tolerance": "0.8-1.25"}, "two numbers"),
        ({"bins": [18, 40]}, r"bins is \[18, 40\]; it must be edges by column"),
        ({"bins": {"age": 18}}, "edges by column"),
        ({"bins": {"age": "18,40"}}, "edges by column"),
        ({"bins": {"age": ["18", "40"]}}, "edges by column"),
        ({"references": "race=A"}, "references is 'race=A'; it must be a group by column"),
        ({"read_as": {"separator": 5}}, "read_as"),
        ({"unit_column": 3}, "unit_column is 3; it must be the name of a column"),
        ({"label_column": None}, "label_column is None"),
        ({"config": {"threshold": 0.5}}, "config is a dict; give an audit.AuditConfig"),
        ({"detector": 5}, "detector is 5; give its name"),
        ({"source": "rendered"}, "source is 'rendered'; give a mapping"),
        ({"out": 5}, "out is 5; give the path of a folder"),
        ({"source": {"kind": object()}}, "source holds a object under 'kind', which audit.json cannot"),
        ({"command": 5}, "command is 5; give the command line as text"),
        ({"detector": {"size": np.int64(3)}}, "detector holds a int64 under 'size', which audit.json cannot"),
        ({"independent": "no"}, "independent is 'no'; it must be True or False"),
        ({"attribute": "race"}, "no option 'attribute'; did you mean 'attributes'"),
        ({"label": "y"}, "no option 'label'; did you mean 'label_column'"),
        ({"score": "y"}, "no option 'score'; did you mean 'score_column'"),
        ({"control": "y"}, "no option 'control'; did you mean 'controls'"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(frame, option, told):
    with pytest.raises(audit.ExpectedError, match=told):
        audited(frame, **option)


@pytest.mark.parametrize(("attributes", "told"), [(5, "names of columns"), (["race", 1], "names of columns")])
def test_attributes_that_are_no_names(frame, attributes, told):
    with pytest.raises(audit.ExpectedError, match=told):
        audited(frame, attributes)


def test_a_column_is_not_its_name(frame):
    with pytest.raises(audit.ExpectedError, match="attributes is a Series; give names of columns"):
        audited(frame, frame["race"])


@pytest.mark.parametrize("named", [None, "race", ["race"], pd.Index(["race"]), np.array(["race"]), {"race"}])
def test_names_in_any_list(frame, named):
    assert audited(frame, named).record.config.attributes == ["race"]


@pytest.mark.parametrize("wrong", [None, [1, 2], {"label": [0]}, 5, b"x.csv", np.zeros(3)])
def test_what_is_no_table(wrong):
    with pytest.raises(audit.ExpectedError, match=f"scores is a {type(wrong).__name__}; give a DataFrame"):
        audited(wrong)


def test_tables_of_other_libraries_are_converted(frame):
    assert audited(pa.Table.from_pandas(frame)).record == audited(frame).record


def test_what_may_be_left_at_none_or_be_a_float(frame):
    found = audited(frame, bins=None, references=None, read_as=None, controls=None, n_boot=200.0)
    assert found.record.config.n_boot == 200
    assert audited(frame, detector=Path("a.pt")).record.provenance.detector == {"name": "a.pt"}


@pytest.mark.parametrize("value", [[1, 2], {"left": 3}, np.zeros(4)], ids=["list", "dict", "array"])
def test_embeddings_and_boxes_beside_the_scores_are_left_out_and_said(frame, value, tmp_path):
    found = audited(frame.assign(box=[value] * N))
    assert found.verdicts.equals(audited(frame).verdicts)
    assert "Columns left out, as they hold lists and not one value an image: 'box'." in found.record.notes
    found.write(tmp_path / "run")


@pytest.mark.parametrize("option", [{"unit_column": "box"}, {"controls": "box"}, {"image_id_column": "box"}])
def test_a_column_of_lists_plays_no_part(frame, option):
    made = frame.assign(box=[[1]] * N)
    if "image_id_column" in option:
        assert audited(made, **option).record.data.n_images == N
        return
    with pytest.raises(audit.ExpectedError, match=r"no column '?box'?"):
        audited(made, **option)


def test_columns_of_one_name_are_refused(frame):
    with pytest.raises(audit.ExpectedError, match="two columns 'score'; rename or drop one"):
        audited(pd.concat([frame, frame[["score"]]], axis=1))


def test_columns_called_by_numbers(frame):
    found = audited(frame.rename(columns={"race": 7}).assign(**{"x": 1}), "7")
    assert found.groups["group"].tolist() == ["A", "B"]


@pytest.mark.parametrize(
    "values",
    [
        [1, "a"],
        [("a", 1), ("b", 2)],
        [datetime.date(2020, 1, 1), "b"],
        pd.cut(pd.Series([1, 50]), [0, 40, 90]).tolist(),
    ],
    ids=["number and word", "tuples", "date and word", "intervals"],
)
def test_groups_of_mixed_kinds_are_written_as_they_are_shown(frame, values, tmp_path):
    found = audited(frame.assign(race=values * 40, other=[object() for _ in range(N)]))
    written = pd.read_parquet(found.write(tmp_path / "run") / "scores.parquet")
    assert sorted(written["race"].unique()) == sorted(found.groups["group"])


def test_intervals_as_categories_are_written(frame, tmp_path):
    found = audited(frame.assign(race=pd.cut(pd.Series(range(N)), [-1, 40, 90])))
    assert pd.read_parquet(found.write(tmp_path / "run") / "scores.parquet")["race"].nunique() == 2


def test_a_column_called_like_a_role_gives_way_to_the_one_that_plays_it(frame, tmp_path):
    made = frame.assign(p=frame["score"], score=7.0)
    written = pd.read_parquet(audited(made, score_column="p").write(tmp_path / "run") / "scores.parquet")
    assert written["score"].tolist() == frame["score"].tolist() and "p" not in written


@pytest.mark.parametrize(
    "score",
    [pd.date_range("2020", periods=N), pd.to_timedelta(np.arange(N), "s")],
    ids=["dates", "durations"],
)
def test_dates_are_no_scores(frame, score):
    with pytest.raises(audit.ExpectedError, match="and no scores; give plain numbers"):
        audited(frame.assign(score=score))


def test_half_a_surrogate_pair_is_no_text(frame):
    with pytest.raises(audit.ExpectedError, match="is no valid text"):
        audited(frame.assign(race=pd.Series(["a\ud800", "b"] * 40, dtype=object)))


def test_half_a_surrogate_pair_in_another_column_is_spelled_out(frame, tmp_path):
    found = audited(frame.assign(file=pd.Series(["a\ud800", "b"] * 40, dtype=object)))
    written = pd.read_parquet(found.write(tmp_path / "run") / "scores.parquet")
    assert written["file"].tolist()[:2] == ["a\\ud800", "b"]


def test_weights_whose_sum_is_infinite_are_weights(frame):
    plain = audited(frame.assign(w=1.0), weight_column="w")
    assert audited(frame.assign(w=1e308), weight_column="w").groups.equals(plain.groups)


@pytest.mark.parametrize("runs", [(3, 4), (None, None)])
def test_what_is_no_run(runs):
    with pytest.raises(audit.ExpectedError, match="is no run; give run folders"):
        audit.compare(*runs)


def test_scores_as_far_apart_as_numbers_can_be(frame, tmp_path):
    found = audited(frame.assign(score=[-1.7e308, 1.7e308] * 40), threshold=0.0)
    assert found.groups["fpr"].tolist() == found.groups["fnr"].tolist() == [0.0, 0.0]
    assert all(np.isfinite(one.edges).all() for one in found.record.histograms)
    found.report(tmp_path / "report.html")


def test_one_except_catches_what_any_package_says_no_to(tmp_path):
    import detectors
    import pipelines
    import reports.errors

    assert audit.ExpectedError is detectors.ExpectedError is pipelines.ExpectedError
    assert issubclass(reports.errors.RunNotFound, audit.ExpectedError)
    with pytest.raises(audit.ExpectedError, match="holds nothing"):
        audit.audit_images(tmp_path / "none.pt", tmp_path)


@pytest.mark.parametrize(
    "column",
    [np.arange(N) + 1j, (np.arange(N) + 1j).astype("complex64"), pd.Series([1j, 2j] * 40, dtype=object)],
    ids=["complex128", "complex64", "objects"],
)
@pytest.mark.parametrize("name", ["score", "race", "other"])
def test_complex_numbers_are_refused_where_they_enter(frame, name, column):
    told = f"column '{name}' holds complex numbers, which are neither scores nor groups; drop it"
    with pytest.raises(audit.ExpectedError, match=told):
        audited(frame.assign(**{name: column}))


@pytest.mark.parametrize("other", [2**70, np.longdouble("1.5")], ids=["more than 64 bits", "long double"])
def test_numbers_that_no_column_of_a_file_holds_are_written(frame, other, tmp_path):
    kind = object if isinstance(other, int) else np.longdouble
    found = audited(frame.assign(other=np.array([other] * N, dtype=kind)))
    written = pd.read_parquet(found.write(tmp_path / "run") / "scores.parquet")
    assert set(written["other"]) == {str(2**70) if isinstance(other, int) else 1.5}


def test_dates_are_no_weights(frame):
    with pytest.raises(audit.ExpectedError, match=r"column 'w' holds datetime64\[\w+\] and no weights"):
        audited(frame.assign(w=pd.date_range("2020", periods=N)), weight_column="w")


def test_a_column_that_is_asked_for_and_elsewhere(frame):
    with pytest.raises(
        audit.ExpectedError, match="'race' that can be used: it holds lists and not one value"
    ):
        audited(frame.assign(race=[["A"], ["B"]] * 40))
    with pytest.raises(audit.ExpectedError, match=r"'race' is the index .*; give scores.reset_index\(\)"):
        audited(frame.set_index("race"))


def test_a_table_of_nothing():
    with pytest.raises(audit.ExpectedError, match="the score table has no columns; give one row an image"):
        audited(pd.DataFrame())


def test_a_folder_is_no_table(frame, tmp_path):
    with pytest.raises(audit.ExpectedError, match=f"{tmp_path} is a folder; give the table of scores in it$"):
        audited(tmp_path)
    run = audited(frame).write(tmp_path / "run")
    with pytest.raises(audit.ExpectedError, match=r"run is a folder; .*, or `audit report` for the run"):
        audited(run)


@pytest.mark.parametrize("wrong", [5, None, b"run", pd.DataFrame()])
def test_what_is_no_path(frame, wrong):
    found = audited(pd.concat([frame] * 4))
    for call in (audit.load_result, found.write, audit.mitigate, audit.mitigate(found).report):
        with pytest.raises(
            audit.ExpectedError, match=r"(?s)is no path; give one as text or as a pathlib.Path"
        ):
            call(wrong)


@pytest.mark.parametrize("place", ["file/report.html", "a" * 300])
def test_a_report_that_cannot_be_written_names_its_place(frame, place, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        audit.ExpectedError, match=f"{place[:20]}.* cannot be written: .*; name another place"
    ):
        audited(frame).report(tmp_path / place)


def test_a_report_is_no_pdf(frame, tmp_path):
    with pytest.raises(audit.ExpectedError, match=r"a page of HTML, not r.pdf; name it .html"):
        audited(frame).report(tmp_path / "r.pdf")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"fit_share": "half"}, "fit_share is 'half'; it must be a number, such as 0.5"),
        ({"margin": None}, "margin is None; it must be a number, such as 0.02"),
    ],
)
def test_options_of_a_search_for_a_cure(frame, option, told):
    with pytest.raises(audit.ExpectedError, match=told):
        audit.mitigate(audited(frame), **option)


def test_a_cure_is_not_written_into_a_file(frame, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(audit.ExpectedError, match="file is a file, so"):
        audit.mitigate(audited(pd.concat([frame] * 4))).write(tmp_path / "file")
