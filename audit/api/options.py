"""Options of an audit as keyword arguments, every one of them known by name.

Enters: keyword arguments. Leaves: a checked `AuditConfig`.

Why the names are written down twice, here and in `AuditConfig`: an editor completes them and a type checker
knows them in a call. A test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, TypedDict

import pandas as pd

from audit.config import AuditConfig, Columns, CriterionName
from audit.errors import ConfigError, ExpectedError
from audit.task import TaskName

ROLES = {f"{field.name}_column": field.name for field in fields(Columns)}
"""Option to the role of the column it names."""


class AuditOptions(TypedDict, total=False):
    """The options of `AuditConfig`, its columns one by one."""

    threshold: float | str
    calibration_share: float
    confidence: float
    tolerance: float
    ratio_tolerance: tuple[float, float]
    criterion: CriterionName
    min_n: int
    n_boot: int
    seed: int
    positive: str | None
    bins: Mapping[str, Sequence[float]]
    controls: str | Sequence[str]
    unit_column: str | None
    independent: bool
    weight_column: str | None
    references: Mapping[str, str]
    max_fpr: float | None
    max_fnr: float | None
    read_as: Mapping[str, str]
    task: TaskName
    label_column: str
    score_column: str
    image_id_column: str
    pair_id_column: str


def config_from(
    attributes: str | Sequence[str], options: Mapping[str, Any], config: AuditConfig | None = None
) -> AuditConfig:
    """One checked configuration from a call's arguments.

    Args:
        attributes: Columns to audit, or one of them; those of `config` where empty.
        options: Fields of `AuditConfig`, and `label_column`, `score_column`, `image_id_column`,
            `pair_id_column`.
        config: What they change; the defaults where None.

    Raises:
        ConfigError: An unknown option, named with the nearest known one, or impossible values.
    """
    if config is not None and not isinstance(config, AuditConfig):
        raise ConfigError(
            f"config is a {type(config).__name__}; give an audit.AuditConfig, or its options by name"
        )
    if isinstance(attributes, pd.Series):
        raise ConfigError("attributes is a Series; give names of columns, such as 'race' or ['age', 'race']")
    config = config or AuditConfig()
    allowed = [*(f.name for f in fields(AuditConfig) if f.name not in ("columns", "attributes")), *ROLES]
    refuse_unknown(options, allowed)
    roles = {ROLES[name]: value for name, value in options.items() if name in ROLES}
    others: dict[str, Any] = {name: value for name, value in options.items() if name not in ROLES}
    named = AuditConfig(attributes=attributes).attributes
    if named:
        others["attributes"] = named
    return replace(config, columns=replace(config.columns, **roles), **others).check()


_CALLED = {"attribute": "attributes", "control": "controls", "reference": "references", "read": "read_as"}
"""An option of the command line to its name in Python, where that is not the same with underscores."""


@contextmanager
def named_for_python(said: bool = True) -> Iterator[None]:
    """Within this context an expected error that names options of the command line names Python's, too.

    Args:
        said: Whether to, which a command does not.
    """
    try:
        yield
    except ExpectedError as error:
        names = [text.replace("-", "_") for text in re.findall(r"--([a-z]+(?:-[a-z]+)*)", str(error))]
        known = {*(f.name for f in fields(AuditConfig)), *ROLES}
        called = dict.fromkeys(_CALLED.get(name, name) for name in names)
        own = [f"{name}=" for name in called if name in known]
        if said and own and len(error.args) == 1:
            error.args = (f"{error} (in Python: {', '.join(own)})",)
        raise


def refuse_unknown(given: Iterable[str], allowed: Sequence[str]) -> None:
    """Refuse options nobody knows.

    Raises:
        ConfigError: Naming each with the nearest known one, or all known ones where none is near.
    """
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise ConfigError("; ".join(_hint(name, allowed) for name in unknown))


def _hint(name: str, allowed: Sequence[str]) -> str:
    called = {**_CALLED, **{role: option for option, role in ROLES.items()}}.get(name, name)
    if called == "attributes":
        return f"no option '{name}'; did you mean 'attributes', which comes after the scores?"
    near = [called] if called in allowed else get_close_matches(name, allowed, n=1)
    return f"no option '{name}'; " + (
        f"did you mean '{near[0]}'?" if near else f"there are {', '.join(sorted(allowed))}"
    )
