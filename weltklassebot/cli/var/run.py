"""Every series through every test, and the models of each portfolio against each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.series import Series
from weltklassebot.cli.var.table import Table

if TYPE_CHECKING:
    from weltklassebot.var import Comparison, Validation

__all__ = ["in_file", "run"]

_ROW: Final = re.compile(r"\brow (\d+)")
_OPTIONS: Final = (("missing='drop' or 'exception'", "--missing drop or exception"), ("var_as='", "'--var-as "))
"""What the library calls them, and the command line."""


def run(
    series: list[Series], options: dict[str, Any], table: Table
) -> tuple[dict[str, Validation], dict[str, Comparison]]:  # fmt: skip
    """Raises Usage that names the file, its row and its column."""
    from weltklassebot.var import InputError, VaRBacktestRunner

    drawn = {"rng": np.random.default_rng(options["seed"]), "replications": options["replications"]}
    runner = VaRBacktestRunner(
        options["level"], var_as="loss" if options["models"] else options["var_as"], missing=options["missing"],
        size=options["size"], **(drawn if options["replications"] else {}),
    )  # fmt: skip
    portfolios: dict[str, list[str]] = {}
    try:
        for each in series:
            runner.add(each.name, each.returns, each.var, each.es, dates=each.dates, probabilities=each.probabilities)
            portfolios.setdefault(each.portfolio, []).append(each.name)
        found = dict(runner.run())
        return found, {name: runner.compare(*models) for name, models in portfolios.items() if len(models) > 1}
    except InputError as error:
        raise Usage(_located(str(error), series, table)) from None


def _located(message: str, series: list[Series], table: Table) -> str:
    """With rows of the file for rows of the series, and with the column's name."""
    said, _, rest = message.partition(": ")
    kind, _, name = said.partition(" of ")
    own = next((each for each in series if each.name == name), None)
    if own is None:
        return f"{table.file}: {message}"
    column = own.columns.get(kind)
    named = f" (column {column!r})" if column else ""
    return f"{table.file}: {said}{named}: {in_file(rest, own.rows, table)}"


def in_file(message: str, rows: Any, table: Table) -> str:
    """What the library says, with `rows` of the file for rows of a series, and with options for its parameters."""
    for theirs, ours in _OPTIONS:
        message = message.replace(theirs, ours)
    return _ROW.sub(lambda found: table.place(int(rows[int(found[1])])), message)
