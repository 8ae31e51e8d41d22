"""Equity that is doubted or too old: what may be opened all the same.

The account itself opens nothing. Others do, as long as the desk would not reach its limit if the worst were true: of an
account in doubt the worse of what is believed and what is doubted, of one too old what is believed less what its
positions have lost at marks since its last report.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from weltklassebot.core.drawdown import breached, drawdown
from weltklassebot.core.events import Denial
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import AccountEquity, State

__all__ = ["check_equity", "stale_accounts"]


def check_equity(state: State, account: str, now: float, denials: list[Denial]) -> None:
    """For an opening order of `account`: what is wrong with its own equity, else with that of others."""
    before = len(denials)
    if account in state.doubted_losses:
        denials.append(Denial("equity_doubtful", missing=account))
    losses = dict(state.doubted_losses)
    if (oldest := state.parameters.max_equity_age_seconds) is not None:
        if account not in state.accounts:
            denials.append(Denial("stale_equity", missing=account))
        for name, report in stale_accounts(state, now):
            losses[name] = max(losses.get(name, ZERO), -report.moved, ZERO)
            if name == account:
                denials.append(Denial("stale_equity", Decimal(repr(oldest)), _age(report, now), missing=name))
    if len(denials) == before:
        _check_worst(state, losses, denials)


def _check_worst(state: State, losses: dict[str, Decimal], denials: list[Denial]) -> None:
    """Where the desk reaches its limit by what is believed, that is the reason, and not this."""
    limit, equity, peak = state.parameters.max_drawdown, state.equity, state.peak
    if not losses or limit is None or equity is None or peak is None:
        return
    worst = equity - sum(losses.values(), ZERO)
    name = max(losses, key=lambda one: losses[one])
    if breached(worst, peak, limit) and not breached(equity, peak, limit):
        denials.append(Denial("equity_doubtful", limit, drawdown(worst, peak), name))


def stale_accounts(state: State, now: float) -> Iterator[tuple[str, AccountEquity]]:
    """Those that count and have not reported for too long."""
    oldest = state.parameters.max_equity_age_seconds
    if oldest is not None:
        for name, report in state.accounts.items():
            if report.known and now - report.as_of > oldest:
                yield name, report


def _age(report: AccountEquity, now: float) -> Decimal:
    return Decimal(repr(round(now - report.as_of, 6)))
