"""What a person types where a number or a moment is wanted: by the grammar of the API and the files, or exit code 2.

click's own types read what Python reads: `nan`, `1_000`, digits of any script, spaces around.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import click

from weltklassebot.cli.exits import Usage
from weltklassebot.core import grammar
from weltklassebot.core.grammar import NotWritten
from weltklassebot.core.numbers import NotExact, exact, plain

__all__ = ["amount", "between", "limit_changes", "moment", "whole"]


def amount(text: str) -> str:
    """A price or a quantity: passed on as it is written, so that it stays exact."""
    try:
        exact(grammar.number(text))
    except (NotWritten, NotExact) as error:
        raise click.BadParameter(f"{text!r}: {error}") from None
    return text


def moment(text: str) -> float:
    """Unix seconds."""
    try:
        return grammar.unix_seconds(text)
    except NotWritten as error:
        raise click.BadParameter(f"{text!r}: {error}") from None


def whole(low: int, high: int | None = None) -> Callable[[str | int], int]:
    """Reads a whole number from `low`, to `high` if there is one."""
    wanted = f"{grammar.WHOLE_WANTED} from {low}" + ("" if high is None else f" to {high}")

    def read(text: str | int) -> int:
        try:
            found = grammar.whole(str(text))
        except NotWritten:
            found = low - 1
        if found < low or (high is not None and found > high):
            raise click.BadParameter(f"{str(text)!r}: {wanted}")
        return found

    return read


def between(low: int, high: int) -> Callable[[str], float]:
    """Reads a number above `low` and at most `high`."""

    def read(text: str) -> float:
        try:
            found = grammar.number(text)
        except NotWritten:
            found = Decimal(low)
        if not low < found <= high:
            raise click.BadParameter(f"{text!r}: must be a number above {low} and at most {high}")
        return float(found)

    return read


def limit_changes(texts: tuple[str, ...]) -> dict[str, str | None]:
    """`KEY=VALUE` each, in the order given; None is "unlimited". Raises `Usage`."""
    wanted: dict[str, str | None] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise Usage(f"{text}: must be KEY=VALUE")
        if key in wanted:
            raise Usage(f"{key}: stands there twice")
        if value != "unlimited":
            try:
                value = plain(exact(grammar.number(value)))
            except (NotWritten, NotExact) as error:
                raise Usage(f"{key}: {value!r}: {error}, or unlimited") from None
        wanted[key] = None if value == "unlimited" else value
    return wanted
