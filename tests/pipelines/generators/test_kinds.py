"""What was meant by the word after --generator."""

import pytest

from pipelines.errors import SettingError
from pipelines.generators.kinds import KINDS, about_kind, check_words, form_of, slug


def test_every_kind_says_what_a_reader_must_know():
    for form, kind in KINDS.items():
        record = about_kind(form, "x")
        assert record["licence"] == kind.licence != ""
        assert record["labels"] == kind.labels != ""
    assert {form for form, kind in KINDS.items() if kind.masked} == {"swap", "self-blend"}


def test_a_file_is_a_checkpoint_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vae:x").write_text("")
    (tmp_path / "a:b").write_text("")
    assert [form_of(w) for w in ("vae:x", "a:b", "vae:y", "aa:c", "small")] == [
        "checkpoint", "checkpoint", "vae:", "module:", "small",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [("self-blend", "self-blend"), ("pkg.mod:make", "pkg.mod-make"), ("../..", "unnamed"), ("Ä b", "b"),
     ("vae:/models/SD 1.5", "vae-sd-1.5")],
)  # fmt: skip
def test_names_are_plain_folder_names(text, name):
    assert slug(text) == name


def test_no_word_and_a_word_twice_are_refused():
    with pytest.raises(SettingError, match="no --generator given; name at least one"):
        check_words([])
    with pytest.raises(SettingError, match="--generator swap is given twice"):
        check_words(["swap", "small", "swap"])
