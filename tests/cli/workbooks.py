"""Writes small .xlsx files as a spreadsheet does: shared by tests of what reads them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZipFile

__all__ = ["write_workbook"]

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_PARTS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def write_workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> None:
    """Numbers, dates, booleans and text by row; a row may be empty."""
    with ZipFile(path, "w") as book:
        types = '<Default Extension="xml" ContentType="application/xml"/>'
        book.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{types}</Types>')
        book.writestr("_rels/.rels", _related(_relation("r", "officeDocument", "xl/workbook.xml")))
        names, parts = "", _relation("s", "styles", "styles.xml")
        for number, (name, rows) in enumerate(sheets.items(), 1):
            names += f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="r{number}"/>'
            parts += _relation(f"r{number}", "worksheet", f"sheet{number}.xml")
            lines = "".join(f'<row r="{at}">{_cells(row, at)}</row>' for at, row in enumerate(rows, 1))
            book.writestr(f"xl/sheet{number}.xml", f"<worksheet {_MAIN}><sheetData>{lines}</sheetData></worksheet>")
        book.writestr("xl/workbook.xml", f'<workbook {_MAIN} xmlns:r="{_PARTS}"><sheets>{names}</sheets></workbook>')
        book.writestr("xl/_rels/workbook.xml.rels", _related(parts))
        forms = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        book.writestr("xl/styles.xml", f"<styleSheet {_MAIN}>{forms}</styleSheet>")


def _relation(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{_PARTS}/{kind}" Target="{target}"/>'


def _related(parts: str) -> str:
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{parts}</Relationships>'


def _cells(row: list[Any], line: int) -> str:
    return "".join(_cell(value, f"{chr(ord('A') + at)}{line}") for at, value in enumerate(row))


def _cell(value: Any, place: str) -> str:
    match value:
        case bool():
            return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
        case date():
            return f'<c r="{place}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
        case int() | float():
            return f'<c r="{place}"><v>{value!r}</v></c>'
        case _:
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'
