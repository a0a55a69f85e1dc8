"""Synthetic speakers: the same seed gives the same bytes, and the folder says what it is."""

from __future__ import annotations

import shutil

import pytest

from pipelines import errors
from pipelines.voices import rendered_voices as rendered
from pipelines.voices.clip_table import read_clips
from pipelines.voices.windows import Listening, read_voice

pytest.importorskip("soundfile", reason="needs the extra [voice]")
needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: sh tests/install_browser.sh"
)


@needs_espeak
def test_the_same_seed_gives_the_same_bytes_and_every_clip_can_be_used(tmp_path):
    first = rendered.render_voices(tmp_path / "a", 9, 2, seed=3, workers=2)
    second = rendered.render_voices(tmp_path / "b", 9, 2, seed=3, workers=1)
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert len(files) == 20 and all((first / f).read_bytes() == (second / f).read_bytes() for f in files)
    clips = read_clips(first)
    assert clips.attributes == ("gender", "accent") and clips.table["speaker"].nunique() == 9
    for path in clips.table["path"]:
        voice, sound = read_voice(first / path, Listening())
        assert len(voice) > 25_000 and sound.clipped_share == 0
    assert "These voices are synthetic" in (first / rendered.MARKER).read_text()
    another = rendered.render_voices(tmp_path / "c", 1, 1, seed=4)
    assert (another / "s0001/001.wav").read_bytes() != (first / "s0001/001.wav").read_bytes()


@needs_espeak
def test_speakers_are_spread_over_gender_and_accent():
    speakers = rendered.draw_speakers(80, seed=0)
    cells = {(one.gender, one.accent) for one in speakers}
    assert len(cells) == 8 and len({(s.variant, s.pitch, s.tract) for s in speakers}) == 80
    assert {one.variant for one in speakers if one.gender == "male"} <= set(rendered.VARIANTS["male"])


def test_without_the_program_one_line_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        errors.SynthesiserNotFound, match=r"needs the program espeak-ng.*apt-get install espeak-ng"
    ):
        rendered.render_voices(tmp_path / "a", 2, 2)


def test_counts_below_one_are_refused(tmp_path):
    with pytest.raises(ValueError, match="n_speakers=0, n_clips=2"):
        rendered.render_voices(tmp_path / "a", 0, 2)
