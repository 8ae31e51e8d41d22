"""Options that say how a table is written; every command that reads one has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.dialect import Said

__all__ = ["refuse_level", "refuse_stream", "said_of", "table_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS: Final = (
    click.option("--delimiter", metavar="CHARACTER", help="Between fields.  [default: found, of , ; tab |]"),
    click.option("--decimal", type=click.Choice((".", ",")), help="The decimal sign.  [default: found]"),
    click.option("--encoding", metavar="NAME",
                 help="Of a csv, like cp1252.  [default: UTF-8, or by its byte order mark]"),
    click.option("--skip-rows", type=click.IntRange(0), default=0, show_default=True, help="Lines above the head."),
    click.option("--no-head", is_flag=True, help="There is no head; columns are asked for by number, from 1."),
    click.option("--sheet", metavar="NAME", help="Of a workbook.  [default: the only one that holds anything]"),
    click.option("--nothing", multiple=True, metavar="WORD",
                 help="Another word for no number; blank, NA, N/A, #N/A, NaN, null, - and . are known."),
)  # fmt: skip
_NAMED: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def table_options(function: _Function) -> _Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def said_of(options: dict[str, Any]) -> Said:
    """Raises Usage."""
    delimiter = options["delimiter"]
    if delimiter is not None:
        delimiter = _NAMED.get(delimiter, delimiter)
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter.isalnum() or delimiter in '"\r\n\0+-.':
            raise Usage(f"--delimiter: must be one character that stands in no number, or tab, not {delimiter!r}")
        if delimiter == options["decimal"]:
            raise Usage("--delimiter and --decimal: must differ")
    return Said(
        delimiter, options["decimal"], options["encoding"], options["skip_rows"], not options["no_head"],
        options["sheet"], options["nothing"],
    )  # fmt: skip


def refuse_stream(file: Path) -> None:
    """A table is read more than once, and its digest on the side."""
    if not file.is_file():
        raise Usage(f"{file}: is no regular file: what comes through a pipe must be saved first")


def refuse_level(level: float) -> None:
    """A level is that of the VaR, like 0.99; a tail probability is refused with the question."""
    if 0.0 < level < 0.5:
        raise Usage(f"--level {level:g}: is below 0.5; was {1.0 - level:g} meant, of which {level:g} is the tail?")
    if 1.0 < level < 100.0:
        raise Usage(f"--level {level:g}: must be strictly between 0 and 1; was {level / 100.0:g} meant?")
