"""What computes: the graphics processor, where there is one and it is wanted.

Enters: "auto", "cpu" or "cuda". Leaves: "cpu" or "cuda".
"""

from __future__ import annotations

from pipelines.errors import SettingError


def choose_device(asked: str, elsewhere: bool = False) -> str:
    """Resolve "auto" to what is there.

    Args:
        asked: "auto", "cpu" or "cuda".
        elsewhere: the work is done on other machines, so "cuda" is taken at its word.

    Raises:
        SettingError: another word, or "cuda" on a machine without a usable GPU.
    """
    import torch

    if asked not in ("auto", "cpu", "cuda"):
        raise SettingError(f"--device is {asked!r}; it must be auto, cpu or cuda")
    if asked == "cuda" and elsewhere:
        return "cuda"
    if asked == "cuda" and not torch.cuda.is_available():
        raise SettingError("--device is cuda, but PyTorch sees no GPU here; use auto or cpu")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"
