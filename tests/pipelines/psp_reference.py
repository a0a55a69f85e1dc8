"""Reference weights, images and values of the pSp network (see the parity folder's own description)."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor


@cache
def inputs(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_inputs", folder / "parity_inputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def recorded(folder: Path, size: int) -> dict[str, Any]:
    return json.loads((folder / "parity.json").read_text())["configs"][str(size)]


@cache
def key_list(folder: Path, size: int) -> dict[str, tuple[int, ...]]:
    keys = json.loads((folder / "psp_keys.json").read_text())["configs"][str(size)]["keys"]
    return {k["key"]: tuple(k["shape"]) for k in keys}


def official_file(folder: Path, size: int, path: Path, written: Path | None = None, **changes: Any) -> Path:
    """Write what an official checkpoint of this size looks like, with the reference weights.

    A weight depends on its name and shape alone: those that another checkpoint has are taken from there.
    """
    module, shapes = inputs(folder), key_list(folder, size)
    there = {} if written is None else torch.load(written, mmap=True, weights_only=True)["state_dict"]
    state = {k: v for k, v in there.items() if tuple(v.shape) == shapes.get(k)}
    made = module.make_state(shapes, skip=state)
    state |= {k: torch.from_numpy(np.asarray(v)) for k, v in made.items()}
    n_styles = recorded(folder, size)["n_styles"]
    content = {
        "state_dict": state,
        "opts": {"output_size": size, "label_nc": 0},
        "latent_avg": torch.from_numpy(module.latent_avg(n_styles)),
    }
    torch.save(content | changes, path)
    return path


def images(folder: Path, n: int = 2) -> Tensor:
    module = inputs(folder)
    return torch.from_numpy(module.images_f32(module.images_u8(2)))[:n]


def largest_error(folder: Path, size: int, entry: str, found: Tensor) -> float:
    """Against what is recorded of both images, or of the first where `found` is of one."""
    values = recorded(folder, size)[entry]
    assert list(found.shape[1:]) == values["shape"][1:] and len(found) <= values["shape"][0]
    indices = torch.tensor(values["indices"])
    known = indices < found.numel()
    assert known.sum() >= 30 * len(found)
    at = found.float().flatten()[indices[known]]
    return float((at.double() - torch.tensor(values["values"], dtype=torch.float64)[known]).abs().max())
