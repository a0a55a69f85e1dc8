"""Names from strangers, made safe to look at: the one place that does so.

Enters: any text, such as a label, a path or a message. Leaves: text in which every character is seen, on one
line.

Why: a terminal obeys escape sequences, and a right-to-left override shows the numbers beside a label
backwards. Such characters are spelled out (`\\u202e`), never removed: two labels that differ in one stay
different. So are code points that are no characters, two of which XML cannot hold at all. Why letters that
run right to left are put into an isolate: they are honest text, but without it they pull the numbers beside
them over to the wrong side. U+2068 and U+2069 are to plain text what <bdi> is to HTML. Source: Unicode
Standard Annex 9; noncharacters: section 23.7 of the Unicode Standard, and section 2.2 of XML 1.0.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from pipelines.places import named

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, formats (all that change direction are among them), half characters, line and page breaks."""
_JOINERS = frozenset("\u200c\u200d")
"""Needed to spell Persian, Hindi and many emoji; they change no direction."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
ISOLATE, END_ISOLATE = "\u2068", "\u2069"


def visible(text: object) -> str:
    r"""Text that shows every character it has, on one line; the copy of a place in a store as its address.

    >>> visible("A\x1b[2J"), visible("\u202e9.1"), visible("Zo\u00eb \u05d0")
    ('A\\x1b[2J', '\\u202e9.1', 'Zoë א')
    """
    text = named(str(text))
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    code = ord(character)
    none = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # Unicode's noncharacters, of category Cn
    if (unicodedata.category(character) not in _HIDDEN and not none) or character in _JOINERS:
        return character
    wide = f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else wide)


def isolated(text: object) -> str:
    r"""Visible text that can stand beside a number: letters that run right to left move nothing around them.

    >>> isolated("White"), isolated("\u05d0\u05d1") == "\u2068\u05d0\u05d1\u2069"
    ('White', True)
    """
    shown = visible(text)
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in shown):
        return f"{ISOLATE}{shown}{END_ISOLATE}"
    return shown


def as_spelled(text: str) -> str:
    """Text that Markdown shows as it is spelled: markup, links and table bars made harmless.

    >>> as_spelled("a|b <script> [x](y) *z*")
    'a\\\\|b &lt;script&gt; \\\\[x\\\\](y) \\\\*z\\\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", text).replace("\n", " ")


def encodable(text: object) -> str:
    r"""Text that UTF-8 can hold: the halves of characters in a file name that is not UTF-8 are spelled out.

    >>> encodable("caf\udce9.png")
    'caf\\udce9.png'
    """
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def visible_record(value: Any) -> Any:
    """Plain values (mappings, lists, texts, numbers) with every text in them, keys too, made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible_record(key): visible_record(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(visible_record, value))
    return value
