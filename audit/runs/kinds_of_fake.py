"""Several kinds of fake of the same photos: which images each audit is of.

Enters: the scores of all images, and the manifest. Leaves: what belongs to one kind, or to a mixture.

Why the first page is of a mixture: its intervals need independent images, and the fakes of one photo are not.
Of each photo one fake is taken, of a kind drawn at random by the seed and the photo's name, so each kind
stands for its share. Every kind is audited alone beside it, and `kinds_agreement` compares them.
"""

from __future__ import annotations

import pandas as pd

FOLDER = "kinds"
"""Of a run folder: one run folder a kind."""


def kinds_in(table: pd.DataFrame, manifest: pd.DataFrame | None) -> list[str]:
    """The kinds of fake of a pairs dataset's images, sorted; none for other image sets."""
    return [] if manifest is None else sorted(set(table.loc[table["label"] == 1, "kind"]))


def of_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The complete pairs of one kind: its fakes, and the real halves of the same photos."""
    fakes = table[(table["label"] == 1) & (table["kind"] == kind)]
    reals = table[(table["label"] == 0) & table["pair_id"].isin(set(fakes["pair_id"]))]
    return pd.concat([reals, fakes]).sort_values("image_id", ignore_index=True)


def mixture(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """All real halves, and one fake of each photo, of a kind drawn at random.

    Args:
        table: Scored images with image_id, pair_id, label and kind.
        seed: Of the draw; the order of rows does not matter.
    """
    fakes = table[table["label"] == 1]
    texts = (fakes["pair_id"].astype(str) + "\t" + fakes["kind"].astype(str)).to_numpy(dtype=object)
    drawn = fakes.assign(_draw=pd.util.hash_array(texts, hash_key=f"{seed:016d}"[-16:]))
    one = drawn.sort_values(["pair_id", "_draw"]).drop_duplicates("pair_id").drop(columns="_draw")
    return pd.concat([table[table["label"] == 0], one]).sort_values("image_id", ignore_index=True)


def rows_for(manifest: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The manifest with one row a photo: of the kind whose fake is in the table, else of its first row."""
    fakes = table[table["label"] == 1]
    chosen = set(zip(fakes["pair_id"], fakes["kind"], strict=True))
    keys = zip(manifest["pair_id"], manifest["kind"], strict=True)
    is_chosen = pd.Series([key in chosen for key in keys], index=manifest.index)
    ordered = manifest.assign(_last=~is_chosen).sort_values(["pair_id", "_last", "kind"])
    return ordered.drop_duplicates("pair_id").drop(columns="_last").reset_index(drop=True)


def left_out_of(n_left_out: dict[str, int], kind: str, kinds: list[str]) -> dict[str, int]:
    """Reasons of one kind, without its name before them, and those of the photos themselves."""
    found = {}
    for reason, n in n_left_out.items():
        owner, colon, rest = reason.partition(": ")
        if not (colon and owner in kinds):
            found[reason] = n
        elif owner == kind:
            found[rest] = n
    return found


KINDS_HELD = "kinds of fake of each photo"


def mixture_note(kinds: list[str], seed: int) -> str:
    """What the reader of a mixture must know."""
    return (
        f"The data hold {len(kinds)} {KINDS_HELD} ({', '.join(kinds)}). This audit takes one "
        f"fake a photo, of a kind drawn at random (seed {seed}); each kind alone is in {FOLDER}/."
    )
