"""One small trials folder, and one verifier trained on it."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="needs the extra [train]")
pytest.importorskip("soundfile", reason="needs the extra [voice]")


@pytest.fixture(scope="session")
def trials_dir(hummed, tmp_path_factory):
    """Twelve humming speakers, six to learn from, two to choose the epoch, four held out."""
    from pipelines.voices.trial_lists import TrialSettings
    from pipelines.voices.trials_folder import generate_trials
    from pipelines.voices.windows import Listening

    place = tmp_path_factory.mktemp("trials") / "t"
    chosen = TrialSettings(trials_per_speaker=8, fractions=(0.5, 0.17, 0.33))
    generate_trials(hummed, place, settings=chosen, listening=Listening(n_samples=8_000))
    return place


@pytest.fixture(scope="session")
def verifier_file(trials_dir, tmp_path_factory):
    """A Siamese verifier after two epochs."""
    from detectors.voices.train_verifier import settings_for, train_verifier

    out = tmp_path_factory.mktemp("verifier") / "siamese.pt"
    how = settings_for("siamese", epochs=2, batch_size=8, precision="32-true")
    return train_verifier("siamese", trials_dir, out, how, compare_random_split=True, progress=False)
