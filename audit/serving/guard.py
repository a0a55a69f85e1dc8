"""Who may ask, how much and how slowly: the ASGI layer in front of everything else.

Enters: every request. Leaves: the request, with a body that is bounded in size and time, or a `Problem`;
every answer with the same headers.

Why the host is checked: a page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding) and then
counts as the same origin. Why origin and Sec-Fetch-Site are checked: forms of other pages can post here
without reading the answer. Programs such as curl send neither and are let through.
Why Referrer-Policy is same-origin: under "no-referrer" a browser calls the origin of our own forms "null".
Why the session's cookie is a keyed hash: the token itself would stand in the browser's store.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet ("Verifying Origin With Standard Headers",
"Fetch Metadata"); RFC 9110 section 15.5.9 (408) and 15.6.4 (503).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any

from audit.serving.limits import Limits
from audit.serving.problems import Problem, busy

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Refuse = Callable[[Scope, Problem], App]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "audit_session"
OPEN_PATHS = ("/healthz", "/session", "/static/style.css", "/static/page.js")
"""What is shown without a token: nothing of the detector or of anybody's image."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise."""


class Guard:
    """The layer, around the application.

    Args:
        app: What is guarded.
        limits: Sizes, times and how many at once.
        hosts: Names this server is reached by.
        token: What a client must show; None on the loopback.
        refuse: Turns a problem into an answer, as page or as JSON.
    """

    def __init__(
        self, app: App, limits: Limits, hosts: Sequence[str], token: str | None, refuse: Refuse
    ) -> None:
        self._app, self._limits, self._token, self._refuse = app, limits, token, refuse
        self._hosts = {host.lower() for host in hosts}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(send)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        try:
            self._check(scope, headers)
        except Problem as problem:
            await self._refuse(scope, problem)(scope, receive, answer)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, answer)
            return
        self._under_way += 1
        try:
            await self._app(scope, self._bounded(receive, scope["path"]), answer)
        finally:
            self._under_way -= 1

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        _check_host(headers.get("host", ""), self._hosts)
        if scope["path"] not in OPEN_PATHS:
            self._check_token(headers)
        if scope["method"] in ("GET", "HEAD"):
            return
        _check_origin(headers)
        length = headers.get("content-length", "0")
        largest = self._largest(scope["path"])
        if not length.isdecimal() or int(length) > largest:
            raise _too_large(largest)
        if self._under_way >= self._limits.requests_at_once:
            raise busy(
                self._limits.retry_after_s,
                f"{self._under_way} requests are under way; try again in {self._limits.retry_after_s} s",
            )

    def _check_token(self, headers: Mapping[str, str]) -> None:
        if self._token is None:
            return
        given = headers.get("authorization", "")
        if given.startswith("Bearer ") and _equal(given[7:].strip(), self._token):
            return
        if _equal(_cookie(headers.get("cookie", "")), session_of(self._token)):
            return
        raise Problem(
            401,
            "token-needed",
            "A token is needed",
            "this server was started with --token: enter it on the page, or send Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )

    def _largest(self, path: str) -> int:
        tables = path.startswith(("/scores", "/v1/audits"))
        return self._limits.table_bytes if tables else self._limits.request_bytes

    def _bounded(self, receive: Receive, path: str) -> Receive:
        """The request's messages, within a time and a size for all of them."""
        deadline = asyncio.get_running_loop().time() + self._limits.body_s
        left, whole = self._largest(path), False

        async def bounded() -> Message:
            nonlocal left, whole
            if whole:  # what may still come is the end of the connection
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    408,
                    "body-too-slow",
                    "The upload takes too long",
                    f"it was not complete after {self._limits.body_s:g} s; try again",
                    {"Connection": "close"},
                ) from None
            left -= len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if left < 0:
                raise _too_large(self._largest(path))
            return message

        return bounded


def session_of(token: str) -> str:
    """The value of the cookie that stands for a token."""
    return hmac.new(token.encode(), b"audit serve session", hashlib.sha256).hexdigest()


def is_token(given: str, token: str) -> bool:
    """Whether they are equal, in a time that does not tell how nearly."""
    return _equal(given, token)


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def host_name(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_name("localhost:8000"), host_name("[::1]:80"), host_name("")
    ('localhost', '::1', '')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _check_host(header: str, hosts: set[str]) -> None:
    if host_name(header) not in hosts:
        raise Problem(
            421,
            "wrong-host",
            "Not reached by this name",
            f"the request names the host {header[:100]!r}; this server answers to {', '.join(sorted(hosts))}",
        )


def _check_origin(headers: Mapping[str, str]) -> None:
    """Refuse what a page of another origin sends."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = {f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")}
    if (origin is not None and origin not in own) or site not in (None, "same-origin", "none"):
        raise Problem(
            403,
            "other-origin",
            "Sent from another page",
            f"the request comes from {(origin or site or '')[:100]!r}; upload on this server's own page",
        )


def _too_large(largest: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The upload is too large",
        f"a request may have {largest / 1e6:,.0f} MB",
        {"Connection": "close"},
    )


def _with_headers(send: Send) -> Send:
    """Add `HEADERS` where the answer has none of that name."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {key.lower() for key, _ in message.get("headers", [])}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending
