"""The file of `var validate`: columns by name, and the series that are asked for, by portfolio and model.

Rows count from 0, behind the head; errors name the file, the column and the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weltklassebot.cli.exits import Usage

__all__ = ["Asked", "Series", "numbers", "read_columns", "read_series"]

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say of the file."""

    level: float
    returns: tuple[str, ...]
    prices: tuple[str, ...]
    portfolio: str | None
    var: tuple[str, ...]
    es: tuple[str, ...]
    probabilities: tuple[str, ...]
    models: tuple[str, ...]
    window: int
    dates: str | None
    date_format: str | None
    missing: str


@dataclass(frozen=True, slots=True)
class Series:
    """One model on one portfolio. `portfolio` is empty where there is but one."""

    portfolio: str
    model: str
    dates: list[Any]
    returns: Any
    var: Any
    es: Any
    probabilities: Any

    @property
    def name(self) -> str:
        return f"{self.portfolio} / {self.model}" if self.portfolio else self.model


def read_columns(file: Path) -> Columns:
    """Of .csv, .csv.gz or .parquet, by name."""
    columns = _read_parquet(file) if file.suffix == ".parquet" else _read_csv(file)
    if not columns or not len(next(iter(columns.values()))):
        raise Usage(f"{file}: has no rows")
    return columns


def read_series(columns: Columns, asked: Asked, file: str) -> list[Series]:
    """Every model on every portfolio, in the order in which they are asked for."""
    if asked.models and (asked.var or asked.es or asked.probabilities):
        raise Usage("--model and --var, --es or --probabilities: one or the other")
    if asked.prices and asked.returns:
        raise Usage("--prices and --returns: one or the other")
    if asked.portfolio and len(asked.prices or asked.returns) > 1:
        raise Usage("--portfolio and more than one --returns or --prices: one or the other")
    found: list[Series] = []
    for portfolio, rows in _portfolios(columns, asked.portfolio, file):
        found += _of_portfolio(rows, asked, portfolio, f"{file}: {portfolio}" if portfolio else file)
    return found


def _portfolios(columns: Columns, by: str | None, file: str) -> Iterator[tuple[str, Columns]]:
    """The rows of each portfolio, in the file's order."""
    if by is None:
        yield "", columns
        return
    rows: dict[str, list[int]] = {}
    for row, word in enumerate(_column(columns, by, file)):
        if word in ("", None):
            raise Usage(f"{file}: {by}: row {row} names no portfolio")
        rows.setdefault(str(word), []).append(row)
    for portfolio, own in rows.items():
        yield portfolio, {name: [values[row] for row in own] for name, values in columns.items()}


def _of_portfolio(columns: Columns, asked: Asked, portfolio: str, where: str) -> list[Series]:
    count = len(next(iter(columns.values())))
    dates = list(range(count)) if asked.dates is None else _dates(columns, asked.dates, asked.date_format, where)
    sources = asked.prices or asked.returns or ("return",)
    if not asked.models and len(sources) > 1:
        for option, given in (("--var", asked.var), ("--es", asked.es), ("--probabilities", asked.probabilities)):
            if given and len(given) != len(sources):
                raise Usage(f"{option}: {len(given)} for {len(sources)} portfolios")
    found: list[Series] = []
    for at, source in enumerate(sources):
        read = numbers(columns, source, where)
        gains = _of_prices(read, source, where) if asked.prices else read
        own = dates[len(dates) - len(gains) :]
        name = " / ".join(filter(None, (portfolio, source if len(sources) > 1 else "")))
        if asked.models:
            found += _forecasts(gains, own, asked, name, f"{where}: {source}")
        else:
            found += _given(columns, asked, at if len(sources) > 1 else None, (name, own, gains), where)
    return found


