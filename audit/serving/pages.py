"""The pages that people see: a photo, a table of scores, runs, and what programs may ask.

Enters: requests. Leaves: HTML without inline script or style.

Why the results are whole pages: without JavaScript the forms work; with it, the script takes the part called
`result` out of the same page.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, RedirectResponse

from audit.schema.result import AuditResult
from audit.serving.guard import COOKIE, is_token, session_of
from audit.serving.limits import Limits
from audit.serving.looking import JudgedFace, Look, Looker
from audit.serving.problems import Problem
from audit.serving.run_list import Runs
from audit.serving.tables import Tables, checked_table
from audit.serving.uploads import only, read_form, read_images
from audit.wording.numbers import listing
from pipelines.visible import visible
from reports.pages.html_page import TEMPLATES as REPORT_TEMPLATES
from reports.text.known_errors import NO_AUDIT, KnownErrors, known_errors

TEMPLATES = Path(__file__).parent / "templates"
WAYS = (("/", "A photo"), ("/scores", "A table of scores"), ("/runs", "Runs"), ("/docs", "For programs"))
WORDS = {"fake": "fake face", "real": "real face"}
NO_FACE, NO_ANSWER = "not a face", "no score"


@dataclass(frozen=True)
class Site:
    """What every page knows."""

    looker: Looker
    record: AuditResult | None
    """The audit of this detector, where there is one."""
    runs: Runs
    tables: Tables
    limits: Limits
    token: str | None


class Renderer:
    """Fills the templates; everything in them is escaped.

    Args:
        detector: Its name.
    """

    def __init__(self, detector: str) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(detector=visible(detector), ways=WAYS)

    def page(self, template: str, here: str, status: int = 200, **context: Any) -> HTMLResponse:
        """One page."""
        html = self._templates.get_template(template).render(here=here, **context)
        return HTMLResponse(html, status)

    def problem(self, problem: Problem) -> HTMLResponse:
        """The page of a request that cannot be answered."""
        found = self.page("problem.html", "", problem.status, problem=problem)
        found.headers.update(problem.headers)
        return found


def page_routes(site: Site, renderer: Renderer, operations: Callable[[], list[dict[str, str]]]) -> APIRouter:
    """Every page.

    Args:
        site: What they show.
        renderer: How.
        operations: What programs may ask, for the page that says so.
    """
    router = APIRouter(include_in_schema=False)
    _static(router)
    _photo(router, site, renderer)
    _scores(router, site, renderer)
    _runs(router, site, renderer)

    @router.get("/docs")
    def docs() -> Response:
        return renderer.page("docs.html", "/docs", operations=operations())

    @router.post("/session")
    async def session(request: Request) -> Response:
        given = (await request.form(max_fields=4, max_files=0)).get("token")
        if site.token is None or not isinstance(given, str) or not is_token(given.strip(), site.token):
            raise Problem(401, "wrong-token", "This is not the token", "enter what --token was started with")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, session_of(site.token), httponly=True, samesite="strict", path="/")
        return answer

    return router


def _static(router: APIRouter) -> None:
    style = "\n".join(
        path.read_text("utf-8") for path in (REPORT_TEMPLATES / "style.css", TEMPLATES / "serve.css")
    )
    script = (TEMPLATES / "page.js").read_text("utf-8")

    @router.get("/static/style.css")
    def stylesheet() -> Response:
        return Response(style, media_type="text/css")

    @router.get("/static/page.js")
    def javascript() -> Response:
        return Response(script, media_type="text/javascript")


def _photo(router: APIRouter, site: Site, renderer: Renderer) -> None:
    known = {
        "max_bytes": site.limits.image_bytes,
        "max_megabytes": site.limits.image_bytes // 1_000_000,
        "max_megapixels": site.limits.image_pixels // 1_000_000,
    }

    @router.get("/")
    def form() -> Response:
        return renderer.page("photo.html", "/", heading="Is this face real?", **known)

    @router.post("/")
    async def answer(request: Request) -> Response:
        look = await site.looker.look(only(await read_images(request, site.limits)))
        return renderer.page("look.html", "/", **known, **look_context(look, site.looker, site.record))


def look_context(look: Look, looker: Looker, record: AuditResult | None) -> dict[str, Any]:
    """What the template of a photo's answer needs.

    Args:
        look: What was found.
        looker: Says threshold and limits.
        record: The detector's audit.
    """
    unit = max(look.width, look.height)
    told = {a: known_errors(record, a) if record else KnownErrors(NO_AUDIT, "") for a in WORDS}  # type: ignore[arg-type]
    faces = [
        _face(number, face, told[face.answer] if face.answer else None, look)
        for number, face in enumerate(look.faces, 1)
    ]
    words = [face["word"] for face in faces] or [NO_FACE]
    heading = words[0] if len(words) == 1 else f"{len(words)} faces: {listing(words)}"
    more = look.n_found - len(look.faces)
    boxed = f"{len(faces)} boxed face{'s' if len(faces) > 1 else ''}"
    return {
        "look": look,
        "heading": heading[:1].upper() + heading[1:],
        "faces": faces,
        "picture": data_url(look.picture, "image/jpeg"),
        "picture_label": f"The image, with {boxed}" if faces else "The image, no face in it",
        "left_out": f"{more} more faces were found and not judged." if more else "",
        "threshold": f"{looker.threshold:g}",
        "stroke": round(unit / 120, 2),
        "font": round(unit / 14, 1),
        "halo": round(unit / 100, 1),
    }


def _face(number: int, face: JudgedFace, errors: KnownErrors | None, look: Look) -> dict[str, Any]:
    unit = max(look.width, look.height)
    left, top = (max(value, 0.0) for value in face.box[:2])
    right, bottom = min(face.box[2], look.width), min(face.box[3], look.height)
    return {
        "number": number,
        "x": round(left, 1),
        "y": round(top, 1),
        "width": round(right - left, 1),
        "height": round(bottom - top, 1),
        "text_y": round(max(top - unit / 80, unit / 14), 1),
        "answer": face.answer or "none",
        "word": WORDS[face.answer] if face.answer else NO_ANSWER,
        "chip": {"fake": "bad", "real": "ok"}.get(face.answer or "", "open"),
        "score": "none" if face.score is None else f"{face.score:.4f}",
        "detail": face.detail,
        "unstable": face.is_unstable,
        "steadiness": steadiness(face),
        "errors": errors,
        "shown": face.shown,
        "picture": data_url(face.picture, "image/png"),
        "map": data_url(face.map, "image/png") if face.map else None,
        "map_note": face.map_note,
        "map_label": f"Face {number} as the detector saw it{', with its map' if face.map else ''}",
    }


def steadiness(face: JudgedFace) -> str:
    """Whether the answer survives what saving an image again does to it."""
    if face.answer is None:
        return ""
    if not face.changes:
        return "The face is too small to try light changes on it."
    told = "; ".join(
        f"{NO_ANSWER if change.score is None else f'{change.score:.4f}'} {change.words}"
        for change in face.changes
    )
    if face.is_unstable:
        return f"Unstable: a change that nobody sees turns the answer round ({told})."
    return f"The answer stays the same when the image is lightly changed ({told})."


def data_url(data: bytes, media_type: str) -> str:
    """Bytes as an address that needs no request."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _scores(router: APIRouter, site: Site, renderer: Renderer) -> None:
    known = {
        "max_bytes": site.limits.table_bytes,
        "max_megabytes": site.limits.table_bytes // 1_000_000,
    }

    @router.get("/scores")
    def form() -> Response:
        return renderer.page("scores.html", "/scores", guess=None, **known)

    @router.post("/scores")
    async def columns(request: Request) -> Response:
        given = (await read_form(request, 1)).get("table")
        name, data = await checked_table(given if isinstance(given, UploadFile) else None)
        key, kept = await run_in_threadpool(site.tables.keep, name, data)
        return renderer.page(
            "scores.html", "/scores", guess=kept.guess, key=key, name=visible(kept.name), **known
        )

    @router.post("/scores/{key}/report")
    async def audit(key: str, request: Request) -> Response:
        kept = site.tables.find(key)
        form = await request.form(max_files=0, max_fields=5000)
        options = {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}
        kept.report, _ = await site.tables.audit(kept.data, kept.name, options)
        return RedirectResponse(f"/scores/{key}/report", 303)

    @router.get("/scores/{key}/report")
    def report(key: str) -> Response:
        kept = site.tables.find(key)
        if not kept.report:
            raise Problem(404, "no-report", "No report yet", "choose the columns and audit the table first")
        return report_page(kept.report)


def _runs(router: APIRouter, site: Site, renderer: Renderer) -> None:
    @router.get("/runs")
    def listing_() -> Response:
        return renderer.page("runs.html", "/runs", runs=site.runs.listing())

    @router.get("/runs/report")
    def report(run: str = "") -> Response:
        return report_page(site.runs.report(run))

    @router.get("/runs/compare")
    def compare(first: str = "", second: str = "") -> Response:
        return report_page(site.runs.comparison(first, second))


def report_page(html: str) -> Response:
    """A report as a page of no origin: its own two scripts run, by their hashes, and reach nothing here."""
    found = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', html)
    own = found.group(1) if found else "default-src 'none'"
    policy = f"{own}; frame-ancestors 'none'; sandbox allow-scripts allow-downloads allow-modals"
    return HTMLResponse(html, headers={"content-security-policy": policy})


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether a client would rather read HTML than JSON."""
    accepted = headers.get("accept", "")
    return "text/html" in accepted
