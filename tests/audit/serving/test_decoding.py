"""The processes that decode: confined, replaced when they die, and sparing with what they say."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.serving.credentials import describe
from audit.serving.decoding import Decoders
from audit.serving.limits import Limits
from audit.serving.problems import Problem
from detectors.isolation.confined_process import is_confined
from detectors.isolation.support import why_unavailable


def jpeg(segment: bytes = b"") -> bytes:
    """A grainy JPEG, with a segment of its own behind the first marker."""
    file = io.BytesIO()
    grain = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(grain).save(file, "JPEG", quality=95)
    data = file.getvalue()
    return data[:2] + segment + data[2:]


def app11(content: bytes) -> bytes:
    return b"\xff\xeb" + (len(content) + 2).to_bytes(2, "big") + content


BROKEN = app11(b"JP\0\x01\0\0\0\x01" + b"\0\0\0\x20jumb" + b"\0\0\0\x18jumdc2pa" + b"\0" * 16)


@pytest.fixture(scope="module")
def decoders():
    made = Decoders(Limits(decoders=1))
    yield made
    made.close()


def process_of(decoders) -> int:
    decoder = decoders._free.get()
    decoders._free.put(decoder)
    return decoder._process.pid


def test_pixels_are_pillows_and_the_process_has_no_rights(decoders):
    found = decoders.decode(jpeg())
    with Image.open(io.BytesIO(jpeg()), formats=["JPEG"]) as image:
        assert (found.pixels == np.asarray(image.convert("RGB"))).all()
    if not why_unavailable():
        assert is_confined(process_of(decoders))
    links = {os.readlink(link) for link in Path(f"/proc/{process_of(decoders)}/fd").iterdir()}
    assert not [link for link in links if link.startswith(("/tmp", "/home", "socket"))]


def test_one_that_dies_is_replaced(decoders):
    before = process_of(decoders)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(Problem, match="decoding it failed; save it anew as PNG"):
        decoders.decode(jpeg())
    assert decoders.decode(jpeg()).pixels.shape == (48, 64, 3)
    assert process_of(decoders) != before


def test_one_that_takes_too_long_is_ended():
    slow, file = Decoders(Limits(decoders=1, decode_s=0.0)), io.BytesIO()
    large = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype=np.uint8)
    Image.fromarray(large).save(file, "JPEG", quality=95)  # a small one is done before anyone looks
    with pytest.raises(Problem, match=r"decoding it was ended after 0 s"):
        slow.decode(file.getvalue())
    slow.close()


def test_credentials_that_are_none_are_said_to_be_unreadable(decoders):
    pytest.importorskip("c2pa")
    assert decoders.decode(jpeg()).credentials == ""
    told = decoders.decode(jpeg(BROKEN)).credentials
    assert told.startswith("The file carries content credentials that cannot be read (")
    assert describe(b"no image, c2pa") == ""
