"""var desk: a desk's actual and hypothetical P&L against its VaR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from weltklassebot.cli.exits import DONE, REFUSED, Usage
from weltklassebot.cli.invocation import Command, Invocation, pass_invocation
from weltklassebot.cli.var.options import said_of, table_options

__all__ = ["desk"]


@click.command("desk", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--actual", default="apl", show_default=True, metavar="COLUMN", help="Actual P&L, gains positive.")
@click.option("--hypothetical", default="hpl", show_default=True, metavar="COLUMN", help="Hypothetical P&L.")
@click.option("--var-99", default="var_99", show_default=True, metavar="COLUMN", help="VaR at 99 %.")
@click.option("--var-975", default="var_975", show_default=True, metavar="COLUMN", help="VaR at 97.5 %.")
@click.option("--var-as", default="loss", show_default=True, type=click.Choice(("loss", "quantile")),
              help="Whether VaR is a loss (at least 0) or a quantile of the return (at most 0).")  # fmt: skip
@click.option("--dates", metavar="COLUMN", help="Dates; they must ascend.")
@click.option("--date-format", metavar="FORMAT",
              help="Of --dates, like %m/%d/%Y.  [default: ISO 8601, YYYYMMDD, or time since 1970]")  # fmt: skip
@click.option("--missing", default="exception", show_default=True, type=click.Choice(("refuse", "drop", "exception")),
              help="What a row without a number is.")  # fmt: skip
@table_options
@pass_invocation
def desk(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Backtest a desk by the market risk standard: 12 exceptions at 99 %, 30 at 97.5 %, in the last 250 days, by actual
    and by hypothetical P&L (MAR32.18). Exit code 1 if it fails.

    Example: weltklassebot var desk rates.csv --actual apl --hypothetical hpl
    """
    try:
        from weltklassebot.var import InputError, desk_rules
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    from weltklassebot.cli.output import table
    from weltklassebot.cli.var.run import in_file
    from weltklassebot.cli.var.series import check_dates
    from weltklassebot.cli.var.table import Wanted, read_table

    names = tuple(options[name] for name in ("actual", "hypothetical", "var_99", "var_975"))
    wanted = Wanted(tuple(dict.fromkeys(names)), options["dates"], options["date_format"])
    read = read_table(file, wanted, said_of(options))
    check_dates(read, options["dates"], "", range(read.rows), read.dates)
    apl, hpl, var_99, var_975 = (read.numbers[name] for name in names)
    try:
        found = desk_rules(
            apl, hpl, {0.99: var_99, 0.975: var_975}, var_as=options["var_as"], missing=options["missing"]
        )  # fmt: skip
    except InputError as error:
        raise Usage(f"{file.name}: {in_file(str(error), range(read.rows), read)}") from None
    verdict = "passed" if found.passed else "FAILED"
    words = verdict if found.complete else f"{verdict}, on less than a year of days"
    text = "\n".join([*table([each.as_dict() for each in found.backtests]), "", words])
    return invocation.verdict(found.as_dict(), DONE if found.passed else REFUSED, text)
