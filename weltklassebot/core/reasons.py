"""What each denial stops, in whose name, and what ends it: the one table that messages, pages and tests are made from.

A reason stops the desk only if it must: what is wrong with one account, strategy or symbol is a no to that one alone.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from weltklassebot.core.events import Reason

__all__ = ["REASONS", "Meaning", "Scope"]

Scope = Literal["desk", "account", "strategy", "symbol", "order"]


class Meaning(NamedTuple):
    stops: Scope
    """Whose opening orders it denies."""
    closing: str
    """Whether it denies reducing orders as well."""
    words: str
    """Of the message; `{value}` and `{limit}` are the denial's."""
    ends: str
    """What ends it."""


_NO, _YES = "no", "yes"
_TENTH = "beyond a tenth that is kept for them"
_NEW_ORDER = "another order"

REASONS: Final[dict[Reason, Meaning]] = {
    # stops
    "kill_switch": Meaning(
        "desk", _YES, "the kill switch is not ACTIVE", "`kill-switch recover`, then `complete-recovery`"
    ),
    "halted": Meaning("desk", "after a person's halt", "trading is halted", "`resume`, once the cause is gone"),
    "account_halted": Meaning(
        "account",
        'with `allow_reducing_when_halted = "never"`',
        "the account is halted: doubtful fills, or fills that found no room, wait for an operator",
        "`fills accept` or `discard` each, then `resume --account`",
    ),
    "journal_failed": Meaning("desk", _YES, "the journal cannot be written", "a restart on a disk that can be written"),
    "max_drawdown": Meaning(
        "desk", _NO, "drawdown {value} reaches its limit {limit}", "equity above it, or `resume --rebase-peak`"
    ),
    "cooldown": Meaning("desk", _NO, "trading cools down; only reducing orders pass", "its end, or `resume`"),
    # accounts that are not the desk's
    "unknown_account": Meaning(
        "account",
        _NO,
        "the account is not one of the desk's: [accounts] does not name it, or it was retired",
        "a table `[accounts.NAME]` and a restart, or `accounts reopen`",
    ),
    "unconfirmed_account": Meaning(
        "account", _NO, "the account is a second one that nobody has accepted yet", "`accounts accept`"
    ),
    # unknown means no
    "overloaded": Meaning("desk", _YES, "too many commands wait for the disk", "a disk that keeps up"),
    "stopping": Meaning("desk", _YES, "the daemon is stopping", "its next start"),
    "clock": Meaning("desk", _NO, "the wall clock is in doubt", "`clock reanchor`, or a clock that is right again"),
    "equity_doubtful": Meaning(
        "account",
        _NO,
        "what was reported of the account's equity is not believed yet",
        "reports that agree, or `equity accept`; of another account only where its worst would reach a limit",
    ),
    "no_equity": Meaning(
        "account", _NO, "the account has not reported its equity, and a limit needs it", "its first report"
    ),
    "stale_equity": Meaning("account", _NO, "the account's last equity report is too old", "its next report"),
    "unknown_symbol": Meaning("symbol", _NO, "the symbol is not configured", "a table `[symbols.NAME]` and a restart"),
    "mark_doubtful": Meaning(
        "symbol",
        _NO,
        "the price is doubted: it is too far from the last believed one",
        "marks that agree, or `marks accept`; of a rate, it stops every symbol that is valued by it",
    ),
    "no_mark": Meaning(
        "symbol",
        _NO,
        "there is no price to value this with",
        "a mark of what is named as missing; where that is held and `max_notional` is set, it stops the desk",
    ),
    "stale_mark": Meaning("symbol", _NO, "the last mark is {value} s old, {limit} s are allowed", "a new mark"),
    "no_fx_rate": Meaning("symbol", _NO, "the exchange rate to the base currency is missing", "a mark of the pair"),
    "stale_fx_rate": Meaning(
        "symbol", _NO, "the exchange rate is {value} s old, {limit} s are allowed", "a new mark of the pair"
    ),
    # what is wrong with the order
    "reduce_only": Meaning("order", _YES, "quantity {value} is not reducing; at most {limit} would be", _NEW_ORDER),
    "max_reducing_quantity": Meaning(
        "order", _YES, "quantity {value} would do more than close; at most {limit} still reduces", _NEW_ORDER
    ),
    "oco_group": Meaning(
        "order",
        _YES,
        "the group's name stands for open orders of another account, venue, symbol, leg, side or strategy",
        _NEW_ORDER,
    ),
    "position_side": Meaning(
        "symbol",
        _NO,
        "the account's position in this symbol is in legs, or is not, and this order is of the other kind",
        "closing what is held in the other kind",
    ),
    "venue_unsettled": Meaning(
        "symbol",
        _NO,
        "the account's position in this symbol stands at several venues since the upgrade: it only "
        "closes until `positions move` or `positions settled`",
        "either of the two",
    ),
    "short_not_allowed": Meaning(
        "symbol", _NO, "quantity {value} would go short; at most {limit} can be sold", _NEW_ORDER
    ),
    "tick": Meaning("order", _YES, "price {value} is not a multiple of {limit}", _NEW_ORDER),
    "lot": Meaning(
        "order", "unless all that can be closed is", "quantity {value} is not a multiple of {limit}", _NEW_ORDER
    ),
    "max_order_notional": Meaning(
        "order", _NO, "order notional {value} exceeds {limit}", "another order, or `limits set`"
    ),
    "max_notional": Meaning(
        "desk",
        _NO,
        "gross notional {value} would exceed {limit}",
        "less that is held or open, or `limits set`",
    ),
    "max_trades_per_day": Meaning(
        "desk", _NO, "trade {value} of the day exceeds {limit}", "the day's roll, or `limits set`"
    ),
    # bounds
    "max_open_orders": Meaning(
        "desk", _TENTH, "{value} open orders would exceed {limit}", "ends of orders, reported or resolved"
    ),
    "max_remembered": Meaning(
        "strategy", _TENTH, "{value} remembered orders and fills would exceed {limit}", "the day's roll"
    ),
    "max_symbols": Meaning(
        "symbol", _NO, "no more than {limit} symbols, or positions in them, are kept", "positions that are closed"
    ),
    # a replayed approval that is no longer one
    "approval_expired": Meaning("order", _YES, "the approval has expired", _NEW_ORDER),
    "already_sent": Meaning(
        "order", _YES, "something was reported of the order since: a yes was given once, and it was used", _NEW_ORDER
    ),
    "order_ended": Meaning("order", _YES, "the order has ended", _NEW_ORDER),
    "withdrawn": Meaning("order", _YES, "a stop withdrew the approval", _NEW_ORDER),
    "cancel_requested": Meaning("order", _YES, "the order's cancellation was requested", _NEW_ORDER),
}
