"""Printing: JSON for programs, aligned text for people. What a terminal would act upon is never passed through.

What is asked for goes to stdout by `emit`, which raises if it is lost; words beside it go to stderr by `say`, which
never does: nothing that was done may depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import click

from weltklassebot.cli.exits import DISK_FAILED, DONE, CommandError

__all__ = ["OutputLost", "columns", "emit", "is_terminal", "lines", "plain_line", "say", "show", "table", "when"]

# Control characters out of a journal or an answer must not steer a terminal.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_INDENT: Final = "  "
_TIMES: Final = frozenset({
    "ts", "since", "cooldown_until", "recovery_until", "valid_until", "next_roll", "created", "old_now", "new_now",
})  # fmt: skip
"""Names of moments: Unix seconds for programs, ISO 8601 for people."""
MOST_LINES: Final = 20
"""Of a list of plain names; tables are printed whole."""


class OutputLost(CommandError):
    """Stdout does not take what was asked for. A reader that has enough is no failure, and needs no words."""

    def __init__(self, error: OSError | ValueError) -> None:
        gone = isinstance(error, BrokenPipeError)
        super().__init__("" if gone else f"stdout: {getattr(error, 'strerror', None) or error}")
        self.exit_code = DONE if gone else DISK_FAILED


def show(value: Any, *, as_json: bool, text: str | None = None) -> None:
    """Print `value` as JSON, or `text`, or else `value` aligned. Raises `OutputLost`."""
    if as_json:
        import orjson

        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2
        emit(orjson.dumps(value, option=options, default=str))
    else:
        emit(_CONTROL.sub("?", text if text is not None else "\n".join(lines(value))) + "\n")


def emit(content: str | bytes) -> None:
    """To stdout, at once. Raises `OutputLost`; with stdout closed nobody asked for it, and nothing is lost."""
    try:
        try:
            click.echo(content, nl=False)
        except UnicodeEncodeError as error:
            click.echo(str(content).encode(error.encoding, "backslashreplace"), nl=False)
    except (OSError, ValueError) as error:
        raise OutputLost(error) from None


def say(text: str) -> None:
    """A line to stderr, under the program's name. It may be lost: nothing depends on it."""
    with suppress(OSError, ValueError):
        click.echo(f"weltklassebot: {text}", err=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at it. A stream that was closed at the start is None."""
    return stream is not None and not stream.closed and stream.isatty()


def plain_line(text: str) -> str:
    """A line that leaves the terminal as it is."""
    return _CONTROL.sub("?", text).replace("\n", " ")


def when(seconds: float) -> str:
    """A moment in Unix seconds as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def lines(value: Any, indent: str = "") -> Iterator[str]:
    """An object as aligned names and values, what is nested below it; a list of objects as a table."""
    if isinstance(value, dict):
        width = max((columns(str(key)) for key, item in value.items() if not _nested(item)), default=0)
        for key, item in value.items():
            if not _nested(item):
                yield f"{indent}{_padded(str(key), width)}  {_word(item, key)}"
        for key, item in value.items():
            if _nested(item):
                yield f"{indent}{key}"
                yield from lines(item, indent + _INDENT)
    elif isinstance(value, list):
        if not value:
            yield f"{indent}(none)"
        elif all(isinstance(item, dict) for item in value):
            yield from table(value, indent)
        else:
            yield from (f"{indent}{_word(item)}" for item in value[:MOST_LINES])
            if len(value) > MOST_LINES:
                yield f"{indent}... and {len(value) - MOST_LINES} more (--json prints all)"
    else:
        yield f"{indent}{_word(value)}"


def table(rows: list[dict[str, Any]], indent: str = "") -> Iterator[str]:
    """Columns in the order in which the rows name them; a column that says nothing anywhere is left out."""
    names = list(dict.fromkeys(key for row in rows for key, item in row.items() if item is not None))
    cells = [[*names]] + [[_word(row.get(name), name) for name in names] for row in rows]
    widths = [max(columns(row[column]) for row in cells) for column in range(len(names))]
    for row in cells:
        yield (indent + _INDENT.join(_padded(cell, width) for cell, width in zip(row, widths, strict=True))).rstrip()


def columns(text: str) -> int:
    """How many columns of a terminal it takes: symbols may be Chinese, and marks stand over the letter before them."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(0 if category(one) in ("Mn", "Me") else 1 + (east_asian_width(one) in "WF") for one in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _word(value: Any, name: str = "") -> str:
    match value:
        case int() | float() if name in _TIMES:
            return when(value)
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}={_word(item)}" for key, item in value.items()) or "-"
        case list():
            return ", ".join(_word(item) for item in value) or "-"
        case _:
            return str(value)
