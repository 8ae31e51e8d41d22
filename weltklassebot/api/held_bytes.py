"""What a connection has sent and the parser has not been given yet."""

from __future__ import annotations

from typing import Final

__all__ = ["HeldBytes"]

HEAD_END: Final = b"\r\n\r\n"


class HeldBytes:
    """A queue of bytes that is taken from in pieces. What arrives in one read and is taken whole is never copied."""

    __slots__ = ("_at", "_data", "_edge")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._edge = b""
        """The last bytes taken: the end of a head may lie across two pieces."""

    def __len__(self) -> int:
        return len(self._data) - self._at

    def add(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data if len(self) else data
        self._at = 0

    def take(self, most: int, *, one_head: bool = False) -> bytes:
        """The next bytes, at most so many; with `one_head` none of those behind the end of a head."""
        begin = self._at
        end = min(begin + most, len(self._data))
        if one_head:
            end = self._head_end(begin, end)
        piece = self._data[begin:end]
        self._edge = (self._edge + piece)[-3:] if len(piece) < 3 else piece[-3:]
        self._at = end
        if end == len(self._data):
            self._data, self._at = b"", 0
        return piece

    def clear(self) -> None:
        self._data, self._at, self._edge = b"", 0, b""

    def _head_end(self, begin: int, end: int) -> int:
        across = (self._edge + self._data[begin : begin + 3]).find(HEAD_END)
        if across >= 0:
            return min(end, begin + across + len(HEAD_END) - len(self._edge))
        found = self._data.find(HEAD_END, begin, end)
        return end if found < 0 else found + len(HEAD_END)
