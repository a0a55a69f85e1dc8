"""What `--threshold` accepts, as text: a number or a rule. Rules are carried out by `audit.thresholds`.

Enters: "0.5", "eer", "youden", "fpr=0.01" or "fnr=0.05". Leaves: a `ThresholdRule`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit.errors import ConfigError

RULES = ("eer", "youden", "fpr", "fnr")


@dataclass(frozen=True)
class ThresholdRule:
    """How the decision threshold is found.

    Attributes:
        kind: "fixed", or one of RULES.
        value: The threshold itself for "fixed"; the error level in 0-1 for "fpr" and "fnr".
    """

    kind: str
    value: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}={self.value:g}" if self.kind in {"fpr", "fnr"} else self.kind


def parse_rule(text: float | str) -> ThresholdRule:
    """Read what `--threshold` accepts.

    Raises:
        ConfigError: If it is neither a finite number nor a rule.

    >>> str(parse_rule("fpr=0.01"))
    'fpr=0.01'
    """
    name, _, level = str(text).strip().lower().partition("=")
    try:
        if name in {"fpr", "fnr"} and 0 < float(level) < 1:
            return ThresholdRule(name, float(level))
        if name in {"eer", "youden"} and not level:
            return ThresholdRule(name)
        if not level and math.isfinite(float(name)):
            return ThresholdRule("fixed", float(name))
    except ValueError:
        pass
    raise ConfigError(f"threshold '{text}' is neither a number nor one of eer, youden, fpr=0.01, fnr=0.05")
