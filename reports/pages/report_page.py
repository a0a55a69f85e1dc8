"""The report: `audit.json` in, one HTML file out.

Enters: a run folder with `audit.json`, perhaps `run.json` (clock time, machine) and thumbnails. Leaves:
`report.html` in it, which makes no network request.

Why nothing is computed here: whatever the page says stands in the record (or is its plain arithmetic), so
that the report can be written again years later, from the record alone, on a machine without torch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from audit.runs.checksums import enter
from audit.schema.json_schema import load_result
from audit.schema.result import OVERALL, AuditResult
from audit.wording import verdict_text as words
from audit.wording.criterion_text import tolerated
from audit.wording.numbers import number, number_interval, percent, percent_interval
from audit.wording.verdict_text import or_few_units
from pipelines.storage import write_text
from pipelines.visible import visible_record
from reports.figures import example_images as samples
from reports.figures import measured_maps
from reports.figures import threshold_explorer as explorer
from reports.pages import added_runs
from reports.pages import attribute_parts as parts
from reports.pages.cure_part import cure_of, is_disparate, steps_with_cure
from reports.pages.html_page import render
from reports.pages.intersections import Crossing, crossings, not_compared
from reports.run_files import load_json
from reports.tables import adjusted_gaps as held
from reports.tables import cross_groups, realism
from reports.tables import other_thresholds as elsewhere
from reports.tables import reliability as belief
from reports.tables import report_tables as tables
from reports.tables import share_of_fakes as rare
from reports.tables.coverage import coverage
from reports.tables.no_skill import no_skill_table
from reports.tables.score_tables import calibration_sentence, kinds_sentence, score_sentence
from reports.tables.share_of_fakes import mix_of_disparities, mix_of_measures
from reports.text import answer
from reports.text import next_steps as advice
from reports.text import provenance as signoff
from reports.text import threshold_text as thresholds
from reports.text.legible import legible
from reports.text.provenance import provenance_rows

NO_IMAGES = "--no-images"
"""The option of `audit run` that leaves faces out."""


def _by_severity(result: AuditResult, told: list[words.Finding]) -> list[str]:
    """Audited attributes, those with the gravest verdict first."""
    ranked = [f.verdict.attribute for f in told if f.verdict.attribute in result.config.attributes]
    return list(dict.fromkeys([*ranked, *result.config.attributes]))


def _verdict_grid(told: list[words.Finding]) -> list[tuple[str, list[words.Finding | None]]]:
    found = {(f.verdict.attribute, f.verdict.rate): f for f in told}
    names = dict.fromkeys(f.verdict.attribute for f in told if ":" not in f.verdict.attribute)
    return [(name, [found.get((name, "fpr")), found.get((name, "fnr"))]) for name in names]


def _tiles(result: AuditResult) -> list[tuple[str, str, str, str]]:
    task = result.task
    m = result.overall
    return [
        ("Accuracy", "accuracy", percent(m.accuracy), percent_interval(m.accuracy_interval)),
        (
            f"{task.negatives.capitalize()} {task.flagged} ({task.fpr})",
            "fpr",
            percent(m.fpr),
            percent_interval(m.fpr_interval),
        ),
        (
            f"{task.positives.capitalize()} {task.missed} ({task.fnr})",
            "fnr",
            percent(m.fnr),
            percent_interval(m.fnr_interval),
        ),
        ("AUC", "auc", number(m.auc), number_interval(m.auc_interval)),
        ("EER", "eer", percent(m.eer), percent_interval(m.eer_interval) if m.eer_interval else ""),
        ("Precision", "precision", percent(m.precision), ""),
        ("Recall", "recall", percent(m.recall), ""),
        ("F1", "f1", number(m.f1), ""),
        ("Balanced accuracy", "balanced_accuracy", percent(m.balanced_accuracy), ""),
    ]


def _sections(context: dict[str, Any]) -> list[tuple[str, str]]:
    """What the page shows before the fold: the five questions, each answered at one place."""
    every = [
        ("answer", "Is it fair?", True),
        ("next", "What next", True),
        ("affected", "Who is affected", True),
        ("certainty", "How sure is this?", True),
        ("thresholds", "Is the threshold right?", True),
        ("help", "What would help", context["cure"] is not None),
        ("stress", "What breaks it", context["stress"]),
        ("shortcuts", "Shortcuts", context["shortcuts"]),
        ("explanations", "What it looks at", context["explanations"]),
        ("examples", "Examples", context["first_examples"]),
        ("appendix", "Appendix", True),
    ]
    return [(key, name) for key, name, present in every if present]


def _appendix(context: dict[str, Any]) -> list[tuple[str, str]]:
    every = [
        ("numbers", "All numbers by attribute", True),
        ("intersections", "Intersections", context["crossings"]),
        ("explorer", "Threshold slider", context["explorer"]),
        ("accuracy", "Accuracy", True),
        ("pairs", "All examples", context["cards"]),
        ("reliability", "Reliability", True),
        ("coverage", "What auditors ask for", True),
        ("provenance", "Provenance", True),
        ("glossary", "Glossary", True),
        ("signoff", "Sign-off", True),
    ]
    return [(key, name) for key, name, present in every if present]


def _anchors(
    shown: list[parts.AttributePart], crossed: list[Crossing], told: list[words.Finding]
) -> dict[str, str]:
    known = {p.name: p.anchor for p in shown} | {c.name: c.anchor for c in crossed}
    return {f.verdict.attribute: known.get(f.verdict.attribute, "affected") for f in told}


def _cards(
    run_dir: Path | None, result: AuditResult, images: bool
) -> list[tuple[str, str, str, list[samples.Card]]]:
    chosen = samples.cards(run_dir or Path(), result, images and run_dir is not None)
    return [(kind, *samples.KINDS.get(kind, (kind.capitalize(), "")), rows) for kind, rows in chosen.items()]


def _first_examples(cards: list[tuple[str, str, str, list[samples.Card]]]) -> list[samples.Card]:
    """Two of each kind of mistake, for the page before its appendix."""
    chosen = {kind: rows for kind, _, _, rows in cards}
    return [card for kind in ("false accusation", "missed fake") for card in chosen.get(kind, [])[:2]]


def detector_name(result: AuditResult) -> str:
    """What the report calls the audited detector."""
    task = result.task
    return str(result.provenance.detector.get("name") or f"the {task.system}")


def without_faces(result: AuditResult) -> bool:
    """Whether the run was told to leave faces out: every later report of it leaves them out too."""
    return NO_IMAGES in result.provenance.command.split()


def build(run_dir: Path | None, result: AuditResult, run: dict[str, Any], images: bool = True) -> str:
    """The page's HTML for one record.

    Args:
        run_dir: Folder of the samples' thumbnails and of what else was found; None where the record lies in
            none, so that nothing is read.
        result: The record.
        run: Content of `run.json`; may be empty.
        images: Whether faces are put into the page, where the run was not told to leave them out.
    """
    book: parts.Figures = {}
    cure = None if run_dir is None else cure_of(run_dir, result)
    images = images and not without_faces(result)
    added = {**added_runs.NOTHING, "explanations": None}
    if run_dir is not None:
        added = {
            **added_runs.context(run_dir, result, book),
            "explanations": measured_maps.context(run_dir, result, images),
        }
    result, run = legible(result), visible_record(run)
    told = words.findings(result)
    names = _by_severity(result, told)
    shown = [parts.attribute_part(book, result, name, i, told) for i, name in enumerate(names)]
    crossed = crossings(result, told)
    slider = explorer.payload(result, names)
    cards = _cards(run_dir, result, images)
    explored = [p for p in shown if slider and any(a["name"] == p.name for a in slider["attributes"])]
    context: dict[str, Any] = {
        "result": result,
        "detector": detector_name(result),
        "file_stem": re.sub(r"[^\w-]+", "-", detector_name(result)).strip("-") or "detector",
        "date": answer.audited_on(run),
        "headline": answer.headline(result),
        "lead": answer.lead(result),
        "overall_sentence": answer.overall_sentence(result),
        "baseline_sentence": answer.baseline_sentence(result),
        "no_skill": no_skill_table(result),
        "tolerated": tolerated(result),
        "crossed_line": answer.crossed_line(result),
        "sureness": answer.sureness(result),
        "notes": [n for n in answer.notes(result) if not (answer.is_aside(n) or answer.is_limit(n))],
        "asides": [n for n in answer.notes(result) if answer.is_aside(n)],
        "of_fakes": [n for n in answer.notes(result) if answer.is_limit(n)],
        "answerable": answer.is_answerable(result),
        "steps": steps_with_cure(advice.next_steps(result), cure),
        "told_above": {claim for claim, _ in answer.lead(result)},
        "verdict_grid": _verdict_grid(told),
        "anchors": _anchors(shown, crossed, told),
        "attributes": shown,
        "crossings": [c for c in crossed if c.compared],
        "or_few_units": or_few_units(result.config),
        "not_compared": not_compared(crossed, result.config.min_n, result.task),
        "explorer": slider,
        "threshold_answer": thresholds.answer(result),
        "disparate": is_disparate(result),
        "cure": cure,
        "elsewhere": elsewhere.rows(result, names),
        "n_elsewhere": elsewhere.n_compared(result),
        "explorer_figures": parts.explorer_figures(book, result, explored, slider or {}),
        "tiles": _tiles(result),
        "mix_of_measures": mix_of_measures(result),
        "mix_of_disparities": mix_of_disparities(result),
        "operating": tables.operating_points_table(result.overall, result.task),
        "overall_figures": parts.overall_figures(book, result, OVERALL, len(shown)),
        "cards": cards,
        "first_examples": _first_examples(cards),
        "coverage": coverage(result),
        "score_sentence": score_sentence(result),
        "kinds_sentence": kinds_sentence(result),
        "calibration_sentence": calibration_sentence(result),
        "verdicts_table": tables.verdicts_table(result),
        "provenance": provenance_rows(result, run),
        "signoff": signoff.filled(result),
        "signoff_blank": signoff.BLANK,
        **added,
        **belief.context(result),
        **cross_groups.context(result),
        **realism.context(result),
        **held.context(result),
        **rare.context(result, names),
    }
    context |= {"sections": _sections(context), "appendix": _appendix(context)}
    return render("report.html", context, book, {"explorer": slider}, result.task)


def write_report(run_dir: str | Path, images: bool = True) -> Path:
    """Write `report.html` into a run folder and return its path.

    Args:
        run_dir: Folder that holds `audit.json`.
        images: Put the sampled faces into the page; False leaves them out for privacy.

    Raises:
        ResultFormatError: there is no `audit.json` in the folder, or it cannot be read.
        RecordFormatError: `run.json` cannot be read.
    """
    folder = Path(run_dir)
    result = load_result(folder)
    path = write_text(folder / "report.html", build(folder, result, load_json(folder / "run.json"), images))
    enter(folder, [path])
    added_runs.enter_records(folder)
    return path
