"""Optional packages: which extra brings each, and one line where it is not installed.

Enters: the name of an extra. Leaves: nothing, or `MissingExtra`.

Why packages are looked for and not imported: the question is asked before any work, and importing torch to
answer it takes seconds.
"""

from __future__ import annotations

from importlib.util import find_spec

from pipelines.errors import MissingExtra

EXTRAS = {
    "images": ("torch", "torchvision", "facenet_pytorch", "safetensors", "cv2"),
    "train": ("lightning", "timm", "optuna"),
    "onnx": ("onnxruntime",),
    "ray": ("ray",),
    "diffusers": ("diffusers",),
    "sbom": ("cyclonedx_py",),
    "explain": ("captum",),
    "serve": ("fastapi", "uvicorn", "python_multipart"),
    "c2pa": ("c2pa",),
    "voice": ("soundfile",),
    "remote": ("fsspec", "s3fs"),
}
"""Extra to the modules it brings."""


def package_of(module: str) -> str:
    """What a module is installed as.

    >>> package_of("facenet_pytorch"), package_of("cv2")
    ('facenet-pytorch', 'opencv-python-headless')
    """
    named = {"cv2": "opencv-python-headless", "cyclonedx_py": "cyclonedx-bom", "c2pa": "c2pa-python"}
    return named.get(module, module.replace("_", "-"))


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def require(purpose: str, *extras: str) -> None:
    """See that everything is installed that a piece of work needs.

    Args:
        purpose: What needs it, as the sentence begins: "audit train".
        extras: Names of `EXTRAS`.

    Raises:
        MissingExtra: Something is not.
    """
    absent = {extra: names for extra in extras if (names := missing(extra))}
    if absent:
        packages = ", ".join(package_of(name) for names in absent.values() for name in names)
        raise MissingExtra(purpose, packages, ",".join(absent))
