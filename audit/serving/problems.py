"""What can go wrong with a request, as RFC 9457 ("Problem Details for HTTP APIs") writes it.

Enters: a status, a word, a sentence. Leaves: `application/problem+json`, or a page that says the same.

Why the texts are made visible: they quote names that strangers gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.visible import visible

MEDIA_TYPE = "application/problem+json"
_MAX_DETAIL = 600


class Problem(Exception):
    """A request that cannot be answered as asked.

    Args:
        status: Of HTTP, 4xx or 5xx.
        kind: One word for programs, such as "image-too-large".
        title: A few words for people.
        detail: One sentence: what, the value, what to do.
        headers: Such as Retry-After.
    """

    def __init__(
        self, status: int, kind: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title = status, kind, title
        text = visible(detail)
        self.detail = text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]} ..."
        self.headers = dict(headers or {})

    def record(self) -> dict[str, Any]:
        """The members of RFC 9457, section 3.1.

        >>> Problem(413, "image-too-large", "Too large", "30 MB").record()["type"]
        'urn:audit:problem:image-too-large'
        """
        return {
            "type": f"urn:audit:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }


def busy(retry_after_s: int, detail: str) -> Problem:
    """The server has as much to do as it may take on."""
    return Problem(503, "busy", "Too much to do at the moment", detail, {"Retry-After": str(retry_after_s)})
