"""Clips made of numbers: a few harmonics a speaker, in every format that people bring."""

from __future__ import annotations

import numpy as np
import pytest

sf = pytest.importorskip("soundfile", reason="needs the extra [voice]")


def hum(speaker: int, take: int, seconds: float = 2.0, rate: int = 16_000):
    """Harmonics of one pitch, with a little noise of this take."""
    t = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * k * (100 + 15 * speaker) * t) / k for k in range(1, 6))
    return (0.15 * wave + 0.01 * np.random.default_rng([speaker, take]).normal(size=len(t))).astype(
        np.float32
    )


@pytest.fixture(scope="session")
def hummed(tmp_path_factory):
    """speaker/clip.wav of twelve speakers in four cells, with speakers.csv."""
    root = tmp_path_factory.mktemp("hummed")
    lines = ["speaker,gender,accent"]
    for speaker in range(12):
        folder = root / f"p{speaker:02d}"
        folder.mkdir()
        lines.append(
            f"p{speaker:02d},{'female' if speaker % 2 else 'male'},{'north' if speaker % 4 < 2 else 'south'}"
        )
        for take in range(4):
            sf.write(folder / f"{take}.wav", hum(speaker, take), 16_000)
    (root / "speakers.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def odd_clips(tmp_path_factory):
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
