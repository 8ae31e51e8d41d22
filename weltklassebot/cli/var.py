"""var"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot import __version__
from weltklassebot.cli.exits import DONE, REFUSED, Usage
from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation

if TYPE_CHECKING:
    from weltklassebot.cli.var_input import Asked, Series
    from weltklassebot.var import Comparison, Validation

__all__ = ["var"]

_MODELS: Final = ("historical", "age-weighted", "filtered", "normal", "student", "cornish-fisher")


@click.group(cls=Group)
def var() -> None:
    """Value at Risk: validate forecasts against what came.

    Example: weltklassebot var validate pnl.csv --level 0.99
    """


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
@click.option("--dates", metavar="COLUMN", help="Dates; they must ascend.")
@click.option("--date-format", metavar="FORMAT", help="Of --dates, like %m/%d/%Y.  [default: ISO 8601]")
@click.option("--missing", default="refuse", show_default=True, type=click.Choice(("refuse", "drop", "exception")),
              help="What a row without a number is.")  # fmt: skip
@click.option("--size", default=0.05, show_default=True, help="How often a right model may be rejected.")
@click.option("--simulate", "replications", default=0, metavar="N", help="Replications for p-values, from 17999.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulation.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with pictures there.")
@click.option("--json-file", type=click.Path(path_type=Path, dir_okay=False), help="Write JSON there, with all of it.")
@pass_invocation
def validate(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Run every test on the forecasts in a file (.csv, .csv.gz, .parquet). Exit code 1 on a red light.

    One row a day. Several --returns, each with its --var, are several portfolios side by side; --portfolio has them one
    below the other; several --var on one portfolio are several models, and are compared.

    Example: weltklassebot var validate GOOG.csv --prices Close --model historical --model filtered
    """
    try:
        from weltklassebot.var import VaRBacktestRunner
    except ModuleNotFoundError as error:
        raise Usage(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    from weltklassebot.cli.var_input import Asked, read_columns, read_series
    from weltklassebot.cli.var_text import verdict

    asked = Asked(**{name: options[name] for name in Asked.__slots__})
    series = read_series(read_columns(file), asked, file.name)
    found, compared = _run(series, options, file)
    overall = VaRBacktestRunner.overall(found)
    head = {
        "light": str(overall), "verdict": VaRBacktestRunner.overall_verdict(found),
        "over_all": dict(VaRBacktestRunner.over_all(found)), "file": file.name,
        "sha256": _digest(file), "version": __version__,
        "input": _said(asked, options),
        **{name: options[name] for name in ("level", "size", "missing", "replications", "seed")},
    }  # fmt: skip
    answer = head | {
        "validations": [result.as_dict() for result in found.values()],
        "comparisons": {portfolio: each.as_dict() for portfolio, each in compared.items()},
    }
    if options["json_file"]:
        _write(options["json_file"], _json(answer))
    if options["html"]:
        from weltklassebot.cli.var_report import page

        _write(options["html"], page(head, found, compared, series, _convention(options)))
    return invocation.verdict(answer, REFUSED if overall == "red" else DONE, verdict(head, found, compared))


def _run(
    series: list[Series], options: dict[str, Any], file: Path
) -> tuple[dict[str, Validation], dict[str, Comparison]]:
    """Every series, and every portfolio's models against each other."""
    import numpy as np

    from weltklassebot.var import InputError, VaRBacktestRunner

    drawn = {"rng": np.random.default_rng(options["seed"]), "replications": options["replications"]}
    runner = VaRBacktestRunner(
        options["level"], var_as=_convention(options), missing=options["missing"], size=options["size"],
        **(drawn if options["replications"] else {}),
    )  # fmt: skip
    portfolios: dict[str, list[str]] = {}
    try:
        for each in series:
            runner.add(
                each.name, each.returns, each.var, each.es, dates=each.dates, probabilities=each.probabilities
            )  # fmt: skip
            portfolios.setdefault(each.portfolio, []).append(each.name)
        found = dict(runner.run())
        return found, {name: runner.compare(*models) for name, models in portfolios.items() if len(models) > 1}
    except InputError as error:
        first = ", row 0 is the first return" if options["prices"] else ""
        behind = ", row 0 is the first behind the window" if options["models"] else first
        raise Usage(f"{file}: {error}{behind}") from None


def _said(asked: Asked, options: dict[str, Any]) -> dict[str, Any]:
    """What was taken for what, so that the verdict can be repeated."""
    said = {
        "returns": list(asked.returns) or ([] if asked.prices else ["return"]), "prices": list(asked.prices),
        "portfolio": asked.portfolio, "dates": asked.dates, "model": list(asked.models),
        "window": asked.window if asked.models else None, "var": [] if asked.models else list(asked.var) or ["var"],
        "var as": None if asked.models else options["var_as"], "es": list(asked.es),
        "probabilities": list(asked.probabilities),
    }  # fmt: skip
    return {name: value for name, value in said.items() if value not in (None, [])}


def _convention(options: dict[str, Any]) -> Any:
    """Models of ours give losses."""
    return "loss" if options["models"] else options["var_as"]


def _digest(file: Path) -> str:
    """So that who signs a verdict knows of which data."""
    import hashlib

    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _json(answer: dict[str, Any]) -> str:
    import orjson

    return orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2, default=str).decode()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Usage(f"{path}: cannot be written: {error.strerror}") from None


@var.command("desk", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--actual", default="apl", show_default=True, metavar="COLUMN", help="Actual P&L, gains positive.")
@click.option("--hypothetical", default="hpl", show_default=True, metavar="COLUMN", help="Hypothetical P&L.")
@click.option("--var-99", default="var_99", show_default=True, metavar="COLUMN", help="VaR at 99 %.")
@click.option("--var-975", default="var_975", show_default=True, metavar="COLUMN", help="VaR at 97.5 %.")
@click.option("--var-as", default="loss", show_default=True, type=click.Choice(("loss", "quantile")),
              help="Whether VaR is a loss (at least 0) or a quantile of the return (at most 0).")  # fmt: skip
@click.option("--missing", default="exception", show_default=True, type=click.Choice(("refuse", "drop", "exception")),
              help="What a row without a number is.")  # fmt: skip
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
    from weltklassebot.cli.var_input import numbers, read_columns

    columns = read_columns(file)
    apl, hpl, var_99, var_975 = (
        numbers(columns, options[name], file.name) for name in ("actual", "hypothetical", "var_99", "var_975")
    )
    try:
        found = desk_rules(
            apl, hpl, {0.99: var_99, 0.975: var_975}, var_as=options["var_as"], missing=options["missing"]
        )  # fmt: skip
    except InputError as error:
        raise Usage(f"{file}: {error}") from None
    verdict = "passed" if found.passed else "FAILED"
    words = verdict if found.complete else f"{verdict}, on less than a year of days"
    text = "\n".join([*table([each.as_dict() for each in found.backtests]), "", words])
    return invocation.verdict(found.as_dict(), DONE if found.passed else REFUSED, text)
