"""var: validate forecasts of Value at Risk. `commands.py` is where to begin; the others follow a file's way through it.

dialect, text_file, fields, workbook, parquet   from a file to blocks of cells
numerals, dates, table                          from cells to columns
series                                          from columns to portfolios and models, everything checked
text, report, page                              what is said of them
"""

from __future__ import annotations

from weltklassebot.cli.var.commands import var

__all__ = ["var"]
