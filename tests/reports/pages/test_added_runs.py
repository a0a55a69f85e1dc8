"""A stress test and a search for shortcuts in the audit's report: shown where they are of the audited
detector.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.runs.checksums import read_sums
from audit.runs.run_folder import write_result
from audit.schema.result import AdjustedGap, Provenance
from audit.schema.shortcuts import (
    AtEqualFiles,
    FamilyResult,
    Flip,
    PartResult,
    ShortcutDetector,
    ShortcutsResult,
)
from audit.schema.stress import (
    Broken,
    Damage,
    StressedDetector,
    StressKind,
    StressPoint,
    StressResult,
    StressVerdict,
)
from reports.errors import RecordFormatError
from reports.pages.report_page import write_report
from reports.pages.shortcuts_page import write_shortcuts_page
from reports.pages.stress_page import overview_table, write_stress_page
from reports.text.stress_text import broken_sentences, headline

OWN = {"name": "resnet50", "sha256": "ab" * 32}
FOREIGN = {"name": "other", "sha256": "99" * 32}
ATTRIBUTES = {"race": ["A", "B"]}


def shortcuts(finding: str, detector: dict | None = None) -> ShortcutsResult:
    told = finding != "not shown"
    part = dict(auc=0.99 if told else 0.52, interval=(0.97, 1.0) if told else (0.44, 0.6), told=told)
    family = FamilyResult(
        family="format", label="file type", part="file", auc=part["auc"], interval=part["interval"],
        told=told, fact="format", fact_label="file type", real="PNG (100 %)", fake="<b>JPEG</b> (100 %)",
    )  # fmt: skip
    judged = detector and ShortcutDetector(
        name=detector["name"], threshold=0.5, threshold_rule="0.5", provenance=Provenance(detector=detector),
        n_images=80, exchange={"exchanged": 40, "written like its counterpart already": 40},
        flips=[
            Flip(attribute=a, group=g, half=h, n=40, flipped=0.3, interval=(0.18, 0.45), toward=0.25)
            for a, g in (("overall", "overall"), ("race", "A"), ("race", "B"))
            for h in ("real", "fake")
        ],
        at_equal_files=AtEqualFiles(
            raw=0.8, raw_interval=(0.7, 0.9), adjusted=0.1, interval=(-0.1, 0.3), reason=None
        ),
        gaps=[
            AdjustedGap(
                attribute="race", rate="fpr", column="file_score", columns=["file_score"], kind="fifths",
                worst_group="A", best_group="B", raw=0.1, raw_interval=(0.02, 0.2), raw_taking_part=0.1,
                adjusted=0.09, interval=(0.01, 0.18), n_images=40, n_taking_part=40, n_missing=0, strata=[],
            )
        ],
    )  # fmt: skip
    return ShortcutsResult(
        data="pairs", layout="pairs", n_real=40, n_fake=40, n_units=40, confidence=0.95, seed=0,
        attributes=["race"], finding=finding, families=[family], detector=judged or None,
        parts=[PartResult(part=name, **part) for name in ("all", "file", "picture")],
    )  # fmt: skip


def stress(detector: dict) -> StressResult:
    def point(severity: int, group: str, fpr: float) -> StressPoint:
        attribute = "overall" if group == "overall" else "race"
        return StressPoint(
            detector=detector["name"], transformation="jpeg", severity=severity, attribute=attribute,
            group=group, n_real=60, n_fake=60, fpr=fpr, fpr_interval=(0, 1), fnr=0.1, fnr_interval=(0, 1),
            auc=0.9, best_error=0.1,
        )  # fmt: skip

    harmed = dict(detector=detector["name"], transformation="jpeg", attribute="race")
    return StressResult(
        confidence=0.95, tolerance=0.02, min_n=30, seed=0, attributes=["race"],
        detectors=[
            StressedDetector(
                name=detector["name"], threshold=0.5, threshold_rule="0.5", n_images=240,
                provenance=Provenance(detector=detector),
            )
        ],
        kinds=[StressKind(name="jpeg", label="JPEG", unit="quality", levels=[95, 85, 70, 50, 30])],
        points=[point(s, g, 0.05 * s) for s in range(6) for g in ("overall", "A", "B")],
        damage=[
            Damage(
                **harmed, group=g, rate="fpr", n=60, damage=0.1, interval=(0, 0.2), first_severity_beyond=2
            )
            for g in ("A", "B")
        ],
        verdicts=[
            StressVerdict(
                **harmed, rate="fpr", verdict="disparity", worse_group="A", better_group="B", difference=0.12,
                interval=(0.05, 0.2), p_value=0.001,
            )
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(build):
    return build(ATTRIBUTES, n=120, shift={})


@pytest.fixture
def run_dir(result, tmp_path) -> Path:
    write_result(result, tmp_path)
    for name in ("stress", "shortcuts"):
        (tmp_path / name).mkdir()
    return tmp_path


def shown(run_dir: Path) -> str:
    page = write_report(run_dir).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S))


def test_a_collapse_at_any_severity_is_the_answer():
    record = stress(OWN)
    one = Broken(
        detector=OWN["name"], transformation="jpeg", severity=4, rate="fnr", value=0.954,
        interval=(0.83, 0.99), untouched=0.1, untouched_interval=(0.02, 0.27),
    )  # fmt: skip
    told = record.model_copy(update={"broken": [one], "verdicts": []})
    assert broken_sentences(told) == [
        "JPEG at severity 4: fakes let through 95.4% (83.0–99.0%), untouched 10.0% (2.0–27.0%)."
    ]
    assert headline(told).startswith("JPEG at severity 4 lets 95.4% of fakes through, 10.0% untouched.")
    nothing = record.model_copy(update={"broken": []})
    assert headline(nothing).startswith("Nothing tried is shown to break it.")
    assert headline(record).startswith("JPEG does not harm everybody alike")  # a record of before


def test_the_table_names_the_worst_severity():
    record = stress(OWN)
    [row] = overview_table(record, OWN["name"]).rows
    assert (row["fpr"], row["fpr_worst"], row["fnr_worst"]) == (0.0, "25.0%, 5", "10.0%, 1")


def test_without_further_runs_the_report_has_no_such_sections(run_dir):
    page = shown(run_dir)
    assert 'id="stress"' not in page and 'id="shortcuts"' not in page and "solved by its files" not in page


def test_the_first_screen_warns_of_a_data_set_that_its_files_solve(run_dir):
    (run_dir / "shortcuts" / "shortcuts.json").write_text(shortcuts("files", OWN).to_json())
    page = shown(run_dir)
    first = page[page.index('id="answer"') : page.index('id="affected"')]
    assert "<strong>Important.</strong> This data set can be solved by its files: file type." in first
    assert 'id="shortcuts"' in page and "of 40 real images change their decision" in page
    assert "in real images, &lt;b&gt;JPEG&lt;/b&gt;" in page, "names of strangers are shown, not obeyed"
    assert "shortcuts/shortcuts.json" in read_sums(run_dir)


def test_no_warning_where_nothing_is_shown_to_tell_and_no_flips_of_another_detector(run_dir):
    (run_dir / "shortcuts" / "shortcuts.json").write_text(shortcuts("not shown", FOREIGN).to_json())
    page = shown(run_dir)
    assert "Important.</strong> Not shown" not in page
    assert "Not shown: neither files nor statistics of the picture" in page
    assert "change their decision" not in page and "under another detector (other)" in page


def test_a_stress_test_of_the_audited_detector_has_its_section(run_dir):
    (run_dir / "stress" / "stress.json").write_text(stress(OWN).to_json())
    page = shown(run_dir)
    assert "JPEG does not harm everybody alike: A more than B." in page
    assert (
        "<strong>JPEG harms A more than B.</strong> Real images flagged as fake: the rate rises by 12" in page
    )
    assert 'data-figure="stress-0"' in page and "stress/stress.json" in read_sums(run_dir)


def test_a_stress_test_of_another_detector_is_named_and_not_shown(run_dir):
    (run_dir / "stress" / "stress.json").write_text(stress(FOREIGN).to_json())
    page = shown(run_dir)
    assert "is of another detector (other) and is not shown" in page
    assert "does not harm everybody alike" not in page


def test_a_damaged_record_is_one_line(run_dir):
    (run_dir / "stress" / "stress.json").write_text("{}")
    with pytest.raises(RecordFormatError, match=r"stress\.json is not a stress test"):
        write_report(run_dir)


def test_the_pages_of_the_records_themselves(run_dir):
    (run_dir / "stress" / "stress.json").write_text(stress(OWN).to_json())
    (run_dir / "shortcuts" / "shortcuts.json").write_text(shortcuts("together", OWN).to_json())
    page = write_stress_page(run_dir / "stress").read_text()
    assert "JPEG does not harm everybody alike: A more than B." in page
    page = write_shortcuts_page(run_dir / "shortcuts").read_text()
    assert "more than files explain is not proven" in page and "A minus B 10 points" in page
