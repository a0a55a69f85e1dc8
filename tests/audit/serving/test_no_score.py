"""A detector that gives NaN: the server says that there is no score, and calls nothing real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from audit.schema.json_schema import load_result
from audit.serving.app import build_app
from audit.serving.limits import Limits
from audit.serving.looking import Change, Looker
from audit.serving.pages import Renderer, look_context, steadiness
from audit.serving.uploads import Upload
from detectors.data.preprocessing import Preprocessing
from detectors.models.detector import Detector, Output


def network(batch: torch.Tensor) -> torch.Tensor:
    return torch.full((len(batch),), float("nan"))


def make() -> Looker:
    """Without an answer to anything."""
    one = Detector("nan", "", "own", Preprocessing(32), Output("probability"), network)
    return Looker(one, 0.5, Limits(decoders=1))


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    """One for all tests that do not end it."""
    found = make()
    yield found
    found.close()


def test_a_program_is_given_null_and_a_reason(looker, face_jpeg):
    rows = asyncio.run(looker.scores([Upload("a.jpg", face_jpeg), Upload("b.jpg", face_jpeg)]))
    record = rows[0].record(0.5)
    assert (record["score"], record["answer"], record["status"]) == (None, None, "no score")
    assert record["detail"] == "the answer is nan, which is no score"
    assert json.dumps([row.record(0.5) for row in rows], allow_nan=False)


def test_a_face_without_a_score_is_neither_fake_nor_real(looker, face_jpeg, run_folder):
    look = asyncio.run(looker.look(Upload("a.jpg", face_jpeg)))
    (face,) = look.faces
    assert (face.score, face.answer, face.is_unstable, face.map) == (None, None, False, None)
    assert face.detail in face.map_note
    for record in (None, load_result(run_folder)):
        context = look_context(look, looker, record)
        known = {"max_bytes": 1, "max_megabytes": 1, "max_megapixels": 1}
        page = Renderer("nan").page("look.html", "/", **known, **context).body.decode()
        assert context["heading"] == "No score" and "real face" not in page and "fake face" not in page
        assert "gives no number for this face: the answer is nan, which is no score." in page


def test_a_light_change_may_take_the_score_away(looker, face_jpeg):
    (face,) = asyncio.run(looker.look(Upload("a.jpg", face_jpeg))).faces
    once = replace(face, score=0.7, answer="fake", changes=[Change("saved as JPEG 90", None, None)])
    assert once.is_unstable and "(no score saved as JPEG 90)" in steadiness(once)


def test_over_http(face_jpeg):
    client = pytest.importorskip("starlette.testclient", reason="needs httpx")
    with client.TestClient(build_app(make(), None, None, ("testserver",), None)) as asked:
        found = asked.post("/v1/explain", content=face_jpeg, headers={"content-type": "image/jpeg"})
        assert found.status_code == 200
        (face,) = found.json()["faces"]
        assert (face["score"], face["status"], face["answer"]) == (None, "no score", None)
