"""From the columns of a file to what is validated: every model on every portfolio, in order of time.

Everything is checked for each portfolio, with models as without: dates ascend strictly, a row without a number is what
`--missing` says, a row that is the sum of the others is no day.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.dialect import Said
from weltklassebot.cli.var.table import Table, Wanted, read_table

__all__ = ["Asked", "Series", "check_dates", "read_series", "refuse_sums"]

_FEWEST_SUMMED: Final = 6
"""Of so few rows the last may be the sum of the others by accident."""
_ACCIDENT: Final = 1e-4
_ROUNDED: Final = 5e-3
"""A sum that is printed to fewer digits than this is not recognised."""


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
    decay: float | None
    dates: str | None
    date_format: str | None
    missing: str

    @property
    def sources(self) -> tuple[str, ...]:
        return self.prices or self.returns or ("return",)

    @property
    def risks(self) -> tuple[str, ...]:
        return () if self.models else self.var or ("var",)


@dataclass(frozen=True, slots=True)
class Series:
    """One model on one portfolio. `portfolio` is empty where there is but one; `rows` are the rows of the file, and
    `columns` what `returns`, `var`, `es` and `probabilities` are called there."""

    portfolio: str
    model: str
    dates: Any
    returns: Any
    var: Any
    es: Any
    probabilities: Any
    rows: Any
    columns: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.portfolio} / {self.model}" if self.portfolio else self.model


@dataclass(frozen=True, slots=True)
class _Portfolio:
    """Rows of the file that are one portfolio's, and its returns; `gap` where one is missing."""

    name: str
    rows: Any
    dates: Any
    gains: Any
    source: str


def read_series(file: Path, asked: Asked, said: Said) -> tuple[list[Series], Table]:
    """Every model on every portfolio, in the order in which they are asked for. Raises Usage."""
    _refuse_contradictions(asked)
    numbers = (*asked.sources, *asked.risks, *asked.es, *asked.probabilities)
    wanted = Wanted(tuple(dict.fromkeys(numbers)), asked.dates, asked.date_format, asked.portfolio)
    table = read_table(file, wanted, said)
    found: list[Series] = []
    for name, rows in _portfolios(table):
        found += _of_portfolio(table, asked, name, rows)
    return found, table


def _refuse_contradictions(asked: Asked) -> None:
    if asked.models and (asked.var or asked.es or asked.probabilities):
        raise Usage("--model and --var, --es or --probabilities: one or the other")
    if asked.prices and asked.returns:
        raise Usage("--prices and --returns: one or the other")
    if asked.decay is not None and not {"age-weighted", "filtered"} & set(asked.models):
        raise Usage("--decay: is for --model age-weighted or filtered")
    many = len(asked.prices or asked.returns)
    if asked.portfolio and many > 1:
        raise Usage("--portfolio and more than one --returns or --prices: one or the other")
    if asked.models:
        return
    for option, given in (("--var", asked.var), ("--es", asked.es), ("--probabilities", asked.probabilities)):
        if many > 1 and given and len(given) != many:
            raise Usage(f"{option}: {len(given)} for {many} portfolios")
        if given and option != "--var" and len(given) != len(asked.risks):
            raise Usage(f"{option}: {len(given)} for {len(asked.risks)} --var")


def _portfolios(table: Table) -> Iterator[tuple[str, Any]]:
    """The rows of each, in the file's order; a slice where they stand together."""
    if table.labels is None:
        yield "", slice(0, table.rows)
        return
    together = bool((np.diff(table.labels) >= 0).all())
    order = None if together else np.argsort(table.labels, kind="stable")
    ends = np.cumsum(np.bincount(table.labels, minlength=len(table.names))).tolist()
    for name, low, high in zip(table.names, [0, *ends], ends, strict=False):
        yield name, slice(low, high) if order is None else order[low:high]


def _of_portfolio(table: Table, asked: Asked, portfolio: str, rows: Any) -> Iterator[Series]:
    numbers = range(rows.start, rows.stop) if isinstance(rows, slice) else rows
    dates = None if table.dates is None else table.dates[rows]
    check_dates(table, asked.dates, portfolio, numbers, dates)
    columns = {name: values[rows] for name, values in table.numbers.items()}
    amounts = (*asked.sources, *asked.risks)
    refuse_sums(table, {name: columns[name] for name in amounts}, numbers)
    for at, source in enumerate(asked.sources):
        name = " / ".join(filter(None, (portfolio, source if len(asked.sources) > 1 else "")))
        if asked.prices:
            kept, gains = _of_prices(table, asked, columns[source], source, numbers)
        else:
            kept, gains = slice(None), columns[source]
        own = _Portfolio(name, _picked(numbers, kept), None if dates is None else dates[kept], gains, source)
        if asked.models:
            yield from _forecasts(table, asked, own)
        else:
            chosen = {column: values[kept] for column, values in columns.items()}
            yield from _given(asked, at if len(asked.sources) > 1 else None, own, chosen)


def check_dates(table: Table, column: str | None, portfolio: str, numbers: Any, dates: Any) -> None:
    """Raises Usage where they do not ascend strictly."""
    if dates is None or bool((dates[1:] > dates[:-1]).all()):
        return
    row = 1 + int(np.argmin(dates[1:] > dates[:-1]))
    before, date = dates[row - 1].item(), dates[row].item()
    what = "stands there twice" if before == date else f"comes after {before}"
    of = f", of {portfolio}" if portfolio else ""
    raise Usage(f"{table.file}: {column}: {table.place(int(numbers[row]))} {what}: {date}{of}")


