"""Every option is typed, and honoured or refused: none is read as something else, none is ignored."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.errors import CheckpointFormatError, SidecarError
from detectors.models import architectures as zoo
from detectors.models.loading import load_detector
from detectors.models.sidecar import KEYS, parse_options, read_sidecar


@pytest.mark.parametrize("word", ["False", "false", "FALSE", "no", "No", "off", "0", '"false"', "'no'"])
def test_no_is_no(word):
    assert parse_options([f"inverted={word}"]) == {"inverted": False}


@pytest.mark.parametrize("word", ["True", "true", "TRUE", "yes", "on", "1", '"true"'])
def test_yes_is_yes(word):
    assert parse_options([f"inverted = {word}"]) == {"inverted": True}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("inverted=maybe", "inverted is 'maybe'; it must be true or false"),
        ("inverted=2", "inverted is '2'; it must be true or false"),
        ("inverted=", "inverted is ''; it must be true or false"),
        ("size_px=64.0", "size_px is 64.0; it must be a whole number"),
        ("size_px=true", "size_px is True; it must be a whole number"),
        ("size_px=big", "size_px is 'big'; it must be a whole number"),
        ("fake_index=1.5", r"fake_index is 1\.5; it must be a class number, or a list of them"),
        ("fake_index=true", "fake_index is True; it must be a class number"),
        ("fake_index=[1, 0.5]", "fake_index is .* it must be a class number, or a list"),
        ("mean=0.5", r"mean is 0\.5; it must be a list of numbers"),
        ("mean=['a', 'b', 'c']", "mean is .* it must be a list of numbers"),
        ("std=[true, true, true]", "std is .* it must be a list of numbers"),
        ("size=3", r"^--set: unknown key 'size'; known are size_px"),
        ("mean=" + "[" * 5000, "mean is .* it must be a list of numbers"),
    ],
)
def test_another_type_is_refused(option, message):
    with pytest.raises(SidecarError, match=message):
        parse_options([option])


@given(st.sampled_from(KEYS), st.text(max_size=12))
def test_any_text_is_a_typed_value_or_one_line(key, text):
    try:
        value = parse_options([f"{key}={text}"])[key]
    except SidecarError as error:
        assert "\n" not in str(error)
    else:
        kinds = {"inverted": bool, "size_px": int, "channels": int, "classes": int, "fake_index": (int, list)}
        words = ("colour", "resize", "face", "arch", "layout", "output")
        assert isinstance(value, kinds.get(key, str if key in words else list))


def test_a_key_given_twice_is_refused():
    with pytest.raises(SidecarError, match="--set size_px is given twice: 64 and '32'"):
        parse_options(["size_px=64", "size_px=32"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('inverted = "False"', "inverted is 'False'; it must be true or false"),
        ("fake_index = 1.5", "fake_index is 1.5"),
        ("mean = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("size_px = " + "9" * 5000, "is not TOML"),
        ('arch = "a\\u0000b"', "simplenet|not a|no network|unknown"),
    ],
)
def test_a_sidecar_is_typed_too(tmp_path, text, message):
    torch.save(zoo.build("simplenet").state_dict(), tmp_path / "net.pth")
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(Exception, match=message) as raised:
        load_detector(tmp_path / "net.pth", arch=None if "arch" in text else "simplenet")
    assert type(raised.value).__module__ == "detectors.errors"


def test_options_of_python_are_typed_as_well():
    with pytest.raises(SidecarError, match="inverted is 'no'; it must be true or false"):
        read_sidecar(None, {"inverted": "no"})


@pytest.mark.parametrize(
    "option",
    ["inverted=true", "fake_index=0", "output=probability", "size_px=64", "mean=[0, 0, 0]", "layout=nhwc"],
)
def test_what_contradicts_our_own_checkpoint_is_refused(checkpoint, option):
    with pytest.raises(SidecarError, match=r"says itself that .* leave it out"):
        load_detector(checkpoint, options=parse_options([option]))


def test_what_agrees_with_our_own_checkpoint_is_taken(checkpoint):
    plain = load_detector(checkpoint)
    said = ["inverted=no", "fake_index=1", "output=logits", "size_px=32", "arch=simplenet", "layout=nchw"]
    again = load_detector(checkpoint, options=parse_options(said))
    assert again.output == plain.output and again.preprocessing == plain.preprocessing
    assert again.provenance == plain.provenance, "what it was trained on must stay known"


def test_another_architecture_than_our_own_checkpoint_says_is_refused(checkpoint):
    with pytest.raises(SidecarError, match="says itself that arch is 'simplenet'"):
        load_detector(checkpoint, arch="resnet18")


def test_keys_without_a_use_are_refused(tmp_path):
    torch.save(zoo.build("simplenet").state_dict(), tmp_path / "net.pth")
    with pytest.raises(SidecarError, match="layout = 'nhwc' is for networks of unknown code"):
        load_detector(tmp_path / "net.pth", arch="simplenet", options={"layout": "nhwc"})
    with pytest.raises(CheckpointFormatError, match="not a checkpoint written by `audit train`"):
        load_detector(tmp_path / "net.pth")
