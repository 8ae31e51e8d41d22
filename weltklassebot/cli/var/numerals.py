"""How numbers are written: one grammar for every column of every kind of file.

A number is digits of ASCII with a decimal sign, an exponent, or groups of three digits; a sign before it, a minus
behind it, or parentheses for a minus; a percent sign divides by 100. `1_000`, `1.2.3`, `inf` and digits of other
scripts are no numbers. What stands for no number at all is a list of words.

The decimal sign of a file is said, or found by a value that can be read one way only: `0,5` and `1.234,56` have a
comma, `1.25` and `1,234.5` a point, `1,234` may be either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["NOTHING", "Numerals", "ambiguous", "decimal_sign", "numerals"]

NOTHING: Final = frozenset({
    "", "na", "n/a", "#n/a", "#na", "n.a.", "nan", "null", "none", "nil", "-", "--", ".", "#nv", "#n/a n/a", "<na>",
})  # fmt: skip
"""In lower case. An error of a spreadsheet (`#DIV/0!`) is none of them: it is refused."""

_BLANKS: Final = " \t\r\n\u00a0\u202f\u2009"
_THOUSANDS: Final = "'\u2019 \u00a0\u202f\u2009"
_BODY: Final = {
    point: re.compile(
        rf"(?:[0-9]+(?:[{point}][0-9]*)?|[{point}][0-9]+)(?:[eE][+-]?[0-9]{{1,4}})?"
        rf"|(?P<grouped>[1-9][0-9]{{0,2}}(?P<by>[{comma}{_THOUSANDS}])[0-9]{{3}}(?:(?P=by)[0-9]{{3}})*(?:[{point}][0-9]*)?)"
    )
    for point, comma in ((".", ","), (",", "."))
}  # fmt: skip
_MINUS: Final = "-\u2212\u2013"
_ONE_SIGN: Final = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_DRESS: Final = _BLANKS + "()+%" + _MINUS


@dataclass(frozen=True, slots=True)
class Numerals:
    """The grammar of a file."""

    decimal: str = "."
    nothing: frozenset[str] = NOTHING
    no_numbers: tuple[float, ...] = ()
    """Values that stand for no number, like -999, however they are written."""

    def read(self, word: str) -> float:
        """NaN where nothing stands. Raises ValueError where it is neither that nor a number."""
        word = word.strip(_BLANKS)
        if word.lower() in self.nothing:
            return float("nan")
        body, negative = _unsigned(word)
        scale = 1.0
        if body.endswith("%"):
            body, scale = body[:-1].rstrip(_BLANKS), 100.0
        found = _BODY[self.decimal].fullmatch(body)
        if found is None:
            raise ValueError(word)
        if found["grouped"]:
            body = body.replace(found["by"], "")
        value = float(body.replace(",", ".")) / scale
        value = -value if negative else value
        return float("nan") if value in self.no_numbers else value


def numerals(decimal: str, said: Iterable[str]) -> Numerals:
    """The grammar with more words for nothing; a word that is itself a number stands for its value."""
    words = {word.strip().lower() for word in said}
    plain, values = Numerals(decimal), list[float]()
    for word in words - NOTHING:
        try:
            values.append(plain.read(word))
        except ValueError:
            continue
    return Numerals(decimal, NOTHING | words, tuple(sorted(values)))


def _unsigned(word: str) -> tuple[str, bool]:
    """Without its sign, and whether that was a minus."""
    if word.startswith("(") and word.endswith(")"):
        return word[1:-1].strip(_BLANKS), True
    if word[:1] and word[0] in "+" + _MINUS:
        return word[1:].lstrip(_BLANKS), word[0] != "+"
    if len(word) > 1 and word[-1] in _MINUS:
        return word[:-1].rstrip(_BLANKS), True
    return word, False


def decimal_sign(words: Iterable[str]) -> str | None:
    """The sign that the first word with only one reading has; None where every word has two, or none has a sign."""
    for word in words:
        signs = [each for each in word if each in ".,"]
        if not signs:
            continue
        body = word.strip(_DRESS)
        if len(set(signs)) == 2:
            found = signs[-1]
            if signs.count(found) == 1 and _BODY[found].fullmatch(body):
                return found
        elif len(signs) > 1:
            found = "," if signs[0] == "." else "."
            if _BODY[found].fullmatch(body):
                return found
        elif _ONE_SIGN.fullmatch(body) is None and _BODY[signs[0]].fullmatch(body):
            return signs[0]
    return None


def ambiguous(words: Iterable[str]) -> str | None:
    """The first word that is a number with a decimal sign and another one with groups of digits, like `1,234`."""
    return next((word for word in words if _ONE_SIGN.fullmatch(word.strip(_DRESS))), None)
