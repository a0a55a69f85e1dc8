"""Verdicts for pipelines: which ones fail a build, and all of them as a JUnit file.

Enters: an `AuditResult`. Leaves: the verdicts that fail under `--fail-on`, and XML with one test case each.

Why insufficient evidence is "skipped" in JUnit unless it fails the build: it is the word that format has for
a test that could not be decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from audit.schema.result import AuditResult, Verdict
from pipelines.storage import write_text
from pipelines.visible import END_ISOLATE, ISOLATE, visible

FailOn = Literal["proven", "disparity", "insufficient"]
"""From the mildest gate to the strictest."""


def failing(result: AuditResult, fail_on: FailOn | None) -> list[Verdict]:
    """Verdicts that set exit code 1.

    Args:
        result: What the audit found.
        fail_on: "proven": gaps proven to exceed the tolerance. "disparity": also groups proven unequal whose
        gap
            exceeds it as seen, and in truth perhaps not. "insufficient": also what could not be decided. None
            fails nothing.
    """
    if fail_on == "proven":
        return [verdict for verdict in result.verdicts if verdict.beyond_tolerance_proven]
    words: dict[FailOn | None, set[str]] = {
        None: set(),
        "disparity": {"disparity"},
        "insufficient": {"disparity", "insufficient evidence"},
    }
    return [verdict for verdict in result.verdicts if verdict.verdict in words[fail_on]]


def write_junit(result: AuditResult, path: str | Path, fail_on: FailOn | None = "disparity") -> Path:
    """Write one test case per verdict, a failure where `failing` says so."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = junit_xml(result.verdicts, failing(result, fail_on))
    write_text(target, text)
    return target


def _plain(explanation: str) -> str:
    """Without isolates, which show as boxes in viewers of JUnit files; every other character is visible."""
    return visible(explanation.replace(ISOLATE, "").replace(END_ISOLATE, ""))


def junit_xml(verdicts: Sequence[Verdict], failed: Sequence[Verdict]) -> str:
    """JUnit XML: suite "audit", classes "audit.fpr" and "audit.fnr", one case per attribute."""
    skipped = [v for v in verdicts if v.verdict == "insufficient evidence" and v not in failed]
    suite = ElementTree.Element(
        "testsuite",
        name="audit",
        tests=str(len(verdicts)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(skipped)),
    )
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"audit.{verdict.rate}", name=visible(verdict.attribute), time="0"
        )
        if verdict in failed:
            failure = ElementTree.SubElement(case, "failure", message=verdict.verdict, type=verdict.verdict)
            failure.text = _plain(verdict.explanation)
        elif verdict in skipped:
            ElementTree.SubElement(case, "skipped", message=_plain(verdict.explanation))
        else:
            ElementTree.SubElement(case, "system-out").text = _plain(verdict.explanation)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"
    )
