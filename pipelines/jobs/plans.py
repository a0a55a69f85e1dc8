"""Plans a run: from options to a `Job`, before anything is made.

A FairFace folder, or a finished pairs dataset with latents, and a generator enter; a `Job` leaves,
checked as far as can be without making a pair.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from torch import Tensor

from pipelines.dataset.job import Job
from pipelines.dataset.manifest import MANIFEST, OK, read_manifest, read_provenance
from pipelines.dataset.settings import PairSettings, check_generator
from pipelines.devices import choose_device
from pipelines.errors import PairsNotFound, PhotoError, SelectionError, SettingError
from pipelines.faces.align import FFHQ, TIGHT
from pipelines.generators import latents
from pipelines.generators.encoder_decoder import EncoderDecoder
from pipelines.generators.kinds import NETWORKS, about_kind, check_words, form_of, plan_kind, slug
from pipelines.generators.loading import load_generator, weights_of
from pipelines.generators.mean_latent import centre_of, digest_of
from pipelines.generators.precision import Drift, choose_precision
from pipelines.generators.small import SMALL_WEIGHTS
from pipelines.labels import ATTRIBUTES
from pipelines.places import name_of
from pipelines.sources.face_table import FaceTable
from pipelines.sources.fairface import read_fairface
from pipelines.sources.finish import OF_PHOTOS
from pipelines.sources.photo_table import read_photo_table
from pipelines.sources.photos import read_photo
from pipelines.sources.selection import select
from pipelines.sources.utkface import read_utkface
from pipelines.storage import file_sha256

_LOOKED_AT, _TIGHT_CHIP_PX = 12, 256
"""Photos looked at before a run, and the side up to which they are taken for chips of padding 0.25."""
SMALL_NOTE = (
    "Fakes come from the small embedded generator, a StyleGAN2 decoder with W+ and a spatial code, trained "
    "on few photos; they are not the official pSp's."
)
RENDERED_NOTE = "The faces are rendered: drawn by a program, no photographs of people."
_OF_FAKES = (
    "real", "fake", "mask", "donor", "psnr_db", "spectrum_db", "changed_share", "reconstruction_l1",
    "reconstruction_ms_ssim", "real_confidence", "fake_confidence",
)  # fmt: skip
"""Columns that are filled anew when a pair is made."""


def pairs_job(
    photos: str | Path | FaceTable | None,
    out_dir: str | Path,
    generator: str | Path | Sequence[str | Path] = "small",
    *,
    from_latents: str | Path | None = None,
    limit: int | None = None,
    per_cell: int | None = None,
    size_px: int | None = None,
    finish: str | None = None,
    **options: Any,
) -> Job:
    """Plan pairs from labelled photos, or from the latents of a finished dataset.

    Args:
        photos: a folder in FairFace's layout, or labelled photos of another source; None with latents.
        out_dir: the dataset's folder.
        generator: one or several kinds of fake; with latents, the one network that fits them.
        from_latents: a finished pairs dataset, instead of photos.
        limit: at most this many photos.
        per_cell: at most this many photos of each cell.
        size_px: side of both halves.
        finish: how both halves are written; None for `finish.OF_PHOTOS`.
        **options: as in `photo_job`.

    Returns:
        The job.

    Raises:
        SelectionError: neither photos nor latents, or a choice of photos that latents leave no room for.
        ExpectedError: as `photo_job` and `latents_job`.
    """
    of_photos = {"limit": limit, "per_cell": per_cell, "size_px": size_px, "finish": finish}
    chosen = {name: value for name, value in of_photos.items() if value is not None}
    if from_latents is None:
        if photos is None:
            raise SelectionError("no photos: give a folder in FairFace's layout, or a dataset with latents")
        return photo_job(photos, out_dir, generator, **chosen, **options)
    given = [*([_option_of(photos)] if photos is not None else []), *chosen]
    if given:
        raise SelectionError(
            f"{', '.join('--' + name.replace('_', '-') for name in given)} cannot be given with "
            "--from-latents: every pair of that dataset is decoded again, at its size"
        )
    if not isinstance(generator, str | Path) and len(generator) != 1:
        raise SettingError(
            "--from-latents decodes latents with one network; --generator names "
            f"{', '.join(map(str, generator))}"
        )
    network = generator if isinstance(generator, str | Path) else generator[0]
    return latents_job(from_latents, out_dir, network, **options)


def labelled_photos(
    fairface: str | Path | None = None,
    utkface: str | Path | None = None,
    photos: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
) -> str | Path | FaceTable | None:
    """The one source of photos that was named; FairFace's folder is read later, with the run's other checks.

    Args:
        fairface: a folder in FairFace's layout.
        utkface: a folder of UTKFace.
        photos: any table of photos and labels.
        columns: of that table.

    Returns:
        What `pairs_job` takes; None where nothing was named.

    Raises:
        SelectionError: more than one source, or columns of no table.
        FairFaceError: as the source's reader.
    """
    given = {"--fairface": fairface, "--utkface": utkface, "--photos": photos}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise SelectionError(f"{named[0]} and {named[1]} are two sources of photos; make a dataset of each")
    if columns and photos is None:
        raise SelectionError("--column maps the columns of a table; name it with --photos TABLE")
    if utkface is not None:
        return read_utkface(utkface)
    return fairface if photos is None else read_photo_table(photos, columns)


def _option_of(photos: str | Path | FaceTable) -> str:
    """The option that names a source of photos."""
    kind = photos.kind if isinstance(photos, FaceTable) else "fairface"
    return kind if kind in ("utkface", "photos") else "fairface"


def photo_job(
    photos: str | Path | FaceTable,
    out_dir: str | Path,
    generator: str | Path | Sequence[str | Path] = "small",
    **options: Any,
) -> Job:
    """Plan pairs from labelled photos.

    Args:
        photos: a folder in FairFace's layout, or labelled photos of another source.
        out_dir: the dataset's folder.
        generator: one or several kinds of fake, as `generators.kinds.KINDS` lists them: "small", a pSp
            checkpoint's path, "swap", "self-blend", "vae:FOLDER", "module:factory".
        **options: fields of `PairSettings`, `device` and `precision` also "auto", `size_px` also
            None; `finish` is `OF_PHOTOS` unless given; `elsewhere=True` where a cluster does the work, whose
            GPUs are not seen from here.

    Returns:
        The job.

    Raises:
        ExpectedError: labels, settings or weights that a user must put right.
    """
    several = [generator] if isinstance(generator, str | Path) else generator
    if not isinstance(several, Sequence):
        raise SettingError(
            f"generator is {generator!r}; give a kind of fake, such as 'small', or a list of them"
        )
    words = [str(one) for one in several]
    check_words(words)
    table = photos if isinstance(photos, FaceTable) else read_fairface(photos)
    table = replace(table, rows=table.rows.assign(path=[str(Path(p).resolve()) for p in table.rows["path"]]))
    settings, about = _kinds(words, {"finish": OF_PHOTOS, **options})
    plan = select(table.rows, settings.limit, settings.per_cell, settings.seed).assign(seed=settings.seed)
    about[0]["notes"] += _margin_notes(about[0]["crop"], plan["path"])
    donors = None
    if any(each["form"] == "swap" for each in about):
        donors = table.rows[["pair_id", *ATTRIBUTES, "path"]]
    return Job(_folder(out_dir), "photos", settings, about, _origin(table), plan, donors)


def _kinds(words: Sequence[str], options: dict[str, Any]) -> tuple[PairSettings, tuple[dict[str, Any], ...]]:
    """Settings, and the record of each kind asked for: the network first, then the others by name.

    Raises:
        ExpectedError: a kind that cannot be made, or does not go with the others or the options.
    """
    networks = [word for word in words if form_of(word) in NETWORKS]
    if len(networks) > 1:
        raise SettingError(
            f"--generator {networks[0]} and {networks[1]} are both networks that may cut faces differently; "
            "make a dataset of each"
        )
    if networks:
        network = load_generator(networks[0])
        centre = centre_of(weights_of(networks[0]), network)
        settings, drift = _settle(options, network, centre)
        first, crop = [_about(network, networks[0], drift, centre)], network.crop.name
    else:
        settings, first, crop = _settle_without_network(options), [], TIGHT.name
    others = [plan_kind(w, settings.size_px, crop) for w in words if w not in networks]
    about = (*first, *sorted(others, key=lambda a: str(a["kind"])))
    names = [a["kind"] for a in about]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise SettingError(f"two generators would both be called {twice[0]!r}; rename a folder or a file")
    return settings, about


def _settle_without_network(options: dict[str, Any]) -> PairSettings:
    """Options to settings where no network says how large its crop is."""
    given = {name: options[name] for name in ("truncation", "style_mix") if options.get(name)}
    changed = [n for n, v in given.items() if v != getattr(PairSettings, n)]
    if changed:
        raise SettingError(
            f"--{changed[0].replace('_', '-')} changes latents, and none of the generators asked for has any"
        )
    device = choose_device(options.get("device", "auto"), options.pop("elsewhere", False))
    size_px = options.get("size_px") or TIGHT.size_px
    if not 32 <= size_px <= 1024:
        raise SettingError(f"--size-px is {size_px}; it must lie from 32 to 1024")
    return PairSettings(**{**options, "device": device, "precision": "float32", "size_px": size_px})


def latents_job(
    latents_dir: str | Path, out_dir: str | Path, generator: str | Path = "small", **options: Any
) -> Job:
    """Plan pairs from the latents of a finished dataset.

    Args:
        latents_dir: the finished pairs dataset.
        out_dir: the new dataset's folder.
        generator: "small", or a pSp checkpoint's path; it must fit the latents.
        **options: as in `photo_job`, without `limit`, `per_cell` and `size_px`.

    Returns:
        The job.

    Raises:
        ExpectedError: as `photo_job`; PairsNotFound where latents or provenance are missing.
    """
    folder = Path(latents_dir)
    if folder.resolve() == _folder(out_dir):
        raise SelectionError(f"--out is {out_dir}, the dataset the latents come from; name another folder")
    before, network, places = _encoded(folder), load_generator(generator), latents.index(folder)
    files = sorted({file for file, _ in places.values()})
    _check_shapes(files, network)
    centre = centre_of(weights_of(generator), network)
    taken_over = {
        "size_px": before["parameters"]["size_px"],
        "finish": before["parameters"].get("finish", "png"),
    }
    settings, drift = _settle({**options, **taken_over}, network, centre)
    maker = _of_latents(before)
    plan = _latents_plan(folder, maker["kind"], places, settings.seed)
    about = _about(network, generator, drift, centre) | {"crop": maker["crop"]}
    source = {
        **_origin_of_latents(before, network),
        "path": name_of(latents_dir),
        "sha256": _digest(before["parameters"]["photos"], files),
        "from_latents": True,
        "before": before["source"],
        "probes": [str((folder / name).resolve()) for name in (MANIFEST, "real")],
    }
    return Job(_folder(out_dir), "latents", settings, (about,), source, plan)


def _encoded(folder: Path) -> dict[str, Any]:
    """The provenance of a dataset whose latents are decoded again.

    Raises:
        PairsNotFound: none, or one that does not say how they were made.
    """
    before = read_provenance(folder)
    given = before.get("parameters", {})
    maker = _of_latents(before) if before["generators"] else {}
    told = (given.get("size_px"), given.get("photos"), given.get("finish", "png"), before.get("source"))
    whole = all(isinstance(one, kind) for one, kind in zip(told, (int, str, str, dict), strict=True))
    if not whole or not all(isinstance(maker.get(name), str) for name in ("kind", "crop")):
        raise PairsNotFound(f"the provenance in {folder} does not say how its latents were made")
    return before


def _of_latents(before: dict[str, Any]) -> dict[str, Any]:
    """The record of the network whose latents a dataset holds."""
    makers: list[dict[str, Any]] = before["generators"]
    return next((m for m in makers if m.get("form", "checkpoint") in NETWORKS), makers[0])


def _check_shapes(files: list[Path], network: EncoderDecoder) -> None:
    """Refuse latents that a network cannot decode.

    Raises:
        SettingError: they are of another shape.
    """
    wanted = network.latent_shape
    for file in files:
        shape = latents.shape_of(file)
        if shape != wanted:
            raise SettingError(
                f"{file} holds latents of {shape[0]} x {shape[1]}, but {network.name} decodes "
                f"{wanted[0]} x {wanted[1]}; give --generator the one that encoded them"
            )


def _digest(photos: str, files: list[Path]) -> str:
    """sha256 of what was encoded and of the latents' bytes: other latents are another run."""
    return hashlib.sha256("\n".join([photos, *map(file_sha256, files)]).encode()).hexdigest()


