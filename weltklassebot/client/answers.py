"""What comes back: an `Answer` to a check, a `Receipt` for everything else.

A yes is the one thing that must be proved. `judge` gives `allowed=True` only for an object that says `"allowed": true`
about this very order, carries its record's `seq`, denies nothing, and is still valid; whatever else arrives is a denial
whose `reasons` say what was wrong with it:

* `no_answer`: no connection, a lost one, a service that is not able to answer (status 5xx)
* `timeout`: nothing in time
* `bad_answer`: broken, oversize, of the wrong shape, or about another order
* `expired`: an approval that was too old when it arrived
* `refused`: the request itself was not taken (a conflict, a bad field, a role too small)
* anything else: a denial by the risk service, in its words
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from weltklassebot.client.errors import BadAnswer, FieldError, RefusedError, RiskClientError
from weltklassebot.client.messages import Command

__all__ = ["Answer", "Denial", "Outcome", "Receipt", "Reply", "judge", "receipt", "refusal"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An object that arrived, and when its request was sent (monotonic seconds)."""

    object: Mapping[str, object]
    sent: float


Outcome = Reply | RiskClientError


@dataclass(frozen=True, slots=True)
class Denial:
    """One control's refusal: what it found (`value`) against what it allows (`limit`), as plain decimal text."""

    reason: str
    limit: str | None = None
    value: str | None = None
    message: str = ""
    missing: str | None = None
    """The symbol, or the pair of currencies, whose price is missing or too old; or the account, by its equity."""
    share: str | None = None
    """Whose share of a bound is full, where the limit is not the desk's: `strategy` (of an account) or `principal`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """May this order go out? Its truth value is `still_valid()`, so `if answer:` is a sound question."""

    allowed: bool
    client_order_id: str
    denials: tuple[Denial, ...] = ()
    """The most severe first; never empty when `allowed` is false."""
    seq: int | None = None
    """Of the record; None when the client itself denies."""
    ts: float | None = None
    state: str | None = None
    """RUNNING, COOLDOWN or HALTED."""
    valid_until: float | None = None
    """By the clock of the risk service, Unix seconds; see `still_valid` for one that needs no clock in step."""
    replayed: bool = False
    final: bool = False
    """Denied for good: ask again under another `client_order_id`. False: the same one may be asked again."""
    max_reducing_quantity: str | None = None
    """Of a denial on the closing side: the largest quantity that only reduces."""
    cancel_first: tuple[tuple[str, str, str], ...] = ()
    """Orders that rest and would close what this one would: account, strategy, client_order_id."""
    raw: Mapping[str, object] | None = field(default=None, repr=False)
    """The object as it arrived."""
    deadline: float = field(default=0.0, repr=False, compare=False)
    """By this process's monotonic clock, counted from the moment of sending."""

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(denial.reason for denial in self.denials)

    @property
    def reason(self) -> str | None:
        """The most severe one."""
        return self.denials[0].reason if self.denials else None

    def still_valid(self, margin: float = 0.0) -> bool:
        """Whether the order may go out now, and for `margin` seconds more."""
        return self.allowed and time.monotonic() + margin < self.deadline

    def __bool__(self) -> bool:
        return self.still_valid()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The risk service has taken it. `seq` is None for a mark, which may be recorded later or overtaken by a newer one,
    for what was recorded before (`replayed`), and for what counts nothing (`counted`)."""

    seq: int | None
    ts: float | None
    replayed: bool
    raw: Mapping[str, object] = field(repr=False)
    counted: bool = True
    """False: a mark or an equity that is shown and counts nothing, because who says it is none of the service's
    sources."""


def judge(command: Command, outcome: Outcome) -> Answer:
    """The answer to a check. Raises nothing."""
    raw: Mapping[str, object] | None = None
    try:
        if isinstance(outcome, RiskClientError):
            raise outcome
        raw = outcome.object
        return _judged(command, outcome)
    except RiskClientError as error:
        return Answer(False, command.order_id or "", (Denial(error.reason, message=str(error)),), raw=raw)


def receipt(command: Command, outcome: Outcome) -> Receipt:
    """The receipt for anything but a check. Raises the outcome if it is an error, `RefusedError`, or `BadAnswer`."""
    if isinstance(outcome, RiskClientError):
        raise outcome
    raw = _taken(command, outcome)
    seq, ts = _whole(raw.get("seq")), _time(raw.get("ts"))
    replayed = _flag("replayed", raw.get("replayed", False))
    counted = _flag("counted", raw.get("counted", True))
    if seq is None and not replayed and counted and command.op != "mark":
        raise BadAnswer("the answer has no seq")
    return Receipt(seq, ts, replayed, raw, counted)


def _taken(command: Command, reply: Reply) -> Mapping[str, object]:
    if "error" in reply.object:
        raise refusal(reply.object["error"])
    if not command.fits(reply.object):
        raise BadAnswer("the answer is about another order")
    return reply.object


def _judged(command: Command, reply: Reply) -> Answer:
    raw = _taken(command, reply)
    allowed, replayed = _flag("allowed", raw.get("allowed")), _flag("replayed", raw.get("replayed", False))
    denials, seq, ts = _denials(raw), _whole(raw.get("seq")), _time(raw.get("ts"))
    state, until = _text(raw.get("state")), _time(raw.get("valid_until"))
    final, most = _flag("final", raw.get("final", False)), _text(raw.get("max_reducing_quantity"))
    deadline = 0.0
    if not allowed:
        denials = denials or (Denial("denied", message="denied without a reason"),)
    elif denials or seq is None or ts is None or until is None:
        raise BadAnswer("an approval with denials, or without seq, ts or valid_until")
    else:
        deadline = reply.sent + until - ts
        if replayed:  # `ts` is that of the first answer: how much is left of it only the wall clock can tell
            deadline = min(deadline, time.monotonic() + until - time.time())
        if time.monotonic() >= deadline:
            allowed, denials = False, (Denial("expired", message="approved, but too late"),)
    return Answer(
        allowed, command.order_id or "", denials, seq, ts, state, until, replayed, final, most, _orders(raw), raw,
        deadline,
    )  # fmt: skip


def _orders(raw: Mapping[str, object]) -> tuple[tuple[str, str, str], ...]:
    """Those named in `cancel_first`; what is no order is none."""
    listed = raw.get("cancel_first", [])
    return tuple(
        (str(each[0]), str(each[1]), str(each[2]))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, list) and len(each) == 3
    )


def refusal(problem: object) -> RefusedError | BadAnswer:
    """What an error object says."""
    if not isinstance(problem, dict):
        return BadAnswer("the error is not an object")
    status = problem.get("status")
    if type(status) is not int or not 400 <= status < 600:
        return BadAnswer("the error has no status")
    title, detail, listed = problem.get("title", ""), problem.get("detail", ""), problem.get("errors", [])
    errors: list[FieldError] = [
        (str(each.get("field", "")), str(each.get("message", "")))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    ]
    return RefusedError(status, str(title), str(detail), tuple(errors))


def _denials(raw: Mapping[str, object]) -> tuple[Denial, ...]:
    listed = raw.get("denials", [])
    if not isinstance(listed, list):
        raise BadAnswer("`denials` is not a list")
    return tuple(_denial(each) for each in listed)


def _denial(value: object) -> Denial:
    if not isinstance(value, dict) or not isinstance(value.get("reason"), str):
        raise BadAnswer("a denial has no reason")
    return Denial(
        value["reason"], _text(value.get("limit")), _text(value.get("value")), _text(value.get("message")) or "",
        _text(value.get("missing")), _text(value.get("share")),
    )  # fmt: skip


def _flag(name: str, value: object) -> bool:
    if value is True or value is False:
        return value
    raise BadAnswer(f"`{name}` is neither true nor false")


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise BadAnswer(f"a {type(value).__name__} stands where a text is due")


def _whole(value: object) -> int | None:
    if value is None or type(value) is int:
        return value
    raise BadAnswer("`seq` is not a whole number")


def _time(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e11 or math.isnan(value):
        raise BadAnswer(f"a {type(value).__name__} stands where a time is due, or it is out of range")
    return float(value)
