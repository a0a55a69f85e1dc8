"""Forty uploads that mean no good, each refused in clear words while another client is served."""

from __future__ import annotations

import http.client
import io
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

pytestmark = pytest.mark.slow

PATH = "/v1/score"
MB = 1_000_000


def png(size: tuple[int, int] = (40, 40), mode: str = "RGB", **how) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG", **how)
    return file.getvalue()


def picture(form: str, **how) -> bytes:
    """An honest image with grain, so that a truncated one lacks pixels."""
    file = io.BytesIO()
    grain = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(grain).save(file, form, **how)
    return file.getvalue()


def promising(width: int, height: int) -> bytes:
    """A PNG whose header, its checksum right, promises more than it holds."""
    data = bytearray(png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def jpeg_promising(width: int, height: int) -> bytes:
    data = bytearray(picture("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def text_chunk(text: str, zipped: bool = False) -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", text, zip=zipped)
    return png(pnginfo=about)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a.txt", "a")
    return file.getvalue()


def with_exif(text: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = text
    return picture("JPEG", exif=exif)


def float_tiff() -> bytes:
    file = io.BytesIO()
    Image.new("F", (40, 40)).save(file, "TIFF")
    return file.getvalue()


@dataclass
class Case:
    """One upload."""

    name: str
    status: int
    kind: str
    data: bytes = b""
    path: str = PATH
    headers: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str | None, bytes]] | None = None
    method: str = "POST"


GIF = (
    b"GIF89a"
    + struct.pack("<HH", 65535, 65535)
    + b"\0\0\0"
    + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0;"
)
BMP = bytearray(picture("BMP"))
BMP[18:26] = struct.pack("<ii", 60000, 60000)
BAD_CRC = bytearray(picture("PNG"))
BAD_CRC[30] ^= 0xFF
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
SCRIPT = "<script>alert(1)</script>"
UNREADABLE, DISGUISED, LARGE = "unreadable-image", "not-only-an-image", "image-too-large"
FINE = picture("PNG")
CASES = [
    Case("0 bytes", 400, "empty-file"),
    Case("0 bytes in a form", 400, "empty-file", files=[("image", "a.png", b"")]),
    Case("a form without a file", 400, "no-image", files=[("other", None, b"x")]),
    Case("a form with a field for a file", 400, "no-image", files=[("image", None, b"x")]),
    Case("text called PNG", 422, UNREADABLE, b"once upon a time"),
    Case("a page called PNG", 422, DISGUISED, b"<!DOCTYPE html><html></html>"),
    Case("SVG", 422, UNREADABLE, SVG),
    Case("SVG with a script", 422, DISGUISED, SVG.replace(b"<rect", b"<script>1</script><rect")),
    Case("PDF", 422, DISGUISED, b"%PDF-1.7\n1 0 obj\n"),
    Case("PostScript", 422, UNREADABLE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    Case("ZIP", 422, DISGUISED, archive()),
    Case("a program", 422, UNREADABLE, b"\x7fELF\x02\x01\x01" + b"\0" * 100),
    Case("a Windows icon", 422, UNREADABLE, b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\0\0\0\0\x16\0\0\0"),
    Case("truncated JPEG", 422, UNREADABLE, picture("JPEG")[:700]),
    Case("truncated PNG", 422, UNREADABLE, picture("PNG")[:900]),
    Case("truncated WebP", 422, UNREADABLE, picture("WEBP")[:300]),
    Case("a PNG with a wrong checksum", 422, UNREADABLE, bytes(BAD_CRC)),
    Case("a JPEG's first bytes alone", 422, UNREADABLE, b"\xff\xd8\xff\xe0"),
    Case("a bomb: 400 megapixels in 50 kB", 413, LARGE, png((20000, 20000), "1")),
    Case("a PNG that promises 4 gigapixels", 413, LARGE, promising(65535, 65535)),
    Case("a PNG just over 50 megapixels", 413, LARGE, promising(50001, 1000)),
    Case("a PNG of no width", 422, UNREADABLE, promising(0, 40)),
    Case("a JPEG that promises 3.6 gigapixels", 413, LARGE, jpeg_promising(60000, 60000)),
    Case("a GIF that promises 4 gigapixels", 413, LARGE, GIF),
    Case("a BMP that promises 3.6 gigapixels", 413, LARGE, bytes(BMP)),
    Case("a TIFF whose offsets lead nowhere", 422, UNREADABLE, b"II*\0\xff\xff\xff\x7f"),
    Case("a TIFF of floats", 422, UNREADABLE, float_tiff()),
    Case("a text bomb inside a PNG", 422, UNREADABLE, text_chunk("a" * 80 * MB, zipped=True)),
    Case("a JPEG that is a ZIP too", 422, DISGUISED, picture("JPEG") + archive()),
    Case("a GIF that is a page too", 422, DISGUISED, picture("GIF") + b"<html>"),
    Case("a PNG that is a PHP program too", 422, DISGUISED, picture("PNG") + b"<?php system('id');"),
    Case("a JPEG behind a PDF's head", 422, DISGUISED, b"%PDF-1.7\n" + picture("JPEG")),
    Case("a script in EXIF", 422, DISGUISED, with_exif(SCRIPT)),
    Case("a script in a PNG's text", 422, DISGUISED, text_chunk(SCRIPT)),
    Case("a path in the name", 400, "name-holds-a-path", files=[("image", "../../etc/passwd", FINE)]),
    Case("a Windows path in the name", 400, "name-holds-a-path", files=[("image", "..\\\\a.png", FINE)]),
    Case("a name of 300 letters", 400, "name-holds-a-path", files=[("image", "a" * 300, FINE)]),
    Case("called JSON", 415, "wrong-content-type", b"{}", headers={"Content-Type": "application/json"}),
    Case("called nothing", 415, "wrong-content-type", FINE, headers={"Content-Type": ""}),
    Case("no boundary", 400, "damaged-form", FINE, headers={"Content-Type": "multipart/form-data"}),
    Case("another boundary", 400, "damaged-form", b"--b\r\nfoo",
         headers={"Content-Type": "multipart/form-data; boundary=a"}),
    Case("65 files", 400, "damaged-form", files=[("image", "a.png", FINE)] * 65),
    Case("two images where one is asked", 400, "one-image-only", path="/v1/explain",
         files=[("image", "a.png", FINE)] * 2),
    Case("a file over 20 MB", 413, "file-too-large", files=[("image", "a.png", b"\0" * (20 * MB + 1))]),
    Case("from another page", 403, "other-origin", FINE, headers={"Origin": "http://evil.example"}),
    Case("from another page, as the browser tells", 403, "other-origin", FINE,
         headers={"Sec-Fetch-Site": "cross-site"}),
    Case("by a name that was pointed here", 421, "wrong-host", FINE, headers={"Host": "evil.example"}),
    Case("a path that is none", 404, "http", FINE, path="/v1/../../etc/passwd"),
    Case("a method that is none", 405, "http", FINE, method="PUT"),
]  # fmt: skip


def send(served, case: Case, form):
    headers = {"Content-Type": "image/png"} | case.headers
    body = case.data
    if case.files is not None:
        body, headers["Content-Type"] = form(*case.files)
    connection = served.connect()
    try:
        connection.request(case.method, case.path, body, {k: v for k, v in headers.items() if v})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


class OtherClient(threading.Thread):
    """Somebody who goes on asking for the score of one face, and keeps every answer."""

    def __init__(self, served, data):
        super().__init__()
        self.served, self.data, self.stopped = served, data, threading.Event()
        self.answers: list[tuple[int, object]] = []

    def run(self):
        while not self.stopped.wait(0.05):
            reply = self.served.post_image(PATH, self.data)
            self.answers.append((reply.status, reply.json.get("score")))


def slow_body(served) -> tuple[int, bytes]:
    """Headers that promise a body of which one byte comes."""
    connection = served.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"\x89")
    answer = connection.getresponse()
    return answer.status, answer.read()


def chunked(served, total: int) -> int:
    """A body that does not say how long it is."""
    connection = served.connect()

    def parts():
        for _ in range(total // MB):
            yield b"\0" * MB

    try:
        connection.request("POST", PATH, parts(), {"Content-Type": "image/png"}, encode_chunked=True)
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):  # told to stop before all was sent
        return 413
    finally:
        connection.close()


def promised(served, length: str) -> int:
    connection = served.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_every_hostile_upload_costs_one_4xx_while_others_are_served(served, form, face_jpeg):
    assert len(CASES) >= 40
    other = OtherClient(served, face_jpeg)
    other.start()
    try:
        told = {case.name: send(served, case, form) for case in CASES}
        slow, said = slow_body(served)
        no_length, too_long, nonsense = (
            chunked(served, 25 * MB),
            promised(served, "900000000"),
            promised(served, "-1"),
        )
    finally:
        other.stopped.set()
        other.join()
    for case in CASES:
        status, media, body = told[case.name]
        assert (status, media) == (case.status, "application/problem+json"), (case.name, body[:300])
        assert f'"urn:audit:problem:{case.kind}"'.encode() in body, (case.name, body[:300])
        assert b"Traceback" not in body and str(Path.cwd()).encode() not in body, case.name
    assert slow == 408 and b"not complete after 4 s" in said
    assert (no_length, too_long, nonsense) == (413, 413, 400)
    assert len(other.answers) > 20
    assert {status for status, _ in other.answers} == {200}
    assert len({score for _, score in other.answers}) == 1
    assert served.ask("GET", "/healthz").json["status"] == "ok"


def test_a_connection_that_breaks_off_is_forgotten(served, face_jpeg):
    connection = served.connect()
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Type", "image/jpeg")
    connection.putheader("Content-Length", str(len(face_jpeg)))
    connection.endheaders(face_jpeg[:100])
    connection.close()
    assert served.post_image(PATH, face_jpeg).status == 200


def test_a_request_that_is_none_is_refused(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    connection.connect()
    connection.sock.sendall(b"\x16\x03\x01\x02\x00 a TLS hello\r\n\r\n")
    assert b"400" in connection.sock.recv(100)
    connection.close()


@pytest.mark.parametrize("word", ["face.jpg", "secret-name"])
def test_nothing_of_an_image_is_written(served, form, face_jpeg, word, tmp_path_factory):
    files = {path for path in Path("/tmp").glob("*") if "audit-serve-" in path.name}
    body, kind = form(("image", word, face_jpeg + b"\0" * 3 * MB))
    assert served.ask("POST", "/v1/explain", body, Content_Type=kind).status == 200
    opened = [path.resolve().name for path in Path(f"/proc/{served.process.pid}/fd").iterdir()]
    assert not [name for name in opened if name.startswith("tmp")]
    assert files == {path for path in Path("/tmp").glob("*") if "audit-serve-" in path.name}
