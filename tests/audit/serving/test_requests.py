"""What programs and browsers get from the server: the command line's words and numbers, and refusals."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
import time

import numpy as np
import pytest
from PIL import Image

import detectors
from audit.api.outcome import refuse_other_detector
from audit.errors import ConfigError
from audit.schema.json_schema import load_result
from audit.serving.app import check_address, listen
from audit.serving.guard import COOKIE, Guard, session_of
from audit.serving.limits import Limits
from audit.serving.tables import arguments, guess_columns
from audit.wording.numbers import of_thousand
from detectors.models.loading import load_detector
from reports.text import known_errors as words
from reports.text.answer import headline
from reports.text.known_errors import known_errors


def test_a_score_is_the_one_that_audit_score_prints(served, detector_file, face_jpeg, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(face_jpeg)
    row = detectors.load(detector_file).score(path).iloc[0]
    found = served.post_image("/v1/score", face_jpeg).json
    assert found["score"] == pytest.approx(row.score, abs=1e-6)
    assert (found["status"], found["threshold"]) == (row.status, 0.5)
    assert found["answer"] == ("fake" if row.score >= 0.5 else "real")


def test_a_batch_is_lines_in_order_and_a_bad_image_is_one_of_them(served, form, face_jpeg):
    body, kind = form(("image", "a.jpg", face_jpeg), ("image", "b.jpg", b"no"), ("image", "c.jpg", face_jpeg))
    reply = served.ask("POST", "/v1/score", body, Content_Type=kind)
    assert reply.headers["content-type"] == "application/x-ndjson"
    first, second, third = map(json.loads, reply.text.splitlines())
    assert [row["image"] for row in (first, second, third)] == ["a.jpg", "b.jpg", "c.jpg"]
    assert first["score"] == third["score"] and first["status"] == "ok"
    assert (second["score"], second["status"], second["answer"]) == (None, "unreadable-image", None)


def test_requests_of_many_clients_share_batches(served, face_jpeg):
    scores = []
    clients = [
        threading.Thread(
            target=lambda: scores.append(served.post_image("/v1/score", face_jpeg).json["score"])
        )
        for _ in range(16)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(scores) == 16 and np.ptp(scores) < 1e-6
    assert served.ask("GET", "/healthz").json["largest_batch"] > 1


def test_an_explanation_has_boxes_changes_and_what_the_audit_knows(served, form, face_jpeg, run_folder):
    body, kind = form(("image", "a.jpg", face_jpeg))
    found = served.ask("POST", "/v1/explain", body, Content_Type=kind).json
    (face,) = found["faces"]
    left, top, right, bottom = face["box"]
    assert 0 < right - left < 1.5 * found["width"] and bottom > top
    assert [change["change"] for change in face["changes"]] == ["saved as JPEG 90", "reduced to 0.9 and back"]
    assert face["unstable"] == any(change["answer"] != face["answer"] for change in face["changes"])
    known = known_errors(load_result(run_folder), face["answer"])
    assert face["known_errors"] == [known.everyone, known.groups]


def test_what_holds_no_face_gets_no_score(served, form):
    file = io.BytesIO()
    Image.new("RGB", (200, 200), (90, 150, 220)).save(file, "PNG")
    body, kind = form(("image", "sky.png", file.getvalue()))
    found = served.ask("POST", "/v1/explain", body, Content_Type=kind).json
    assert (found["faces"], found["faces_found"]) == ([], 0)
    page = served.ask("POST", "/", body, Content_Type=kind, Accept="text/html").text
    assert "Not a face" in page and "Score" not in page


@pytest.mark.slow
def test_the_audit_of_a_table_is_audit_runs(served, form, score_csv):
    fields = [("label", None, b"is_fake"), ("score", None, b"score"), ("attribute", None, b"race")]
    body, kind = form(("scores", "scores.csv", score_csv.read_bytes()), *fields)
    record = served.ask("POST", "/v1/audits", body, Content_Type=kind).json
    assert record["data"]["n_images"] == 600 and record["config"]["attributes"] == ["race"]
    assert {v["verdict"] for v in record["verdicts"] if v["rate"] == "fpr"} == {"disparity"}
    fields[1] = ("score", None, b"nowhere")
    body, kind = form(("scores", "scores.csv", score_csv.read_bytes()), *fields)
    refused = served.ask("POST", "/v1/audits", body, Content_Type=kind)
    assert refused.status == 422 and "nowhere" in refused.json["detail"]


def test_a_field_that_means_nothing_is_refused(served, form, score_csv):
    body, kind = form(("scores", "scores.csv", score_csv.read_bytes()), ("tolerance", None, b"0.1"))
    refused = served.ask("POST", "/v1/audits", body, Content_Type=kind)
    assert refused.status == 400
    assert refused.json["detail"].startswith(
        "'tolerance' is none of scores, label, score, attribute, higher, "
    )


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "not empty"),
        (b"a,b\n1\n", "line 2 has 1 field, its header 2"),
        (b"\xff\xfe\0", "save it as UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused(served, form, data, detail):
    body, kind = form(("table", "t.csv", data))
    reply = served.ask("POST", "/scores", body, Content_Type=kind)
    assert reply.status in (400, 422) and detail in reply.json["detail"] and "/tmp" not in reply.text


def test_what_is_guessed_of_a_table_is_shown_and_what_is_not_is_asked():
    vendor = "Herkunft;Urteil;p_fake\nA;FAKE;0,91\nB;REAL;0,12\n"
    guess = guess_columns("t.csv", vendor.encode())
    assert guess.columns == ["Herkunft", "Urteil", "p_fake"] and guess.score == "p_fake"
    assert "separator: ';'" in guess.understood and "decimal: comma" in guess.understood
    unclear = guess_columns("t.csv", b"a,b\nx,y\n")
    assert (unclear.label, unclear.score) == ("", "")
    assert any("which column is what an image is" in text for text in unclear.asked)
    assert arguments("t", {"higher": ["real"], "threshold": [" "]}) == ["--name=t", "--read=higher=real"]


def test_every_answer_carries_the_policy(served, face_jpeg):
    for reply in (
        served.ask("GET", "/"), served.ask("GET", "/nowhere"), served.post_image("/v1/score", face_jpeg),
        served.ask("GET", "/", Host="evil.example"), served.ask("GET", "/static/page.js"),
    ):  # fmt: skip
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
    for path in ("/", "/scores", "/runs", "/docs"):
        page = served.ask("GET", path).text
        assert not re.search(r"<script(?! src)|<style|\sstyle=|\son\w+=", page), path


def test_a_report_runs_as_a_page_of_no_origin(served):
    reply = served.ask("GET", "/runs/report?run=first")
    policy = reply.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy and "allow-same-origin" not in policy
    assert "script-src 'sha256-" in policy and "Is tiny fair?" in reply.text


def test_runs_are_named_by_their_listing_alone(served):
    listing = served.ask("GET", "/runs").text
    assert "first" in listing and "second" in listing
    assert "comparison" in served.ask("GET", "/runs/compare?first=first&second=second").text.lower()
    assert served.ask("GET", "/runs/compare?first=first&second=first").status == 400
    for name in ("..", "../runs/first", "/etc", "%2e%2e", "first/../first", ""):
        assert served.ask("GET", f"/runs/report?run={name}").status == 404


def test_the_description_lists_what_can_be_asked(served):
    paths = served.ask("GET", "/openapi.json").json["paths"]
    assert set(paths) == {"/healthz", "/v1/score", "/v1/explain", "/v1/audits"}
    page = served.ask("GET", "/docs").text
    assert all(path in page for path in paths) and "cdn" not in page


# ---- the guard, without a server ----


async def _ok(scope, receive, send):
    body = b""
    if scope["method"] != "GET":
        message = await receive()
        body = message.get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def guard(app=_ok, token=None, hosts=("localhost",), **limits):
    def refuse(scope, problem):
        async def answer(scope, receive, send):
            head = [(k.encode(), v.encode()) for k, v in problem.headers.items()]
            await send({"type": "http.response.start", "status": problem.status, "headers": head})
            await send({"type": "http.response.body", "body": problem.kind.encode()})

        return answer

    return Guard(app, Limits(**limits), hosts, token, refuse)


async def ask(app, method="GET", path="/", **headers):
    sent = []
    named = [
        (k.replace("_", "-").encode(), v.encode()) for k, v in ({"host": "localhost:8000"} | headers).items()
    ]

    async def receive():
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": named}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


TOKEN = "a token of 24 characters"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
        ({"cookie": f"{COOKIE}={session_of(TOKEN)}"}, 200),
        ({"cookie": f"{COOKIE}={TOKEN}"}, 401),
        ({"cookie": ";;\x01="}, 401),
    ],
)
def test_a_token_or_its_session_lets_in(headers, status):
    assert asyncio.run(ask(guard(token=TOKEN), **headers))[0] == status
    assert asyncio.run(ask(guard(token=TOKEN), path="/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8000", "sec_fetch_site": "same-origin"}, 200),
        ({"origin": "http://localhost:9000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": ""}, 421),
        ({"content_length": "99999999999"}, 413),
        ({"content_length": "1e3"}, 413),
    ],
)
def test_who_may_post(headers, status):
    assert asyncio.run(ask(guard(), "POST", **headers))[0] == status


def test_more_than_it_may_take_on_is_told_to_come_again():
    async def check():
        hold = asyncio.Event()

        async def slow(scope, receive, send):
            await hold.wait()
            await _ok(scope, receive, send)

        app = guard(slow, requests_at_once=2, retry_after_s=3)
        waiting = [asyncio.create_task(ask(app, "POST")) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers, kind = await ask(app, "POST")
        assert (status, headers[b"Retry-After"], kind) == (503, b"3", b"busy")
        hold.set()
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200, 200]
        assert (await ask(app, "POST"))[0] == 200

    asyncio.run(check())


@pytest.mark.parametrize(
    ("host", "token", "message"),
    [
        ("0.0.0.0", None, r"--host 0\.0\.0\.0 is reached from other machines: give a --token"),
        ("192.168.0.3", None, "give a --token too"),
        ("127.0.0.1", "short", "--token has 5 characters; take 16 or more"),
    ],
)
def test_other_machines_need_a_token(host, token, message):
    with pytest.raises(ConfigError, match=message):
        check_address(host, token)


def test_an_address_in_use_is_one_line():
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match=r"cannot listen on .*: Address already in use; choose another"):
            listen("127.0.0.1", taken.getsockname()[1])


def test_the_audit_of_another_detector_is_refused(detector_file, run_folder):
    record = load_result(run_folder)
    detector = load_detector(detector_file)
    assert refuse_other_detector(record, detector.sha256) is record
    for about, told in (({"sha256": "ab" * 32}, "SHA-256 abab"), ({}, "of no detector's file")):
        other = record.model_copy(
            update={"provenance": record.provenance.model_copy(update={"detector": about})}
        )
        with pytest.raises(ConfigError, match=told):
            refuse_other_detector(other, detector.sha256)


def test_what_is_known_of_errors_is_the_records(run_folder, monkeypatch):
    record = load_result(run_folder)
    told = known_errors(record, "fake")
    assert f"flags {of_thousand(record.overall.fpr)} (" in told.everyone and "300 were tried" in told.everyone
    assert "Proven to happen more often" in told.groups and "race “B”" not in told.groups
    assert "people labelled B" in told.groups
    monkeypatch.setattr(words, "is_answerable", lambda result: False)
    without = known_errors(record, "fake")
    assert without == words.KnownErrors(f"What its audit found: {headline(record)}", "")
    monkeypatch.undo()
    missed = known_errors(record, "real")
    assert f"lets {of_thousand(record.overall.fnr)} (" in missed.everyone
    assert "proves no group to be worse off than another in this" in missed.groups


# ---- the last: it ends a server ----


@pytest.mark.slow
def test_sigterm_answers_what_is_under_way_and_ends_with_0(start_server, face_jpeg):
    server = start_server("--threshold", "0.7", "--patience", "100")
    connection = server.connect()
    connection.putrequest("POST", "/v1/score")
    connection.putheader("Content-Type", "image/jpeg")
    connection.putheader("Content-Length", str(len(face_jpeg)))
    connection.endheaders(face_jpeg[:50])
    assert server.ask("GET", "/healthz").status == 200, "asked later, so that the other is under way by now"
    ending = threading.Thread(target=lambda: codes.append(server.stop()))
    codes: list[int] = []
    ending.start()
    with pytest.raises(ConnectionRefusedError, match="refused"):
        for _ in range(200):
            server.ask("GET", "/healthz")
            time.sleep(0.1)
    connection.send(face_jpeg[50:])
    answer = connection.getresponse()
    assert answer.status == 200 and json.loads(answer.read())["threshold"] == 0.7
    ending.join()
    assert codes == [0]
