"""The accounts of a feed: what was answered, what is in doubt, and with which line it goes on."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, Final, NamedTuple

import orjson

from weltklassebot.cli.output import plain_line, say

__all__ = ["Accounts", "Sent"]

_MAX_OPS: Final = 100
"""A file of nonsense has no end of ops and titles."""
_MOST_NAMED: Final = 10
"""Of the lines that were refused; the summary counts them all."""


class Sent(NamedTuple):
    """A line that waits for its answer."""

    number: int
    size: int
    """In bytes, with its end."""
    op: str


class Accounts:
    """Of one run. Right at every moment, so that whatever ends the run can be told with them."""

    def __init__(self, first: int) -> None:
        self.ended = "end of the file"
        self.in_flight: deque[Sent] = deque()
        self.unsent = b""
        """Of what is in flight, the bytes that have not left."""
        self._ops: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._approved = 0
        self._answered = 0
        self._uncounted = 0
        self._next = first
        self._began = time.perf_counter()

    def summary(self) -> dict[str, Any]:
        """Complete or not. A line that may have left and was not answered is in doubt."""
        seconds = time.perf_counter() - self._began
        return {
            "ended": self.ended,
            "lines": self._answered,
            "ops": dict(self._ops.most_common()),
            "approved": self._approved,
            "denied": sum(self._denied.values()),
            "denied_by_reason": dict(self._denied.most_common()),
            "uncounted": self._uncounted,
            "errors": self._errors.total(),
            "errors_by_title": dict(self._errors.most_common()),
            "in_doubt": self._in_doubt(),
            "next_line": self.next_line,
            "seconds": round(seconds, 3),
            "per_second": round(self._answered / seconds) if seconds else None,
        }

    def words(self) -> str:
        """How far it came."""
        unknown = len(self._maybe_sent())
        doubt = f", and of {unknown} nobody knows" if unknown else ""
        return f"{self._answered} lines were answered{doubt}; --from-line {self.next_line} goes on"

    @property
    def next_line(self) -> int:
        """Everything before it was answered."""
        return self.in_flight[0].number if self.in_flight else self._next

    def skipped(self, number: int) -> None:
        """A line that says nothing."""
        self._next = number + 1

    def taken(self, number: int, command: bytes, op: str) -> None:
        """A line, with its end, that is to be sent."""
        op = op if op in self._ops or len(self._ops) < _MAX_OPS else "(others)"
        self.in_flight.append(Sent(number, len(command), op))
        self.unsent += command
        self._ops[op] += 1
        self._next = number + 1

    def forget_unsent(self) -> None:
        """Lines of which no byte has left are for the next run."""
        while self.in_flight and len(self.unsent) >= self.in_flight[-1].size:
            sent = self.in_flight.pop()
            self.unsent = self.unsent[: len(self.unsent) - sent.size]
            self._ops[sent.op] -= 1
            self._next = sent.number

    def answered(self, line: bytes) -> int:
        """The next answer; the bytes that it answers."""
        sent = self.in_flight.popleft()
        self._answered += 1
        try:
            answer = orjson.loads(line)
        except orjson.JSONDecodeError:
            answer = None
        match answer:
            case {"allowed": True}:
                self._approved += 1
            case {"allowed": False, "denials": denials}:
                # The first is the most severe; the others would be counted twice.
                self._denied[str(denials[0].get("reason")) if denials else "(no reason)"] += 1
            case {"counted": False}:
                self._uncounted += 1
            case {"error": error}:
                problem = error if isinstance(error, dict) else {"title": error}
                self._refused(sent.number, str(problem.get("title")), str(problem.get("detail", "")))
            case dict():
                pass
            case _:
                self._refused(sent.number, "(not understood)", "the answer is not a JSON object")
        return sent.size

    def _refused(self, number: int, title: str, detail: str) -> None:
        if self._errors.total() < _MOST_NAMED:
            say(f"line {number}: {plain_line(f'{title}: {detail}')}")
        self._errors[title] += 1

    def _in_doubt(self) -> dict[str, Any]:
        sent = self._maybe_sent()
        if not sent:
            return {"lines": 0}
        ops = Counter(line.op for line in sent)
        return {"lines": len(sent), "first": sent[0].number, "last": sent[-1].number, "ops": dict(ops.most_common())}

    def _maybe_sent(self) -> list[Sent]:
        """Of the lines that wait for an answer, those of which a byte has left."""
        sent, left = list(self.in_flight), len(self.unsent)
        while sent and left >= sent[-1].size:
            left -= sent.pop().size
        return sent
