"""The kinds of fake there are, and what was meant by the word after `--generator`.

A word enters; the form of a kind and its name leave: `KINDS` is the list that a reader can look at.

Why a name beside the form: two VAE folders are two kinds, and each has a column value, a folder of images and
an audit of its own. Names are plain: they become folder names.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipelines.errors import SettingError
from pipelines.generators import autoencoder, self_blend, swap, user_code
from pipelines.generators.protocol import Kind

_FACTORY: Final = re.compile(r"[A-Za-z_][\w.]+:[A-Za-z_][\w.]*")
_ENCODED = "the network re-creates the very photo, so who is shown stays who was labelled"

KINDS: Final[dict[str, Kind]] = {
    kind.form: kind
    for kind in (
        Kind("small", "the embedded network: StyleGAN2 decoder, trained on FairFace and drawn faces",
             "MIT, as this project", _ENCODED, masked=False),
        Kind("checkpoint", "a pSp checkpoint of yours, such as psp_ffhq_encode.pt",
             "that of the checkpoint", _ENCODED, masked=False),
        Kind("swap", "the face of another person of the same age, gender and race, cloned into the photo",
             "MIT, as this project; the donor's photo keeps its own",
             "donor and photo carry the same age, gender and race", masked=True),
        Kind("self-blend", "the photo blended with a shifted copy of itself (Shiohara & Yamasaki, CVPR 2022)",
             "MIT, as this project", "both parts are the same photo", masked=True),
        Kind("vae:", "vae:FOLDER, a latent-diffusion autoencoder of yours (AutoencoderKL), there and back",
             "that of the weights", _ENCODED, masked=False),
        Kind("module:", "module:factory, any code of yours: uint8 [B,H,W,3] to the same",
             "that of the code", "unknown: the code may change who is shown", masked=False),
        Kind("imported", "pairs that were made elsewhere", "unknown", "as the label table says",
    masked=False), )
}  # fmt: skip
"""Form to kind."""
NETWORKS: Final = ("small", "checkpoint")
"""Forms whose latents are saved, and that follow --truncation and --style-mix."""


def form_of(word: str) -> str:
    """Which form a word after `--generator` has; a file of any name is a checkpoint.

    >>> [form_of(w) for w in ("swap", "vae:sd-vae", "mine:make", "weights/psp.pt")]
    ['swap', 'vae:', 'module:', 'checkpoint']
    """
    if word in ("small", "swap", "self-blend"):
        return word
    if Path(word).is_file():
        return "checkpoint"
    if word.startswith("vae:"):
        return "vae:"
    return "module:" if _FACTORY.fullmatch(word) else "checkpoint"


def slug(text: str) -> str:
    """A plain name: lower case letters, digits, dots, dashes.

    >>> slug("vae:/data/SD VAE/")
    'vae-sd-vae'
    """
    head, colon, tail = text.rpartition(":")
    name = f"{head}-{Path(tail).name}" if colon else text
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60] or "unnamed"


def about_kind(form: str, name: str) -> dict[str, Any]:
    """What every record of a kind begins with, in a plan and in a provenance."""
    kind = KINDS[form]
    return {
        "kind": name,
        "form": form,
        "licence": kind.licence,
        "labels": kind.labels,
        "masked": kind.masked,
        "notes": [],
    }


def plan_kind(word: str, size_px: int, crop: str) -> dict[str, Any]:
    """The record of a kind that is no network, checked as far as can be before a run.

    Args:
        word: after `--generator`.
        size_px: side of both halves.
        crop: name of the crop that real halves are cut by.

    Raises:
        ExpectedError: what the kind needs is not there.
    """
    form = form_of(word)
    common = {**about_kind(form, slug(word)), "crop": crop}
    if form == "vae:":
        return {**common, **autoencoder.inspect_folder(Path(word.removeprefix("vae:")), size_px)}
    if form == "module:":
        note = f"Fakes of kind {common['kind']} come from code of the user's own, {word}."
        return {**common, "name": word, "sha256": user_code.load_factory(word)[1], "notes": [note]}
    recipe = {"swap": swap.RECIPE, "self-blend": self_blend.RECIPE}[form]
    return {**common, "name": recipe, "sha256": hashlib.sha256(recipe.encode()).hexdigest()}


def check_words(words: Sequence[str]) -> None:
    """Refuse a choice of generators that cannot be meant.

    Raises:
        SettingError: none, one twice, or two that are networks (they need not cut faces alike).
    """
    if not words:
        raise SettingError("no --generator given; name at least one, such as small")
    twice = [word for i, word in enumerate(words) if word in words[:i]]
    if twice:
        raise SettingError(f"--generator {twice[0]} is given twice; name each kind once")
