"""VoxCeleb, Common Voice, folders and tables are read as they are published or lie about."""

from __future__ import annotations

import pandas as pd
import pytest

from pipelines import errors
from pipelines.voices.clip_table import read_clips

VOX_META = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
    "id10002\tA.R._Rahman\tm\tIndia\tdev\n"
    "id10270\tEartha_Kitt\tf\tUSA\ttest\n"
)
VALIDATED = (
    "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents"
    "\tvariant\tlocale\tsegment\n"
    'aaa\tcommon_voice_en_1.mp3\tx1\t"Never," he said.\t\t2\t0\ttwenties\tmale_masculine'
    "\tUnited States English\t\ten\t\n"
    'aaa\tcommon_voice_en_2.mp3\tx2\tA 6" nail\t\t2\t1\ttwenties\tmale_masculine\tUnited '
    "States English\t\ten\t\n"
    "bbb\tcommon_voice_en_3.mp3\tx3\tPlain words\t\t3\t0\t\t\t\t\ten\t\n"
)


def touched(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    return root


@pytest.mark.parametrize("below", ["", "wav/", "dev/wav/"])
def test_voxceleb_as_published(tmp_path, below):
    (tmp_path / "vox1_meta.csv").write_text(VOX_META)
    touched(tmp_path, f"{below}id10001/1zcIwhmdeo4/00001.wav", f"{below}id10001/7gWzIy6yIIk/00001.wav",
            f"{below}id10270/5r0dWxy17C8/00002.wav", f"{below}id10999/v/00001.wav")  # fmt: skip
    clips = read_clips(tmp_path)
    assert clips.layout == "voxceleb" and clips.attributes == ("gender", "nationality")
    first = clips.table.iloc[0]
    assert first["clip_id"] == "id10001/1zcIwhmdeo4/00001.wav" and first["session"] == "1zcIwhmdeo4"
    assert first[["speaker", "gender", "nationality"]].tolist() == ["id10001", "male", "Ireland"]
    assert "1 speakers are not in vox1_meta.csv, such as id10999." in clips.notes


def test_common_voice_as_published_quotes_and_all(tmp_path):
    (tmp_path / "validated.tsv").write_text(VALIDATED)
    for place in (tmp_path, tmp_path / "validated.tsv"):
        clips = read_clips(place)
        assert clips.attributes == ("age", "gender", "accent")
        assert clips.table["speaker"].tolist() == ["aaa", "aaa", "bbb"]
        assert clips.table["path"].iloc[0] == str(tmp_path / "clips" / "common_voice_en_1.mp3")
        assert clips.table["accent"].tolist() == ["United States English"] * 2 + [None]


def test_an_older_common_voice_calls_it_accent(tmp_path):
    text = VALIDATED.replace("accents", "accent").replace("male_masculine", "male")
    (tmp_path / "validated.tsv").write_text(text)
    assert read_clips(tmp_path).table["accent"].iloc[0] == "United States English"


def test_a_line_that_lost_a_field_is_named(tmp_path):
    (tmp_path / "validated.tsv").write_text(VALIDATED + "ccc\tcommon_voice_en_4.mp3\n")
    with pytest.raises(errors.ClipTableError, match="line 5 has 2 fields, its header 13"):
        read_clips(tmp_path)


def test_folders_with_labels(hummed):
    clips = read_clips(hummed)
    assert clips.layout == "folders" and clips.attributes == ("gender", "accent") and len(clips.table) == 48
    assert clips.table.iloc[0]["clip_id"] == "p00/0.wav" and clips.table["session"].isna().all()


def test_folders_without_labels_say_so(tmp_path):
    clips = read_clips(touched(tmp_path, "ann/1.wav", "bob/day1/1.wav", "stray.wav"))
    assert clips.attributes == () and clips.table["session"].tolist() == [None, "day1"]
    assert clips.notes == (
        "No labels: neither speakers.csv nor labels.csv is there, so nothing can be audited by group.",
    )


def test_labels_lie_elsewhere_and_lack_somebody(tmp_path):
    touched(tmp_path, "v/ann/1.wav", "v/bob/1.wav")
    (tmp_path / "who.csv").write_text("Speaker;Age\nann;40s\n")
    clips = read_clips(tmp_path / "v", tmp_path / "who.csv")
    assert clips.table["age"].tolist() == ["40s", None]
    assert clips.notes == ("1 speakers are not in who.csv, such as bob.", "1 of 2 clips have no age.")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_clips(tmp_path, suffix):
    frame = pd.DataFrame(
        {"File": ["x/1.wav", "x/2.wav"], "Speaker": ["ann", "bob"], "gender": ["f", "unknown"]}
    )
    path = tmp_path / f"clips.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    clips = read_clips(path)
    assert clips.table["path"].tolist() == [str(tmp_path / "x/1.wav"), str(tmp_path / "x/2.wav")]
    assert clips.table["gender"].tolist() == ["f", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,gender\na.wav,f\n", "has no column 'speaker'"),
        ("speaker,gender\nann,f\n", r"has no column of paths \(path, clip or file\)"),
        ("path,speaker\na.wav,ann\na.wav,bob\n", "the clip a.wav comes twice"),
        ("path,speaker\na.wav,\n", "the clip a.wav has no speaker"),
        ("path,speaker,score\na.wav,ann,1\n", "has a column 'score', a name that this program uses itself"),
        ("path,speaker,age\na.wav,ann,\x1b[2J\n", "holds control characters"),
        ("path,speaker\n", "holds no clips"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(errors.VoicesError, match=message):
        read_clips(tmp_path / "clips.csv")


def test_nothing_there(tmp_path):
    with pytest.raises(errors.ClipsNotFound, match=r"no clips at .*nowhere: name a folder"):
        read_clips(tmp_path / "nowhere")
    with pytest.raises(errors.ClipsNotFound, match="holds no clips"):
        read_clips(tmp_path)
    (tmp_path / "vox1_meta.csv").write_text(VOX_META)
    with pytest.raises(errors.ClipsNotFound, match="folders called like id10001"):
        read_clips(tmp_path)
