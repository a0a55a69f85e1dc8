"""What the tests of this package share."""

import pytest

from pipelines.rendered import render_population


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A drawn population of 24 train and 8 val faces in FairFace's layout; read only."""
    return render_population(tmp_path_factory.mktemp("population"), n_train=24, n_val=8, seed=1)
