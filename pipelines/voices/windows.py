"""Any clip as what a verifier listens to: one rate, silence at the ends taken off, a window of fixed length.

A `Sound` enters; float32 samples leave.

Why the silent ends go: a window at a random place would otherwise hold no voice. Pauses inside stay; they are
part of how somebody speaks.
Why the centre in tests: the same clip then gives the same score, whoever asks and however often.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

from pipelines.errors import ClipSilent, ClipTooShort, SettingError
from pipelines.voices.sound import MAX_RATE_HZ, MIN_RATE_HZ, SILENT_RMS, Samples, Sound, read_sound

FRAME_S: Final = 0.02
QUIET: Final = 0.01
"""Of the loudest frame: -40 dB. Frames below it at either end are silence."""
MAX_WINDOW: Final = 4_000_000
Wave = TypeVar("Wave", bound=npt.NDArray[Any])
"""Samples, float32 or int16."""


@dataclass(frozen=True)
class Listening:
    """How much of a clip a verifier hears.

    Attributes:
        rate_hz: Samples a second that every clip is brought to.
        n_samples: Length of the window; 25,000 at 16 kHz are 1.56 s.
    """

    rate_hz: int = 16_000
    n_samples: int = 25_000

    def __post_init__(self) -> None:
        if type(self.rate_hz) is not int or not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise SettingError(f"rate_hz is {self.rate_hz!r}; it must be {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        if type(self.n_samples) is not int or not self.rate_hz // 10 <= self.n_samples <= MAX_WINDOW:
            raise SettingError(
                f"n_samples is {self.n_samples!r}; a window has {self.rate_hz // 10} (a tenth of a "
                f"second) to {MAX_WINDOW:,}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"rate_hz": self.rate_hz, "n_samples": self.n_samples}


def read_voice(path: Path, listening: Listening) -> tuple[Samples, Sound]:
    """Read a clip and bring it to one form.

    Args:
        path: The file.
        listening: Rate and length of the window.

    Returns:
        float32 [at least `listening.n_samples`] at `listening.rate_hz` without silent ends, and the clip.

    Raises:
        ClipError: as `read_sound`; ClipTooShort where less than a window is left.
    """
    sound = read_sound(path)
    voice = trimmed(resampled(sound.samples, sound.rate_hz, listening.rate_hz), listening.rate_hz)
    if len(voice) < listening.n_samples:
        raise ClipTooShort(
            f"{path.name} holds {len(voice) / listening.rate_hz:.2f} s of sound; the window is "
            f"{listening.n_samples / listening.rate_hz:.2f} s"
        )
    return voice, sound


def resampled(samples: Samples, rate_hz: int, wanted_hz: int) -> Samples:
    """The same sound at another rate, filtered against aliasing.

    >>> len(resampled(np.zeros(96_000, np.float32), 96_000, 16_000))
    16000
    """
    if rate_hz == wanted_hz:
        return samples
    common = gcd(rate_hz, wanted_hz)
    found = resample_poly(samples, wanted_hz // common, rate_hz // common)
    return np.asarray(found, dtype=np.float32)


def trimmed(samples: Samples, rate_hz: int) -> Samples:
    """From the first to the last frame of 20 ms that is not silent.

    Raises:
        ClipSilent: no frame is louder than silence.
    """
    size = max(1, int(FRAME_S * rate_hz))
    n = -(-len(samples) // size)
    frames = np.pad(samples, (0, n * size - len(samples))).reshape(n, size).astype(np.float64)
    level = np.sqrt((frames**2).mean(axis=1))
    if level.max() < SILENT_RMS:
        raise ClipSilent(f"silent at {rate_hz:,} Hz: its loudest 20 ms have a level of {level.max():.1e}")
    loud = np.flatnonzero(level >= QUIET * level.max())
    return samples[loud[0] * size : (loud[-1] + 1) * size]


def centre(voice: Wave, n_samples: int) -> Wave:
    """The window in the middle."""
    start = (len(voice) - n_samples) // 2
    return cast(Wave, voice[start : start + n_samples])


def random_place(voice: Wave, n_samples: int, random: np.random.Generator) -> Wave:
    """A window anywhere, every place alike."""
    start = int(random.integers(0, len(voice) - n_samples + 1))
    return cast(Wave, voice[start : start + n_samples])
