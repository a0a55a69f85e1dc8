"""The application and the server that runs it.

Enters: a loaded detector, the record of its audit, where to listen. Leaves: when the process is told to end.

Why a socket of our own is bound before uvicorn starts: port 0 means any free one, and the address that is
printed must be the one that answers. Why the access log is off: addresses and file names are nobody's
business.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from audit.errors import ConfigError
from audit.schema.result import AuditResult
from audit.serving.endpoints import endpoint_routes, operations
from audit.serving.guard import LOOPBACK, App, Guard, Scope
from audit.serving.limits import Limits
from audit.serving.looking import Looker
from audit.serving.pages import Renderer, Site, page_routes, wants_page
from audit.serving.problems import MEDIA_TYPE, Problem
from audit.serving.run_list import Runs
from audit.serving.tables import Tables

MIN_TOKEN = 16
"""Characters of a token."""


def build_app(
    looker: Looker,
    record: AuditResult | None = None,
    runs_dir: Path | None = None,
    hosts: tuple[str, ...] = LOOPBACK,
    token: str | None = None,
) -> App:
    """The whole application, guarded.

    Args:
        looker: The warm detector; closed when the application ends.
        record: The audit of this detector, for what is known of its errors.
        runs_dir: A folder of run folders to browse.
        hosts: Names it is reached by.
        token: What clients must show.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        looker.close()

    limits = looker.limits
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it quotes bytes of uploads
    site = Site(looker, record, Runs(runs_dir), Tables(limits), limits, token)
    renderer = Renderer(looker.detector.name)
    app = FastAPI(
        title=f"audit serve: {looker.detector.name}", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.include_router(endpoint_routes(site))
    app.include_router(page_routes(site, renderer, lambda: operations(app.openapi())))
    _answer_problems(app, renderer)
    return Guard(app, limits, hosts, token, lambda scope, problem: _answer(renderer, scope, problem))


def _answer(renderer: Renderer, scope: Scope, problem: Problem) -> Response:
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    if wants_page(headers):
        return renderer.problem(problem)
    return JSONResponse(problem.record(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def _answer_problems(app: FastAPI, renderer: Renderer) -> None:
    """Have every fault of a request end as a problem."""

    async def of_ours(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, Problem)
        return _answer(renderer, request.scope, fault)

    async def of_http(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, HTTPException)
        detail = f"{request.method} {request.url.path[:100]}: {fault.detail}; see /docs"
        return _answer(renderer, request.scope, Problem(fault.status_code, "http", str(fault.detail), detail))

    async def of_values(request: Request, fault: Exception) -> Response:
        assert isinstance(fault, RequestValidationError)
        first = fault.errors()[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return _answer(renderer, request.scope, Problem(422, "wrong-value", "A value does not fit", detail))

    async def of_leaving(request: Request, fault: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it

    app.add_exception_handler(Problem, of_ours)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_values)
    app.add_exception_handler(ClientDisconnect, of_leaving)


def check_address(host: str, token: str | None) -> None:
    """Refuse to be reached from elsewhere without a token.

    Raises:
        ConfigError: no token, or a short one.
    """
    if token is not None and len(token) < MIN_TOKEN:
        raise ConfigError(
            f"--token has {len(token)} characters; take {MIN_TOKEN} or more: "
            'python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    if host not in LOOPBACK and token is None:
        raise ConfigError(
            f"--host {host} is reached from other machines: give a --token too, or leave --host out"
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except (OSError, OverflowError) as fault:
        found.close()
        said = getattr(fault, "strerror", None) or fault
        raise ConfigError(f"cannot listen on {host}:{port}: {said}; choose another --port") from None
    return found


def serve(app: App, found: socket.socket, limits: Limits, ready: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or Ctrl-C; then end what is under way, and the process with code 0.

    Args:
        app: As `build_app` makes it.
        found: A bound socket.
        limits: How long to drain.
        ready: Is given the address once the server listens.
    """
    host, port = found.getsockname()[:2]
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="on",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=limits.drain_s,
        h11_max_incomplete_event_size=32_768,
        backlog=256,
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn drains, then raises the signal once more
        signal.signal(number, lambda *_: sys.exit(0))
    shown = f"[{host}]" if ":" in host else host
    found.listen(256)
    ready(f"http://{shown}:{port}")
    server.run(sockets=[found])
