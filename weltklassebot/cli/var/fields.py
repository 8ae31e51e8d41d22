"""A column of many lines of text at once, by numpy: where each field begins and ends in a buffer of bytes.

What is written plainly is read here, and to the same last bit as `float` would; the rest comes back as words.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["Fields"]

_MOST_EXACT: Final = 1 << 53
"""Up to here whole numbers are exact, as are powers of ten up to 22: one division rounds once, as `float` does."""
_POWERS: Final = 10.0 ** np.arange(23)
_WIDEST: Final = 18
_WIDEST_FLOAT: Final = 40
_FLOAT: Final = np.isin(np.arange(256), np.frombuffer(b"\x000123456789+-.eE", dtype=np.uint8))
_DIGIT: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789", dtype=np.uint8))


class Fields(NamedTuple):
    """Of one column: `buffer[start:stop]` is the field's text in UTF-8, without quotes and with whatever blanks."""

    buffer: Any
    start: Any
    stop: Any

    def __len__(self) -> int:
        return len(self.start)

    def at(self, rows: Any) -> Fields:
        return Fields(self.buffer, self.start[rows], self.stop[rows])

    def matrix(self) -> Any:
        """Bytes by row, with zeros behind each field."""
        width = self.stop - self.start
        widest = max(1, int(width.max(initial=0)))
        place = np.arange(widest)
        found = self.buffer[np.minimum(self.start[:, None] + place, len(self.buffer) - 1)]
        found[place >= width[:, None]] = 0
        return found

    def raw(self) -> list[bytes]:
        """The fields' bytes. None holds a zero byte."""
        matrix = self.matrix()
        words: list[bytes] = matrix.view(f"S{matrix.shape[1]}").ravel().tolist()
        return words

    def words(self) -> list[str]:
        widths = self.stop - self.start
        if len(self) and int(widths.max()) * len(self) > 1 << 24:  # a field of kilobytes must not widen all of them
            whole = self.buffer.tobytes()
            return [whole[at:end].decode() for at, end in zip(self.start.tolist(), self.stop.tolist(), strict=True)]
        return [word.decode() for word in self.raw()]

    def numbers(self, decimal: str) -> tuple[Any, Any]:
        """Values, and the rows (as an array of their places) that are not written plainly and were not read."""
        values, plain = self._plain(ord(decimal))
        rest = np.flatnonzero(~plain)
        if len(rest) and int((self.stop[rest] - self.start[rest]).max()) <= _WIDEST_FLOAT:
            rest = self._floats(rest, values, ord(decimal))
        return values, rest

    def _plain(self, point: int) -> tuple[Any, Any]:
        """[+-]digits[.digits], up to 15 digits or so."""
        buffer, end = self.buffer, len(self.buffer) - 1
        first = buffer[np.minimum(self.start, end)]
        width = self.stop - self.start
        negative = (first == ord("-")) & (width > 0)
        signed = negative | ((first == ord("+")) & (width > 0))
        at = self.start + signed
        width = np.clip(self.stop - at, 0, 255).astype(np.uint8)
        count = len(at)
        mantissa, digits, behind = np.zeros(count, np.int64), np.zeros(count, np.uint8), np.zeros(count, np.uint8)
        points = np.zeros(count, np.uint8)
        for place in range(min(int(width.max(initial=0)), _WIDEST)):
            byte = buffer[np.minimum(at, end)]
            value = byte - np.uint8(48)
            inside = width > place
            digit = (value < 10) & inside
            np.copyto(mantissa, mantissa * 10 + value, where=digit)
            digits += digit
            behind += digit & (points > 0)
            points += (byte == point) & inside
            at += 1
        plain = (digits + points == width) & (digits > 0) & (points <= 1) & (mantissa <= _MOST_EXACT)
        values = mantissa / _POWERS[np.minimum(behind, 22)]
        np.negative(values, out=values, where=negative)
        return values, plain

    def _floats(self, rest: Any, values: Any, point: int) -> Any:
        """Long ones and exponents, by `float` itself, where nothing else could be in them; what is left of `rest`."""
        matrix = self.at(rest).matrix()
        if point != ord("."):
            foreign = (matrix == ord(".")).any(axis=1)
            matrix[matrix == point] = ord(".")
        else:
            foreign = np.zeros(len(rest), np.bool_)
        able = _FLOAT[matrix].all(axis=1) & _DIGIT[matrix].any(axis=1) & ~foreign
        words = np.ascontiguousarray(matrix[able]).view(f"S{matrix.shape[1]}").ravel().tolist()
        try:
            values[rest[able]] = list(map(float, words))
        except ValueError:
            return rest
        return rest[~able]

    def moments(self) -> Any:
        """As microseconds since 1970 where all are ISO dates (2024-01-31) or moments (2024-01-31 16:30:00); or None."""
        widths = self.stop - self.start
        if not len(self) or int(widths.min()) != int(widths.max()) or int(widths[0]) not in (10, 19):
            return None
        matrix = self.matrix()
        shape = {4: b"-", 7: b"-"} | ({10: b"T ", 13: b":", 16: b":"} if matrix.shape[1] == 19 else {})
        for place in range(matrix.shape[1]):
            allowed = np.frombuffer(shape.get(place, b"0123456789"), dtype=np.uint8)
            if not np.isin(matrix[:, place], allowed).all():
                return None
        digit = matrix.astype(np.int64) - 48

        def two(place: int) -> Any:
            return digit[:, place] * 10 + digit[:, place + 1]

        year, month, day = two(0) * 100 + two(2), two(5), two(8)
        months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        days = months.astype("datetime64[D]") + (day - 1)
        good = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
        found = days.astype("datetime64[us]").astype(np.int64)
        if matrix.shape[1] == 19:
            hour, minute, second = two(11), two(14), two(17)
            good &= (hour < 24) & (minute < 60) & (second < 60)
            found += ((hour * 60 + minute) * 60 + second) * 1_000_000
        return found if good.all() else None
