"""var validate: reads a file, runs every test on its forecasts, prints a verdict, writes the report."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot import __version__
from weltklassebot.cli.exits import DONE, REFUSED, CommandError, Fault, Usage, exit_code
from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.cli.var.desk import bank, desk
from weltklassebot.cli.var.digest import Digest
from weltklassebot.cli.var.options import refuse_level, refuse_stream, said_of, table_options

if TYPE_CHECKING:
    from weltklassebot.cli.var.series import Asked
    from weltklassebot.cli.var.table import Table

__all__ = ["var"]

_MODELS: Final = ("historical", "age-weighted", "filtered", "normal", "student", "cornish-fisher", "garch", "evt")


class _Verdicts(Group):
    """Exit code 1 is a verdict's alone: an error that would end with it elsewhere is a fault here."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (CommandError, OSError) as error:
            if exit_code(error) != REFUSED:
                raise
            raise Fault(f"no verdict: {error}") from error


@click.group(cls=_Verdicts)
def var() -> None:
    """Value at Risk: validate forecasts against realised P&L.

    Example: weltklassebot var validate pnl.csv --level 0.99
    """


var.add_command(desk)
var.add_command(bank)


@var.command("validate", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--level", default=0.99, show_default=True, help="Of the VaR.")
@click.option("--returns", multiple=True, metavar="COLUMN",
              help="Returns or P&L, gains positive; once a portfolio.  [default: return]")  # fmt: skip
@click.option("--prices", multiple=True, metavar="COLUMN", help="Prices to make returns of, in place of --returns.")
@click.option("--portfolio", metavar="COLUMN", help="Says whose row it is: many portfolios, one below the other.")
@click.option("--var", multiple=True, metavar="COLUMN", help="VaR; once a model.  [default: var]")
@click.option("--es", multiple=True, metavar="COLUMN", help="Expected shortfall, one for each --var.")
@click.option("--probabilities", multiple=True, metavar="COLUMN",
              help="The forecast distribution at the return, F(return), one for each --var.")  # fmt: skip
@click.option("--var-as", default="loss", show_default=True, type=click.Choice(("loss", "quantile")),
              help="Whether VaR is a loss (at least 0) or a quantile of the return (at most 0).")  # fmt: skip
@click.option("--model", "models", multiple=True, type=click.Choice(_MODELS), help="Forecast by it; once a model.")
@click.option("--window", default=250, show_default=True, help="Rows that --model learns from.")
@click.option("--decay", type=float, metavar="SHARE",
              help="Of --model age-weighted and filtered, a day's weight over the next's.  [default: 0.98, 0.94]"
              )  # fmt: skip
@click.option("--dates", metavar="COLUMN", help="Dates; they must ascend.")
@click.option("--date-format", metavar="FORMAT",
              help="Of --dates, like %m/%d/%Y.  [default: ISO 8601, YYYYMMDD, or time since 1970]")  # fmt: skip
@click.option("--missing", default="refuse", show_default=True, type=click.Choice(("refuse", "drop", "exception")),
              help="What a row without a number is.")  # fmt: skip
@click.option("--size", default=0.05, show_default=True, help="How often a right model may be rejected.")
@click.option("--simulate", "replications", default=0, metavar="N", help="Replications for p-values, from 17999.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulation.")
@table_options
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with pictures there.")
@click.option("--json-file", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON there, with all of it.")
@pass_invocation
def validate(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Run every test on the forecasts in a file (.csv, .csv.gz, .parquet, .xlsx). Exit code 1 on a red light.

    One row a day. Several --returns, each with its --var, are several portfolios side by side; --portfolio has them one
    below the other; several --var on one portfolio are several models, and are compared.

    Example: weltklassebot var validate GOOG.csv --prices Close --model historical --model filtered
    """
    try:
        from weltklassebot.var import VaRBacktestRunner
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    from weltklassebot.cli.var.run import run
    from weltklassebot.cli.var.series import Asked, read_series
    from weltklassebot.cli.var.text import verdict

    refuse_level(options["level"])
    refuse_stream(file)
    _refuse_overwriting(file, options["html"], options["json_file"])
    asked, digest = Asked(**{name: options[name] for name in Asked.__slots__}), Digest(file)
    with _uncollected():
        series, table = read_series(file, asked, said_of(options))
        found, compared = run(series, options, table)
    overall = VaRBacktestRunner.overall(found)
    head = {
        "light": str(overall), "verdict": VaRBacktestRunner.overall_verdict(found),
        "over_all": dict(VaRBacktestRunner.over_all(found)), "file": file.name,
        "sha256": digest.hexdigest(), "version": __version__,
        "input": _said(asked, options, table),
        **{name: options[name] for name in ("level", "size", "missing", "replications", "seed")},
    }  # fmt: skip
    comparisons = {portfolio: each.as_dict() for portfolio, each in compared.items()}
    if options["json_file"]:
        one_by_one = (result.as_dict() for result in found.values())
        _write(options["json_file"], _json(head, one_by_one, comparisons))
    if options["html"]:
        from weltklassebot.cli.var.report import page

        _write(options["html"], page(head, found, compared, series, convention(options)))
    answer = head
    if invocation.json:
        answer = head | {
            "validations": [result.as_dict() for result in found.values()], "comparisons": comparisons,
        }  # fmt: skip
    text = "" if invocation.json else verdict(head, found, compared)
    return invocation.verdict(answer, REFUSED if overall == "red" else DONE, text)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing here makes cycles, and looking for them among a million results takes a third of the time."""
    able = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if able:
            gc.enable()


def _said(asked: Asked, options: dict[str, Any], table: Table) -> dict[str, Any]:
    """What was taken for what, so that the verdict can be repeated."""
    said = {
        "returns": [] if asked.prices else list(asked.sources), "prices": list(asked.prices),
        "portfolio": asked.portfolio, "dates": asked.dates or "none: the order of the rows was not checked",
        "model": list(asked.models), "window": asked.window if asked.models else None,
        "decay": asked.decay, "var": list(asked.risks),
        "var as": None if asked.models else options["var_as"], "es": list(asked.es),
        "probabilities": list(asked.probabilities), "no number": list(options["nothing"]),
        "lines skipped": options["skip_rows"] or None, "head": "none" if options["no_head"] else None,
        "read as": table.read_as,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value not in (None, [])}


def convention(options: dict[str, Any]) -> Any:
    """Models of ours give losses."""
    return "loss" if options["models"] else options["var_as"]


def _json(head: dict[str, Any], validations: Iterator[dict[str, Any]], comparisons: dict[str, Any]) -> Iterator[bytes]:
    """Piece by piece: thousands of validations are not held twice."""
    import orjson

    def plain(value: Any) -> bytes:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str)

    yield plain(head).removesuffix(b"\n}") + b',\n  "validations": ['
    for number, each in enumerate(validations):
        yield (b"," if number else b"") + b"\n" + plain(each)
    yield b'],\n  "comparisons": ' + plain(comparisons) + b"\n}\n"


def _refuse_overwriting(file: Path, html: Path | None, json_file: Path | None) -> None:
    taken = {"FILE": file}
    for option, path in (("--html", html), ("--json-file", json_file)):
        if path is None:
            continue
        for other, before in taken.items():
            if path.resolve() == before.resolve() or (path.exists() and before.exists() and path.samefile(before)):
                raise Usage(f"{option}: {path} is {other}, which it would overwrite")
        taken[option] = path


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    try:
        with path.open("wb") as written:
            written.writelines(pieces)
    except OSError as error:
        raise Usage(f"{path}: cannot be written: {error.strerror}") from None
