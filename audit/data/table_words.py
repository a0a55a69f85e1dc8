"""What words in foreign tables mean: labels, missing values, names of columns.

Enters: texts as a table has them. Leaves: what they mean, or None where they mean nothing here.

Why a column's name takes part: 1 in a column "is_real" is a real face, and in "is_fake" a fake one.
Why "none" and "unknown" are no missing values of a group: people without glasses and people who said nothing
are groups in real tables.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from audit.errors import LabelError


def _set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


FAKE = _set(
    "fake deepfake spoof spoofed attack synthetic synthesized generated forged forgery manipulated "
    "altered tampered morph morphed ai aigenerated gan imposter impostor presentationattack "
    "fälschung faelschung gefälscht gefaelscht unecht manipuliert synthetisch generiert"
)
REAL = _set(
    "real bonafide genuine live authentic original pristine unaltered untampered "
    "echt authentisch unverfälscht"
)
YES = frozenset({"1", "true", "yes", "y", "t", "ja", "j", "wahr"})
NO = frozenset({"0", "false", "no", "n", "f", "nein", "falsch"})

LABEL_NAMES = (
    "label", "labels", "truth", "ground_truth", "groundtruth", "gt", "y_true", "is_fake", "fake", "is_real",
    "real", "real_or_fake", "real_fake", "actual", "actual_label", "true_label", "target", "class",
    "bona_fide", "is_bona_fide", "genuine", "is_attack", "attack", "is_deepfake", "deepfake",
)  # fmt: skip
"""Usual names of the column that says what an image is, the likelier first."""

SCORE_NAMES = (
    "score", "scores", "p_fake", "prob_fake", "fake_prob", "probability_fake", "fake_probability",
    "fake_score", "score_fake", "fake_percent", "fake_pct", "deepfake_score", "deepfake_probability",
    "spoof_score", "attack_score", "fakeness", "detector_score", "probability", "prob", "p", "y_score",
    "p_real", "prob_real", "real_prob", "probability_real", "real_probability", "real_score",
    "score_real", "genuine_score", "bona_fide_score", "liveness", "liveness_score", "wahrscheinlichkeit",
)  # fmt: skip
"""Usual names of the column of scores. "confidence" is none: it may be that in a decision either way."""

_DECISION = _set(
    "prediction predictions predicted predict pred decision verdict detected detection output result "
    "results classification classified flagged flag vorhersage entscheidung urteil ergebnis"
)
_SAYS_REAL = _set("real genuine bonafide bona authentic live liveness pristine echt echtheit authentizität")
_SAYS_FAKE = _set("fake deepfake spoof attack synthetic manipulated forged fälschung gefälscht manipulation")
_SAYS_SCORE = _set("score prob probability likelihood wahrscheinlichkeit")

_MISSING = ("NA", "N/A", "#N/A", "NaN", "NULL", "-", "--", "?", "k. A.", "k.A.")
GROUP_MISSING = ("", *dict.fromkeys(f(w) for w in _MISSING for f in (str, str.upper, str.lower, str.title)))
"""Words that mean "no value" in a column of groups or names."""
NUMBER_MISSING = (*GROUP_MISSING, "none", "None", "NONE", "missing", "Missing", "n.a.", "nil", ".")
"""Words that mean it in a column of numbers or labels."""
_CODE = re.compile(r"[A-Z]{2}")


def as_text(value: object) -> str:
    """A value of a column as text: whole numbers without a fraction, blanks around words taken off.

    >>> as_text(1.0), as_text(" fake "), as_text(0.5)
    ('1', 'fake', '0.5')
    """
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value).strip()  # type: ignore[call-overload]


def words_of(name: str) -> list[str]:
    """The words of a column's name, in lower case.

    >>> words_of("pFake_Score2"), words_of("is-bona fide"), words_of("FälschungProzent")
    (['p', 'fake', 'score', '2'], ['is', 'bona', 'fide'], ['fälschung', 'prozent'])
    """
    lower, upper = "a-zß-öø-ÿ", "A-ZÀ-ÖØ-Þ"
    found = re.findall(
        rf"[{upper}]?[{lower}]+|[{upper}]+(?![{lower}])|\d+", unicodedata.normalize("NFC", name)
    )
    return [word.lower() for word in found]


def normal(name: str) -> str:
    """A column's name without what people write differently: capitals, blanks, hyphens.

    >>> normal(" Pair-ID "), normal("Fake probability (%)")
    ('pair_id', 'fake_probability')
    """
    return re.sub(r"[^\w]+|_+", "_", name.strip().lower()).strip("_")


def folded(text: str) -> str:
    """A label without what people write differently; whole numbers as such.

    >>> folded("Bona-Fide "), folded("1.0"), folded("FAKE"), folded("-1")
    ('bonafide', '1', 'fake', '-1')
    """
    plain = unicodedata.normalize("NFC", text).strip().lower()
    if re.fullmatch(r"-?\d+[.,]0+", plain):
        return re.split("[.,]", plain)[0]
    return plain if re.fullmatch(r"-?\d+", plain) else re.sub(r"[\s_\-]+", "", plain)


def says_real(name: str) -> bool:
    """Whether a column's name speaks of real faces and not of fakes."""
    words = set(words_of(name))
    return bool(words & _SAYS_REAL) and not words & _SAYS_FAKE


