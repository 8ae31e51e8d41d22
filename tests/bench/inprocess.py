"""The core in process: how long a check takes, and that it does not grow; and how fast a journal is folded."""

from __future__ import annotations

import gc
import shutil
import time
from decimal import Decimal
from pathlib import Path
from statistics import median

from weltklassebot.core.commands import CheckOrder, Mark, ReportEquity
from weltklassebot.core.engine import Engine
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.parameters import Parameters
from weltklassebot.journal.recovery import recover

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


def fold_rate(store: Path, folder: Path) -> tuple[float, int]:
    """Records per second of a recovery: read, verify, decode, fold. And how many there were."""
    copy = folder / "fold"
    shutil.copytree(store, copy)
    began = time.perf_counter()
    recovered = recover(copy, Engine().apply)
    return recovered.records / (time.perf_counter() - began), recovered.records
