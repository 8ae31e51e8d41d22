"""How symbols and ids are written: as venues and libraries write them, and so that no two look the same.

Printable UTF-8 in NFC, 1 to 128 bytes, no blank at either end. Not printable are control and format characters (bidi
marks, joiners and soft hyphens among them: ids that look alike would differ), line and paragraph separators, blanks
other than the ASCII one, surrogates, and what Unicode has not assigned. Text that is not in NFC is refused rather than
normalised: the journal holds what was sent, and what was sent is the identity.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import is_normalized

__all__ = ["ID_PATTERN", "ID_WANTED", "MOST_BYTES", "id_error", "is_plain"]

MOST_BYTES: Final = 128
ID_WANTED: Final = "must be 1 to 128 bytes of printable UTF-8, without blanks at its ends"

ID_PATTERN: Final = (
    r"^[^\u0000-\u0020\u007f-\u00a0\u2028\u2029]"
    r"([^\u0000-\u001f\u007f-\u00a0\u2028\u2029]{0,126}[^\u0000-\u0020\u007f-\u00a0\u2028\u2029])?$"
)
"""What a pattern can say of it, for those who check before they send; `id_error` has the last word."""

is_plain: Final = re.compile(r"[!-~]{1,128}").fullmatch
"""Nearly every id is ASCII without a blank, and needs no second look."""


def id_error(text: object) -> str | None:
    """What is wrong with this id, if anything."""
    if not isinstance(text, str) or not text or len(text) > MOST_BYTES:
        return ID_WANTED
    if is_plain(text):
        return None
    if not text.isprintable() or text[0] == " " or text[-1] == " " or len(text.encode()) > MOST_BYTES:
        return ID_WANTED
    if not is_normalized("NFC", text):
        return "must be in Unicode's normalisation form C: the same letters in another form would be another id"
    return None