def is_decision(name: str) -> bool:
    """Whether a column's name is that of what a detector decided."""
    return bool(set(words_of(name)) & _DECISION)


def speaks_of_scores(name: str) -> bool:
    """Whether a column's name says that it holds a detector's numbers, though it is no usual one."""
    return bool(set(words_of(name)) & (_SAYS_REAL | _SAYS_FAKE | _SAYS_SCORE))


def is_percent(name: str) -> bool:
    """Whether a column's name says that its numbers are percentages."""
    return "%" in name or bool({"percent", "percentage", "pct", "perc", "prozent"} & set(words_of(name)))


def all_label_words(texts: Collection[str]) -> bool:
    """Whether texts are nothing but words for real and fake."""
    return bool(texts) and all(folded(text) in FAKE | REAL for text in texts)


def missing_words(texts: Collection[str]) -> tuple[str, ...]:
    """The words that mean "no value" among a column of groups.

    "NA" is none where the others are codes of two letters: it may be North America or Namibia.

    Args:
        texts: The column's different values, or those of its first rows.

    >>> "NA" in missing_words(["EU", "AS", "NA"]), "NA" in missing_words(["White", "NA"])
    (False, True)
    """
    others = [text.strip() for text in texts if text.strip() and text.strip() not in GROUP_MISSING]
    codes = len(others) >= 1 and all(_CODE.fullmatch(text) for text in others)
    return tuple(word for word in GROUP_MISSING if not (codes and word == "NA"))


def with_told(usual: Sequence[str], told: str | None) -> tuple[str, ...]:
    """Words that mean "no value": the usual ones and those that were told, or the latter alone.

    Args:
        usual: Without being told.
        told: Words between commas; what begins with a comma, or is empty, takes the place of the usual ones.

    >>> with_told(("", "NA"), "unsure, none"), with_told(("", "NA"), ",unsure"), with_told(("", "NA"), "")
    (('', 'NA', 'unsure', 'none'), ('', 'unsure'), ('',))
    """
    if told is None:
        return tuple(usual)
    asked = [word.strip() for word in told.split(",")]
    return tuple(dict.fromkeys([*(("",) if not asked[0] else usual), *asked]))


def missing_ids(texts: Collection[str]) -> tuple[str, ...]:
    """The words that mean "no name" among names of images, pairs and persons: "none" is one of them here.

    >>> "None" in missing_ids(["p1", "p2"]), "NA" in missing_ids(["AB", "NA"])
    (True, False)
    """
    return (*missing_words(texts), *(word for word in NUMBER_MISSING if word not in GROUP_MISSING))


