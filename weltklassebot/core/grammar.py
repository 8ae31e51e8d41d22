"""How a number or a moment is written: the one grammar of API, command line, files and environment.

Python's own readers take more than anybody means: underscores, spaces around, digits of any script, `nan`, `Infinity`.
Here a number is a sign at most, ASCII digits with a point at most, and an exponent at most; a whole number has neither
of the last two; a moment is Unix seconds, or ISO 8601 with an offset. What a number may be worth is checked by its
reader; that it is finite is certain.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Final

__all__ = ["NUMBER_WANTED", "TIME_WANTED", "WHOLE_WANTED", "NotWritten", "is_number", "number", "unix_seconds", "whole"]

NUMBER_WANTED: Final = "must be a plain decimal number"
WHOLE_WANTED: Final = "must be a whole number"
TIME_WANTED: Final = "must be Unix seconds, or ISO 8601 with an offset"

MOST_SECONDS: Final = 1e11
"""The year 5138."""

_number = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_whole = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII).fullmatch


class NotWritten(ValueError):
    """The text is no number, or no moment; the message says what is wanted."""


def is_number(text: str) -> bool:
    return _number(text) is not None


def number(text: str) -> Decimal:
    """A finite number, as exact as it is written. Raises `NotWritten`."""
    if _number(text) is None:
        raise NotWritten(NUMBER_WANTED)
    try:
        found = Decimal(text)
    except ArithmeticError:  # an exponent beyond what can be held
        raise NotWritten(NUMBER_WANTED) from None
    if not found.is_finite():
        raise NotWritten(NUMBER_WANTED)
    return found


def whole(text: str) -> int:
    """A whole number of at most 19 digits. Raises `NotWritten`."""
    if _whole(text) is None:
        raise NotWritten(WHOLE_WANTED)
    return int(text)


def unix_seconds(text: str) -> float:
    """A moment, of ISO 8601 in whole microseconds. Raises `NotWritten`."""
    if _number(text) is not None:
        seconds = float(text)
    else:
        try:
            moment = datetime.fromisoformat(text if text.isascii() else "")
        except ValueError:
            raise NotWritten(TIME_WANTED) from None
        if moment.tzinfo is None:
            raise NotWritten(f"{TIME_WANTED}; this one has none: {text}Z is UTC")
        seconds = round(moment.timestamp() * 1e6) / 1e6
    if not abs(seconds) < MOST_SECONDS:
        raise NotWritten(f"{TIME_WANTED}, before the year 5138")
    return seconds
