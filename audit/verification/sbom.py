"""What is installed here, as a software bill of materials in CycloneDX's form.

Enters: nothing. Leaves: a JSON file that names every installed package with its version, licence and what it
needs. The same environment gives the same bytes: neither time nor serial number is written.

Why a process of its own: the command line is what cyclonedx-bom promises to keep; its modules are not.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from audit.errors import SbomError
from pipelines.extras import require
from pipelines.storage import write_text

SBOM_FILE = "sbom.cdx.json"
"""Its name in a run folder."""
_COMMAND = (
    "-P",
    "-m",
    "cyclonedx_py",
    "environment",
    "--no-validate",
    "--output-reproducible",
    "--of",
    "JSON",
)
"""-P: a module of that name in the present folder is not what is run."""


def require_sbom() -> None:
    """See that it can be written.

    Raises:
        MissingExtra: cyclonedx-bom is not installed.
    """
    require("a software bill of materials", "sbom")


def write_sbom(path: str | Path) -> Path:
    """Write the bill of materials of this environment.

    Args:
        path: The file.

    Returns:
        The file.

    Raises:
        MissingExtra: cyclonedx-bom is not installed.
        SbomError: It failed.
    """
    require_sbom()
    done = subprocess.run([sys.executable, *_COMMAND], capture_output=True, text=True, check=False)
    try:
        parts = json.loads(done.stdout)["components"] if done.returncode == 0 else []
    except (ValueError, KeyError):
        parts = []
    if not parts:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SbomError(f"cyclonedx-bom listed no package: {last}; try `python -m cyclonedx_py environment`")
    return write_text(Path(path), done.stdout)
