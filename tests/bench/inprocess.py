"""The core in process: how long a check takes, and that it does not grow; and how fast a journal is folded."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median

from weltklassebot.core.commands import (
    AnyCommand,
    CheckOrder,
    Mark,
    ReportEquity,
    ReportFill,
    ReportOrder,
    Side,
    Start,
)
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.journal.chain import GENESIS, seal
from weltklassebot.journal.codec import encode
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.store import JOURNAL

BASE = 1_763_712_000.0


def book(symbols: int, open_orders: int) -> tuple[RiskManager, float]:
    """A manager with every limit of the gate set and far away."""
    wide = Decimal(10) ** 15
    parameters = Parameters(
        max_drawdown=Decimal("0.2"), max_order_notional=wide, max_notional=wide, max_trades_per_day=10**9,
        max_open_orders=10**6,
    )  # fmt: skip
    manager, now = RiskManager(parameters), BASE
    manager.submit(ReportEquity(equity=Decimal(100_000)), now)
    for number in range(symbols):
        now += 1e-5
        manager.submit(Mark(symbol=f"S{number}", price=Decimal("100.5") + number), now)
    for number in range(open_orders):
        now += 1e-5
        assert manager.check(order("o", number, symbols), now).allowed
    return manager, now


def order(run: str, number: int, symbols: int) -> CheckOrder:
    return CheckOrder(
        client_order_id=f"{run}{number}",
        symbol=f"S{number % symbols}",
        side="buy" if number % 3 else "sell",
        quantity=Decimal("1.5"),
        price=Decimal("100.25") + number % symbols,
        strategy=f"s{number % 7}",
    )


def check_seconds(symbols: int, open_orders: int, *, rounds: int = 9, each: int = 2000) -> float:
    """Median over rounds of the mean seconds of `RiskManager.check`."""
    manager, now = book(symbols, open_orders)
    gc.collect()
    gc.freeze()
    means = []
    for turn in range(rounds):
        orders = [order(f"r{turn}-", number, symbols) for number in range(each)]
        times = [now + (turn * each + number + 1) * 1e-5 for number in range(each)]
        began = time.perf_counter()
        for one, at in zip(orders, times, strict=True):
            manager.check(one, at)
        means.append((time.perf_counter() - began) / each)
    gc.unfreeze()
    return median(means)


def fill_ratio(*, rounds: int = 15, each: int = 1500) -> float:
    """What a fill takes, in checks: median over pairs that follow each other."""
    manager, now = book(50, 1_000)
    ratios = []
    gc.collect()
    gc.freeze()
    for turn in range(rounds):
        orders = [order(f"p{turn}-", number, 50) for number in range(each)]
        fills = [
            ReportFill(
                fill_id=f"f{turn}-{number}", client_order_id=one.client_order_id, symbol=one.symbol, side=one.side,
                quantity=Decimal("0.5"), price=one.price or Decimal(1), strategy=one.strategy,
            )
            for number, one in enumerate(orders)
        ]  # fmt: skip
        spent = []
        for commands in (orders, fills):
            times = [now + (number + 1) * 1e-5 for number in range(each)]
            began = time.perf_counter()
            for one, at in zip(commands, times, strict=True):
                manager.submit(one, at)
            spent.append(time.perf_counter() - began)
            now = times[-1]
        ratios.append(spent[1] / spent[0])
    gc.unfreeze()
    return median(ratios)


def write_journal(folder: Path, rounds: int) -> None:
    """A day at a desk: a mark, a check, what became of it, a fill, equity; every fourth order is denied."""
    engine, seq, now, chain = Engine(), 0, BASE, GENESIS
    folder.mkdir(mode=0o700)
    bodies: list[bytes] = []
    wide = Decimal(10) ** 15
    parameters = Parameters(max_order_notional=Decimal(1000), max_notional=wide, max_trades_per_day=10**9)
    commands = chain_of(Start(version="bench", format=FORMAT, parameters=parameters, wall=now), rounds)
    with (folder / JOURNAL).open("wb") as file:
        for command in commands:
            seq, now = seq + 1, round(now * 1e6 + 100) / 1e6
            outcome = engine.handle(command, seq=seq, now=now)
            assert isinstance(outcome, Recorded)
            tag = str(type(command).__struct_config__.tag)
            bodies.append(encode(Record(seq, now, "bot", "bot", tag, "", command, outcome.events)))
            if len(bodies) == 64:
                data, chain = seal(bodies, seq - 63, chain)
                file.write(data)
                bodies.clear()
    (folder / JOURNAL).chmod(0o600)


def chain_of(start: Start, rounds: int) -> Iterator[AnyCommand]:
    yield start
    yield ReportEquity(equity=Decimal(100_000))
    for number in range(rounds):
        name, symbol = f"o{number}", f"S{number % 500}"
        side: Side = "buy" if number // 500 % 2 else "sell"
        price = Decimal(100) + number % 7
        yield Mark(symbol=symbol, price=price)
        quantity = Decimal(12) if number % 4 == 3 else Decimal(3)
        yield CheckOrder(client_order_id=name, symbol=symbol, side=side, quantity=quantity, price=price)
        if number % 4 == 3:
            continue
        yield ReportOrder(client_order_id=name, status="sent")
        yield ReportOrder(client_order_id=name, status="accepted")
        fill = ReportFill(
            fill_id=f"f{number}", client_order_id=name, symbol=symbol, side=side, quantity=quantity, price=price
        )
        yield fill


def fold_rate(folder: Path) -> tuple[float, int]:
    """Records per second of a recovery: read, verify, decode, fold; the median of three. And how many there were."""
    store = folder / "fold"
    write_journal(store, rounds=50_000)
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        recovered = recover(store, Engine().apply)
        rates.append(recovered.records / (time.perf_counter() - began))
    return median(rates), recovered.records
