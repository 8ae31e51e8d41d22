"""What a token that is bound to accounts or strategies may see: its own rows and counts, and no totals of others.

What holds for every order it sends stays: stops, limits, the clock. An order's denial names the total that its limit
was compared with, and `/metrics` shows the desk to whoever reaches the port: `runbooks/tokens.md` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from weltklassebot.core.state import State
from weltklassebot.runtime.principals import Principal

__all__ = ["bound_summary", "own", "own_rows"]

_TOTALS: Final = ("trades_today", "equity", "peak_equity", "drawdown", "gross_notional")


def own(principal: Principal, account: str, strategy: str | None) -> bool:
    """Whether this is within the binding. A row of a whole account is nothing to a token that knows no account."""
    if principal.accounts is not None and account not in principal.accounts:
        return False
    if principal.strategies is None:
        return True
    return principal.accounts is not None if strategy is None else strategy in principal.strategies


def own_rows(principal: Principal, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of what `core.views` shows, what is within the binding."""
    return (row for row in rows if own(principal, row["account"], row.get("strategy")))


def bound_summary(summary: dict[str, Any], state: State, principal: Principal) -> dict[str, Any]:
    """`views.summary` as this principal may see it; None in the place of the desk's totals if it is bound."""
    summary = summary | {key: list(own_rows(principal, summary[key])) for key in ("positions", "venue_unsettled")}
    if principal.accounts is None and principal.strategies is None:
        return summary
    cancels = [name for name, cancel in state.cancels.items() if own(principal, *cancel.key[:2])]
    return {
        **summary,
        **dict.fromkeys(_TOTALS),
        "kill_switch": summary["kill_switch"] | {"unconfirmed_cancels": sorted(cancels)},
        "open_orders": sum(own(principal, account, strategy) for account, strategy, _ in state.orders),
        "doubtful_fills": sum(own(principal, one.fill.account, one.fill.strategy) for one in state.doubtful.values()),
        "halted_accounts": [
            name for name in summary["halted_accounts"] if principal.accounts is None or name in principal.accounts
        ],
    }
