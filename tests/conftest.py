"""What the tests of every package share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fairface_dir():
    """The real labelled faces beside the checkout; skips, with the reason, where they are absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "fairface"
    if not folder.is_dir():
        pytest.skip(f"needs the real labelled faces in {folder}")
    return folder
