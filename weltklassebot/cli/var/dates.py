"""How dates are written: ISO 8601, the format that is said, numbers like 20240131, or seconds, milli-, micro- or
nanoseconds since 1970. Which of them it is, the first one says; all others must be of its kind."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any, Final

__all__ = ["DateWords"]

_NUMBER: Final = re.compile(r"([0-9]{8,19})(?:\.([0-9]{1,6})0*)?")
_EPOCHS: Final = ((11, "seconds since 1970", 1_000_000.0), (14, "milliseconds since 1970", 1_000.0),
                  (17, "microseconds since 1970", 1.0), (20, "nanoseconds since 1970", 0.001))  # fmt: skip
"""By how many digits are too many: seconds have 9 to 11 from 1973 to the year 5138."""
_DAY: Final = 86_400_000_000
_BEGIN: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - moments are kept as they stand there
_MOST_KNOWN: Final = 1 << 16


class DateWords:
    """Reads one column's dates as microseconds since 1970, as the clock on the wall had them."""

    def __init__(self, written: str | None) -> None:
        self._written = written
        self.kind: str | None = None
        self._known: dict[Any, int] = {}
        self.midnight = True
        """Whether all were so far without a time of day."""

    def read(self, cell: Any) -> int:
        """Raises ValueError that says what it is not."""
        found = self._known.get(cell)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[cell] = self._read(cell)
            self.midnight = self.midnight and not found % _DAY
        return found

    def must_be(self, kind: str) -> None:
        """Raises ValueError where the ones before are of another."""
        self.kind = self.kind or kind
        if self.kind != kind:
            raise ValueError(f"written like those before it ({self.kind})")

    def _read(self, cell: Any) -> int:
        if isinstance(cell, date):
            moment = cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001
            return self._moment(moment, "a date")
        word = repr(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else str(cell).strip()
        if self._written:
            try:
                return self._moment(datetime.strptime(word, self._written), self._written)  # noqa: DTZ007
            except ValueError:
                raise ValueError(f"a date as {self._written}") from None
        number = _NUMBER.fullmatch(word)
        if number is not None:
            return self._number(number[1], number[2] or "")
        try:
            moment = datetime.fromisoformat(word)
        except ValueError:
            raise ValueError("a date in ISO 8601 (--date-format says otherwise)") from None
        return self._moment(moment, "ISO 8601")

    def _moment(self, moment: datetime, kind: str) -> int:
        zone = moment.utcoffset()
        self.must_be(kind if zone is None else f"{kind} with a time zone")
        passed = moment.replace(tzinfo=None) - _BEGIN
        return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds

    def _number(self, whole: str, behind: str) -> int:
        if len(whole) == 8:
            try:
                day = datetime.strptime(whole, "%Y%m%d")  # noqa: DTZ007
            except ValueError:
                raise ValueError("a date as YYYYMMDD, nor an epoch") from None
            return self._moment(day, "YYYYMMDD")
        for digits, kind, scale in _EPOCHS:
            if len(whole) <= digits:
                self.must_be(kind)
                found = round(int(whole) * scale) if scale < 1 else int(whole) * int(scale)
                found += round(float(f"0.{behind or '0'}") * scale)
                try:
                    datetime.fromtimestamp(found / 1e6, UTC)
                except (ValueError, OverflowError):
                    break
                return found
        raise ValueError("a date: the number fits no epoch")
