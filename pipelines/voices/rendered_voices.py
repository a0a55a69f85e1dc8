"""Voices drawn by a program, for the demo and the tests: espeak-ng, in VoxCeleb-like folders of WAV files.

A folder, counts and a seed enter; `SPEAKER/NUMBER.wav` (16 kHz, 16 bits), `speakers.csv` (speaker, gender,
accent) and a README that says the voices are synthetic leave. The same version of espeak-ng and the same seed
give the same bytes.

Why a speaker is more than a voice of espeak-ng: it has some sixty that sound like people. A speaker here is
one of them with an accent, a pitch, a speed and a length of the vocal tract (the sound played a little faster
or slower, which moves all formants) of its own, and a clip varies a little around them.
Why every clip has noise and a colour of its own: without, two clips of a speaker would be told by their
digital silence, and a verifier would learn the synthesiser.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from scipy.signal import lfilter

from pipelines.csv_text import csv_text
from pipelines.errors import SynthesiserNotFound
from pipelines.extras import require
from pipelines.storage import write_bytes, write_text
from pipelines.voices.sound import Samples
from pipelines.voices.windows import resampled

PROGRAM: Final = "espeak-ng"
RATE_HZ: Final = 16_000
ACCENTS: Final = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-029")
GENDERS: Final = ("female", "male")
MARKER: Final = "RENDERED.txt"
LABELS: Final = "speakers.csv"
README: Final = """These voices are synthetic: espeak-ng speaks every sentence; nobody in this folder exists.
Gender and accent are what each voice was made from.
"""
VARIANTS: Final = {
    "female": (
        "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda", "f1", "f2", "f3", "f4", "f5", "grandma",
        "linda", "steph", "steph2", "steph3",
    ),
    "male": (
        "Alex", "Andy", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco",
        "Mario", "Michael", "Mike", "adam", "antonio", "benjamin", "boris", "caleb", "david", "ed", "edward",
        "edward2", "grandpa", "iven", "iven2", "iven3", "iven4", "john", "marcelo", "max", "michel", "miguel",
        "pablo", "paul", "pedro", "quincy", "rob", "robert", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8",
    ),
}  # fmt: skip
"""Voices of espeak-ng that sound like people; whispers and robots are left out."""
_WHO: Final = (
    "my brother",
    "the old captain",
    "our neighbour",
    "a young teacher",
    "the whole village",
    "nobody",
)
_DOES: Final = (
    "remembers",
    "carried away",
    "never wanted",
    "painted",
    "wrote about",
    "has forgotten",
    "sold",
)
_WHAT: Final = (
    "the yellow boat",
    "seven large boxes",
    "a quiet garden",
    "their first house",
    "the broken clock",
)
_WHEN: Final = (
    "before the long winter",
    "on a cold Thursday",
    "under the bridge",
    "while it was raining",
    "last year",
)
_END: Final = ("and then went home", "because of the noise", "without a single word", "for a fair price")
SNR_DB: Final = (12.0, 30.0)
"""Range of the level of the voice over the noise."""
_SECONDS: Final = 60
"""Longest wait for one sentence."""


@dataclass(frozen=True)
class Speaker:
    """One synthetic speaker."""

    name: str
    gender: str
    accent: str
    variant: str
    pitch: float
    """As espeak-ng counts: 0 to 99."""
    words_per_minute: float
    tract: float
    """How much faster the sound is played, around 1: a shorter vocal tract where above."""


def installed_variants() -> set[str]:
    """Names of the voice variants that espeak-ng has here.

    Raises:
        SynthesiserNotFound: It is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise SynthesiserNotFound(
            f"rendering voices needs the program {PROGRAM}, not installed here; on Debian and Ubuntu: "
            f"apt-get install {PROGRAM}"
        )
    listed = _run([PROGRAM, "--voices=variant"]).decode("utf-8", "replace")
    return {line.split("!v/")[1].split()[0] for line in listed.splitlines() if "!v/" in line}


def version() -> str:
    """What espeak-ng says it is, without where its data lie."""
    return _run([PROGRAM, "--version"]).decode("utf-8", "replace").partition("Data at")[0].strip()


def draw_speakers(n_speakers: int, seed: int) -> list[Speaker]:
    """Draw speakers, as many of each gender and accent as the number allows.

    Raises:
        SynthesiserNotFound: espeak-ng is not installed, or lacks its voices.
    """
    there, random = installed_variants(), np.random.default_rng([seed, 18])
    known = {gender: sorted(set(names) & there) for gender, names in VARIANTS.items()}
    if not all(known.values()):
        raise SynthesiserNotFound(f"{PROGRAM} {version()} has no voice variants: install its data")
    queues: dict[str, list[str]] = {gender: [] for gender in GENDERS}
    cells, speakers = list(product(ACCENTS, GENDERS)), []
    for number in range(n_speakers):
        accent, gender = cells[number % len(cells)]
        if not queues[gender]:
            queues[gender] = [str(name) for name in random.permutation(known[gender])]
        speakers.append(
            Speaker(
                f"s{number + 1:04d}", gender, accent, queues[gender].pop(), float(random.uniform(15, 85)),
                float(random.uniform(135, 190)), float(random.uniform(0.86, 1.16)),
            )
        )  # fmt: skip
    return speakers


