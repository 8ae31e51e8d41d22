"""var"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from weltklassebot.cli.exits import DONE, REFUSED, CommandError, Usage
from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation

if TYPE_CHECKING:
    from weltklassebot.var import Validation

__all__ = ["var"]

_MODELS: Final = ("historical", "age-weighted", "filtered", "normal", "student", "cornish-fisher")
_VIOLATIONS_SHOWN: Final = 10


@click.group(cls=Group)
def var() -> None:
    """Value at Risk: validate forecasts against what came.

    Example: weltklassebot var validate pnl.csv --level 0.99
    """


@var.command("validate", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--level", default=0.99, show_default=True, help="Of the VaR.")
@click.option(
    "--returns", default="return", show_default=True, metavar="COLUMN", help="Returns or P&L, gains positive."
)
@click.option("--prices", metavar="COLUMN", help="Prices: returns are made of them, in place of --returns.")
@click.option("--var", "forecasts", multiple=True, metavar="COLUMN", help="VaR; once a model.  [default: var]")
@click.option("--es", multiple=True, metavar="COLUMN", help="Expected shortfall, one for each --var.")
@click.option("--var-as", default="loss", show_default=True, type=click.Choice(("loss", "quantile")),
              help="Whether VaR is a loss (at least 0) or a quantile of the return (at most 0).")  # fmt: skip
@click.option("--model", "models", multiple=True, type=click.Choice(_MODELS), help="Forecast by it; once a model.")
@click.option("--window", default=250, show_default=True, help="Rows that --model learns from.")
@click.option("--dates", metavar="COLUMN", help="Dates; they must ascend.")
@click.option("--date-format", metavar="FORMAT", help="Of --dates, like %m/%d/%Y.  [default: ISO 8601]")
@click.option("--missing", default="refuse", show_default=True, type=click.Choice(("refuse", "drop", "exception")),
              help="What a row without a number is.")  # fmt: skip
@click.option("--size", default=0.05, show_default=True, help="How often a right model may be rejected.")
@click.option("--simulate", "replications", default=0, metavar="N", help="Replications for p-values of durations.")
@click.option("--seed", default=1, show_default=True, help="Of the simulation.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with pictures there.")
@pass_invocation
def validate(invocation: Invocation, /, file: Path, **options: Any) -> int:
    """Run every test on the forecasts in a file (.csv, .csv.gz, .parquet). Exit code 1 on a red light.

    Example: weltklassebot var validate GOOG.csv --prices Close --model historical --model filtered
    """
    try:
        import numpy as np

        from weltklassebot.var import InputError, VaRBacktestRunner
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed: pip install 'weltklassebot[var]'") from None
    columns = _read(file)
    found: dict[str, Validation] = {}
    series = _series(columns, options, file.name)
    for name, gains, (forecast, es), dates in series:
        runner = VaRBacktestRunner(
            options["level"], var_as="loss" if options["models"] else options["var_as"], missing=options["missing"],
            size=options["size"], dates=dates,
            **({"rng": np.random.default_rng(options["seed"]), "replications": options["replications"]}
               if options["replications"] else {}),
        )  # fmt: skip
        runner.add(name, gains, forecast, es)
        try:
            found.update(runner.run())
        except InputError as error:
            raise Usage(f"{file}: {error}") from None
    overall = VaRBacktestRunner.overall(found)
    if options["html"]:
        _report(options["html"], file, str(overall), found, series, options)
    answer = {"light": str(overall), "validations": [result.as_dict() for result in found.values()]}
    invocation.show(answer, f"{_text(found)}\n\noverall: {str(overall).upper()}")
    return REFUSED if overall == "red" else DONE


def _report(
    path: Path, source: Path, overall: str, found: dict[str, Validation], series: list[tuple[str, Any, Any, Any]],
    options: dict[str, Any],
) -> None:  # fmt: skip
    from weltklassebot.cli.var_report import Pictured, write_report
    from weltklassebot.var import align

    models = []
    for name, gains, (forecast, es), dates in series:
        rows = align(
            gains, forecast, es=es, var_as="loss" if options["models"] else options["var_as"],
            missing=options["missing"], dates=dates,
        )  # fmt: skip
        models.append(Pictured(found[name], rows.loss, rows.var, rows.hits, list(rows.dates or ())))
    write_report(path, source.name, overall, models)


def _series(columns: dict[str, list[Any]], options: dict[str, Any], file: str) -> list[tuple[str, Any, Any, Any]]:
    """Name, returns, VaR and dates of each forecast that is asked for."""
    import numpy as np

    from weltklassebot.var import InputError, forecast

    if options["models"] and (options["forecasts"] or options["es"]):
        raise Usage("--model and --var: one or the other")
    named = options["dates"] is not None
    rows = len(next(iter(columns.values())))
    dates = _dates(columns, options["dates"], options["date_format"], file) if named else list(range(rows))
    if options["prices"]:
        prices = _numbers(columns, options["prices"], file)
        if not (prices > 0).all():
            raise Usage(f"{file}: {options['prices']}: row {int(np.argmin(prices > 0))} is no positive price")
        gains = np.diff(prices) / prices[:-1]
        dates = dates[1:]
    else:
        gains = _numbers(columns, options["returns"], file)
    if not options["models"]:
        names = options["forecasts"] or ("var",)
        shortfalls = options["es"]
        if shortfalls and len(shortfalls) != len(names):
            raise Usage(f"--es: {len(shortfalls)} for {len(names)} --var")
        risks = [_numbers(columns, name, file)[-len(gains) :] for name in names]
        tails = [_numbers(columns, name, file)[-len(gains) :] for name in shortfalls] or [None] * len(names)
        return [(name, gains, pair, dates) for name, pair in zip(names, zip(risks, tails, strict=True), strict=True)]
    window, made = options["window"], []
    for model in options["models"]:
        try:
            made_up = forecast(gains, model, options["level"], window=window)
        except InputError as error:
            raise Usage(f"{file}: {error}") from None
        tail = None if made_up.es is None else made_up.es[window:]
        made.append((model, gains[window:], (made_up.var[window:], tail), dates[window:]))
    return made


def _read(file: Path) -> dict[str, list[Any]]:
    """Columns by name."""
    if file.suffix == ".parquet":
        return _read_parquet(file)
    import csv
    import gzip

    opened: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            names = next(reader, [])
            rows = [row for row in reader if row]
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, csv.Error) as error:
        raise Usage(f"{file}: cannot be read as csv: {error}") from None
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Usage(f"{file}: column {min(twice)!r} stands there twice")
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Usage(f"{file}: row {number} has {len(row)} fields, the head has {len(names)}")
    if not rows:
        raise Usage(f"{file}: has no rows")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _read_parquet(file: Path) -> dict[str, list[Any]]:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise CommandError(
            "pyarrow, which reads parquet, is not installed: pip install pyarrow, or give a csv"
        ) from None
    table: dict[str, list[Any]] = parquet.read_table(file).to_pydict()
    return table


def _column(columns: dict[str, list[Any]], name: str, file: str) -> list[Any]:
    if name not in columns:
        raise Usage(f"{file}: has no column {name!r}, only {', '.join(map(repr, columns))}")
    return columns[name]


def _numbers(columns: dict[str, list[Any]], name: str, file: str) -> Any:
    import numpy as np

    values = np.empty(len(_column(columns, name, file)))
    for row, word in enumerate(_column(columns, name, file)):
        try:
            values[row] = np.nan if word in ("", None) else float(word)
        except (TypeError, ValueError):
            raise Usage(f"{file}: {name}: row {row} is no number: {word!r}") from None
    return values


def _dates(columns: dict[str, list[Any]], name: str, written: str | None, file: str) -> list[Any]:
    """Dates without their midnight."""
    from datetime import date, datetime, time

    found: list[Any] = []
    for row, word in enumerate(_column(columns, name, file)):
        if isinstance(word, date):
            found.append(word)
            continue
        try:
            moment = datetime.strptime(word, written) if written else datetime.fromisoformat(word)  # noqa: DTZ007 - as it stands there
        except (TypeError, ValueError):
            said = f"as {written}" if written else "in ISO 8601 (--date-format says otherwise)"
            raise Usage(f"{file}: {name}: row {row} is no date {said}: {word!r}") from None
        found.append(moment)
    midnight = all(isinstance(moment, datetime) and moment.time() == time() for moment in found)
    return [moment.date() for moment in found] if midnight else found


def _text(found: dict[str, Validation]) -> str:
    from weltklassebot.cli.output import table

    parts = []
    for name, result in found.items():
        basel = result.traffic_light
        head = [
            f"{name}: {str(result.light).upper()}",
            f"  {result.first} to {result.last}: {_counts(result)}",
            f"  traffic light {basel.zone} (yellow from {basel.yellow_from}, red from {basel.red_from} hits)",
            f"  looked at every day: {result.running.light} (p {result.running.p_value:.2g}, valid at any time)",
            *(f"  because: {reason}" for reason in result.reasons),
        ]
        rows = [
            {
                "test": test.name,
                "statistic": None if test.statistic is None else f"{test.statistic:.4f}",
                "p": None if test.p_value is None else f"{test.p_value:.4g}",
                "which": test.method if test.informative else None,
                "decision": str(test.decision),
                "remark": "; ".join(filter(None, (test.reason, *test.warnings))) or None,
            }
            for test in result.tests
        ]
        worst = sorted(result.violations, key=lambda each: -(each.excess or 0.0))[:_VIOLATIONS_SHOWN]
        hits = [
            {"date": each.date, "loss": _short(each.loss),
             "var": _short(each.var), "loss / var": _short(each.severity)} for each in worst
        ]  # fmt: skip
        parts.append(
            "\n".join([*head, "", *table(rows), *(["", "  worst violations", *table(hits, "  ")] if hits else [])])
        )
    return "\n\n".join(parts)


def _counts(result: Validation) -> str:
    words = f"{result.observations} observations, {result.hits} hits, {result.expected:g} expected"
    return f"{words}, {result.missing} missing" if result.missing else words


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.5g}"
