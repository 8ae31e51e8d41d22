"""Marks, conflated: the newest of a symbol, and of a symbol at a venue, within `mark_interval_ms` reaches the journal,
and always before a decision on that symbol. What is overtaken by a newer mark before that is dropped; never one that is
doubted, or that comes while another is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from weltklassebot.core.commands import Mark
from weltklassebot.runtime.principals import Principal

__all__ = ["Marks"]

MARKS_A_TURN: Final = 64
"""Recorded before others have their turn: a feed of many symbols must not hold up orders and stops."""
_NEVER: Final = (0.0, 0.0)
_Key = tuple[str, str | None]
"""A symbol as it is listed, and a venue."""


class Marks:
    """Holds back what comes too fast. Bounded by `max_symbols`."""

    def __init__(
        self,
        interval_seconds: float,
        max_symbols: int,
        record: Callable[[Mark, Principal], bool],
        spelled: Callable[[str], str],
        is_plain: Callable[[Mark, float], bool],
    ) -> None:
        self._interval: Final = interval_seconds
        self._max_symbols: Final = max_symbols
        self._record: Final = record
        self._spelled: Final = spelled
        """A symbol as it is listed: several spellings are conflated as one."""
        self._is_plain: Final = is_plain
        """Whether nothing of the symbol is doubted, with this mark or without it."""
        self._waiting: dict[_Key, tuple[Mark, Principal]] = {}
        self._venues: dict[str, list[str | None]] = {}
        """Those for which a mark of the symbol waits."""
        self._recorded: dict[_Key, tuple[float, float]] = {}
        """When a mark of this symbol was recorded last, and of when it was."""
        self._now = 0.0
        """When the last one came."""
        self._round: deque[_Key] = deque()
        """Those whose interval is over."""
        self._timer: asyncio.Handle | None = None
        self.conflated = 0

    def take(self, mark: Mark, principal: Principal, now: float) -> bool:
        """Record the mark, now or soon. False: it is older than what is known, or there are too many symbols."""
        if now < self._now:
            self._recorded.clear()  # the clock was restarted: what was recorded then is old
        self._now = now
        as_of = now if mark.ts is None else min(mark.ts, now)
        key = (self._spelled(mark.symbol), mark.venue)
        waiting = self._waiting.get(key)
        if not self._is_plain(mark, now):
            if waiting is not None:
                self._put(*self._take(key), now)
            return self._put(mark, principal, now)
        if waiting is not None:
            if waiting[0].ts is not None and as_of < waiting[0].ts:
                return False
            self.conflated += 1
        else:
            recorded, known = self._recorded.get(key, _NEVER)
            if now - recorded >= self._interval:
                return self._put(mark, principal, now)
            if as_of < known:
                return False
        if waiting is None and len(self._waiting) >= self._max_symbols:
            return self._put(mark, principal, now)
        if waiting is None:
            self._venues.setdefault(key[0], []).append(mark.venue)
        self._waiting[key] = (msgspec.structs.replace(mark, ts=as_of), principal)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._begin_round)
        return True

    def _put(self, mark: Mark, principal: Principal, now: float) -> bool:
        if len(self._recorded) >= self._max_symbols:
            self._recorded.clear()
        self._recorded[self._spelled(mark.symbol), mark.venue] = (now, now if mark.ts is None else min(mark.ts, now))
        return self._record(mark, principal)

    def _take(self, key: _Key) -> tuple[Mark, Principal]:
        """It waits no longer."""
        symbol, venue = key
        venues = self._venues[symbol]
        venues.remove(venue)
        if not venues:
            del self._venues[symbol]
        return self._waiting.pop(key)

    def flush(self, symbol: str, now: float) -> None:
        """What waits for this symbol is recorded before anything is decided on it."""
        symbol = self._spelled(symbol)
        for venue in tuple(self._venues.get(symbol, ())):
            self._put(*self._take((symbol, venue)), now)

    def flush_all(self) -> None:
        """At a stop: nothing waits any longer."""
        self._round = deque(self._waiting)
        self._put_some(len(self._round))

    def _begin_round(self) -> None:
        self._round = deque(self._waiting)
        self._go_on()

    def _go_on(self) -> None:
        self._put_some(MARKS_A_TURN)
        loop = asyncio.get_running_loop()
        if self._round:
            self._timer = loop.call_soon(self._go_on)
        else:
            self._timer = loop.call_later(self._interval, self._begin_round) if self._waiting else None

    def _put_some(self, most: int) -> None:
        for _ in range(min(most, len(self._round))):
            key = self._round.popleft()
            if key in self._waiting:  # a decision may have taken it already
                mark, principal = self._take(key)
                self._put(mark, principal, mark.ts or 0.0)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def pending(self) -> bool:
        return bool(self._waiting)