def render_voices(
    out_dir: str | Path, n_speakers: int = 96, n_clips: int = 10, seed: int = 0, workers: int = 2
) -> Path:
    """Render a labelled population of speakers.

    Args:
        out_dir: The folder to fill; made if absent, clips of the same names replaced.
        n_speakers: How many, balanced over gender and accent.
        n_clips: Of each.
        seed: The same seed gives the same bytes.
        workers: Sentences spoken at once.

    Returns:
        The folder, which `clip_table.read_clips` reads.

    Raises:
        SynthesiserNotFound: espeak-ng is not installed, or fails.
        ValueError: A count below 1.
    """
    if n_speakers < 1 or n_clips < 1:
        raise ValueError(f"counts must be 1 or more: n_speakers={n_speakers}, n_clips={n_clips}")
    require("rendering voices", "voice")
    speakers, folder = draw_speakers(n_speakers, seed), Path(out_dir)
    write_text(folder / MARKER, f"{README}Made by {version()}, seed {seed}.\n")
    rows = [(one.name, one.gender, one.accent) for one in speakers]
    write_text(folder / LABELS, csv_text(("speaker", "gender", "accent"), rows, line_end="\n"))

    def speak(job: tuple[int, int]) -> None:
        who, number = job
        path = folder / speakers[who].name / f"{number + 1:03d}.wav"
        path.parent.mkdir(exist_ok=True)
        sound = render_clip(speakers[who], np.random.default_rng([seed, who, number]))
        write_bytes(path, wav_bytes(sound, RATE_HZ), sync=False)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        list(pool.map(speak, product(range(n_speakers), range(n_clips))))
    return folder


def render_clip(speaker: Speaker, random: np.random.Generator) -> Samples:
    """One sentence, spoken once.

    Args:
        speaker: Who speaks.
        random: Chooses the sentence and how this clip differs from others.

    Returns:
        float32 [n] at `RATE_HZ`, within -1 to 1.

    Raises:
        SynthesiserNotFound: espeak-ng is not installed, or fails.
    """
    import soundfile

    words = [str(random.choice(part)) for part in (_WHO, _DOES, _WHAT, _WHEN, _END)]
    pitch = round(float(np.clip(speaker.pitch + random.normal(0, 4), 0, 99)))
    speed = round(speaker.words_per_minute * float(np.exp(random.normal(0, 0.06))))
    voice = f"{speaker.accent}+{speaker.variant}"
    spoken = _run([PROGRAM, "--stdout", "-v", voice, "-p", str(pitch), "-s", str(speed), " ".join(words)])
    samples, rate = soundfile.read(io.BytesIO(_with_length(spoken)), dtype="float32")
    samples = resampled(samples, round(rate * speaker.tract / 50) * 50, RATE_HZ)
    return _recorded(samples, random)


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """A WAV file of 16 bits; the same bytes for the same samples."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _recorded(samples: Samples, random: np.random.Generator) -> Samples:
    """As a microphone of its own would have it: tone colour, noise and level of this clip alone."""
    colour = float(random.uniform(-0.35, 0.35))
    heard = lfilter([1.0, colour], [1.0], samples.astype(np.float64))
    rms = np.sqrt(np.mean(heard**2))
    noise = lfilter([1.0], [1.0, -0.7], random.normal(size=len(heard)))
    snr = float(random.uniform(*SNR_DB))
    heard = heard + noise * (rms / np.sqrt(np.mean(noise**2)) * 10 ** (-snr / 20))
    peak = float(random.uniform(0.3, 0.9))
    return (heard * (peak / np.abs(heard).max())).astype(np.float32)


def _with_length(wav: bytes) -> bytes:
    """The same WAV with its true length: written to a pipe, espeak-ng's header holds a placeholder."""
    whole = bytearray(wav)
    whole[4:8] = (len(wav) - 8).to_bytes(4, "little")
    whole[40:44] = (len(wav) - 44).to_bytes(4, "little")
    return bytes(whole)


def _run(command: list[str]) -> bytes:
    """What a program prints.

    Raises:
        SynthesiserNotFound: It cannot be started, takes too long, or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as fault:
        raise SynthesiserNotFound(f"{PROGRAM} fails: {fault}; is it installed as a whole?") from None
    return done.stdout
