"""Takes the README's pictures of a report, with an installed Chromium.

    python docs/draw_report.py [RUN_DIR]

Enters: a run folder with `report.html`, of rendered faces only, never of photographs of people. Without one
it is made (five minutes): 620 drawn faces, their fakes, and "acme", a detector with a fault built in.
Leaves: PNG files in reports/pictures, each under 200 kB.

Why a script: pictures that nobody can take again go stale.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from torch import Tensor

import audit
import detectors
import pipelines
from detectors.models.detector import Output
from detectors.models.loading import load_detector
from pipelines.rendered import render_population

PICTURES = Path(__file__).resolve().parents[1] / "reports" / "pictures"
DESKTOP, PHONE = (1280, 800), (390, 844)
SHOTS = [
    ("answer", "#answer", DESKTOP, "light"),
    ("answer-dark", "#answer", DESKTOP, "dark"),
    ("affected", "#affected", (1280, 900), "light"),
    ("thresholds", "#thresholds", (1280, 720), "light"),
    ("intersections", "#intersections", (1280, 900), "light"),
    ("explorer", "#explorer", (1280, 1000), "light"),
    ("pairs", "#pairs", (1280, 640), "light"),
    ("phone", "#answer", PHONE, "light"),
]
"""Name of the file, section, window, colours."""
MAX_BYTES = 200_000
N_COLOURS = 256
"""A page of text, few colours and small faces needs no more, and a file of half the size holds them."""


def darker_is_faker(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A trained network's evidence, with a fault and with chance added: the darker the middle, the more fake.

    Args:
        network: From [B, 3, S, S] in -1 to 1 to two logits.

    Returns:
        From the same to log-odds of "fake", [B].
    """

    def evidence(batch: Tensor) -> Tensor:
        logits, quarter = network(batch).double(), batch.shape[-1] // 4
        middle = batch[:, :, quarter:-quarter, quarter:-quarter].mean((1, 2, 3))
        chance = torch.sin(1000 * batch.flatten(1).double().sum(1))
        return 0.35 * (logits[:, 1] - logits[:, 0]) + 16 * (-0.1 - middle).clamp(min=0) + 2.5 * chance

    return evidence


def made_run(folder: Path) -> Path:
    """A run folder of rendered faces and of "acme", with its report."""
    faces = render_population(folder / "faces", n_train=560, n_val=60, seed=11)
    pairs = pipelines.generate_pairs(faces, folder / "pairs", progress=True).out_dir
    trained = detectors.train(
        "spectrum", pairs, folder / "spectrum.pt", epochs=12, learning_rate=0.005, fractions=(0.25, 0.1, 0.65)
    )
    plain = load_detector(trained, device="cpu")
    acme = replace(plain, name="acme", network=darker_is_faker(plain.network), output=Output("logit"))
    found = audit.audit_images(acme, pairs=pairs, out=folder / "run")
    cure = audit.mitigate(found)
    cure.write(folder / "run")
    return found.report().parent


def take(page: Page, name: str, section: str) -> None:
    """One picture of one section, once its figures are drawn; a section that is absent has none."""
    if not page.locator(section).count():
        print(f"{name}: the report has no {section}")
        return
    page.evaluate(
        """(id) => {
            const section = document.querySelector(id);
            const fold = section.closest('#appendix');
            if (fold) fold.open = true;
            section.scrollIntoView();
        }""",
        section,
    )
    page.wait_for_timeout(1500)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path, formats=["PNG"]).convert("RGB").quantize(N_COLOURS).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size / 1000:.0f} kB{' (TOO LARGE)' if size > MAX_BYTES else ''}")


def main(run_dir: Path) -> None:
    """Take all pictures of one run's report."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, section, (width, height), scheme in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(Path(run_dir, "report.html").resolve().as_uri())
            take(page, name, section)
            page.close()
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else made_run(Path(made)))
