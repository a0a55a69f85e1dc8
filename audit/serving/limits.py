"""What an upload and a server may take, in one place.

Enters: nothing. Leaves: `Limits`, which every other module of this room is given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on single requests and on all of them together."""

    image_bytes: int = 20_000_000
    """Of one file, before anything of it is decoded."""
    image_pixels: int = 50_000_000
    """As its header says, before it is decoded."""
    table_bytes: int = 50_000_000
    """Of a table of scores."""
    files_at_once: int = 64
    """Images in one request for scores."""
    request_bytes: int = 64_000_000
    """Of a request of several files."""
    body_s: float = 20.0
    """A request's body must have arrived within so many seconds."""
    decode_s: float = 10.0
    """One image must be decoded within so many seconds."""
    decode_memory_bytes: int = 1_500_000_000
    """Beside what the libraries hold."""
    decoders: int = min(4, os.cpu_count() or 1)
    """Processes that decode."""
    requests_at_once: int = 48
    """Requests with a body; the next one is told to come again."""
    retry_after_s: int = 1
    """When to come again."""
    faces: int = 8
    """Faces of one photo that are judged, the most confident first."""
    audit_s: float = 300.0
    """The audit of a table must be done within so many seconds."""
    audits_at_once: int = 2
    batch_images: int = 32
    """Images a network sees at once."""
    drain_s: int = 30
    """Requests under way at SIGTERM have so many seconds to end."""
