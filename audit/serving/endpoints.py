"""What programs ask: scores, an explanation, an audit, whether the server is well.

Enters: requests under /v1. Leaves: JSON with the words and numbers of the command line; JSON lines for
batches.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse

from audit.serving.pages import Site, data_url
from audit.serving.problems import Problem
from audit.serving.tables import FIELDS, checked_table
from audit.serving.uploads import only, read_form, read_images
from detectors.scoring.score_table import NO_SCORE, OK
from reports.text.known_errors import known_errors

LINES = "application/x-ndjson"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}


def _body(more: dict[str, Any], name: str = "image", **fields: str) -> dict[str, Any]:
    """The part of the OpenAPI description that says what a request holds."""
    form = {name: _FILES} | {key: {"type": "string", "description": text} for key, text in fields.items()}
    content = {"multipart/form-data": {"schema": {"type": "object", "properties": form}}, **more}
    return {"requestBody": {"required": True, "content": content}}


_IMAGE = {"image/*": _BINARY}


def endpoint_routes(site: Site) -> APIRouter:
    """Every endpoint."""
    router = APIRouter()
    looker = site.looker

    @router.get("/healthz", summary="Whether the server is well")
    def healthz() -> dict[str, Any]:
        """The detector that is loaded, its threshold, and the largest batch so far."""
        return {
            "status": "ok",
            "detector": looker.detector.name,
            "sha256": looker.detector.sha256,
            "threshold": looker.threshold,
            "largest_batch": looker.largest_batch,
        }

    @router.post(
        "/v1/score", summary="Score images as the command audit score does", openapi_extra=_body(_IMAGE)
    )
    async def score(request: Request) -> Response:
        """One image as the body, or several as files named image: one JSON object, or one line each.

        An image of several that has no score is a line with its reason.
        """
        uploads = await read_images(request, site.limits)
        rows = [row.record(looker.threshold) for row in await looker.scores(uploads)]
        if len(rows) == 1:
            return JSONResponse(rows[0])
        return Response("".join(json.dumps(row) + "\n" for row in rows), media_type=LINES)

    @router.post("/v1/explain", summary="Find the faces of an image and explain each answer",
                 openapi_extra=_body(_IMAGE))  # fmt: skip
    async def explain(request: Request) -> Response:
        """Boxes, scores, answers, light changes, a map, and what the detector's audit says of such errors."""
        look = await looker.look(only(await read_images(request, site.limits)))
        faces = []
        for face in look.faces:
            known = known_errors(site.record, face.answer) if site.record and face.answer else None
            faces.append(
                {
                    "box": [round(value, 1) for value in face.box],
                    "score": face.score,
                    "status": NO_SCORE if face.score is None else OK,
                    "detail": face.detail,
                    "answer": face.answer,
                    "unstable": face.is_unstable,
                    "changes": [
                        {"change": c.words, "score": c.score, "answer": c.answer} for c in face.changes
                    ],
                    "shown": face.shown,
                    "map": data_url(face.map, "image/png") if face.map else None,
                    "map_note": face.map_note,
                    "known_errors": [known.everyone, known.groups] if known else None,
                }
            )
        return JSONResponse(
            {
                "image": look.name,
                "width": look.width,
                "height": look.height,
                "threshold": looker.threshold,
                "faces": faces,
                "faces_found": look.n_found,
                "credentials": look.credentials or None,
                "note": look.note or None,
            }
        )

    @router.post("/v1/audits", summary="Audit a table of scores",
                 openapi_extra=_body({}, "scores", label="Column that says which are fakes",
                                     score="Column of scores", attribute="Column of groups; may be repeated",
                                     threshold="Fake from this score on"))  # fmt: skip
    async def audits(request: Request) -> Response:
        """A CSV as the file scores; the answer is the content of audit.json."""
        form = await read_form(request, 1)
        given = form.get("scores")
        name, data = await checked_table(given if isinstance(given, UploadFile) else None)
        options = {key: [v for v in form.getlist(key) if isinstance(v, str)] for key in form}
        if unknown := sorted({*form} - {"scores", *FIELDS}):
            raise Problem(
                400,
                "unknown-field",
                "A field that means nothing here",
                f"'{unknown[0]}' is none of scores, {', '.join(FIELDS)}; leave it out, or audit the table "
                "with audit run --scores, which takes every option",
            )
        _, record = await site.tables.audit(data, name, options)
        return Response(record, media_type="application/json")

    return router


def operations(schema: dict[str, Any]) -> list[dict[str, str]]:
    """What an OpenAPI description holds, for the page that lists it."""
    examples = {
        "/v1/score": "curl -H 'Content-Type: image/jpeg' --data-binary @face.jpg http://127.0.0.1:8000/v1/score\n"
        "curl -F image=@a.jpg -F image=@b.jpg http://127.0.0.1:8000/v1/score",
        "/v1/explain": "curl -F image=@face.jpg http://127.0.0.1:8000/v1/explain",
        "/v1/audits": "curl -F scores=@scores.csv -F attribute=race http://127.0.0.1:8000/v1/audits",
        "/healthz": "curl http://127.0.0.1:8000/healthz",
    }
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": about.get("summary", ""),
            "description": about.get("description", ""),
            "example": examples.get(path, ""),
        }
        for path, methods in schema["paths"].items()
        for method, about in methods.items()
    ]
