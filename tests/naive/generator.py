"""Random desk days. What happens is chosen with an eye on the model, so that it meets: brackets on what is held, fills
of what is open, reports of what is doubted. A day is a list of (pause, command): it repeats with parts left out."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from tests.naive.history import Known
from tests.naive.model import Model
from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    CompleteRecovery,
    ConfigureLimits,
    Cooldown,
    Halt,
    Mark,
    RecoverKillSwitch,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    Resume,
    SetLimits,
    Start,
    TriggerKillSwitch,
    UnsetLimits,
)  # fmt: skip
from weltklassebot.core.parameters import Account, Instrument, Parameters, Venue
from weltklassebot.core.records import FORMAT

BASE = 1_763_712_000.0
SYMBOLS = ("BTC-EUR", "ES", "SPOT", "INV")
RATES = ("USD-EUR",)
ACCOUNTS = ("main", "hedge")
STRATEGIES = ("ma", "mm")
VENUES = ("default", "default", "kraken")
QUANTITIES = tuple(Decimal(text) for text in ("1", "2", "3", "5", "0.5", "10", "4", "0.01"))
PRICES = tuple(Decimal(text) for text in ("100", "101", "95", "110", "90", "150", "1"))
LISTED = {
    "BTC-EUR": Instrument(asset="BTC", tick=Decimal("0.5"), lot=Decimal("0.01")),
    "ES": Instrument(currency="USD", multiplier=Decimal(2), tick=Decimal("0.25")),
    "SPOT": Instrument(allow_short=False, asset="SPT"),
    "*": Instrument(),
}
LIMITS = {
    "max_drawdown": (Decimal("0.1"), Decimal("0.5"), Decimal("0.2"), None),
    "max_order_notional": (Decimal(500), Decimal(10**6), None),
    "max_notional": (Decimal(1500), Decimal(10**6), None),
    "max_trades_per_day": (Decimal(2), Decimal(100), None),
    "cooldown_minutes": (Decimal(0), Decimal(1), Decimal(5)),
}


class Days:
    def __init__(self, seed: int, features: frozenset[str]) -> None:
        self.random = random.Random(seed)
        self.features = features
        self.number = 0
        self.checks: list[CheckOrder] = []
        self.fills: list[ReportFill] = []
        self.venues = VENUES if self.random.random() < 0.5 else VENUES[:1]
        self.parameters = self.settings()
        self.busy_with_money = "flows" in features and self.random.random() < 0.25

    def pick(self, *choices: object) -> object:
        return self.random.choice(choices)

    def settings(self) -> Parameters:
        r = self.random
        named = r.random() < 0.5
        account = {"venue_enforces_oco": r.random() < 0.5, "venue_enforces_reduce_only": r.random() < 0.5}
        plain = not {"oco", "fits"} & self.features
        return Parameters(
            max_drawdown=self.pick(Decimal("0.1"), Decimal("0.2"), Decimal("0.3"), None),
            max_order_notional=self.pick(Decimal(1000), Decimal(3000), None),
            max_notional=self.pick(Decimal(2000), Decimal(5000), Decimal(20_000), None),
            max_trades_per_day=self.pick(5, 20, 100, None),
            cooldown_minutes=self.pick(0, 1, 3),
            after_restart=self.pick("admin", "expiry"),
            allow_reducing_when_halted=self.pick("rule", "rule", "always", "never"),
            cancel_on_halt=self.pick("opening", "opening", "opening", "all", "none"),
            recovery_cooldown_seconds=1.0,
            max_doubtful_fills=self.pick(2, 3),
            symbols=LISTED if r.random() < 0.6 else {},
            venues={"kraken": Venue(fill_ids="unique")} if r.random() < 0.3 else {},
            accounts={name: Account() if plain else Account(**account) for name in ACCOUNTS} if named else {},
            require_mark=self.pick(None, True, False),
            equity_confirmations=self.pick(0, 2, 3),
            equity_max_step=self.pick(Decimal("0.2"), Decimal("0.1"), None),
            require_equity=self.pick(False, False, True),
            max_open_orders=self.pick(6, 20, 10_000),
            max_remembered=self.pick(*((40, 80) if "room" in self.features else (300, 400)), 500_000, 500_000),
            max_remembered_per_strategy=self.pick(*((30, 60) if "room" in self.features else (250, 300)), 250_000),
        )

    def first(self) -> list[tuple[float, AnyCommand]]:
        said: list[tuple[float, AnyCommand]] = [(0.0, self.start())]
        said += [(0.01, Mark(symbol=symbol, price=Decimal(100))) for symbol in SYMBOLS]
        said += [(0.01, Mark(symbol=symbol, price=Decimal("0.5"))) for symbol in RATES]
        said.append((0.01, ReportEquity(equity=Decimal(100_000), account="main")))
        return said

    def start(self) -> Start:
        return Start(version="t", format=FORMAT, parameters=self.parameters, wall=0.0)

    def pause(self) -> float:
        dice = self.random.random()
        if dice < 0.004:
            return self.random.choice((30_000.0, 90_000.0, 200_000.0))
        if dice < 0.04:
            return self.random.choice((61.0, 20.0, 301.0))
        return self.random.choice((0.000001, 0.01, 0.3, 1.0, 2.0))

    def next(self, model: Model) -> AnyCommand:  # noqa: C901, PLR0912
        desk, r = model.desk, self.random
        if r.random() < 0.3 and (cure := self.cure(model)) is not None:
            return cure
        if self.busy_with_money and r.random() < 0.7:
            return self.equity_or_flow(model)
        dice = r.random()
        if dice < 0.42:
            return self.check(model)
        if dice < 0.62:
            return self.fill(model)
        if dice < 0.74:
            return self.report(model)
        if dice < 0.82:
            return self.mark()
        if dice < 0.90:
            return self.equity_or_flow(model) if "flows" in self.features else self.equity(model)
        if dice < 0.93:
            return self.limits()
        if dice < 0.95:
            return self.adjust(model)
        if dice < 0.96:
            self.parameters = self.settings() if r.random() < 0.5 else self.parameters
            return self.start()
        if dice < 0.97:
            return Halt(reason="by hand")
        if dice < 0.98:
            return Cooldown(reason="breathe", minutes=self.random.choice((1.0, 0.5, 10.0)))
        if dice < 0.983:
            return TriggerKillSwitch(reason="stop")
        if desk.doubtful:
            return self.word(model)
        return self.check(model)

    def cure(self, model: Model) -> AnyCommand | None:  # noqa: C901
        desk = model.desk
        if desk.kill == "KILLED":
            return RecoverKillSwitch(approved_by="two")
        if desk.kill == "RECOVERING":
            return CompleteRecovery(accept=self.cancel_ids(model))
        if desk.risk != "RUNNING":
            return Resume(reason="go on", rebase_peak=self.random.random() < 0.8)
        if desk.halted_accounts:
            account = min(desk.halted_accounts)
            waiting = tuple(dict.fromkeys(one.said.fill_id for one in desk.doubtful if one.said.account == account))
            return Resume(reason="go on", account=account, fills=waiting if self.random.random() < 0.9 else ())
        if desk.doubtful and self.random.random() < 0.5:
            return self.word(model)
        for name, owner in desk.purse.owners.items():
            if owner.aside is not None:
                return AcceptAccount(account=name)
            if owner.doubted is not None and self.random.random() < 0.3:
                return AcceptEquity(account=name, reason="looked")
            if owner.doubted is not None:
                return ReportEquity(account=name, equity=self.money(owner.believed))
        for symbol in (*RATES, *SYMBOLS):
            mark = desk.prices.marks.get((symbol, None))
            if mark is None or desk.now - mark.as_of > 30:
                return Mark(symbol=symbol, price=Decimal("0.5") if symbol in RATES else self.random.choice(PRICES[:5]))
        if desk.overrides and self.random.random() < 0.2:
            return UnsetLimits(keys=tuple(desk.overrides), reason="as it was")
        return None

    def cancel_ids(self, model: Model) -> tuple[str, ...]:
        return ("*",)

    def money(self, amount: Fraction) -> Decimal:
        return Decimal(amount.numerator * 10**6 // amount.denominator) / 10**6

    def check(self, model: Model) -> CheckOrder:
        r, desk = self.random, model.desk
        if self.checks and r.random() < 0.12:
            again = r.choice(self.checks[-6:])
            return replace(again, quantity=r.choice(QUANTITIES)) if r.random() < 0.1 else again
        self.number += 1
        kind = r.choice(("limit", "limit", "market", "stop", "stop", "stop_limit"))
        account, strategy = r.choice(ACCOUNTS), r.choice(STRATEGIES)
        venue, symbol = r.choice(self.venues), r.choice(SYMBOLS[:3] if r.random() < 0.9 else SYMBOLS)
        side, quantity = r.choice(("buy", "sell", "buy")), r.choice(QUANTITIES)
        held = [(key, amount) for key, amount in desk.positions().items()]
        if held and r.random() < 0.6:
            (account, venue, strategy, symbol, _), amount = r.choice(held)
            side = "sell" if amount > 0 else "buy"
            if r.random() < 0.5:
                quantity = self.money(abs(amount)) or quantity
        order = CheckOrder(
            client_order_id=f"o-{self.number}", symbol=symbol, side=side, quantity=quantity, order_type=kind,
            price=r.choice(PRICES) if kind in ("limit", "stop_limit") else None,
            stop_price=r.choice(PRICES) if kind in ("stop", "stop_limit") else None,
            account=account, strategy=strategy, venue=venue, reduce_only=r.random() < 0.2,
            oco_group=self.group(account, strategy, symbol, venue, side),
        )  # fmt: skip
        self.checks.append(order)
        return order

    def group(self, *of: str) -> str | None:
        if "oco" not in self.features or self.random.random() < 0.6:
            return None
        return "g" if self.random.random() < 0.02 else "-".join((*of, self.random.choice("12")))

    def some(self, model: Model) -> Known | None:
        known = list(model.desk.open()) if self.random.random() < 0.85 else list(model.desk.orders.values())
        return self.random.choice(known) if known else None

    def fill(self, model: Model) -> ReportFill:
        r = self.random
        if self.fills and r.random() < 0.1:
            again = r.choice(self.fills[-8:])
            return replace(again, quantity=r.choice(QUANTITIES)) if r.random() < 0.2 else again
        known = self.some(model)
        number = f"f-{len(self.fills) if r.random() < 0.9 else r.randrange(4)}"
        if known is None or r.random() < 0.03:
            fill = ReportFill(
                fill_id=number, client_order_id=f"n-{r.randrange(5)}", symbol=r.choice(SYMBOLS),
                side=r.choice(("buy", "sell")), quantity=r.choice(QUANTITIES), price=r.choice(PRICES),
                account=r.choice(ACCOUNTS), strategy=r.choice(STRATEGIES),
            )  # fmt: skip
        else:
            order = known.order
            rest = self.money(known.remaining) or Decimal(1)
            quantity = rest if r.random() < 0.5 else min(rest, r.choice(QUANTITIES)) if r.random() < 0.9 else Decimal(7)
            fill = ReportFill(
                fill_id=number, client_order_id=order.client_order_id, symbol=order.symbol,
                side=order.side if r.random() < 0.98 else "buy", quantity=quantity, price=r.choice(PRICES),
                account=order.account, strategy=order.strategy,
                venue=order.venue if r.random() < 0.9 else r.choice(VENUES),
            )  # fmt: skip
        if r.random() < 0.5:
            fill = replace(fill, ts=round(model.desk.now - r.choice((0.0, 0.1, 3.0)), 6))
        if r.random() < 0.15:
            fill = replace(fill, fee=Decimal("0.001"), fee_currency=r.choice(("BTC", "SPT", "EUR")))
        self.fills.append(fill)
        return fill

    def report(self, model: Model) -> ReportOrder | ResolveOrder:
        r, known = self.random, self.some(model)
        if known is None:
            return ReportOrder(client_order_id="nobody", status="accepted")
        account, strategy, number = known.key
        filled = self.random.choice((known.filled, known.size, known.filled + known.remaining, known.size / 2))
        told = known.order.oco_group is not None or known.is_stop
        if told:
            # Where a group or a stop ranks that has ended with fills that nobody saw yet is left open.
            filled = known.filled
        filled = min(filled, known.size)
        some = self.money(filled) if r.random() < 0.85 else None
        if r.random() < 0.12:
            status = r.choice(("not_sent", "rejected", "canceled", "canceled", "filled"))
            status = "canceled" if status == "filled" and told else status
            some = some if status in ("canceled", "expired", "filled") else None
            return ResolveOrder(
                client_order_id=number, account=account, strategy=strategy, status=status, filled_quantity=some,
                reason="looked",
            )  # fmt: skip
        status = r.choice(
            ("sent", "accepted", "accepted", "canceled", "canceled", "canceled", "expired", "filled", "unknown",
             "not_sent", "rejected", "pending_cancel", "cancel_rejected", "replaced")
        )  # fmt: skip
        status = "canceled" if status == "filled" and told else status
        some = some if status in ("canceled", "expired", "filled") else None
        return ReportOrder(
            client_order_id=number, account=account, strategy=strategy, status=status, filled_quantity=some
        )

    def mark(self) -> Mark:
        r = self.random
        symbol = r.choice((*SYMBOLS, *RATES))
        price = r.choice((Decimal("0.5"), Decimal("0.6"))) if symbol in RATES else r.choice(PRICES)
        venue = None
        if "venue_marks" in self.features and symbol not in RATES:
            venue = r.choice((None, None, *self.venues))
        return Mark(symbol=symbol, price=price, venue=venue)

    def equity(self, model: Model) -> ReportEquity:
        r, account = self.random, self.random.choice((*ACCOUNTS, "main"))
        owner = model.desk.purse.owners.get(account)
        if owner is None or owner.believed is None or r.random() < 0.2:
            amount = Decimal(r.choice(("100000", "95000", "81000", "60000", "1000000", "110000", "50000")))
        else:
            amount = self.money(owner.believed * r.choice((100, 101, 99, 97, 95, 88, 78, 125, 104)) / 100)
        return ReportEquity(account=account, equity=amount)

    def equity_or_flow(self, model: Model) -> ReportEquity | AcceptEquity:
        """A report with a flow that it contains or not, that is told again, contradicts itself or has no id, what
        follows such a one; or an operator's word on it."""
        r = self.random
        report = self.equity(model)
        owner = model.desk.purse.owners.get(report.account)
        if owner is None or owner.believed is None:
            first = r.random() < 0.5 and report.equity > 0
            flow = report.equity / 10 * r.choice((1, -1))
            return replace(report, flow=flow, flow_id="w-1") if first else report
        if r.random() < 0.3:
            return report
        waiting = [name for name, flow in owner.flows.by_id.items() if flow.open]
        spoken_of = [name for name, flow in owner.flows.by_id.items() if flow.amount is None]
        dice = r.random()
        if dice < 0.15:
            low = [name for name in waiting if owner.believed + owner.flows.by_id[name].amount <= 0]
            name = r.choice((None, *waiting, *waiting, f"w-{r.randrange(40)}"))
            name = None if name in low else name  # what is less than nothing is left out
            return AcceptEquity(account=report.account, reason="looked", flow_id=name, drop=r.random() < 0.4)
        believed, open_sum = owner.believed, sum((f.amount for f in owner.flows.doubted()), Fraction(0))
        near = r.choice((100, 100, 101, 99, 97, 104, 91))
        if waiting and dice < 0.6:
            amount = r.choice((believed, believed + open_sum, owner.newest if owner.newest is not None else believed))
            return replace(report, equity=max(self.money(amount * near / 100), Decimal(1)))
        flow = believed * r.choice((5, 8, 12, 15, 30, 60, -4, -5, -8, -12, -15, -30, -60, -110)) / 100
        amount = believed + (flow if r.random() < 0.7 else 0)
        name = r.choice((f"w-{r.randrange(40)}", f"w-{r.randrange(200)}", None, *waiting[:1], *spoken_of[-2:]))
        amount = max(self.money(amount * near / 100), Decimal(1))
        said = owner.flows.by_id.get(name) if name else None
        if said is not None and said.amount is not None and r.random() < 0.6:
            flow = said.amount
        if said is not None and said.state == "announced" and believed + flow <= 0:
            return replace(report, equity=amount)  # what is less than nothing is left out
        return replace(report, equity=amount, flow=self.money(flow), flow_id=name if self.money(flow) else None)

    def limits(self) -> AnyCommand:
        r = self.random
        key = r.choice(tuple(LIMITS))
        if r.random() < 0.3:
            return UnsetLimits(keys=(key,), reason="as it was")
        change = {key: r.choice(LIMITS[key])}
        return (
            SetLimits(set=change, reason="as needed")
            if r.random() < 0.7
            else ConfigureLimits(set=change, reason="written")
        )

    def adjust(self, model: Model) -> AdjustPosition:
        r, account, symbol = self.random, self.random.choice(ACCOUNTS), self.random.choice(SYMBOLS)
        resting = [
            known.key[2] for known in model.desk.open() if (known.key[0], known.order.symbol) == (account, symbol)
        ]
        # Where the memory of a desk begins that slept over several rolls is left open.
        settled = not model.desk.rolled or model.desk.now - model.desk.rolled[-1] > 1000
        moment = round(model.desk.now - r.choice((0.0, 0.5, 5.0, 70.0, -9.0)), 6)
        settled = settled and moment > BASE  # nor is what was before the desk began
        return AdjustPosition(
            symbol=symbol, quantity=Decimal(r.choice(("0", "5", "-3", "8", "10"))), reason="as held", account=account,
            strategy=r.choice(STRATEGIES), price=r.choice(PRICES), venue=r.choice(self.venues),
            as_of=moment if settled and r.random() < 0.3 else None, orders=tuple(resting) if r.random() < 0.9 else (),
        )  # fmt: skip

    def word(self, model: Model) -> AcceptFill:
        one = self.random.choice(model.desk.doubtful)
        return AcceptFill(
            fill_id=one.said.fill_id, symbol=one.said.symbol, account=one.said.account, venue=one.said.venue,
            reason="seen", discard=self.random.random() < 0.5, client_order_id=one.said.client_order_id,
            strategy=one.said.strategy, side=one.said.side,
        )  # fmt: skip


__all__ = ["BASE", "Days"]
