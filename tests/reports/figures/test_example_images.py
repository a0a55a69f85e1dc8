"""Pictures in the page: small, stripped, and only from the run folder."""

import base64
import io

import pytest
from PIL import Image

from reports.figures import example_images as samples


def decode(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_a_picture_is_made_small_and_loses_its_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "who took it"
    Image.new("RGB", (900, 600), "red").save(tmp_path / "big.jpg", exif=exif)
    picture = decode(samples.embed(tmp_path, "big.jpg"))
    assert max(picture.size) == samples.MAX_SIDE_PX
    assert not picture.getexif()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_kind_of_picture_is_shown(tmp_path, mode):
    Image.new(mode, (50, 50)).save(tmp_path / "x.tif")
    assert decode(samples.embed(tmp_path, "x.tif")).mode == "RGB"


def test_a_path_out_of_the_run_folder_is_refused(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (tmp_path / "run").mkdir()
    for name in ("../secret.png", str(tmp_path / "secret.png")):
        with pytest.raises(OSError, match="out of the run folder"):
            samples.embed(tmp_path / "run", name)


def test_a_link_out_of_the_run_folder_is_refused(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(OSError, match="out of the run folder"):
        samples.embed(tmp_path / "run", "x.png")


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"<svg onload=alert(1)>")
    with pytest.raises(OSError, match="not a picture"):
        samples.embed(tmp_path, "x.png")


def test_a_huge_picture_is_refused(tmp_path):
    Image.new("1", (6000, 6000)).save(tmp_path / "x.png")
    with pytest.raises(OSError, match="too large"):
        samples.embed(tmp_path, "x.png")


def test_cards_come_by_kind_with_scores_and_decisions(run_dir, result):
    cards = samples.cards(run_dir, result)
    assert list(cards) == ["false accusation", "missed fake", "random", "reject"]
    for card in cards["false accusation"]:
        real, fake = card.halves
        assert (real.name, fake.name) == ("Real", "Fake")
        assert real.flagged and real.wrong
        assert real.uri.startswith("data:image/jpeg;base64,")


def test_what_is_missing_says_why(tmp_path, result):
    (card, *_) = samples.cards(tmp_path, result)["random"]
    assert card.halves[0].uri is None
    assert card.halves[0].missing == "the picture is not in the run folder"


def test_faces_can_be_left_out(run_dir, result):
    chosen = samples.cards(run_dir, result, images=False)
    halves = [h for cards in chosen.values() for card in cards for h in card.halves]
    assert halves and all(h.uri is None for h in halves)
