"""Clips from disk to samples: the only reader of audio.

A path enters; mono float32 samples at the clip's own rate leave, or a `ClipError` that says why not.

Why the first bytes decide before the library does: libsndfile knows some thirty formats, and a verifier needs
five. The others stay out of reach of a file from a stranger.
Why samples are counted before they are decoded: FLAC stores an hour of silence in a few kilobytes.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from pipelines.errors import (
    ClipDistorted,
    ClipEmpty,
    ClipMissing,
    ClipSilent,
    ClipTooLarge,
    ClipUnreadable,
)
from pipelines.extras import require
from pipelines.storage import open_regular

if TYPE_CHECKING:
    from soundfile import SoundFile

MAX_BYTES: Final = 200_000_000
MAX_SAMPLES: Final = 40_000_000
"""Of all channels together: seven minutes of stereo at 48 kHz."""
MAX_CHANNELS: Final = 8
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 192_000
SILENT_RMS: Final = 1e-3
"""Root mean square, of full scale, below which nothing is heard: -60 dBFS."""
FULL_SCALE: Final = 0.99
MAX_CLIPPED_SHARE: Final = 0.05
"""Of samples at full scale; beyond, the waveform is that of the limiter."""
Samples = npt.NDArray[np.float32]
_BEGINNINGS: Final = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3")
"""WAV, WAV beyond 4 GB, AIFF, FLAC, Ogg, MP3 with tags; MP3 without begins with eleven ones."""


@dataclass(frozen=True)
class Sound:
    """One clip, decoded."""

    samples: Samples
    """float32 [n], mono, full scale is -1 to 1."""
    rate_hz: int
    n_channels: int
    sha256: str
    """Of the file's bytes."""
    clipped_share: float
    """Of the samples, at full scale."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate_hz


def read_sound(path: Path) -> Sound:
    """Read one clip: WAV, AIFF, FLAC, Ogg (Vorbis, Opus) or MP3, of any depth; channels are averaged.

    Args:
        path: The file.

    Returns:
        The clip, at its own rate.

    Raises:
        ClipMissing: no file there.
        ClipTooLarge: more bytes, samples or channels than the limits, or a rate outside them.
        ClipUnreadable: not audio, damaged, with values that are no numbers, or not allowed to be read.
        ClipEmpty, ClipSilent, ClipDistorted: audio in which there is nobody to recognise.
        MissingExtra: soundfile is not installed.
    """
    require("reading audio", "voice")
    data = _bytes(path)
    channels, rate = _decode(data, path.name)
    if not len(channels):
        raise ClipEmpty(f"{path.name} holds no sample")
    if not np.isfinite(channels).all():
        raise ClipUnreadable(f"{path.name} holds samples that are no numbers")
    clipped = float((np.abs(channels) >= FULL_SCALE).mean())
    samples = channels.mean(axis=1, dtype=np.float32)
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if rms < SILENT_RMS:
        raise ClipSilent(f"{path.name} is silent: its level is {rms:.1e} of full scale")
    if clipped > MAX_CLIPPED_SHARE:
        raise ClipDistorted(f"{path.name}: {100 * clipped:.0f} % of its samples are at full scale")
    return Sound(samples, rate, channels.shape[1], hashlib.sha256(data).hexdigest(), clipped)


def _bytes(path: Path) -> bytes:
    """The bytes of a regular file of bounded size."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ClipMissing(f"{path.name} is not there") from None
    except OSError as fault:
        raise ClipUnreadable(f"{path.name} cannot be read: {fault.strerror or fault}") from None
    if len(data) > MAX_BYTES:
        raise ClipTooLarge(f"{path.name} has more than {MAX_BYTES:,} bytes")
    return data


def _decode(data: bytes, name: str) -> tuple[Samples, int]:
    """float32 [n, channels] and the rate in Hz."""
    import soundfile

    mp3 = len(data) > 1 and data[0] == 0xFF and data[1] >= 0xE0
    if not data:
        raise ClipEmpty(f"{name} is an empty file")
    if not (data.startswith(_BEGINNINGS) or mp3):
        raise ClipUnreadable(f"{name} is not WAV, AIFF, FLAC, Ogg or MP3")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_promises(file, name)
            return file.read(dtype="float32", always_2d=True), int(file.samplerate)
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as fault:
        raise ClipUnreadable(f"{name} is not readable audio: {fault}") from None


def _check_promises(file: SoundFile, name: str) -> None:
    """Refuse a clip by what its header says, before memory is taken for it."""
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        raise ClipTooLarge(
            f"{name} has {file.samplerate:,} samples a second; {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} are read"
        )
    if file.channels > MAX_CHANNELS:
        raise ClipTooLarge(f"{name} has {file.channels} channels; up to {MAX_CHANNELS} are read")
    if file.frames * file.channels > MAX_SAMPLES:
        raise ClipTooLarge(
            f"{name} promises {file.frames * file.channels:,} samples; the limit is {MAX_SAMPLES:,}"
        )
