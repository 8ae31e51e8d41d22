"""Bytes to desk days: eight bytes are one thing that happens. Any bytes will do, so they shrink and repeat well."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AcceptFill,
    AcceptMark,
    AdjustPosition,
    AnyCommand,
    CancelAll,
    CheckOrder,
    CompleteRecovery,
    ConfigureLimits,
    Cooldown,
    Halt,
    Mark,
    MovePositions,
    ReanchorClock,
    RecoverKillSwitch,
    ReopenAccount,
    ReportClock,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    RestartClock,
    Resume,
    RetireAccount,
    SetLimits,
    SettlePositions,
    SplitPositions,
    Start,
    Stop,
    Tick,
    TriggerKillSwitch,
    UnsetLimits,
)
from weltklassebot.core.numbers import cut
from weltklassebot.core.parameters import Account, Instrument, Parameters, Venue
from weltklassebot.core.places import PositionKey
from weltklassebot.core.records import FORMAT
from weltklassebot.core.state import State

BASE = 1_763_712_000.0
STEP = 8
ALIAS = "BTC/EUR"
"""A spelling of the first symbol in some settings, in others a symbol of its own."""
SYMBOLS = ("BTC-EUR", "ES", "SPOT", "OTHER", "XBT", "PERP")
ACCOUNTS = ("main", "hedge")
STRATEGIES = ("ma", "mm")
FEES = tuple(Decimal(text) for text in ("0.001", "-0.0005", "0.1", "7"))
CURRENCIES = ("BTC", "SPT", "EUR", "BTC")
VENUES = ("default", "kraken", "default", "binance")
STATUSES = (
    "sent",
    "accepted",
    "canceled",
    "filled",
    "unknown",
    "not_sent",
    "rejected",
    "expired",
    "pending_cancel",
    "cancel_rejected",
    "replaced",
)
QUANTITIES = tuple(Decimal(text) for text in ("1", "0.5", "2", "3", "0.01", "5", "1", "4.50", "100", "0.0150001"))
PRICES = tuple(Decimal(text) for text in ("100", "100.5", "90", "250", "99.5", "99.25", "0.01", "64e3"))
SHORT = (0.0, 0.0, 0.0, 0.000001, 0.01, 0.3, 2.0, 6.0)
LONG = (61.0, 20.0, 400.0, 61.0, 1200.0, 20_000.0, 100_000.0, 300_000.0)
EQUITIES = tuple(
    Decimal(text)
    for text in (
        "100000",
        "95000",
        "81000",
        "80000",
        "60000",
        "1000000",
        "0",
        "-5000",
        "101000",
        "95000",
        "140000",
        "105000",
    )
)
PRINCIPALS = ("p", "q", "feed")
FLOWS = tuple(Decimal(text) for text in ("0", "0", "0", "5000", "-5000", "-14000", "0.000001", "-80000", "40000"))

_LISTED = {
    "BTC-EUR": Instrument(asset="BTC", tick=Decimal("0.5"), lot=Decimal("0.01")),
    "ES": Instrument(currency="USD", multiplier=Decimal(50), tick=Decimal("0.25")),
    "SPOT": Instrument(allow_short=False, asset="SPT"),
    "XBT": Instrument(kind="inverse", currency="USD", multiplier=Decimal(9000)),
    "PERP": Instrument(kind="quanto", multiplier=Decimal("0.01")),
}
SMALL = Parameters(
    accounts={"main": Account(), "hedge": Account(venue_enforces_oco=True)},
    mark_max_step=Decimal("0.5"),
    equity_confirmations=3,
    max_order_notional=Decimal(1000),
    max_notional=Decimal(3000),
    max_trades_per_day=12,
    max_open_orders=5,
    open_orders_share=Decimal("0.4"),
    max_remembered=16,
    max_remembered_per_strategy=4,
    max_remembered_denials=6,
    max_doubtful=6,
)
LISTED = Parameters(
    mark_max_step=Decimal("0.5"),
    mark_confirmations=2,
    mark_confirm_seconds=0.5,
    equity_confirmations=3,
    symbols={
        **_LISTED,
        "BTC-EUR": replace(_LISTED["BTC-EUR"], aliases=(ALIAS,)),
        "*": Instrument(currency="USD", max_price=Decimal(1000)),
    },
    venues={"kraken": Venue(fill_ids="unique")},
    max_order_notional=Decimal(20_000),
    max_notional=Decimal(90_000),
    max_trades_per_day=30,
    max_start_step_days=30.0,
    max_equity_age_seconds=3600.0,
    require_equity=True,
    accounts={"main": Account(venue_enforces_oco=True, venue_enforces_reduce_only=True)},
    cancel_on_halt="all",
    after_restart="expiry",
    timezone="America/New_York",
    day_roll="17:00",
    max_doubtful_fills=2,
)
STRICT = Parameters(
    accounts={"main": Account(venue_enforces_reduce_only=True), "hedge": Account(venue_enforces_oco=True)},
    symbols=_LISTED,
    max_drawdown=Decimal("0.05"),
    max_order_notional=Decimal(5000),
    max_notional=None,
    max_trades_per_day=None,
    allow_reducing_when_halted="never",
    cancel_on_halt="none",
    equity_confirmations=2,
    equity_max_step=None,
    require_equity=None,
    max_start_step_days=2.0,
    max_start_step_unsynchronised_days=0.5,
    max_mark_age_seconds=600.0,
)
LOOSE = Parameters(
    mark_max_step=Decimal("0.1"),
    mark_confirmations=3,
    mark_confirm_seconds=5.0,
    equity_confirmations=3,
    max_drawdown=None,
    max_order_notional=None,
    max_notional=Decimal(2000),
    max_trades_per_day=4,
    cooldown_minutes=1,
    allow_reducing_when_halted="always",
    require_mark=True,
    max_remembered_denials=3,
    recovery_cooldown_seconds=1.0,
)
SETTINGS = (SMALL, LISTED, STRICT, LOOSE)


def _leg(symbol: str, pick: int) -> str:
    """Some symbols are traded in legs, nearly always; the others nearly never."""
    if symbol in ("ES", "OTHER"):
        return ("long", "short", "long", "short", "long", "short", "both")[pick % 7]
    return "long" if pick % 32 == 31 else "both"


OPENING = (("long", "buy"), ("short", "sell"))


def _spelled(said: Any, pick: int) -> Any:
    """Now and then in another spelling."""
    return replace(said, symbol=ALIAS) if said.symbol == SYMBOLS[0] and pick % 8 == 7 else said


class Days:
    """Turns bytes into commands, with an eye on the state so that they meet: orders that exist, fills that repeat."""

    def __init__(self, data: bytes) -> None:
        self.first = data[0] if data else 0
        self.steps = [data[at : at + STEP] for at in range(1, len(data) - STEP + 1, STEP)]
        self.said: list[CheckOrder] = []
        self.fills: list[ReportFill] = []
        self.reports: list[ReportEquity] = []

    def settings(self, choice: int) -> Parameters:
        """Any of the settings, in the calendar of the first: a desk does not move house."""
        home = SETTINGS[self.first % len(SETTINGS)]
        chosen = SETTINGS[choice % len(SETTINGS)]
        return _moved(chosen, home)

    def start(self, choice: int, now: float, *, late: float = 0.0, **more: object) -> Start:
        return Start(version="t", format=FORMAT, parameters=self.settings(choice), wall=now + late, **more)

    @staticmethod
    def pause(b: bytes) -> float:
        return LONG[b[5] % 8] if b[6] >= 253 else SHORT[b[6] % 8]

    def command(self, b: bytes, state: State, now: float) -> AnyCommand:
        kind = b[0]
        if kind < 90:
            return self.exit(b, state) if kind < 45 and state.positions else self.check(b)
        if kind < 130:
            return self.fill(b, state, now)
        if kind < 155:
            return self.report(b, state)
        if kind < 172:
            return self.mark(b, now)
        if kind < 184:
            return self.legs(b, state) if kind > 178 else self.equity(b, now)
        if kind < 232 and (cure := self.cure(b, state, now)) is not None:
            return cure
        if kind >= 250:
            return self.adjust(b, state, now)
        if b[1] % 13 == 12:
            back = (1.0, 20.0, 700.0, 50_000.0, 200_000.0, 4_000_000.0, -20.0, 5.0)[b[2] % 8]
            return RestartClock(reason="looked", wall=round(now - back, 6))
        return self.admin(52 + b[1] % 13, b, state, now)

    def cure(self, b: bytes, state: State, now: float) -> AnyCommand | None:
        """What a desk does about its troubles, or else it would stand still most of the time."""
        if state.kill_switch.state == "KILLED":
            return RecoverKillSwitch(approved_by="two")
        if state.kill_switch.state == "RECOVERING" and now >= state.kill_switch.until:
            return CompleteRecovery(accept=tuple(state.cancels))
        if state.risk.state != "RUNNING":
            return Resume(reason="go on", rebase_peak=True)
        if state.clock_doubted:
            return ReanchorClock(reason="looked", wall=now + (0.0, 0.0, 40_000.0, 4_000_000.0)[b[2] % 4])
        if state.halted_accounts:
            account = min(state.halted_accounts)
            return Resume(reason="go on", account=account, fills=self.waiting(state, account))
        if (word := self.settle(b, state)) is not None:
            return word
        if (told := self.end_doubt(b, state)) is not None:
            return told
        if state.overrides and b[2] % 2:
            return UnsetLimits(keys=tuple(state.overrides), reason="as it was")
        stale = [
            symbol
            for symbol in ("USD-EUR", *SYMBOLS[:5])
            if symbol not in state.markets or now - state.markets[symbol].as_of > 30
        ]
        if stale:
            return Mark(symbol=stale[0], price=Decimal("0.5") if stale[0] == "USD-EUR" else PRICES[b[2] % 2])
        return ReportEquity(account=ACCOUNTS[b[2] % 2], equity=EQUITIES[0]) if b[2] > 128 else None

    @staticmethod
    def end_doubt(b: bytes, state: State) -> Mark | AcceptMark | None:
        """What is doubted of a price is said once more, or an operator looks."""
        for symbol, market in state.markets.items():
            for venue, quote in ((None, market), *market.venues.items()):
                if quote.doubt is None:
                    continue
                if b[3] % 4 == 0:
                    return AcceptMark(symbol=symbol, venue=venue, reason="looked")
                price = quote.doubt.price if b[3] % 4 < 3 or quote.mark is None else quote.mark
                return Mark(symbol=symbol, price=price, venue=venue)
        return None

    def settle(self, b: bytes, state: State) -> AnyCommand | None:
        """What is doubted of an account is reported once more, or an operator looks."""
        for name, account in state.accounts.items():
            if account.status == "unconfirmed" and (not state.parameters.accounts or name in state.parameters.accounts):
                return AcceptAccount(account=name)
            if account.status == "retired":
                return ReopenAccount(account=name)
            if account.in_doubt and b[3] % 2:
                return ReportEquity(account=name, equity=account.equity or Decimal(100_000))
            if account.doubt is not None and b[4] % 4 == 0:
                return AcceptEquity(account=name, reason="looked")
            if account.in_doubt and account.last is not None:
                return ReportEquity(account=name, equity=account.last.equity)
            if account.open_flows:
                return AcceptEquity(account=name, reason="looked", drop=True)
        return None

    def check(self, b: bytes) -> CheckOrder:
        if self.said and b[1] > 235:
            order = self.said[-1 - b[2] % min(len(self.said), 6)]
            return _spelled(order, b[3])
        kind = ("limit", "market", "limit", "stop", "limit", "stop_limit", "limit", "limit")[b[4] % 8]
        side, symbol = "buy" if b[3] % 2 else "sell", SYMBOLS[b[2] % 11 % 6 if b[2] < 150 else 0]
        leg = _leg(symbol, b[0])
        order = CheckOrder(
            client_order_id=f"o-{b[1] % 4}-{len(self.said) // 3}",
            symbol=symbol,
            side=side,
            quantity=QUANTITIES[b[5] % 64 % len(QUANTITIES)],
            order_type=kind,
            price=PRICES[b[6] % 32 % 8 % 5 if b[1] % 8 else b[6] % 8] if kind in ("limit", "stop_limit") else None,
            stop_price=PRICES[b[6] // 8 % 8] if kind in ("stop", "stop_limit") else None,
            account=ACCOUNTS[b[7] % 3 % 2],
            strategy=STRATEGIES[b[7] // 4 % 2],
            venue=VENUES[b[7] // 8 % 5 % 3],
            reduce_only=b[3] > 200 and (leg, side) not in OPENING,
            oco_group="entries" if b[6] // 32 == 7 else None,
            position_side=leg,
        )
        if order.price is not None and (b[6] == 255 or (order.symbol == "XBT" and b[6] > 240)):
            order = replace(order, price=-order.price)
        order = _spelled(order, b[4] // 8)
        self.said.append(order)
        return order

    def exit(self, b: bytes, state: State) -> CheckOrder:
        """Part of a bracket around something that is held."""
        held = list(state.positions.items())
        (account, venue, strategy, symbol, leg), quantity = held[b[2] % len(held)]
        side = "sell" if quantity > 0 else "buy"
        kind = ("limit", "stop", "limit", "stop", "market", "stop_limit", "stop", "limit")[b[4] % 8]
        size = abs(quantity) * (Decimal(1), Decimal(1), Decimal("0.5"), Decimal(2))[b[5] % 4]
        group = None
        if b[6] % 4 > 1:
            group = f"{account}-{strategy}-{venue}-{symbol}-{side}-{b[7] % 2}" if b[7] % 16 else "bracket"
        order = CheckOrder(
            client_order_id=f"x-{b[1] % 8}-{len(self.said) // 3}",
            symbol=symbol,
            side=side,
            quantity=cut(size),
            order_type=kind,
            price=PRICES[b[3] % 4] if kind in ("limit", "stop_limit") else None,
            stop_price=PRICES[b[3] // 4 % 4] if kind in ("stop", "stop_limit") else None,
            account=account,
            strategy=STRATEGIES[b[7] // 32 % 2] if b[7] // 16 % 2 else strategy,
            venue=venue,
            position_side=leg,
            reduce_only=b[6] // 16 % 2 == 1 and (leg, side) not in OPENING,
            oco_group=group,
        )
        self.said.append(order)
        return order

    def fill(self, b: bytes, state: State, now: float) -> ReportFill:
        if self.fills and b[1] > 230:
            again = self.fills[b[2] % len(self.fills)]
            if b[3] % 4 == 0:
                again = replace(again, quantity=QUANTITIES[b[4] % len(QUANTITIES)])
            venue = again.venue if b[5] % 4 else VENUES[b[5] // 4 % 4]
            if b[6] % 4 == 1:
                again = replace(again, position_side=(None, "both", "long", "short")[b[6] // 4 % 4])
            if b[6] % 4 == 0:
                again = replace(again, fee=Decimal(1), fee_currency=None)
            return _spelled(replace(again, venue=venue), b[7])
        quantity, price = QUANTITIES[b[4] % len(QUANTITIES)], Decimal(0) if b[7] == 255 else PRICES[b[5] % 4]
        number = f"f-{len(self.fills) if b[1] > 40 else b[1] % 3}"
        known = list(state.orders.values())
        if (known and b[2] < 220) or (self.said and b[2] < 250):
            order = known[b[3] % len(known)].order if known and b[2] < 220 else self.said[b[3] % len(self.said)]
            if b[6] % 4 < 2 and order.key in state.orders:
                quantity = state.orders[order.key].remaining
            elif b[6] % 4 == 2:
                quantity = min(quantity, order.quantity)
            fill = ReportFill(
                fill_id=number,
                client_order_id=order.client_order_id,
                symbol=order.symbol,
                side=order.side,
                quantity=quantity,
                price=price,
                account=order.account,
                strategy=order.strategy,
                venue=order.venue if b[6] // 4 % 4 else VENUES[b[6] // 16 % 4],
                ts=_stamp(b[7], now),
                position_side=(None, None, order.position_side, "both", "long")[max(b[7] % 16 - 11, 0)],
            )
        else:
            fill = ReportFill(
                fill_id=number,
                client_order_id=f"o-{b[3] % 8}-{b[7] % 4}",
                symbol=SYMBOLS[b[3] % 6],
                side="buy" if b[6] % 2 else "sell",
                quantity=quantity,
                price=price,
                account=ACCOUNTS[b[7] % 2],
                position_side=(None, None, None, None, None, None, "long", "short")[b[5] // 4 % 8],
            )
        fee = FEES[b[2] % 16] if b[2] % 16 < len(FEES) else None
        fill = _spelled(replace(fill, fee=fee, fee_currency=None if fee is None else CURRENCIES[b[3] % 4]), b[5] // 4)
        self.fills.append(fill)
        return fill

    def report(self, b: bytes, state: State) -> ReportOrder | ResolveOrder:
        known = list(state.orders.values())
        filled = None if b[3] % 3 == 0 else QUANTITIES[b[4] % len(QUANTITIES)]
        if known and b[1] < 240:
            order = known[b[2] % len(known)]
            if b[3] % 3 == 1:
                filled = (order.filled, order.order.quantity, order.filled + order.remaining)[b[4] % 3]
            key = order.order.key
        else:
            key = self.said[b[2] % len(self.said)].key if self.said else ("main", "ma", "nobody")
        account, strategy, client_order_id = key
        if b[5] > 200:
            status = ("not_sent", "rejected", "canceled", "expired", "filled")[b[6] % 5]
            return ResolveOrder(
                client_order_id=client_order_id,
                account=account,
                strategy=strategy,
                status=status,
                filled_quantity=None if status in ("not_sent", "rejected") else filled,
                reason="looked it up",
            )
        status = STATUSES[b[6] % len(STATUSES)]
        return ReportOrder(
            client_order_id=client_order_id,
            account=account,
            strategy=strategy,
            status=status,
            filled_quantity=None if status in ("not_sent", "rejected") else filled,
        )

    @staticmethod
    def waiting(state: State, account: str) -> tuple[str, ...]:
        """The doubtful fills of an account."""
        return tuple(one.fill.fill_id for one in state.doubtful.values() if one.fill.account == account)

    @staticmethod
    def mark(b: bytes, now: float) -> Mark | AcceptMark:
        symbol = (*SYMBOLS, "USD-EUR", "BTC-EUR", "USD-EUR")[b[1] % 9]
        venue = (None, None, "kraken", None, "default")[b[5] % 5]
        if b[4] % 16 == 15:
            return AcceptMark(symbol=symbol, venue=venue, reason="looked")
        if symbol == "USD-EUR":
            price = Decimal("0.5") if b[2] % 8 else (Decimal("0.8"), Decimal("0.02"), Decimal("0.3"))[b[6] % 3]
        else:
            price = PRICES[b[2] % 4 if b[2] < 200 else b[2] % 8]
        wrong = b[4] == 254 or (symbol == "XBT" and b[4] > 230)
        return Mark(symbol=symbol, price=-price if wrong else price, ts=_stamp(b[3], now), venue=venue)

    def equity(self, b: bytes, now: float) -> ReportEquity:
        if self.reports and b[1] > 200:
            return self.reports[-1 - b[2] % min(len(self.reports), 3)]
        if b[1] > 180:
            return self.word(b)
        flow = FLOWS[b[5] % len(FLOWS)]
        report = ReportEquity(
            account=ACCOUNTS[b[3] % 4 % 3 % 2],
            equity=EQUITIES[b[4] % len(EQUITIES)],
            flow=flow,
            flow_id=f"w-{b[2] % 8 + len(self.reports) // 8 * 4}" if flow and b[2] < 240 else None,
            as_of=_stamp(b[6], now),
        )
        self.reports.append(report)
        return report

    def word(self, b: bytes) -> AcceptEquity | AcceptAccount | RetireAccount | ReopenAccount:
        if b[5] > 170:
            name = ACCOUNTS[b[3] % 2]
            return (
                RetireAccount(account=name, reason="closed"), AcceptAccount(account=name), ReopenAccount(account=name),
            )[b[6] % 5 % 3]  # fmt: skip
        flow_id = None if b[2] < 90 else f"w-{b[2] % 8 + len(self.reports) // 8 * 4}"
        return AcceptEquity(account=ACCOUNTS[b[3] % 2], reason="looked", flow_id=flow_id, drop=b[4] % 3 == 0)

    def legs(self, b: bytes, state: State) -> AnyCommand:
        """What is held in legs, an order that closes it, and less than what it may close."""
        held = [at for at in state.positions if at[4] != "both"]
        if not held:
            leg = ("long", "short")[b[3] % 2]
            return AdjustPosition(
                symbol="OTHER", quantity=Decimal(5 if leg == "long" else -5), account=ACCOUNTS[b[4] % 2],
                venue=VENUES[b[5] % 4], position_side=leg, reason="as held", price=PRICES[0],
                orders=_open_in(state, "OTHER"),
            )  # fmt: skip
        return self.close(b, held) if b[0] > 180 else self.shrink(b, held)

    def close(self, b: bytes, held: list[PositionKey]) -> CheckOrder:
        account, venue, _, symbol, leg = held[b[2] % len(held)]
        order = CheckOrder(
            client_order_id=f"c-{len(self.said)}", symbol=symbol, side="sell" if leg == "long" else "buy",
            quantity=QUANTITIES[b[3] % 5], order_type="market", account=account, strategy=STRATEGIES[b[4] % 2],
            venue=venue, position_side=leg, reduce_only=b[5] % 2 == 0,
        )  # fmt: skip
        self.said.append(order)
        return order

    def shrink(self, b: bytes, held: list[PositionKey]) -> AnyCommand:
        account, venue, strategy, symbol, leg = held[b[2] % len(held)]
        if b[3] % 4 == 0:
            there = "kraken" if venue == "default" else "default"
            return MovePositions(from_venue=venue, to_venue=there, symbol=symbol, account=account, reason="it is there")
        quantity = (Decimal(0), Decimal("0.3"), Decimal(0), Decimal(1))[b[4] % 4]
        return AdjustPosition(
            symbol=symbol, quantity=-quantity if leg == "short" else quantity, venue=venue, account=account,
            strategy=strategy, position_side=leg, reason="as held",
        )  # fmt: skip

    @staticmethod
    def move(b: bytes) -> MovePositions | SettlePositions:
        if b[3] % 8 == 0:
            return SettlePositions(reason="compared")
        here, there = (("default", "kraken"), ("kraken", "default"), ("binance", "kraken"))[b[4] % 3]
        symbol = (None, *SYMBOLS)[b[5] % 5]
        account = (None, *ACCOUNTS)[b[6] % 3]
        return MovePositions(
            from_venue=here, to_venue=there, symbol=symbol, all=symbol is None, account=account, reason="it is there"
        )

    def admin(self, kind: int, b: bytes, state: State, now: float) -> AnyCommand:
        pick = b[2]
        match kind:
            case 52:
                return Halt(reason="by hand")
            case 53:
                return Cooldown(reason="breathe", minutes=(None, 1.0, 0.5, 600.0)[pick % 4])
            case 54 | 55:
                account = ACCOUNTS[pick % 2] if b[3] % 3 == 0 else None
                named = self.waiting(state, account) if account is not None and b[5] % 4 else ()
                return Resume(reason="go on", rebase_peak=b[4] % 2 == 0, account=account, fills=named)
            case 56:
                ids = tuple(state.cancels) if b[3] % 4 else ("c1-1",)
                return (
                    TriggerKillSwitch(reason="stop"),
                    RecoverKillSwitch(approved_by="two"),
                    CompleteRecovery(accept=ids),
                    CompleteRecovery(),
                )[pick % 4]
            case 57:
                doubtful = list(state.doubtful.values())
                if not doubtful:
                    return CancelAll(reason="tidy", symbol=(None, *SYMBOLS)[pick % 7])
                one = doubtful[pick % len(doubtful)]
                fill = one.fill
                return AcceptFill(
                    fill_id=fill.fill_id,
                    symbol=fill.symbol,
                    account=fill.account,
                    venue=fill.venue,
                    seq=one.seq if b[5] % 3 else None,
                    side=fill.side if b[4] % 4 == 0 else None,
                    reason="seen",
                    discard=b[3] % 2 == 0,
                )
            case 58:
                return self.move(b) if b[7] % 8 == 3 else self.adjust(b, state, now)
            case 59:
                return self.limits(b)
            case 60:
                return ReportClock(wall=now + (0.0, 20.0, -20.0, 1.0)[pick % 4])
            case 61:
                return ReanchorClock(reason="looked", wall=now + (0.0, 20.0, -20.0)[pick % 3], automatic=b[3] % 2 == 0)
            case 62:
                latch = (None, None, None, None, "kill", "halt", "journal_failed")[b[3] % 7]
                restored = "a copy" if b[3] % 5 == 4 else ""
                late = (0.0, 30.0, 0.0, 50_000.0, 0.0, 200_000.0, 0.0, 4_000_000.0)[b[4] % 8]
                synchronised, unconfigured = (True, False, None)[b[5] % 3], b[6] % 4 == 0
                return self.start(
                    pick, now, late=late, latch=latch, restored=restored, synchronised=synchronised,
                    unconfigured=unconfigured,
                )  # fmt: skip
            case _:
                return (Tick(), Stop())[pick % 2]

    @staticmethod
    def adjust(b: bytes, state: State, now: float) -> AdjustPosition | SplitPositions:
        symbol = SYMBOLS[b[2] % 4]
        named, leg = _open_in(state, symbol), _leg(symbol, b[7] // 4)
        quantity = (Decimal(0), Decimal(5), Decimal(-3), Decimal(8))[b[3] % 4]
        if b[7] % 8 > 5:
            ratio, per = ((2, 1), (1, 3), (1, 10), (3, 2))[b[6] % 4]
            return SplitPositions(
                symbol=symbol, ratio=Decimal(ratio), per=Decimal(per), reason="as announced",
                orders=named[:2] if b[4] % 8 == 0 else named,
            )  # fmt: skip
        return AdjustPosition(
            symbol=symbol,
            quantity=abs(quantity) if leg == "long" else -abs(quantity) if leg == "short" else quantity,
            reason="as held",
            account=ACCOUNTS[b[4] % 2],
            strategy=STRATEGIES[b[5] % 2],
            price=PRICES[0] if b[6] % 2 else None,
            orders=named[:1] if b[4] % 8 == 0 else named,
            venue=VENUES[b[7] % 4],
            position_side=leg,
            as_of=_stamp(b[7], now),
        )

    def limits(self, b: bytes) -> SetLimits | UnsetLimits | ConfigureLimits:
        keys = ("max_drawdown", "max_order_notional", "max_notional", "max_trades_per_day", "cooldown_minutes")
        key = keys[b[2] % 5]
        if b[3] % 3 == 0:
            return UnsetLimits(keys=(key, keys[(b[2] + 1) % 5]) if b[4] % 2 else (key,), reason="as it was")
        values = {
            "max_drawdown": (Decimal("0.1"), Decimal("0.5"), None),
            "max_order_notional": (Decimal(500), Decimal(10**6), None),
            "max_notional": (Decimal(1500), Decimal(10**6), None),
            "max_trades_per_day": (Decimal(2), Decimal(100), None),
            "cooldown_minutes": (Decimal(0), Decimal(5), Decimal(60)),
        }
        changed = {key: values[key][b[4] % 3]}
        if b[5] % 3 == 0:
            return ConfigureLimits(set=changed, reason="as written")
        return SetLimits(set=changed, reason="as needed")


def _moved(chosen: Parameters, home: Parameters) -> Parameters:
    return replace(chosen, timezone=home.timezone, day_roll=home.day_roll)


def _stamp(byte: int, now: float) -> float | None:
    """None mostly; else a little late, very late, or ahead of time."""
    if byte < 160:
        return None
    return round(now - (0.5, 50.0, 90_000.0, 260_000.0, -3.0, 0.0)[byte % 6], 6)


def _open_in(state: State, symbol: str) -> tuple[str, ...]:
    return tuple(known.order.client_order_id for known in state.orders.values() if known.order.symbol == symbol)
