"""One self-contained page: template, style, scripts, figures and data in a single HTML text.

Enters: a template's name, its context, figures, data for the scripts. Leaves: HTML that makes no network
request.

Why a content security policy in a file that opens offline: names and paths in a record come from strangers.
Everything is escaped; the policy is the second wall: only the two scripts whose hashes stand in it run, no
address can be reached, no form sent. Styles may be inline, since Plotly writes style attributes.
Why JSON in a data block and not in a script: data cannot run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from audit.task import Task
from audit.wording import numbers
from audit.wording.verdict_text import group_label, people, title
from reports.figures import palette
from reports.text.glossary import terms

TEMPLATES = Path(__file__).parent / "templates"

PLOTLY_JS = "plotly-basic-4.1.1.min.js"
"""The partial bundle with scatter and bar alone: 1.2 MB, where the full one has 4.7 MB."""


LONG = 30
"""Letters in a row that no column of a table should be as wide as."""


def is_long(text: str) -> bool:
    """Whether a cell's text must break within words, or be held to a width, for its table to be seen.

    >>> is_long("Southeast Asian"), is_long("x" * 200), is_long("a name with blanks " * 9)
    (False, True, True)
    """
    return len(text) > 3 * LONG or any(len(word) > LONG for word in text.split())


def nobreak(text: str) -> Markup:
    """Keep each short bracketed interval, and each p-value, on one line."""
    html = re.sub(r"\bp (=|&lt;|&gt;) (?=[\d])", "p\u00a0\\1\u00a0", str(escape(text)))
    return Markup(re.sub(r"\([^()]{1,22}\)", r'<span class="nb">\g<0></span>', html))


@cache
def environment(task: Task) -> Environment:
    """Jinja with autoescaping of everything and an error for every unknown name; the words are the task's."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(terms=terms(task.name), task=task)
    for function in (
        numbers.percent, numbers.points, numbers.count, numbers.number, numbers.percent_interval,
        numbers.point_interval, numbers.p_value, numbers.threshold_text, title, people, group_label, nobreak,
        is_long,
    ):  # fmt: skip
        env.filters[function.__name__] = function
    env.globals["m"] = env.get_template("macros.html").module
    return env


def json_block(value: str) -> Markup:
    """JSON text made safe inside a script element: no tag can open or close in it."""
    unsafe = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, escaped in unsafe.items():
        value = value.replace(character, escaped)
    return Markup(value)


def _figures_json(figures: Mapping[str, go.Figure]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{figure.to_json()}" for key, figure in figures.items()) + "}"


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def policy(scripts: list[str]) -> str:
    """The content security policy that lets exactly these inline scripts run."""
    return (
        f"default-src 'none'; script-src {' '.join(_hash(s) for s in scripts)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def render(
    template: str,
    context: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    data: Mapping[str, Any],
    task: Task,
) -> str:
    """Fill a template that extends `base.html`.

    Args:
        template: File name in `templates/`.
        context: Names for the template.
        figures: Figures by the key that `data-figure` attributes use.
        data: JSON values for the page's own script.
        task: Whose words are used.
    """
    scripts = ([_asset(PLOTLY_JS)] if figures else []) + [_asset("app.js")]
    return (
        environment(task)
        .get_template(template)
        .render(
            context,
            csp=Markup(policy(scripts)),
            style=Markup(_asset("style.css")),
            scripts=[Markup(s) for s in scripts],
            figures_json=json_block(_figures_json(figures)),
            data_json=json_block(json.dumps({"dark": palette.DARK, **data}, allow_nan=False)),
        )
    )
