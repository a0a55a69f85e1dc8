"""A request's body as files in memory, never on the disk.

Enters: a request. Leaves: `Upload`s.

Why a parser of our own class: web frameworks let parts over a megabyte roll over into temporary files; ours
keeps everything that the limits let in.
Why a name that holds a path is refused and not cut off: no honest browser sends one.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from audit.serving.limits import Limits
from audit.serving.problems import Problem
from pipelines.visible import visible

_MAX_NAME = 255
_MAX_FIELDS = 40
_MAX_FIELD_BYTES = 10_000
_RAW_TYPES = ("image/", "application/octet-stream")


@dataclass(frozen=True)
class Upload:
    """One file."""

    name: str
    """As its sender calls it, made visible; never used to open anything."""
    data: bytes


class _InMemory(MultiPartParser):
    """Parts never roll over into a file; the guard bounds the whole body."""

    spool_max_size = 1 << 40


async def read_images(request: Request, limits: Limits) -> list[Upload]:
    """The images of a request: the body itself, or the files of a form's field "image".

    Raises:
        Problem: 400, 413 or 415.
    """
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("multipart/form-data"):
        form = await read_form(request, limits.files_at_once)
        files = [each for each in form.getlist("image") if isinstance(each, UploadFile)]
        found = [Upload(checked_name(each.filename or "image"), await each.read()) for each in files]
    elif kind.startswith(_RAW_TYPES):
        found = [Upload("image", await _body(request, limits.image_bytes))]
    else:
        raise Problem(
            415,
            "wrong-content-type",
            "Not sent as an image",
            f"the body is called {kind[:80] or 'nothing'!r}; send image/jpeg, image/png ... or "
            "multipart/form-data with files named image",
        )
    if not found:
        raise Problem(400, "no-image", "No image came", "choose, drop or paste an image, then send it")
    for each in found:
        _refuse_large(each, limits.image_bytes)
    return found


async def read_form(request: Request, max_files: int) -> FormData:
    """A multipart form, all of it in memory.

    Raises:
        Problem: 400 for a form that is damaged or has too many parts.
    """
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError, UnicodeDecodeError) as fault:
        said = fault.message if isinstance(fault, MultiPartException) else "it has no boundary, or is damaged"
        raise Problem(400, "damaged-form", "The upload is damaged", f"{said}; send it again") from None


def only(uploads: list[Upload]) -> Upload:
    """The single image of a request.

    Raises:
        Problem: 400 where there are several.
    """
    if len(uploads) != 1:
        raise Problem(400, "one-image-only", "One image at a time", f"{len(uploads)} came; send one")
    return uploads[0]


async def _body(request: Request, largest: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise _large(largest)
        parts.append(part)
    return b"".join(parts)


def _refuse_large(upload: Upload, largest: int) -> None:
    if len(upload.data) > largest:
        raise _large(largest)


def _large(largest: int) -> Problem:
    return Problem(
        413, "file-too-large", "The file is too large", f"an image may have {largest / 1e6:,.0f} MB"
    )


def checked_name(name: str) -> str:
    """A file's name as it may be shown.

    Raises:
        Problem: 400, it holds a path.
    """
    if len(name) > _MAX_NAME or any(mark in name for mark in ("/", "\\", "\0")) or name in (".", ".."):
        raise Problem(
            400,
            "name-holds-a-path",
            "The file's name cannot be one",
            f"{name[:100]!r} holds a path or is too long; send the bare name",
        )
    return visible(name)
