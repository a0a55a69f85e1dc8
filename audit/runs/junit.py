"""Verdicts, the question whether they can be read, and limits of rates as a JUnit file.

Enters: an `AuditResult`. Leaves: XML with one test case for each.

Why insufficient evidence is "skipped" in JUnit unless it fails the build: it is the word that format has for
a test that could not be decided. Verdicts and limits of a detector that is not shown to work are skipped for
the same reason; the case "detector better than guessing" fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from audit.judge.gates import FailOn, failing, failing_no_scores, limit_line
from audit.judge.usefulness import unanswered, usefulness_in
from audit.schema.result import OVERALL, AuditResult
from pipelines.storage import write_text
from pipelines.visible import END_ISOLATE, ISOLATE, visible

USEFUL = "better than guessing"
"""End of the name of the test case that fails where no question on groups can be answered."""


@dataclass(frozen=True)
class Case:
    """One test case: where it stands, how it ended, and why."""

    group: str
    name: str
    state: Literal["ok", "failed", "skipped"]
    kind: str
    text: str


def write_junit(result: AuditResult, path: str | Path, fail_on: FailOn | None = "disparity") -> Path:
    """Write one test case a verdict, a failure where `audit.judge.gates` says so, and other gates'."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, junit_xml(cases(result, fail_on)))
    return target


def _plain(explanation: str) -> str:
    """Without isolates, which show as boxes in viewers of JUnit files; every other character is visible."""
    return visible(explanation.replace(ISOLATE, "").replace(END_ISOLATE, ""))


def cases(result: AuditResult, fail_on: FailOn | None) -> list[Case]:
    """Verdicts in classes "audit.fpr" and "audit.fnr", then "audit.detector", "audit.no_score" where images
    got none, and "audit.max_fpr" ...
    """
    task = result.task
    useful, failed = usefulness_in(result), failing(result, fail_on)
    not_answerable = f"not answerable: {useful.sentence}"
    found = []
    for v in result.verdicts:
        text = v.explanation
        state: Literal["ok", "failed", "skipped"] = "ok"
        if v in failed:
            state = "failed"
        elif not useful.answerable:
            state, text = "skipped", not_answerable
        elif v.verdict == "insufficient evidence":
            state = "skipped"
        found.append(Case(task.rate(v.rate).lower(), v.attribute, state, v.verdict, text))
    state = "ok" if useful.answerable else "failed"
    found.append(Case(task.system, f"{task.system} {USEFUL}", state, "not answerable", useful.sentence))
    lacking = failing_no_scores(result, fail_on)
    for lost in result.no_scores:
        state = "failed" if lost in lacking else "ok"
        of_class = task.negatives if lost.label == "real" else task.positives
        found.append(Case("no_score", f"{lost.attribute}: {of_class}", state, "no score", lost.sentence))
    for one in result.rate_limits:
        name = OVERALL if one.attribute == OVERALL else f"{one.attribute}: {one.group}"
        if unanswered(result) not in (None, "one class"):
            found.append(Case(f"max_{task.rate(one.rate).lower()}", name, "skipped", "limit", not_answerable))
        elif one.holds is None:
            text = f"too few {task.items} to judge ({one.images})"
            found.append(Case(f"max_{task.rate(one.rate).lower()}", name, "skipped", "limit", text))
        else:
            state = "ok" if one.holds else "failed"
            text = f"at most {100 * one.upper:.3g} %" if one.holds else limit_line(one, result.task)
            found.append(Case(f"max_{task.rate(one.rate).lower()}", name, state, "limit", text))
    return found


def junit_xml(found: Sequence[Case]) -> str:
    """JUnit XML of one suite "audit"."""
    suite = ElementTree.Element(
        "testsuite",
        name="audit",
        tests=str(len(found)),
        failures=str(sum(one.state == "failed" for one in found)),
        errors="0",
        skipped=str(sum(one.state == "skipped" for one in found)),
    )
    for one in found:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"audit.{one.group}", name=visible(one.name), time="0"
        )
        text = _plain(one.text)
        if one.state == "failed":
            ElementTree.SubElement(case, "failure", message=one.kind, type=one.kind).text = text
        elif one.state == "skipped":
            ElementTree.SubElement(case, "skipped", message=text)
        elif text:
            ElementTree.SubElement(case, "system-out").text = text
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"
    )
