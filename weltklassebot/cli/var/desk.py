"""var desk, var bank: actual and hypothetical P&L against VaR, and against the P&L of the risk model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot.cli.exits import DONE, REFUSED, Usage
from weltklassebot.cli.invocation import Command, Invocation, pass_invocation
from weltklassebot.cli.var.options import refuse_stream, said_of, table_options

if TYPE_CHECKING:
    from weltklassebot.cli.var.table import Table
    from weltklassebot.var import Attribution

__all__ = ["bank", "desk"]

_PASSED, _FAILED = "passed", "FAILED"


_OPTIONS: Final = (
    click.option("--var-as", default="loss", show_default=True, type=click.Choice(("loss", "quantile")),
                 help="Whether VaR is a loss (at least 0) or a quantile of the return (at most 0)."),
    click.option("--dates", metavar="COLUMN", help="Dates; they must ascend."),
    click.option("--date-format", metavar="FORMAT",
                 help="Of --dates, like %m/%d/%Y.  [default: ISO 8601, YYYYMMDD, or time since 1970]"),
    click.option("--missing", default="exception", show_default=True,
                 type=click.Choice(("refuse", "drop", "exception")), help="What a row without a number is."),
)  # fmt: skip


def _conventions(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command("desk", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--actual", default="apl", show_default=True, metavar="COLUMN", help="Actual P&L, gains positive.")
@click.option("--hypothetical", default="hpl", show_default=True, metavar="COLUMN", help="Hypothetical P&L.")
@click.option("--theoretical", metavar="COLUMN",
              help="Risk-theoretical P&L: P&L attribution of the hypothetical one (MAR32.24).")  # fmt: skip
@click.option("--var-99", default="var_99", show_default=True, metavar="COLUMN", help="VaR at 99 %.")
@click.option("--var-975", default="var_975", show_default=True, metavar="COLUMN", help="VaR at 97.5 %.")
@_conventions
@table_options
@pass_invocation
def desk(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Backtest a desk by the market risk standard: 12 exceptions at 99 %, 30 at 97.5 %, in the last 250 days, by actual
    and by hypothetical P&L (MAR32.18). With --theoretical, also whether its risk model sees its P&L. Exit code 1 if it
    fails, or if attribution is red.

    Example: weltklassebot var desk rates.csv --actual apl --hypothetical hpl --theoretical rtpl
    """
    try:
        from weltklassebot.var import InputError, attribution, desk_rules
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    from weltklassebot.cli.output import table

    names = [options[name] for name in ("actual", "hypothetical", "var_99", "var_975")]
    read = _read(file, [*names, *filter(None, [options["theoretical"]])], options)
    apl, hpl, var_99, var_975 = (read.numbers[name] for name in names)
    attributed: Attribution | None = None
    try:
        found = desk_rules(
            apl, hpl, {0.99: var_99, 0.975: var_975}, var_as=options["var_as"], missing=options["missing"]
        )
        if options["theoretical"]:
            # A day without a number is an exception to VaR; two P&Ls are compared on the days that have both.
            gaps = "refuse" if options["missing"] == "refuse" else "drop"
            attributed = attribution(hpl, read.numbers[options["theoretical"]], missing=gaps)
    except InputError as error:
        raise _located(error, read) from None
    passed = found.passed and (attributed is None or attributed.zone != "red")
    complete = found.complete and (attributed is None or attributed.complete)
    answer = found.as_dict() | {"passed": passed, "complete": complete}
    lines = [*table([each.as_dict() for each in found.backtests]), *_without(found.missing, options["missing"]), ""]
    if attributed is not None:
        answer |= {"attribution": attributed.as_dict()}
        lines += [*_attribution(attributed), ""]
    return invocation.verdict(answer, DONE if passed else REFUSED, "\n".join([*lines, _words(passed, complete)]))


def _attribution(found: Attribution) -> list[str]:
    rank = "undefined" if found.spearman is None else f"{found.spearman:.4f}"
    return [
        f"P&L attribution of {found.days} days: {_amber(found.zone)}",
        f"  Spearman's correlation  {rank}  {_amber(found.spearman_zone)} (green above 0.80, red below 0.70)",
        f"  Kolmogorov-Smirnov      {found.ks:.4f}  {_amber(found.ks_zone)} (green below 0.09, red above 0.12)",
        f"  its limiting p-value    {found.ks_p_value:.3g}",
        *([f"  days without both       {found.missing}, left out"] if found.missing else []),
    ]


def _amber(zone: str) -> str:
    """The rule's own word for yellow."""
    return "amber" if zone == "yellow" else str(zone)


@click.command("bank", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--actual", default="apl", show_default=True, metavar="COLUMN", help="Actual P&L, gains positive.")
@click.option("--hypothetical", default="hpl", show_default=True, metavar="COLUMN", help="Hypothetical P&L.")
@click.option("--var-99", default="var_99", show_default=True, metavar="COLUMN", help="VaR at 99 %.")
@_conventions
@table_options
@pass_invocation
def bank(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Backtest the whole bank by the market risk standard: the exceptions at 99 % of the last 250 days are the larger
    number of those by actual and by hypothetical P&L; zone and multiplier follow (MAR32.4 to 32.9). Exit code 1 in the
    red zone.

    Example: weltklassebot var bank bank.csv --actual apl --hypothetical hpl
    """
    try:
        from weltklassebot.var import InputError, bank_backtest
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    names = [options[name] for name in ("actual", "hypothetical", "var_99")]
    read = _read(file, names, options)
    try:
        found = bank_backtest(
            *(read.numbers[name] for name in names), var_as=options["var_as"], missing=options["missing"]
        )
    except InputError as error:
        raise _located(error, read) from None
    by = " (formula, for want of 250 days)" if found.multipliers_by == "formula" else ""
    text = (
        f"{found.exceptions} exceptions in the last {found.days} days: {found.actual} by actual, {found.hypothetical} "
        f"by hypothetical P&L\nzone {found.zone}; multiplier MAR32 {found.multiplier_mar32:.2f}, 1996 "
        f"{found.multiplier_1996:.2f}{by}"
    )
    text = "\n".join(
        [text, *_without(found.missing, options["missing"]), "", _words(found.zone != "red", found.complete)]
    )
    return invocation.verdict(found.as_dict(), REFUSED if found.zone == "red" else DONE, text)


def _read(file: Path, names: list[str], options: dict[str, Any]) -> Table:
    """The columns of these names; dates, where they are asked for, ascend."""
    refuse_stream(file)
    from weltklassebot.cli.var.series import check_dates, refuse_sums
    from weltklassebot.cli.var.table import Wanted, read_table

    wanted = Wanted(tuple(dict.fromkeys(names)), options["dates"], options["date_format"])
    read = read_table(file, wanted, said_of(options))
    check_dates(read, options["dates"], "", range(read.rows), read.dates)
    refuse_sums(read, read.numbers, range(read.rows))
    return read


def _located(error: Exception, read: Table) -> Usage:
    """With file and line."""
    from weltklassebot.cli.var.run import in_file

    return Usage(f"{read.file}: {in_file(str(error), range(read.rows), read)}")


def _without(days: int, missing: str) -> list[str]:
    """What became of days without a number."""
    if not days:
        return []
    count = "1 day" if days == 1 else f"{days} days"
    if missing == "drop":
        return [f"{count} without a number left out; a regulator counts that as an exception (MAR32.5)"]
    return [f"{count} without a number counted as an exception (MAR32.5)"]


def _words(passed: bool, complete: bool) -> str:
    verdict = _PASSED if passed else _FAILED
    return verdict if complete else f"{verdict}, on less than a year of days"
