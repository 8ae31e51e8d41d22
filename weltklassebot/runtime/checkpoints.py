"""Checkpoints of the journal while the daemon serves: a line of the log, a signed line of a file, a post.

Nothing of it is on the way of an order: once a second it is asked whether one is due, of what is durable by then, and
children at idle priority sign, write and post. What fails is counted and tried again, and hurts nobody. A checkpoint
stands for every record before it, so only the newest is ever written, and of those that wait to be posted the oldest
may go.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections import deque
from typing import Any, Final

import msgspec

from weltklassebot.core.records import Record
from weltklassebot.runtime.bounds import Bound
from weltklassebot.runtime.chores import Chore
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.recent import Recent
from weltklassebot.settings import Settings
from weltklassebot.settings.keys import private_key

__all__ = ["MAX_UNPOSTED", "Checkpoints"]

MAX_UNPOSTED: Final = 64
STUCK_SECONDS: Final = 60.0
"""Longer than a post to a server that hardly answers takes."""
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0


class Step:
    """A child's part of the way, tried again after a pause that doubles."""

    def __init__(self, chore: Chore) -> None:
        self.chore: Final = chore
        self.failing = False
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._again_at = 0.0

    def look(self, now: float) -> None:
        """Take notice of a failure."""
        if self.chore.failures != self._failures:
            self._failures = self.chore.failures
            self.failing = True
            self._again_at = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def may(self, now: float) -> bool:
        return not self.chore.running and now >= self._again_at

    def succeeded(self) -> None:
        self.failing = False
        self._pause, self._again_at = FIRST_PAUSE_SECONDS, 0.0


class Checkpoints:
    """To be asked once a second, told of stops, and asked for a last one."""

    def __init__(self, settings: Settings, recent: Recent, clock: Clock, log: Any) -> None:
        journal = settings.journal
        self.seq = 0
        """Of the newest that is signed and on disk."""
        self.unposted: Final[deque[str]] = deque(maxlen=MAX_UNPOSTED)
        self._settings: Final = settings
        self._recent: Final = recent
        self._clock: Final = clock
        self._log: Final = log
        self._records: Final = journal.checkpoint_records
        self._seconds: Final = journal.checkpoint_minutes * 60
        self._private: Final = _private(settings)
        self._url: Final = None if journal.checkpoint_url is None else journal.checkpoint_url.get_secret_value()
        self._told = recent.last
        self._next = time.monotonic() + self._seconds
        self._wanted = "start"
        """Why one is due at once; empty if none is."""
        self._stop_seq = 0
        self._to_write = 0
        """The newest that was told: with a key it is to be signed."""
        self._sent: list[str] = []
        write, post = ("checkpoint_writer", self._written), ("checkpoint_post", self._posted)
        self.write, self.post = (
            Step(Chore(module, f"weltklassebot.journal.{module}", seconds=STUCK_SECONDS, log=log, done=done))
            for module, done in (write, post)
        )
        if self._url is not None and self._private is None:
            self.post.failing = True
            self._log.error(
                "checkpoints_not_signed", problem="journal.checkpoint_url is set, and journal.checkpoint_secret is not",
                meaning="nothing is posted",
            )  # fmt: skip

    @property
    def bound(self) -> Bound:
        return Bound("unposted_checkpoints", lambda: MAX_UNPOSTED, lambda: len(self.unposted))

    def stop_of_desk(self, record: Record) -> None:
        """Risk state or kill switch moved; told before that is durable."""
        self._wanted, self._stop_seq = record.action, record.seq

    def every_second(self) -> None:
        now = time.monotonic()
        if why := self._due(now):
            self._tell(why, now)
        for step in (self.write, self.post):
            step.look(now)
        if self._behind and self.write.may(now):
            self._write()
        if self.unposted and self.post.may(now):
            self._post()

    async def last(self, seconds: float) -> None:
        """The daemon ends, and what it recorded is durable. What is not posted by then stands in the file."""
        until = time.monotonic() + seconds

        def left() -> float:
            return max(until - time.monotonic(), 0.0)

        self._tell("stop", until)
        await self.write.chore.finished(left())
        if self._behind:
            self._write()
            await self.write.chore.finished(left())
        if self._behind:
            self._log.error("checkpoint_not_written", seq=self._to_write, seconds=seconds)
        if self.unposted and not self.post.failing:
            await self.post.chore.finished(left())
            self._post()
            await self.post.chore.finished(left())

    def stop(self) -> None:
        self.write.chore.stop()
        self.post.chore.stop()

    @property
    def _behind(self) -> bool:
        return self._private is not None and self.seq < self._to_write

    def _due(self, now: float) -> str:
        new = self._recent.last - self._told
        if new <= 0 or self._recent.last < self._stop_seq:
            return ""
        if self._wanted:
            return self._wanted
        return "records" if new >= self._records else "time" if now >= self._next else ""

    def _tell(self, why: str, now: float) -> None:
        seq, chain = self._recent.last, self._recent.chain
        if seq <= self._told:
            return
        self._told, self._wanted, self._next = seq, "", now + self._seconds
        self._to_write = seq
        self._log.info("journal_checkpoint", seq=seq, hash=chain, why=why)

    def _write(self) -> None:
        """The newest: it is no less true than the one that was told."""
        assert self._private is not None
        task = {
            "file": str(self._settings.checkpoints_file),
            "store": str(self._settings.risk_store_dir),
            "seq": self._recent.last,
            "hash": self._recent.chain,
            "ts": round(self._clock.now(), 6),
            "private": b64encode(self._private).decode(),
        }
        self.write.chore.start(msgspec.json.encode(task))

    def _written(self, done: dict[str, Any]) -> None:
        self.write.succeeded()
        self.seq = done["seq"]
        if self._url is not None:
            self.unposted.append(done["line"])

    def _post(self) -> None:
        assert self._url is not None
        token = self._settings.journal.checkpoint_token
        self._sent = list(self.unposted)
        task = {
            "url": self._url,
            "token": "" if token is None else token.get_secret_value(),
            "lines": self._sent,
        }
        self.post.chore.start(msgspec.json.encode(task))

    def _posted(self, _: dict[str, Any]) -> None:
        self.post.succeeded()
        while self.unposted and self.unposted[0] in self._sent:  # the oldest of them may have gone meanwhile
            self.unposted.popleft()


def _private(settings: Settings) -> bytes | None:
    secret = settings.journal.checkpoint_secret
    return None if secret is None else private_key(secret.get_secret_value())
