"""What the risk core is told once: limits, policy, instruments and bounds.

Frozen, and journaled whole at every start, so that a replay needs nothing else. Limits that are `None` are unlimited.
Units stand in the names; fractions are of one (0.2 is 20 %).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec
from msgspec import Struct

from weltklassebot.core.numbers import ONE

__all__ = [
    "LIMITS",
    "MOST_COUNTED",
    "NEVER_UNLIMITED",
    "OF_EQUITY",
    "REST",
    "WHOLE",
    "Account",
    "Instrument",
    "Parameters",
    "Venue",
    "limit_error",
    "symbols_error",
    "with_limits",
]


class Instrument(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How one unit of a symbol turns into money, in `currency`: `core.worth` has the formula of each kind."""

    currency: str | None = None
    """None: the base currency."""
    multiplier: Decimal = ONE
    tick: Decimal | None = None
    lot: Decimal | None = None
    allow_short: bool = True
    delta: Decimal | None = None
    aliases: tuple[str, ...] = ()
    """Other spellings of the symbol."""
    asset: str | None = None
    """What is traded, as a fee names it: a fee in it moves the position. None: no fee does."""
    kind: Literal["linear", "inverse", "quanto"] = "linear"
    """linear and quanto: quantity x multiplier x price in `currency`; inverse: quantity x multiplier / price."""
    underlying: str | None = None
    expiry: str | None = None
    """ISO 8601, with an offset."""
    mark_max_step: Decimal | None = None
    """None: that of the desk."""
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    """A first mark outside of these is doubted."""


