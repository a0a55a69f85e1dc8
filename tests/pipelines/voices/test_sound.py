"""Clips of every kind become samples, or a row with its reason."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import errors
from pipelines.voices import sound as reader
from pipelines.voices.sound import read_sound
from pipelines.voices.windows import Listening, centre, random_place, read_voice, resampled, trimmed

sf = pytest.importorskip("soundfile", reason="needs the extra [voice]")


@pytest.mark.parametrize(
    "name", ["stereo.wav", "eight-bit.wav", "96k.wav", "44k.flac", "spoken.ogg", "spoken.mp3"]
)
def test_every_depth_rate_and_format_is_the_same_voice(odd_clips, name):
    voice, sound = read_voice(odd_clips / name, Listening())
    assert voice.dtype == np.float32 and len(voice) >= 25_000
    spectrum = np.abs(np.fft.rfft(centre(voice, 16_000) * np.hanning(16_000)))
    assert abs(int(spectrum.argmax()) - 115) <= 1  # one bin is 1 Hz; the pitch of speaker 1 is 115 Hz
    assert sound.n_channels == (2 if name == "stereo.wav" else 1)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("empty.wav", errors.ClipEmpty, "holds no sample"),
        ("nothing.wav", errors.ClipEmpty, "is an empty file"),
        ("silent.wav", errors.ClipSilent, "is silent"),
        ("clipped.wav", errors.ClipDistorted, "% of its samples are at full scale"),
        ("short.wav", errors.ClipTooShort, r"holds 1\.00 s of sound; the window is 1\.56 s"),
        ("padded.wav", errors.ClipTooShort, r"holds 1\.00 s of sound"),
        ("nan.wav", errors.ClipUnreadable, "samples that are no numbers"),
        ("text.wav", errors.ClipUnreadable, "is not WAV, AIFF, FLAC, Ogg or MP3"),
        ("riff.wav", errors.ClipUnreadable, "is not readable audio"),
        ("cut.flac", errors.ClipUnreadable, "is not readable audio"),
        ("absent.wav", errors.ClipMissing, "is not there"),
    ],
)
def test_what_cannot_be_used_says_why(odd_clips, name, error, message):
    with pytest.raises(error, match=message):
        read_voice(odd_clips / name, Listening())


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(errors.ClipUnreadable, match=r"pipe\.wav cannot be read: not a regular file"):
        read_sound(tmp_path / "pipe.wav")


def test_a_header_that_promises_hours_takes_no_memory(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.flac", np.zeros(200_000, np.float32) + 0.01, 16_000)
    monkeypatch.setattr(reader, "MAX_SAMPLES", 100_000)
    with pytest.raises(errors.ClipTooLarge, match="promises 200,000 samples; the limit is 100,000"):
        read_sound(tmp_path / "a.flac")


def test_channels_and_rates_have_limits(tmp_path):
    sf.write(tmp_path / "nine.wav", np.full((100, 9), 0.1), 16_000)
    with pytest.raises(errors.ClipTooLarge, match="has 9 channels; up to 8 are read"):
        read_sound(tmp_path / "nine.wav")
    whole = bytearray((tmp_path / "nine.wav").read_bytes())
    whole[24:28] = struct.pack("<I", 400_000)
    (tmp_path / "fast.wav").write_bytes(whole)
    with pytest.raises(errors.ClipTooLarge, match="has 400,000 samples a second; 4,000 to 192,000 are read"):
        read_sound(tmp_path / "fast.wav")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_clip_ends_as_an_expected_error_or_as_sound(odd_clips, tmp_path_factory, data):
    name = data.draw(st.sampled_from(["stereo.wav", "44k.flac", "spoken.ogg", "spoken.mp3", "eight-bit.wav"]))
    whole = bytearray((odd_clips / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.one_of(st.integers(0, 63), st.integers(0, len(whole) - 1)))
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged-{name}"
    path.write_bytes(whole[: data.draw(st.integers(1, len(whole)))])
    try:
        voice, _ = read_voice(path, Listening())
    except errors.ClipError as fault:
        assert fault.reason and "\n" not in str(fault)
    else:
        assert np.isfinite(voice).all() and len(voice) >= 25_000


def test_resampling_keeps_a_tone_and_stops_what_would_alias():
    t = np.arange(96_000) / 96_000
    low, high = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1_000, 20_000))
    assert np.abs(resampled(low, 96_000, 16_000)[200:-200]).max() == pytest.approx(1, abs=0.02)
    assert np.abs(resampled(high, 96_000, 16_000)[200:-200]).max() < 0.01


def test_silent_ends_go_and_pauses_stay():
    loud, quiet = np.full(1_600, 0.5, np.float32), np.zeros(3_200, np.float32)
    assert len(trimmed(np.concatenate([quiet, loud, quiet, loud, quiet]), 16_000)) == 6_400
    with pytest.raises(errors.ClipSilent, match="silent at 16,000 Hz"):
        trimmed(quiet, 16_000)


def test_windows_lie_in_the_middle_or_anywhere():
    voice = np.arange(100, dtype=np.float32)
    assert centre(voice, 10)[0] == 45
    starts = {int(random_place(voice, 98, np.random.default_rng(i))[0]) for i in range(50)}
    assert starts == {0, 1, 2}


def test_a_window_of_no_sense_is_refused():
    with pytest.raises(errors.SettingError, match="n_samples is 10; a window has 1600"):
        Listening(n_samples=10)
    with pytest.raises(errors.SettingError, match="rate_hz is 1; it must be 4000 to 192000"):
        Listening(rate_hz=1)
