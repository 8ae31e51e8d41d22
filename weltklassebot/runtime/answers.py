"""What is said back: one struct a kind of answer, and the words for every reason.

An answer is made when the command is decided and encoded when it is released; in between a stop may replace it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.events import Denial, Reason, Share
from weltklassebot.core.numbers import plain
from weltklassebot.core.reasons import REASONS

__all__ = [
    "Answer",
    "CheckAnswer",
    "DenialView",
    "Done",
    "FieldError",
    "Problem",
    "UNDECIDED",
    "denial_view",
    "encode",
    "is_final",
]

encode: Final = msgspec.json.Encoder().encode


class DenialView(Struct, frozen=True, gc=False, omit_defaults=True):
    reason: Reason
    limit: str | None
    value: str | None
    message: str
    missing: str | None = None
    """The symbol, or the pair of currencies, without whose price there is no yes; or the account, by its equity."""
    share: Share | None = None
    """The limit is not the desk's: it is the share that one strategy of an account, or one principal, has of it while
    another is there."""


class CheckAnswer(Struct, gc=False, omit_defaults=True):
    """The answer to an order check, allowed or not: both are status 200."""

    allowed: bool
    client_order_id: str
    seq: int | None
    ts: float | None
    state: str
    denials: list[DenialView]
    valid_until: float | None = None
    max_reducing_quantity: str | None = None
    replayed: bool = False
    final: bool | None = None
    """Of a denial: under this id there is never a yes while it is remembered. False: the same id may be asked again."""

    cancel_first: list[tuple[str, str, str]] = []
    """Orders that rest and would close what this one would: account, strategy, client_order_id. What of them its own
    strategy does not hold is asked back already."""

    status = 200

    def deny(self, reason: Reason) -> None:
        """Take the yes back: nobody has heard it yet."""
        self.allowed = False
        self.valid_until = None
        self.final = reason not in _FOR_NOW
        self.denials = [denial_view(Denial(reason), final=self.final)]


class Done(Struct, gc=False):
    """Anything else that was accepted: a JSON object."""

    body: dict[str, Any]

    status = 200


class FieldError(Struct, frozen=True):
    field: str
    message: str


class Problem(Struct, kw_only=True, omit_defaults=True):
    """RFC 9457. `type` is a stable name; `detail` says what is wrong and what to do."""

    title: str
    status: int
    type: str = "about:blank"
    detail: str = ""
    errors: list[FieldError] = []


Answer = CheckAnswer | Done | Problem

UNDECIDED: Final[Answer] = Problem(type="internal", title="Internal error", status=500)
"""Until something better is known."""


_SHARES: Final[dict[Share, str]] = {
    "strategy": ", the share of this strategy and account while another is there",
    "principal": ", the share of this token or user while another is there",
}
_FINAL: Final = "; ask again under a new id"
_FOR_NOW: Final = frozenset({"overloaded", "journal_failed", "stopping", "max_reducing_quantity"})
"""Reasons without a record, and why a replayed approval is no yes until what is held has changed again."""


def is_final(denials: tuple[Denial, ...]) -> bool:
    """Whether the order will never be approved under its id while it is remembered."""
    return not any(denial.reason in _FOR_NOW for denial in denials)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def denial_view(denial: Denial, *, final: bool) -> DenialView:
    """A denial with its numbers printed and put into words. `final`: see `CheckAnswer`."""
    limit, value = _text(denial.limit), _text(denial.value)
    words = REASONS[denial.reason].words
    message = words.format(limit=limit, value=value) if limit is not None else words
    if denial.share is not None:
        message += _SHARES[denial.share]
    if denial.missing is not None:
        message = f"{denial.missing}: {message}"
    if final:
        message += _FINAL
    return DenialView(denial.reason, limit, value, message, denial.missing, denial.share)


def unrecorded_denial(order: CheckOrder, reason: Reason, state: str) -> CheckAnswer:
    """A no that the daemon could not record, or need not."""
    denials = [denial_view(Denial(reason), final=False)]
    return CheckAnswer(False, order.client_order_id, None, None, state, denials, final=False)
