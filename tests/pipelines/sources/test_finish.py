"""How halves are written: alike, and as the photo was where that is wanted."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import SettingError
from pipelines.sources.finish import NO_TABLES, Finish, parse_finish
from pipelines.sources.jpeg_tables import Tables, tables_of


def photo(seed=0):
    y, x = np.mgrid[0:64, 0:64]
    waves = [127 + 100 * np.sin(x / (3 + i) + seed) * np.cos(y / 5) for i in range(3)]
    return np.stack(waves, -1).astype(np.uint8)


def jpeg(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [35, 90])
def test_source_writes_with_the_photos_own_tables(quality, sampling):
    tables = tables_of(jpeg(photo(), quality=quality, subsampling=sampling))
    written = Finish("source").encode(photo(1), tables)
    assert tables_of(written) == tables
    assert tables.sampling == sampling
    assert Finish("source").suffix(tables) == ".jpg"


def test_a_photo_without_tables_is_written_as_png_and_says_so():
    out = io.BytesIO()
    Image.fromarray(photo()).save(out, "PNG")
    finish = parse_finish("source")
    assert tables_of(out.getvalue()) is None
    assert finish.suffix(None) == ".png"
    assert finish.note(None) == NO_TABLES
    assert finish.encode(photo(), None).startswith(b"\x89PNG")
    assert (finish.as_written(photo(), None) == photo()).all()


def test_a_grey_jpeg_lends_its_tables_to_a_colour_image():
    tables = tables_of(jpeg(photo()[..., 0], quality=60))
    assert len(tables.tables) == 1
    assert tables_of(Finish("source").encode(photo(), tables)).tables[0] == tables.tables[0]


def test_as_written_is_what_a_reader_gets():
    finish, tables = parse_finish("jpeg=40"), Tables(((1,) * 64,), 0)
    data = finish.encode(photo(), tables)
    with Image.open(io.BytesIO(data)) as image:
        assert (np.asarray(image) == finish.as_written(photo(), tables)).all()
    assert finish.encode(photo(), None) == data
    assert (finish.as_written(photo(), None) != photo()).any()


@pytest.mark.parametrize(
    "text", ["", "jpg", "jpeg", "jpeg=", "jpeg=0", "jpeg=101", "jpeg=9.5", "png=3", "source="]
)
def test_other_words_are_refused(text):
    with pytest.raises(
        SettingError, match=r"--finish is .*it must be png, jpeg=Q with Q from 1 to 100, or source"
    ):
        parse_finish(text)
