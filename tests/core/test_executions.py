"""What is remembered of fills: no more than before where an id is used once, and nothing is lost over an upgrade."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest

from weltklassebot.core.commands import CheckOrder, Mark, ReportFill, ReportOrder, Start, Tick
from weltklassebot.core.engine import Engine, Replayed
from weltklassebot.core.events import FillBooked, FillDoubted
from weltklassebot.core.executions import Fills
from weltklassebot.core.parameters import Parameters

PLACE = ("default", "default", "S")
DAY = 86_400.0


def fill(fill_id: str, order: str = "a", **more: object) -> ReportFill:
    said = {"symbol": "S", "side": "buy", "quantity": Decimal(1), "price": Decimal(100), **more}
    return ReportFill(fill_id=fill_id, client_order_id=order, **said)


def test_an_id_that_is_used_once_takes_one_short_int() -> None:
    fills = Fills()
    for number in range(1000):
        one = fill(f"f-{number}", f"o-{number}")
        assert fills.put(PLACE, one, fills.find(PLACE, one)) == one.fill_id
    assert {sys.getsizeof(digest) for _, digest in fills.items()} == {sys.getsizeof(2**32 - 1)}


def test_each_of_many_orders_with_one_id_is_known() -> None:
    fills = Fills()
    orders = [fill("1", f"o-{number}") for number in range(3000)]
    for one in orders:
        assert fills.find(PLACE, one) in (None, "shared")
        fills.put(PLACE, one, fills.find(PLACE, one))
    assert fills.count == len(orders)
    assert {fills.find(PLACE, one) for one in orders} == {"same"}
    assert {fills.find(PLACE, fill("1", one.client_order_id, quantity=Decimal(2))) for one in orders} == {"other"}
    assert fills.find(PLACE, fill("1", "o-0", side="sell")) == "shared"
    assert fills.find(PLACE, fill("1", "o-0", strategy="s")) == "shared"
    copy = Fills()
    for part in fills.parts(100):
        copy.take(part)
    assert copy == fills
    assert {copy.find(PLACE, one) for one in orders} == {"same"}


@pytest.mark.parametrize("before", [3, 4])
def test_an_order_of_before_the_upgrade_is_doubted_where_its_fills_were_forgotten(before: int) -> None:
    engine = Engine()

    def handle(command, now):
        while command.__class__ not in (Start, Tick) and now >= engine.deadline():
            handle(Tick(), now - 1.0)
        return engine.handle(command, seq=engine.state.last_seq + 1, now=now)

    handle(Start(version="t", format=before, parameters=Parameters(), wall=DAY), DAY)
    handle(Mark(symbol="S", price=Decimal(100)), DAY + 1)
    handle(CheckOrder(client_order_id="a", symbol="S", side="buy", quantity=Decimal(5), price=Decimal(100)), DAY + 2)
    handle(ReportOrder(client_order_id="a", status="accepted"), DAY + 3)
    first = fill("f-1", ts=DAY + 4)
    assert handle(first, DAY + 5).events == [FillBooked(position=Decimal(1))]
    handle(Tick(), 2 * DAY + 1)
    handle(Tick(), 3 * DAY + 1)
    handle(Start(version="t", format=4, parameters=Parameters(), wall=3 * DAY + 2), 3 * DAY + 2)
    again = handle(first, 3 * DAY + 3)
    if before == 4:
        assert isinstance(again, Replayed)
    else:
        assert again.events[0] == FillDoubted(cause="older_than_memory")