class Venue(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is particular to a venue."""

    fill_ids: Literal["shared", "unique"] = "shared"
    """Whether it may give one fill id to several executions of an account in a symbol. Unique: then it is doubtful."""


_PLAIN: Final = Instrument()


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An account of the desk, by name."""

    venue_enforces_oco: bool = False
    """Whether the venue itself cancels the rest of an `oco_group` once one of its orders is filled;"""
    venue_enforces_reduce_only: bool = False
    """and lets a `reduce_only` order fill no more than what is held."""


_ANY_ACCOUNT: Final = Account()


class Parameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the core must know besides the commands."""

    # limits
    max_drawdown: Decimal | None = Decimal("0.2")
    max_order_notional: Decimal | None = Decimal(25_000)
    max_notional: Decimal | None = Decimal(100_000)
    max_trades_per_day: int | None = 500
    cooldown_minutes: int = 15
    # policy of stops
    after_restart: Literal["admin", "expiry"] = "admin"
    allow_reducing_when_halted: Literal["rule", "always", "never"] = "rule"
    cancel_on_halt: Literal["opening", "all", "none"] = "opening"
    recovery_cooldown_seconds: float = 60.0
    max_doubtful_fills: int = 3
    doubtful_fill_window_seconds: float = 300.0
    # answers
    approval_ttl_seconds: float = 5.0
    # valuation
    base_currency: str = "EUR"
    symbols: dict[str, Instrument] = {}
    venues: dict[str, Venue] = {}
    accounts: dict[str, Account] = {}
    """Once one is named, no other opens anything."""
    require_mark: bool | None = None
    """None: true as soon as `symbols` names an instrument."""
    max_mark_age_seconds: float = 60.0
    mark_max_step: Decimal | None = None
    """A mark that is further from the last believed one, as a fraction of it, is doubted. None: none is."""
    mark_confirmations: int = 3
    mark_confirm_seconds: float = 10.0
    # equity
    equity_max_step: Decimal | None = Decimal("0.2")
    """None: the smaller of 0.2 and half of the `max_drawdown` in force."""
    equity_confirmations: int = 0
    """Reports in a row that are believed against what was. 0: nothing is doubted, neither equity nor flows, as suits a
    backtest; every start record names it."""
    max_equity_age_seconds: float | None = None
    require_equity: bool | None = False
    """An account opens nothing before it has reported its equity. None: once a drawdown limit is set at run time, or
    configured anew."""
    # the trading day
    timezone: str = "UTC"
    day_roll: str = "00:00"
    # time
    max_clock_step_seconds: float = 5.0
    max_start_step_days: float | None = None
    """A start further ahead of the last record is in doubt. None: none is, as it was before there was this rule. What
    the settings have without a word stands in `settings.risk`."""
    max_start_step_unsynchronised_days: float = 1.0
    """The same where the kernel says that its clock is not synchronised; never more than the other."""
    # bounds
    max_open_orders: int = 10_000
    open_orders_share: Decimal = ONE
    """How much of each bound one (account, strategy) or one principal may fill, while another was seen that day."""
    max_remembered: int = 500_000
    max_remembered_per_strategy: int = 250_000
    max_remembered_denials: int = 100_000
    max_symbols: int = 10_000
    max_accounts: int = 1_000
    max_doubtful: int = 10_000

    def __post_init__(self) -> None:
        """No share is larger than the whole."""
        if self.max_remembered_per_strategy > self.max_remembered:
            msgspec.structs.force_setattr(self, "max_remembered_per_strategy", self.max_remembered)

    @property
    def max_positions(self) -> int:
        """Of (account, strategy, symbol) at a time: opening orders beyond are denied with `max_symbols`."""
        return 2 * self.max_symbols

    def instrument(self, symbol: str) -> Instrument | None:
        """What the symbol is; None for one that is not configured."""
        if not self.symbols:
            return _PLAIN
        return self.symbols.get(symbol) or self.symbols.get("*")

    def account(self, name: str) -> Account:
        """What is particular to the account, whether or not it is named."""
        return self.accounts.get(name, _ANY_ACCOUNT)

    def gives_unique_fill_ids(self, venue: str) -> bool:
        listed = self.venues.get(venue)
        return listed is not None and listed.fill_ids == "unique"

    @property
    def equity_step(self) -> Decimal:
        """The step of equity in force."""
        if self.equity_max_step is not None:
            return self.equity_max_step
        half = None if self.max_drawdown is None else self.max_drawdown * _HALF
        return _LARGEST_STEP if half is None or half > _LARGEST_STEP else half

    @property
    def mark_required(self) -> bool:
        return bool(self.symbols) if self.require_mark is None else self.require_mark


REST: Final = "*"
"""Among the symbols: all that are not listed."""
_LARGEST_STEP: Final = Decimal("0.2")
_HALF: Final = Decimal("0.5")

LIMITS: Final = ("max_drawdown", "max_order_notional", "max_notional", "max_trades_per_day", "cooldown_minutes")
"""The limits that can be changed at run time."""

OF_EQUITY: Final = ("max_drawdown",)
"""Those of them that mean nothing while no equity is reported."""

WHOLE: Final = frozenset({"max_trades_per_day", "cooldown_minutes"})
"""Those of them that count."""

MOST_COUNTED: Final = 10**9
"""As minutes, nearly two thousand years: what ends later than that, no calendar can print."""

NEVER_UNLIMITED: Final = frozenset({"cooldown_minutes"})


def symbols_error(symbols: dict[str, Instrument]) -> tuple[str, str, str] | None:
    """The first symbol of which something cannot be, what that is, and why, if there is any."""
    owners: dict[str, str] = {}
    for symbol, instrument in symbols.items():
        if instrument.kind != "linear" and instrument.currency is None:
            # In euros, 100,000 contracts of BitMEX's XBTUSD would be worth 10.
            return symbol, "currency", f"must say what a symbol that is {instrument.kind} is settled in"
        if symbol == REST and instrument.asset is not None:
            return symbol, "asset", f'"{REST}" is many symbols: name the asset of each'
        for alias in instrument.aliases:
            if symbol == REST:
                return symbol, "aliases", f'"{REST}" has no other spelling'
            if alias in symbols or alias == REST:
                return symbol, "aliases", f"{alias!r} is listed itself"
            if alias in owners:
                return symbol, "aliases", f"{alias!r} is an alias of {owners[alias]!r} already"
            owners[alias] = symbol
    return None


def limit_error(key: str, value: Decimal | None) -> str | None:
    """What is wrong with this value for this limit, if anything."""
    if key not in LIMITS:
        return f"no such limit; there are {', '.join(LIMITS)}"
    if value is None:
        return "cannot be unlimited; 0 switches it off" if key in NEVER_UNLIMITED else None
    if not value.is_finite() or value < 0 or value >= 10**18:
        return "must be a finite number, not negative"
    if key in WHOLE and (value > MOST_COUNTED or value != value.to_integral_value()):
        return f"must be a whole number, at most {MOST_COUNTED}"
    if key == "max_drawdown" and not 0 < value <= 1:
        return "must be a fraction above 0 and at most 1 (0.2 is 20 %)"
    return None


def with_limits(parameters: Parameters, overrides: dict[str, Decimal | None]) -> Parameters:
    """`parameters` with the limits that were set at run time put over them."""
    typed = {key: int(value) if value is not None and key in WHOLE else value for key, value in overrides.items()}
    return msgspec.structs.replace(parameters, **typed) if typed else parameters
