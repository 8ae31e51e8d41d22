"""Tables whose cells have types: .parquet, .xlsx and their like. Blocks of rows, as of text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.dialect import Said
from weltklassebot.cli.var.text_file import Block

__all__ = ["WORKBOOKS", "ParquetFile", "Workbook"]

WORKBOOKS: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_ROWS: Final = 1 << 16
_LOOKED_AT: Final = 50


class ParquetFile:
    """Columns that nobody asks for are not read."""

    def __init__(self, file: Path, said: Said, wanted: list[str]) -> None:
        try:
            from pyarrow import ArrowException, parquet
        except ModuleNotFoundError:
            raise Usage(
                "pyarrow, which reads parquet, is not installed: pip install 'weltklassebot[parquet]', or give a csv"
            ) from None
        _refuse_text_options(file, said)
        self._file, self._error = file, ArrowException
        try:
            self._opened = parquet.ParquetFile(file)
        except (ArrowException, OSError) as error:
            raise Usage(f"{file}: cannot be read as parquet: {error}") from None
        self.head = [str(name) for name in self._opened.schema_arrow.names]
        self._wanted = [name for name in self.head if name in wanted]
        _refuse_absent(self.head, wanted, file)

    def __str__(self) -> str:
        return "parquet"

    def place(self, row: int) -> str:
        return f"row {row}"

    def blocks(self) -> Iterator[Block]:
        nothing = list[Any]()
        try:
            for batch in self._opened.iter_batches(_ROWS, columns=self._wanted):
                read = {name: _cells(batch.column(at)) for at, name in enumerate(batch.schema.names)}
                yield Block([read.get(name, nothing) for name in self.head], batch.num_rows)
        except self._error as error:
            raise Usage(f"{self._file}: cannot be read as parquet: {error}") from None


class Workbook:
    """The sheet that is said, or the only one that holds anything."""

    def __init__(self, file: Path, said: Said, wanted: list[str]) -> None:
        try:
            from python_calamine import CalamineError, CalamineWorkbook
        except ModuleNotFoundError:
            raise Usage(
                "python-calamine, which reads workbooks, is not installed: pip install 'weltklassebot[xlsx]', "
                "or give a csv"
            ) from None
        _refuse_text_options(file, said, head=True)
        try:
            opened = CalamineWorkbook.from_path(file)
            names = [said.sheet] if said.sheet is not None else opened.sheet_names
            if said.sheet is not None and said.sheet not in opened.sheet_names:
                raise Usage(f"{file}: has no sheet {said.sheet!r}, only {', '.join(map(repr, opened.sheet_names))}")
            sheets = {name: opened.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names}
        except (CalamineError, OSError) as error:
            raise Usage(f"{file}: cannot be read as a workbook: {error}") from None
        filled = [name for name, rows in sheets.items() if rows]
        if len(filled) != 1:
            many = f"sheets {', '.join(map(repr, filled))}: say --sheet" if filled else "no rows"
            raise Usage(f"{file}: has {many}")
        self._sheet, rows = filled[0], sheets[filled[0]]
        self._above = said.skip_rows
        if said.head:
            while self._above < len(rows) and not any(cell not in ("", None) for cell in rows[self._above]):
                self._above += 1
            self.head = [str(cell).strip() for cell in rows[self._above]] if self._above < len(rows) else []
            self._above += 1
        else:
            self.head = [str(number) for number in range(1, len(rows[0]) + 1)]
        self._rows = rows[self._above :]
        _refuse_absent(self.head, wanted, file, _head_elsewhere(rows, wanted))

    def __str__(self) -> str:
        return f"sheet {self._sheet!r}"

    def place(self, row: int) -> str:
        return f"row {row} (line {row + self._above + 1})"

    def blocks(self) -> Iterator[Block]:
        for first in range(0, len(self._rows), _ROWS):
            some = self._rows[first : first + _ROWS]
            yield Block([list(column) for column in zip(*some, strict=True)], len(some))


def _cells(column: Any) -> Any:
    """An array where numpy has the type, and a list otherwise."""
    from pyarrow import types

    kind = column.type
    if types.is_floating(kind) or (types.is_integer(kind) and column.null_count == 0):
        return column.to_numpy(zero_copy_only=False)
    if types.is_date(kind) or (types.is_timestamp(kind) and kind.tz is None and kind.unit != "ns"):
        return column.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if types.is_timestamp(kind) and kind.unit == "ns":
        import pyarrow as pa

        return column.cast(pa.timestamp("us", kind.tz), safe=False).to_pylist()
    return column.to_pylist()


def _refuse_text_options(file: Path, said: Said, *, head: bool = False) -> None:
    for option, given in (("--delimiter", said.delimiter), ("--encoding", said.encoding)):
        if given is not None:
            raise Usage(f"{option}: {file.name} is no text")
    if not head and (said.skip_rows or not said.head or said.sheet is not None):
        raise Usage(f"--skip-rows, --no-head, --sheet: {file.name} has named columns and no sheets")


def _head_elsewhere(rows: list[list[Any]], wanted: list[str]) -> str:
    """What may help, where one of the first lines has what is asked for."""
    for number, cells in enumerate(rows[:_LOOKED_AT]):
        if set(wanted) <= {str(cell).strip() for cell in cells}:
            return f"; line {number + 1} has them: say --skip-rows {number}"
    return ""


def _refuse_absent(head: list[str], wanted: list[str], file: Path, hint: str = "") -> None:
    for name in wanted:
        if name not in head:
            raise Usage(f"{file.name}: has no column {name!r}, only {', '.join(map(repr, head[:40]))}{hint}")