def refuse_sums(table: Table, columns: dict[str, Any], numbers: Any) -> None:
    """Raises Usage where the last row is the sum of all others in any of these columns: a total without a label,
    whatever else stands in that row."""
    if len(numbers) < _FEWEST_SUMMED:
        return
    for name, values in columns.items():
        last, known = float(values[-1]), np.nan_to_num(values[:-1])
        rounded = min(_half_unit(last), _ROUNDED * abs(last))
        near = abs(last - float(known.sum())) <= max(rounded, 1e-9 * float(np.abs(known).sum()))
        if near and last and (abs(last) > float(np.abs(known).max()) or _by_accident(known) < _ACCIDENT):
            where = f"{table.file}: {name}: {table.place(int(numbers[-1]))}"
            raise Usage(f"{where} is the sum of all rows before it, a totals row: leave it out: {last:.15g}")


def _by_accident(values: Any) -> float:
    """About how likely a further value like these is to be their sum: one unit of what they are counted in, over how
    far their sum may lie from 0."""
    gaps = np.diff(np.unique(values))
    reach = float(values.std()) * math.sqrt(len(values))
    return float(gaps.min()) / reach if len(gaps) and reach > 0 else 1.0


def _half_unit(value: float) -> float:
    """Of the last decimal that is written: what a spreadsheet rounds a sum to."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent if math.isfinite(value) else 0
    return 0.5 * 10.0 ** min(int(exponent), 0)


def _picked(numbers: Any, kept: Any) -> Any:
    return numbers[kept] if isinstance(kept, slice) else np.asarray(numbers)[kept]


def _of_prices(table: Table, asked: Asked, prices: Any, name: str, numbers: Any) -> tuple[Any, Any]:
    """Rows that have a return, and the returns: each since the last price that there was."""
    known = ~np.isnan(prices)
    good = (prices > 0) | ~known
    where = f"{table.file}: {name}"
    if not good.all():
        row = int(np.argmin(good))
        raise Usage(f"{where}: {table.place(int(numbers[row]))} is no positive price: {prices[row]}")
    if not known.all() and (asked.missing == "refuse" or not (known[0] or asked.missing == "drop")):
        row = int(np.argmin(known))
        why = "say --missing drop or exception" if known[0] else "there is no return without a first price"
        raise Usage(f"{where}: {table.place(int(numbers[row]))} is missing ({why})")
    there = prices[known]
    if len(there) < 2:
        raise Usage(f"{where}: one price makes no return")
    gains = np.diff(there) / there[:-1]
    if known.all():
        return slice(1, None), gains
    filled = np.full(len(prices), np.nan)
    filled[np.flatnonzero(known)[1:]] = gains
    return slice(1, None), filled[1:]


def _given(asked: Asked, at: int | None, own: _Portfolio, columns: dict[str, Any]) -> Iterator[Series]:
    """Forecasts of the file: all of them are models of one portfolio, or the one at the place of this one."""

    def called(names: tuple[str, ...], place: int) -> str | None:
        return names[place] if names else None

    for place in range(len(asked.risks)) if at is None else (min(at, len(asked.risks) - 1),):
        named = {
            "returns": own.source, "var": asked.risks[place], "es": called(asked.es, place),
            "probabilities": called(asked.probabilities, place),
        }  # fmt: skip
        es, ranks = (None if named[kind] is None else columns[str(named[kind])] for kind in ("es", "probabilities"))
        yield Series(
            own.name, asked.risks[place], own.dates, own.gains, columns[asked.risks[place]], es, ranks, own.rows,
            {kind: name for kind, name in named.items() if name is not None},
        )  # fmt: skip


def _forecasts(table: Table, asked: Asked, own: _Portfolio) -> Iterator[Series]:
    """Models learn from the rows that have a return; a row that has none is dropped, or a hit."""
    from weltklassebot.var import DECAYS, InputError, forecast

    gap = np.isnan(own.gains)
    if gap.any() and asked.missing == "refuse":
        row = table.place(int(own.rows[int(np.argmax(gap))]))
        raise Usage(f"{table.file}: {own.source}: {row} is missing (say --missing drop or exception)")
    known = np.flatnonzero(~gap) if gap.any() else None
    gains = own.gains if known is None else own.gains[known]
    window = asked.window
    for model in asked.models:
        try:
            decay = asked.decay if model in DECAYS else None
            made = forecast(gains, model, asked.level, window=window, decay=decay)  # type: ignore[arg-type] # click has checked it
        except InputError as error:
            of = f" of {own.name}" if own.name else ""
            raise Usage(f"{table.file}: {own.source}{of}: {error}") from None
        kept = slice(window if known is None else int(known[window]), None)
        var = _spread(made.var, known, len(own.gains))[kept]
        es = None if made.es is None else _spread(made.es, known, len(own.gains))[kept]
        yield Series(
            own.name, model, None if own.dates is None else own.dates[kept], own.gains[kept], var, es, None,
            _picked(own.rows, kept), {"returns": own.source},
        )  # fmt: skip


def _spread(values: Any, known: Any, rows: int) -> Any:
    """Back to where the rows stood that were known."""
    if known is None:
        return values
    placed = np.full(rows, np.nan)
    placed[known] = values
    return placed
