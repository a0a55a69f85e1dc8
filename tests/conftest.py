"""What tests of every package share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def fairface_dir() -> Path:
    """Real labelled faces in FairFace's layout, beside the checkout; skips where they are absent."""
    folder = SHARED / "fairface"
    if not (folder / "fairface_label_val.csv").exists():
        pytest.skip(f"no real labelled faces at {folder}")
    return folder


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """Numeric reference of the pSp network; skips where it is absent."""
    folder = SHARED / "psp"
    if not (folder / "parity.json").exists():
        pytest.skip(f"no parity reference at {folder}")
    return folder
