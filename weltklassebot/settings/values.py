"""How one value is read, whichever way it came: as text from the environment, or typed from TOML.

Each function gives a parser that takes both forms and nothing more: numbers in text are those of `core.grammar`, and
none that cannot be held exactly. The message is one clause: what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from weltklassebot.core import grammar
from weltklassebot.core.grammar import NotWritten
from weltklassebot.core.numbers import NotExact, exact, plain

__all__ = ["Parser", "boolean", "choice", "decimal", "directory", "number", "optional", "text", "whole"]

Parser = Callable[[Any], Any]
"""Returns the value, or raises ValueError with what is allowed."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_TEXT: Final = 4096


def decimal(
    low: Decimal | int, high: Decimal | int | None = None, *, above: bool = False, what: str = "a number"
) -> Parser:
    """An exact number from `low` (with `above`: above it) to `high`."""
    allowed = f"must be {what} {'above' if above else 'from'} {plain(Decimal(low))}"
    allowed += f" {'and at most' if above else 'to'} {plain(Decimal(high))}" if high is not None else ""
    allowed = allowed.replace(" from ", " of at least ") if high is None else allowed

    def parse(value: Any) -> Decimal:
        try:
            found = exact(_decimal(value))
        except NotExact:
            raise ValueError(f"{allowed}, with at most 18 whole and 18 fractional digits") from None
        except ValueError:
            raise ValueError(allowed) from None
        if found < low or (above and found == low) or (high is not None and found > high):
            raise ValueError(allowed)
        return found

    return parse


def number(low: float, high: float, *, above: bool = False) -> Parser:
    """A duration or the like, held as a float."""
    parse_decimal = decimal(Decimal(repr(low)), Decimal(repr(high)), above=above)
    return lambda value: float(parse_decimal(value))


def whole(low: int, high: int) -> Parser:
    allowed = f"must be a whole number from {low} to {high}"

    def parse(value: Any) -> int:
        if isinstance(value, str):
            try:
                value = grammar.whole(value)
            except NotWritten:
                raise ValueError(allowed) from None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(allowed)
        return value

    return parse


def boolean() -> Parser:
    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise ValueError("must be true or false")

    return parse


def choice(*words: str) -> Parser:
    def parse(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise ValueError(f"must be one of {', '.join(words)}")

    return parse


def text(pattern: str | None = None, allowed: str = "must be text, and not empty") -> Parser:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or _CONTROL.search(value):
            raise ValueError(allowed)
        if pattern is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(allowed)
        return value

    return parse


def directory() -> Parser:
    """A path; a relative one counts from where the process starts."""
    allowed = "must be the path of a directory"
    parse_text = text(allowed=allowed)

    def parse(value: Any) -> Path:
        try:
            return Path(parse_text(str(value) if isinstance(value, Path) else value)).expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"{allowed}; there is no such user's home") from None
        except OSError as error:
            raise ValueError(f"{allowed}; where this process starts: {error.strerror}") from None

    return parse


def optional(parse: Parser, word: str) -> Parser:
    """`word` stands for None: TOML and the environment have no word for nothing."""

    def parse_or_none(value: Any) -> Any:
        if value is None or value == word:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValueError(f'{error}, or "{word}"') from None

    return parse_or_none


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value))
    if isinstance(value, str):
        return grammar.number(value)
    raise ValueError("must be a number")
