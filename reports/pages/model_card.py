"""The model card of the audited detector, in the layout of the Hugging Face hub.

Enters: a run folder with `audit.json`. Leaves: `model_card.md`.

Why the card repeats the report's sentences: a card is read alone, next to the weights. Why fields the record
does not know say so: an empty heading looks like an answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit.runs.checksums import enter
from audit.schema.json_schema import load_result
from audit.schema.result import AuditResult, Measures
from audit.task import Task
from audit.wording import verdict_text as words
from audit.wording.criterion_text import tolerated
from audit.wording.numbers import (
    count,
    counted,
    number,
    number_interval,
    percent,
    percent_interval,
    threshold_text,
)
from pipelines.storage import write_text
from pipelines.visible import as_spelled
from reports.pages.cure_part import CurePart, cure_of, steps_with_cure
from reports.pages.report_page import detector_name
from reports.tables import reliability as belief
from reports.tables.no_skill import no_skill_table
from reports.tables.share_of_fakes import mix_of_measures
from reports.text import answer
from reports.text import next_steps as advice
from reports.text.legible import legible
from reports.text.participation import remark
from reports.text.provenance import flatten

UNKNOWN = "Not recorded in the audit."


def _front_matter(result: AuditResult) -> str:
    """Metadata of the hub: YAML, written as JSON values (which are YAML)."""
    task = result.task
    m = result.overall
    measured = {
        "accuracy": m.accuracy,
        "precision": m.precision,
        "recall": m.recall,
        "f1": m.f1,
        "roc_auc": m.auc,
    }
    metrics = [{"type": k, "value": round(v, 4)} for k, v in measured.items() if v == v]
    data = {"name": str(result.provenance.data.get("path", f"audited {task.items}")), "type": task.hub_data}
    about = {"type": task.hub_type, "name": task.title}
    index = [
        {"name": detector_name(result), "results": [{"task": about, "dataset": data, "metrics": metrics}]}
    ]
    return "\n".join(
        [
            "---",
            f'pipeline_tag: "{task.hub_type}"',
            f'tags: ["{task.hub_tag}", "fairness", "audit"]',
            f"model-index: {json.dumps(index)}",
            "---",
        ]
    )


def _rows(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _known(value: dict[str, Any], keys: tuple[str, ...] = ()) -> str:
    """Recorded facts as a list; all of them, or those under `keys`."""
    chosen = {k: v for k, v in value.items() if not keys or k in keys}
    lines = [f"- **{as_spelled(k)}**: {as_spelled(v)}" for k, v in flatten(chosen)]
    return "\n".join(lines) or UNKNOWN


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {as_spelled(item)}" for item in items) or UNKNOWN


def _groups(result: AuditResult, attribute: str) -> str:
    task = result.task
    min_n = result.config.min_n
    rows = [
        [
            as_spelled(words.group_label(g.attribute, g.group))
            + (f" ({why})" if (why := remark(g, min_n, task)) else ""),
            f"{percent(g.fpr)} ({percent_interval(g.fpr_interval)})",
            count(g.n_real),
            f"{percent(g.fnr)} ({percent_interval(g.fnr_interval)})",
            count(g.n_fake),
            number(g.auc),
        ]
        for g in result.groups
        if g.attribute == attribute
    ]
    head = [
        as_spelled(words.title(attribute)),
        f"{task.negative_word.capitalize()} {task.flagged} ({task.fpr})",
        "n",
        f"{task.positives.capitalize()} {task.missed} ({task.fnr})",
        "n",
        "AUC",
    ]
    return f"#### By {as_spelled(attribute)}\n\n" + _rows(head, rows)


def _overall(m: Measures, task: Task) -> str:
    rows = [
        ["Accuracy", percent(m.accuracy), percent_interval(m.accuracy_interval)],
        [task.fpr + task.fpr_standard, percent(m.fpr), percent_interval(m.fpr_interval)],
        [task.fnr + task.fnr_standard, percent(m.fnr), percent_interval(m.fnr_interval)],
        ["Precision", percent(m.precision), ""],
        ["F1", number(m.f1), ""],
        ["AUC", number(m.auc), number_interval(m.auc_interval)],
        ["EER", percent(m.eer), ""],
    ]
    return _rows(["Measure", "Value", "Interval"], rows)


def _baselines(result: AuditResult) -> str:
    """The detector beside those that look at nothing."""
    table = no_skill_table(result)
    rows = [[as_spelled(c.show(row)) for c in table.columns] for row in table.rows]
    return _rows([c.label for c in table.columns], rows)


def _results(result: AuditResult) -> str:
    findings = [f"- **{f.headline}.** {as_spelled(f.sentence)}" for f in words.findings(result)]
    parts = [
        as_spelled(answer.overall_sentence(result)),
        _overall(result.overall, result.task),
        as_spelled(answer.baseline_sentence(result)),
        _baselines(result),
        mix_of_measures(result),
        "#### Verdicts",
        "\n".join(findings) or "No group was compared.",
        *(_groups(result, name) for name in result.config.attributes),
    ]
    return "\n\n".join(parts)


def _evaluation(result: AuditResult) -> str:
    task = result.task
    c, d = result.config, result.data
    left = "; ".join(f"{count(n)} left out ({reason})" for reason, n in d.n_left_out.items())
    pairs = f", {counted(d.n_pairs, 'matched pair', 'matched pairs')}" if task.makes_pairs else ""
    return "\n\n".join(
        [
            "### Testing data, factors and metrics",
            f"{count(d.n_images)} {task.items_of(d.n_images)}: {count(d.n_real)} {task.negative_word}, "
            f"{count(d.n_fake)} {task.positive_word}{pairs}{'; ' + as_spelled(left) if left else ''}.",
            _known(result.provenance.data),
            f"Factors: {as_spelled(', '.join(c.attributes)) or 'none'}. Decision: {task.decides} "
            f"{threshold_text(c.threshold)} (rule: {as_spelled(task.rule(c.threshold_rule))}). Tolerated: "
            f"{tolerated(result)}. Intervals at {percent(c.confidence, 0)}; disparities are corrected for "
            f"{counted(result.n_tests, 'comparison', 'comparisons')} (Holm).",
            "### Results",
            _results(result),
        ]
    )


def model_card(result: AuditResult, cure: CurePart | None = None) -> str:
    """The card's Markdown.

    Args:
        result: The record.
        cure: What was tried about its disparities, so that the card advises what the report does.
    """
    task = result.task
    result = legible(result)
    p = result.provenance
    claims = [f"{claim} {evidence}" for claim, evidence in answer.lead(result)]
    steps = [s.text.rstrip(":;") for s in steps_with_cure(advice.next_steps(result), cure)]
    sections = [
        f"# {as_spelled(detector_name(result))}",
        f"**Is it fair?** {as_spelled(answer.headline(result))}",
        _bullets(claims),
        "## Model details",
        _known({k: v for k, v in p.detector.items() if k != "trained_on"}),
        "## Uses",
        task.use,
        "## Bias, risks and limitations",
        _bullets([*answer.notes(result), *belief.limits(result)]),
        "### Not measured",
        _bullets(belief.not_measured(result)),
        "### Recommendations",
        _bullets(steps),
        "## How to get started",
        "    " + " ".join(p.command.split()) if p.command else UNKNOWN,
        "## Training details",
        _known(p.detector, ("training", "trained_on", "epochs", "optimizer", "data")),
        "## Evaluation",
        _evaluation(result),
        "## Technical specifications",
        *([f"### Generator of the {task.positives}", _known(p.generator)] if task.makes_pairs else []),
        "### Software",
        _known(p.versions),
        "## Model card contact",
        UNKNOWN,
    ]
    return _front_matter(result) + "\n\n" + "\n\n".join(sections) + "\n"


def write_model_card(run_dir: str | Path) -> Path:
    """Write `model_card.md` into a run folder and return its path.

    Args:
        run_dir: Folder that holds `audit.json`.

    Raises:
        ResultFormatError: there is no `audit.json` in the folder, or it cannot be read.
    """
    result = load_result(run_dir)
    card = model_card(result, cure_of(Path(run_dir), result))
    path = write_text(Path(run_dir) / "model_card.md", card)
    enter(Path(run_dir), [path])
    return path
