"""One clip in every format and condition that people bring."""

from __future__ import annotations

import numpy as np
import pytest

sf = pytest.importorskip("soundfile", reason="needs the extra [voice]")


@pytest.fixture(scope="session")
def odd_clips(tmp_path_factory, hum):
    """One file of every kind that goes wrong, or nearly."""
    root = tmp_path_factory.mktemp("odd")
    wave = hum(1, 0)
    sf.write(root / "stereo.wav", np.stack([wave, 0.5 * wave], axis=1), 16_000)
    sf.write(root / "eight-bit.wav", wave, 16_000, subtype="PCM_U8")
    sf.write(root / "96k.wav", hum(1, 0, rate=96_000), 96_000, subtype="PCM_24")
    sf.write(root / "44k.flac", hum(1, 0, rate=44_100), 44_100)
    sf.write(root / "spoken.ogg", wave, 16_000)
    sf.write(root / "spoken.mp3", hum(1, 0, rate=48_000), 48_000)
    sf.write(root / "empty.wav", np.zeros(0, np.float32), 16_000)
    (root / "nothing.wav").write_bytes(b"")
    sf.write(root / "silent.wav", np.zeros(32_000, np.float32), 16_000)
    sf.write(root / "short.wav", hum(1, 0, seconds=1.0), 16_000)
    sf.write(root / "clipped.wav", np.clip(30 * wave, -1, 1), 16_000)
    sf.write(root / "padded.wav", np.concatenate([np.zeros(40_000, np.float32), wave[:16_000]]), 16_000)
    sf.write(root / "nan.wav", np.where(np.arange(32_000) == 5, np.nan, wave), 16_000, subtype="FLOAT")
    (root / "text.wav").write_text("not audio at all")
    (root / "riff.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEjunk" + bytes(64))
    (root / "cut.flac").write_bytes((root / "44k.flac").read_bytes()[:40])
    return root