def _given(
    columns: Columns, asked: Asked, at: int | None, portfolio: tuple[str, list[Any], Any], where: str
) -> Iterator[Series]:
    """Forecasts of the file: all of them are models of one portfolio, or the one at the place of this one."""
    name, dates, gains = portfolio
    risks = asked.var or ("var",)
    for option, names in (("--es", asked.es), ("--probabilities", asked.probabilities)):
        if names and len(names) != len(risks):
            raise Usage(f"{option}: {len(names)} for {len(risks)} --var")

    def column(names: tuple[str, ...], place: int) -> Any:
        return numbers(columns, names[place], where)[-len(gains) :] if names else None

    for place in range(len(risks)) if at is None else (min(at, len(risks) - 1),):
        yield Series(
            name, risks[place], dates, gains, column(risks, place), column(asked.es, place),
            column(asked.probabilities, place),
        )  # fmt: skip


def _forecasts(gains: Any, dates: list[Any], asked: Asked, portfolio: str, where: str) -> Iterator[Series]:
    import numpy as np

    from weltklassebot.var import InputError, forecast

    if asked.missing == "drop":
        known = ~np.isnan(gains)
        gains, dates = gains[known], [day for day, there in zip(dates, known, strict=True) if there]
    window = asked.window
    for model in asked.models:
        try:
            made = forecast(gains, model, asked.level, window=window)  # type: ignore[arg-type] # click has checked it
        except InputError as error:
            raise Usage(f"{where}: {error}") from None
        tail = None if made.es is None else made.es[window:]
        yield Series(portfolio, model, dates[window:], gains[window:], made.var[window:], tail, None)


def _of_prices(prices: Any, name: str, where: str) -> Any:
    import numpy as np

    good = np.isfinite(prices) & (prices > 0)
    if not good.all():
        row = int(np.argmin(good))
        raise Usage(f"{where}: {name}: row {row} is no positive price: {prices[row]}")
    if len(prices) < 2:
        raise Usage(f"{where}: {name}: one price makes no return")
    return np.diff(prices) / prices[:-1]


def _read_csv(file: Path) -> Columns:
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
    _refuse_twice(names, file)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Usage(f"{file}: row {number} has {len(row)} fields, the head has {len(names)}")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _read_parquet(file: Path) -> Columns:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError:
        raise Usage(
            "pyarrow, which reads parquet, is not installed: pip install 'weltklassebot[parquet]', or give a csv"
        ) from None
    try:
        whole = parquet.ParquetFile(file)
        _refuse_twice([str(name) for name in whole.schema_arrow.names], file)
        table: Columns = whole.read().to_pydict()
    except ArrowException as error:
        raise Usage(f"{file}: cannot be read as parquet: {error}") from None
    return table


def _refuse_twice(names: list[str], file: Path) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Usage(f"{file}: column {min(twice)!r} stands there twice")


def _column(columns: Columns, name: str, where: str) -> list[Any]:
    if name not in columns:
        raise Usage(f"{where}: has no column {name!r}, only {', '.join(map(repr, columns))}")
    return columns[name]


def numbers(columns: Columns, name: str, where: str) -> Any:
    """A column as floats, NaN where nothing stands."""
    import numpy as np

    words = _column(columns, name, where)
    values = np.empty(len(words))
    for row, word in enumerate(words):
        try:
            values[row] = np.nan if word in ("", None) else float(word)
        except (TypeError, ValueError):
            raise Usage(f"{where}: {name}: row {row} is no number: {word!r}") from None
    return values


def _dates(columns: Columns, name: str, written: str | None, where: str) -> list[Any]:
    """Dates without their midnight."""
    from datetime import date, datetime, time

    found: list[Any] = []
    for row, word in enumerate(_column(columns, name, where)):
        if isinstance(word, date):
            found.append(word)
            continue
        try:
            moment = datetime.strptime(word, written) if written else datetime.fromisoformat(word)  # noqa: DTZ007 - as it stands there
        except (TypeError, ValueError):
            said = f"as {written}" if written else "in ISO 8601 (--date-format says otherwise)"
            raise Usage(f"{where}: {name}: row {row} is no date {said}: {word!r}") from None
        found.append(moment)
    midnight = all(isinstance(moment, datetime) and moment.time() == time() for moment in found)
    return [moment.date() for moment in found] if midnight else found
