"""What a search for shortcuts found, in words: never more than its intervals say.

Enters: a `ShortcutsResult`. Leaves: sentences.
"""

from __future__ import annotations

from audit.schema.result import OVERALL
from audit.schema.shortcuts import FamilyResult, Flip, ShortcutDetector, ShortcutsResult
from audit.wording.numbers import count, counted, number, number_interval, percent, percent_interval, points

SOLVED = 0.95
"""AUC of the files from which on a data set is called solved by them."""
HALVES = {"real": "real images", "fake": "fakes"}
FOUND = {
    "files": "Real and fake can be told by their files alone",
    "picture": "Statistics of the whole picture tell real from fake",
    "together": "Files and statistics of the picture together tell real from fake",
    "not shown": "Not shown: neither files nor statistics of the picture tell real from fake",
}


def headline(record: ShortcutsResult) -> str:
    """The answer in one sentence."""
    if record.finding == "files" and record.part("file").auc >= SOLVED:
        return f"This data set can be solved by its files: {_named(record, 'file')}."
    if record.finding in ("files", "picture"):
        part = "file" if record.finding == "files" else "picture"
        return f"{FOUND[record.finding]}: {_named(record, part)}."
    return f"{FOUND[record.finding]}."


def _named(record: ShortcutsResult, part: str) -> str:
    """The clearest families of a part that tell by themselves; those that tell equally well in their
    order.
    """
    told = [family for family in record.betrays if family.part == part]
    if not told:
        return "no single property is proven, all of them together are"
    names = [family.label for family in told[:2]]
    return " and ".join(names) + (f", and {len(told) - 2} more" if len(told) > 2 else "")


def evidence(record: ShortcutsResult) -> str:
    """The three AUCs with their intervals."""
    shown = {name: record.part(name) for name in ("all", "file", "picture")}
    told = {name: f"{number(p.auc)} ({number_interval(p.interval)})" for name, p in shown.items()}
    return (
        f"{count(record.n_real)} real and {count(record.n_fake)} fake images, each judged by a classifier "
        f"that has not seen it: AUC {told['all']}; from what stands in the file alone {told['file']}, from "
        f"statistics of the whole picture alone {told['picture']}. 0.5 is guessing."
    )


def meaning(record: ShortcutsResult) -> str:
    """What it means for an audit on this data set."""
    if record.finding == "files":
        return (
            "A detector can do well here and know nothing of faces. Write both classes alike "
            "(`audit generate-pairs --finish`), then audit again."
        )
    if record.finding == "picture":
        return (
            "A detector need not look at the face to do well here. This may be the generator's own mark, "
            "which another generator will not leave, or how the two classes were prepared."
        )
    if record.finding == "together":
        return "A detector can find this, too; no single property is proven to be the reason."
    high = record.part("all").interval[1]
    return f"An AUC up to {number(high)} would fit these images as well; more images narrow that down."


def capital(text: str) -> str:
    """The text with its first letter large.

    >>> capital("colour resolution of a JPEG")
    'Colour resolution of a JPEG'
    """
    return text[:1].upper() + text[1:]


def warning(record: ShortcutsResult) -> str | None:
    """What a reader must know before believing a number of an audit on this data set; None if nothing."""
    if record.finding == "not shown":
        return None
    part = record.part({"files": "file", "picture": "picture", "together": "all"}[record.finding])  # type: ignore[arg-type]
    size = f"AUC {number(part.auc)} ({number_interval(part.interval)}) without a look at the face"
    return f"{headline(record)} {size}. {meaning(record)}"


def family_sentence(family: FamilyResult) -> str:
    """What one family betrays."""
    return (
        f"{capital(family.label)}: AUC {number(family.auc)} ({number_interval(family.interval)}); "
        f"{family.fact_label}: {family.real} in real images, {family.fake} in fakes."
    )


def flip_sentence(flip: Flip) -> str:
    """What exchanging the files does to one class."""
    if flip.n == 0:
        return (
            f"No decision about {HALVES[flip.half]} could be tried: none can be written like the other class."
        )
    way = "flagged" if flip.half == "real" else "passed as real"
    return (
        f"Written like the other class, {percent(flip.flipped)} ({percent_interval(flip.interval)}) of "
        f"{count(flip.n)} {HALVES[flip.half]} change their decision; {percent(flip.toward)} are now {way}."
    )


def overall_flips(detector: ShortcutDetector) -> list[str]:
    """What exchanging the files does to all images, a sentence a class; one where none could be exchanged."""
    overall = [flip for flip in detector.flips if flip.attribute == OVERALL]
    if any(flip.n for flip in overall):
        return [flip_sentence(flip) for flip in overall]
    why = "; ".join(f"{counted(n, 'image', 'images')}: {why}" for why, n in _not_exchanged(detector))
    return [f"No decision could be tried with the files exchanged ({why})."]


def equal_files_sentence(detector: ShortcutDetector) -> str:
    """How the detector does at equal value of the file-only score."""
    found = detector.at_equal_files
    raw = f"{detector.name} flags {points(found.raw)} more of the fakes than of the real images"
    if found.interval is None:
        return f"{raw}. At equal value of the file-only score: {found.reason}."
    low, high = (points(limit).split()[0] for limit in found.interval)
    proven = (
        "more than files explain is proven"
        if found.interval[0] > 0
        else "more than files explain is not proven"
    )
    size = f"{points(found.adjusted)} ({low} to {high})"
    return f"{raw}; among images whose files look equally fake, {size}: {proven}."


def exchange_sentence(detector: ShortcutDetector) -> str:
    """How many images could be written like their counterpart, and why the others could not."""
    done = detector.exchange.get("exchanged", 0)
    written = counted(done, "image was", "images were") if done else "No images were"
    said = f"{written} written like {'its' if done == 1 else 'their'} counterpart"
    left = [f"; {count(n)} were left as they are ({why})" for why, n in _not_exchanged(detector)]
    return said + "".join(left) + "."


def _not_exchanged(detector: ShortcutDetector) -> list[tuple[str, int]]:
    return [(why, n) for why, n in detector.exchange.items() if why != "exchanged"]


def lines(record: ShortcutsResult) -> list[str]:
    """What the command prints."""
    found = [headline(record), evidence(record), *map(family_sentence, record.betrays[:5])]
    if record.detector is not None:
        found += overall_flips(record.detector)
        found += [exchange_sentence(record.detector), equal_files_sentence(record.detector)]
    return found