def _origin_of_latents(before: dict[str, Any], network: EncoderDecoder) -> dict[str, Any]:
    """What still holds of a dataset's source when its latents are decoded again.

    Its other notes told of its own fakes, and do not.
    """
    source = before["source"]
    kind, repaired = source.get("kind", "pairs"), source.get("repaired_ages", 0)
    encoder = source.get("encoder_sha256", _of_latents(before).get("sha256"))
    notes = _notes_on_photos(kind, repaired)
    if encoder != network.sha256:
        notes.append("The latents were encoded by another generator than the one that decoded them.")
    return {"kind": kind, "repaired_ages": repaired, "encoder_sha256": encoder, "notes": notes}


def _margin_notes(crop: str, photos: pd.Series) -> list[str]:
    """What is lost where photos hold less than the generator's crop, said before the run."""
    if crop != FFHQ.name:
        return []
    sides = []
    for path in photos.iloc[:: max(1, len(photos) // _LOOKED_AT)][:_LOOKED_AT]:
        try:
            sides.append(max(read_photo(Path(path)).pixels.shape[:2]))
        except PhotoError:  # the run itself records it, with its reason
            continue
    if not sides or median(sides) > _TIGHT_CHIP_PX:
        return []
    return [
        f"The photos are chips of {median(sides):.0f} px, as FairFace's of padding 0.25: they hold about "
        "two thirds of the side of the FFHQ crop that this generator needs; the rest is mirrored, in both "
        "halves alike. Many will be rejected, the fakes of others suffer; FairFace's padding 1.25 (448 px) "
        "holds all of it."
    ]


def _latents_plan(folder: Path, kind: str, places: dict[str, tuple[Path, int]], seed: int) -> pd.DataFrame:
    """Every row of one kind of a finished dataset, with the place of its latent where it has one.

    What was said and measured of the old fakes is left out.
    """
    manifest = read_manifest(folder)
    manifest = manifest[manifest["kind"] == kind].reset_index(drop=True)
    paired = manifest["status"] == OK
    lost = [p for p in manifest.loc[paired, "pair_id"] if p not in places]
    if lost:
        raise PairsNotFound(
            f"{folder / latents.FOLDER} lacks the latent of {lost[0]} and {len(lost) - 1} more"
        )
    found = [places.get(p) for p in manifest["pair_id"]]
    reals = [None if r is None or pd.isna(r) else str((folder / r).resolve()) for r in manifest["real"]]
    return manifest.assign(
        path=pd.array(reals, dtype="str"),
        latent_file=pd.array([str(f[0].resolve()) if f else None for f in found], dtype="str"),
        latent_row=pd.array([f[1] if f else None for f in found], dtype="Int64"),
        detail=manifest["detail"].mask(paired, manifest["detail"].map(latents.without_mixing)),
        seed=seed,
        **dict.fromkeys(_OF_FAKES),
    )


def _folder(out_dir: str | Path) -> Path:
    """The output folder as workers with another working folder must see it."""
    return Path(out_dir).resolve()


def _settle(
    options: dict[str, Any], network: EncoderDecoder, centre: Tensor | None
) -> tuple[PairSettings, Drift | None]:
    """Options to settings: what was left open is decided here, once."""
    device = choose_device(options.get("device", "auto"), options.pop("elsewhere", False))
    precision, drift = choose_precision(options.get("precision", "auto"), device, network)
    settled = {
        **options,
        "device": device,
        "precision": precision,
        "size_px": options.get("size_px") or network.crop.size_px,
    }
    settings = PairSettings(**settled)
    check_generator(settings, network, centre)
    return settings, drift


def _about(
    network: EncoderDecoder, asked: str | Path, drift: Drift | None, centre: Tensor | None
) -> dict[str, Any]:
    """What the provenance says of a generator, and where its weights lie."""
    form = "small" if str(asked) == "small" else "checkpoint"
    return {
        **about_kind(form, form if form == "small" else slug(network.name)),
        "name": network.name,
        "sha256": network.sha256,
        "path": str(weights_of(asked).resolve()),
        "output_size_px": network.output_size_px,
        "input_size_px": network.input_size_px,
        "crop": network.crop.name,
        "n_styles": network.style_shape[0],
        "centre_sha256": digest_of(centre),
        "bfloat16_drift": None if drift is None else asdict(drift),
        **{k: v for k, v in network.provenance.items() if k not in ("trained_on", "notes")},
        "notes": [SMALL_NOTE] if network.sha256 == file_sha256(SMALL_WEIGHTS) else [],
    }


def _origin(table: FaceTable) -> dict[str, Any]:
    """What the provenance says of the photos, and what must be there while they are read."""
    return {
        "kind": table.kind,
        "path": name_of(table.root),
        "sha256": table.sha256,
        "repaired_ages": table.repaired_ages,
        "probes": [str(p.resolve()) for p in table.probes],
        "notes": [*_notes_on_photos(table.kind, table.repaired_ages), *table.notes],
    }


def _notes_on_photos(kind: str, repaired: int) -> list[str]:
    """Sentences on the photos, whatever is made of them."""
    notes = [RENDERED_NOTE] if kind == "rendered" else []
    if repaired:
        notes.append(f"{repaired} ages in the label tables were spreadsheet dates and were repaired.")
    return notes
