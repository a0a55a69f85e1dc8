"""`audit demo --task speaker-verification`: synthetic voices, trials, a verifier, its audit, the report."""

from __future__ import annotations

import time
from pathlib import Path

from audit.commands.common import console, show
from audit.commands.demo import run_step
from pipelines.extras import require

N_SPEAKERS, N_CLIPS = 120, 10
"""Rendered: half of the speakers are held out, enough for intervals a reader can use."""
EPOCHS = 3
"""Of the training: some errors are left to audit."""


def demo_voices(out: Path, epochs: int, seed: int, overwrite: bool) -> None:
    """Run the demo, each step printed as a command to copy.

    Raises:
        SynthesiserNotFound: espeak-ng is not installed; the message says how it is.
    """
    require("audit demo --task speaker-verification", "images", "train", "voice")
    from pipelines.voices.rendered_voices import installed_variants, render_voices
    from pipelines.voices.trials_folder import TRIALS

    installed_variants()
    started = time.time()
    voices, trials, verifier, run = out / "voices", out / "trials", out / "siamese.pt", out / "run"
    console.print(
        f"Rendering {N_SPEAKERS} synthetic speakers with espeak-ng in {voices}: nobody speaks here, and the "
        "numbers show that the line works, not how well a verifier knows people ..."
    )
    render_voices(voices, N_SPEAKERS, N_CLIPS, seed)
    again = ["--overwrite"] if overwrite else []
    task = ["--task", "speaker-verification"]
    made = ["generate-trials", voices, "--out", trials, "--fractions", "0.4,0.1,0.5", "--seed", seed, *again]
    learned = [
        "train",
        *task,
        "--data",
        trials,
        "--out",
        verifier,
        "--epochs",
        epochs,
        "--seed",
        seed,
        *again,
    ]
    audited = ["run", *task, "--detector", verifier, "--trials", trials, "--out", run,
               "--seed", seed, *again]  # fmt: skip
    steps = [made, learned, audited]
    for step, place in ((made, trials / TRIALS), (learned, verifier)):
        if place.exists() and not overwrite:
            console.print(f"{place} is there already and is used again; --overwrite makes it anew.")
            steps.remove(step)
    for step in steps:
        run_step([str(word) for word in step])
    console.print(f"Done in {time.time() - started:.0f} s.")
    show(f"Open the report: {(run / 'report.html').resolve()}")
