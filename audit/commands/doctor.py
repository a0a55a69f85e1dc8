"""`audit doctor`: is everything here that the commands need, and does the generator compute right."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import FAIRFACE_PLACES, PAIRS_PLACE, Device, require_file, show
from pipelines.extras import EXTRAS, missing, package_of, require
from pipelines.places import installed


def doctor(
    psp: Annotated[
        Path | None,
        typer.Option(
            help="Compare this pSp checkpoint in our network and in upstream's code.", metavar="FILE"
        ),
    ] = None,
    upstream: Annotated[
        Path | None,
        typer.Option(help="Upstream's checkout. Default: third_party/pixel2style2pixel.", metavar="DIR"),
    ] = None,
    device: Device = "cpu",
    sbom: Annotated[
        Path | None,
        typer.Option(
            help="Write a bill of materials of this environment (CycloneDX, JSON) to this file.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Say what is installed and found; with --psp, prove the generator on your own checkpoint."""
    if sbom is not None:
        _bill_of_materials(sbom)
        return
    if psp is not None:
        _compare(psp, upstream, device)
        return
    _packages()
    _stores()
    if not missing("images"):
        _devices()
        _generator()
    _places()


def _compare(psp: Path, upstream: Path | None, device: str) -> None:
    require("audit doctor --psp", "images")
    import torch

    from pipelines.devices import choose_device
    from pipelines.generators.compute import exact
    from pipelines.generators.psp.reference import SUBMODULE, compare_with_reference

    with exact(n_threads=torch.get_num_threads()):
        found = compare_with_reference(psp, upstream or SUBMODULE, choose_device(device))
    print(f"checkpoint sha256 {found.checkpoint_sha256}")
    print("largest difference between upstream's code and ours:")
    print(f"  latents W+  {found.codes:.1e}")
    print(f"  image       {found.image:.1e} (values in -1 to 1)")
    print(f"  fake, 8 bit {found.levels} of 255 levels")


def _bill_of_materials(path: Path) -> None:
    from audit.verification.sbom import write_sbom

    require_file(path)
    show(f"bill of materials: {write_sbom(path)}")


def _packages() -> None:
    from detectors.isolation.support import describe

    print(f"python {platform.python_version()} on {platform.platform()}")
    for name in ("fairlearn", "pandas", "plotly"):
        print(f"  {name} {metadata.version(name)}")
    for extra, modules in EXTRAS.items():
        absent = missing(extra)
        for module in modules:
            name = package_of(module)
            state = f"absent: pip install -e '.[{extra}]'" if module in absent else metadata.version(name)
            print(f"  {name} {state}")
    print(f"foreign model files (ONNX, TorchScript, .pt2): {describe()}")
    print(f"Chromium (for --pdf): {_browser()}")


def _browser() -> str:
    from reports.errors import ChromiumNotFound
    from reports.pages.pdf import find_browser

    try:
        return find_browser()
    except ChromiumNotFound:
        return "absent"


def _devices() -> None:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"GPUs: {', '.join(gpus) or 'none; everything runs on the CPU'}")


def _generator() -> None:
    from pipelines.generators.loading import load_generator

    network = load_generator()
    print(f"embedded generator: {network.output_size_px} px, sha256 {network.sha256[:16]}…")


def _stores() -> None:
    lacking = [f"{scheme}:// " + (f"needs {name}" if name else "ready") for scheme, name in installed()]
    print(f"object stores: {', '.join(lacking)}")


def _places() -> None:
    for what, places in (("labelled photos", FAIRFACE_PLACES), ("pairs", (PAIRS_PLACE,))):
        here = [str(place) for place in places if place.is_dir()]
        print(f"{what}: {', '.join(here) or 'none in ' + ', '.join(map(str, places))}")
