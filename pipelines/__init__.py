"""Labelled photos to matched real/fake pairs.

    import pipelines
    pipelines.generate_pairs("fairface", "pairs", limit=1200)

Why the names below load on first use: `pipelines.storage` and `pipelines.dataset.manifest` serve programs
that run without torch, and importing them imports this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.extras import require

if TYPE_CHECKING:
    from pipelines.dataset.hub_form import Exported, export_pairs, unpack_pairs
    from pipelines.errors import ExpectedError
    from pipelines.jobs.generation import PairsSummary, generate_pairs
    from pipelines.jobs.importing import import_pairs

_HOME = {
    "ExpectedError": "errors",
    "Exported": "dataset.hub_form",
    "PairsSummary": "jobs.generation",
    "export_pairs": "dataset.hub_form",
    "generate_pairs": "jobs.generation",
    "import_pairs": "jobs.importing",
    "unpack_pairs": "dataset.hub_form",
}

__all__ = [
    "ExpectedError",
    "Exported",
    "PairsSummary",
    "export_pairs",
    "generate_pairs",
    "import_pairs",
    "unpack_pairs",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOME[name] != "errors":
        require(f"{__name__}.{name}", "images")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
