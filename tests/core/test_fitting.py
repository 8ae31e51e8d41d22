"""From format 5 on an order reduces if it fits; what older versions left is decided as it was, and judged once."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import AdjustPosition, AnyCommand, CheckOrder, Mark, Start
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.parameters import Account, Parameters

TEN = Decimal(10)
EXIT = CheckOrder(client_order_id="target", symbol="S", side="sell", quantity=TEN, price=Decimal(1500))
STOP = CheckOrder(
    client_order_id="stop", symbol="S", side="sell", quantity=TEN, order_type="stop", stop_price=Decimal(90)
)  # fmt: skip


class Desk:
    def __init__(self, journal_format: int, parameters: Parameters | None = None) -> None:
        self.engine, self.seq = Engine(), 0
        self.start(journal_format, parameters)

    def start(self, journal_format: int, parameters: Parameters | None = None) -> None:
        self.tell(Start(version="t", format=journal_format, parameters=parameters or Parameters(), wall=1.0))

    def tell(self, command: AnyCommand) -> list:
        self.seq += 1
        outcome = self.engine.handle(command, seq=self.seq, now=1.0 + self.seq)
        assert isinstance(outcome, Recorded)
        return outcome.events

    def long(self) -> Desk:
        self.tell(Mark(symbol="S", price=Decimal(100)))
        self.tell(AdjustPosition(symbol="S", quantity=TEN, reason="as held"))
        return self

    def reducing(self) -> set[str]:
        return {key[2] for key, known in self.engine.state.orders.items() if known.reducing}


def test_what_older_versions_decided_is_decided_again_as_it_was():
    older, newer = Desk(4).long(), Desk(5).long()
    for desk in (older, newer):
        desk.tell(EXIT)
        desk.tell(STOP)
        assert desk.reducing() == {"target"}
    assert older.engine.state.gross == 15_000
    assert newer.engine.state.gross == 15_000
    older.tell(AdjustPosition(symbol="S", quantity=Decimal(5), reason="as held"))
    assert not older.engine.state.cancels
    newer.tell(AdjustPosition(symbol="S", quantity=Decimal(5), orders=("target", "stop"), reason="as held"))
    assert [cancel.cause for cancel in newer.engine.state.cancels.values()] == ["unfit"]


def test_a_target_alone_was_worth_its_price_and_is_worth_what_it_closes():
    older, newer = Desk(4).long(), Desk(5).long()
    for desk in (older, newer):
        desk.tell(EXIT)
    assert (older.engine.state.gross, newer.engine.state.gross) == (14_000, 1_000)
    older.start(5)
    assert older.engine.state.gross == 1_000


def test_what_an_older_version_left_is_judged_at_the_first_start():
    desk = Desk(4).long()
    desk.tell(EXIT)
    desk.tell(STOP)
    desk.start(5)
    assert desk.reducing() == {"target"}
    other = Desk(4).long()
    other.tell(STOP)
    other.tell(EXIT)
    other.tell(AdjustPosition(symbol="S", quantity=Decimal(20), reason="as held"))
    other.start(5)
    assert other.reducing() == {"stop", "target"}


def test_what_the_venue_enforces_is_read_anew_at_each_start():
    desk = Desk(5).long()
    desk.tell(CheckOrder(client_order_id="a", symbol="S", side="sell", quantity=TEN, price=TEN, reduce_only=True))
    desk.tell(CheckOrder(client_order_id="b", symbol="S", side="sell", quantity=TEN, price=Decimal(200)))
    assert desk.engine.state.gross == 2_000
    enforced = Parameters(accounts={"default": Account(venue_enforces_reduce_only=True)})
    desk.start(5, enforced)
    assert desk.engine.state.orders["default", "default", "a"].idle
    assert desk.engine.state.gross == 2_000
    desk.start(5)
    assert not desk.engine.state.orders["default", "default", "a"].idle