def label_meanings(
    texts: Sequence[str], column: str, positive: str | None = None, real: str | None = None
) -> dict[str, bool]:
    """What each label means: True for fake.

    Args:
        texts: The different labels, blanks around them taken off.
        column: The name of their column.
        positive: The label that means fake, of two.
        real: The label that means real; all others are fakes.

    Raises:
        LabelError: What they mean cannot be told; the message names the option that does.

    >>> label_meanings(["FAKE", "Bona fide"], "truth"), label_meanings(["0", "1"], "is_real")
    ({'FAKE': True, 'Bona fide': False}, {'0': True, '1': False})
    """
    if positive is not None or real is not None:
        return _told(texts, column, positive, real)
    turned = says_real(column)
    known: dict[str, bool] = {}
    for text in texts:
        word = folded(text)
        if word in FAKE | REAL:
            known[text] = word in FAKE
        elif word in YES | NO:
            known[text] = (word in YES) != turned
    strange = [text for text in texts if text not in known]
    if not strange:
        return known
    sure = [text for text in known if folded(text) in FAKE | REAL]
    if len(texts) == 2 and len(sure) == 1:
        return {text: known.get(text, not known[sure[0]]) for text in texts}
    raise LabelError(
        f"column '{column}' holds {few(strange)}; expected 1 for fake and 0 for real, or such words: say "
        "with --positive LABEL which label means fake, or with --read real=LABEL which one means real"
        + (f"; leave out what is neither with {_neither(strange, known)}" if len(texts) > 2 else "")
    )


def _neither(strange: Sequence[str], known: Mapping[str, bool]) -> str:
    """How to say that labels mean neither real nor fake; named where the others mean both."""
    if len(set(known.values())) < 2 or len(strange) > 3:
        return "--read missing=WORD"
    return "--read " + shlex.quote("missing=" + ",".join(strange))


def shared_meaning(labels: Mapping[str, bool]) -> str | None:
    """What labels mean where several different words mean one thing; None where none do.

    >>> shared_meaning({"Genuine": False, "Spoof": True, "unsure": True})
    'Genuine is real; Spoof and unsure count as fake'
    >>> shared_meaning({"real": False, "Real": False, "fake": True}) is None
    True
    """
    sides = [[text for text in labels if labels[text] == fake] for fake in (False, True)]
    if all(len({folded(text) for text in side}) < 2 for side in sides):
        return None
    told = []
    for side, meaning in zip(sides, ("real", "fake"), strict=True):
        if side:
            shown = ", ".join(side[:-1]) + " and " + side[-1] if len(side) > 1 else side[0]
            told.append(f"{shown} {'count as' if len(side) > 1 else 'is'} {meaning}")
    return "; ".join(told)


def _told(texts: Sequence[str], column: str, positive: str | None, real: str | None) -> dict[str, bool]:
    asked = str(real if real is not None else positive)
    exact = asked if asked in texts else None
    close = [text for text in texts if folded(text) == folded(asked)]
    named = exact or (close[0] if len(close) == 1 else None)
    if real is not None:
        if named is None:
            raise LabelError(f"column '{column}' holds {few(texts)}; none of them is '{real}' (--read real)")
        return {text: text != named for text in texts}
    if len(set(texts)) > 2 or named is None:
        raise LabelError(
            f"column '{column}' holds {few(texts)}; --positive {positive} needs at most two labels, one of "
            "them that; of several kinds of fake, say which label means real: --read real=LABEL; of labels "
            "that are neither real nor fake, leave out the rows: --read missing=WORD"
        )
    return {text: text == named for text in texts}


def few(texts: Sequence[str]) -> str:
    """Up to four of some texts, quoted."""
    shown = ", ".join(repr(text) for text in texts[:4])
    return f"{shown} and {len(texts) - 4} more values" if len(texts) > 4 else shown
