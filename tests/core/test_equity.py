"""What scenarios do not tell of equity: a store taken over, and the bounds of its memory."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import AcceptEquity, CheckOrder, ReportEquity, Start
from weltklassebot.core.engine import Engine
from weltklassebot.core.events import AnyEvent, EquityDoubted, EquityTaken
from weltklassebot.core.flows import MOST_OPEN_FLOWS, MOST_SETTLED_FLOWS
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT

NOW = 1_763_712_000.0


class Desk:
    def __init__(self, version: int = FORMAT) -> None:
        self.engine, self.seq = Engine(), 0
        self.start(version)

    def start(self, version: int = FORMAT) -> None:
        self.do(Start(version="t", format=version, parameters=Parameters(equity_confirmations=3), wall=NOW + self.seq))

    def do(self, command) -> list[AnyEvent]:
        self.seq += 1
        return self.engine.handle(command, seq=self.seq, now=NOW + self.seq).events

    def equity(self, equity: int, flow: int = 0, flow_id: str | None = None, account: str = "main") -> AnyEvent:
        report = ReportEquity(equity=Decimal(equity), flow=Decimal(flow), flow_id=flow_id, account=account)
        return self.do(report)[-1]


def test_what_an_older_version_recorded_is_decided_as_it_was():
    desk = Desk(version=3)
    desk.equity(100_000)
    assert desk.equity(105_000, flow=5_000) == EquityTaken(
        equity=Decimal(105_000), peak=Decimal(105_000), flow=Decimal(5_000)
    )
    assert type(desk.equity(50_000, account="hedge")) is EquityTaken, "every account counted"
    assert desk.equity(60_000) == EquityDoubted(agreeing=1)
    assert desk.equity(40_000) == EquityDoubted(agreeing=1), "it did not agree"
    order = CheckOrder(
        client_order_id="a", symbol="X", side="buy", quantity=Decimal(1), price=Decimal(1), account="hedge"
    )
    (denied,) = desk.do(order)
    assert [denial.reason for denial in denied.denials] == ["equity_doubtful"], "it was everybody's doubt"


def test_in_process_nothing_is_doubted():
    manager = RiskManager()
    for equity, flow in ((100_000, 0), (1_000_000, 0), (500_000, -500_000), (0, 0), (250_000, 250_000)):
        flow_id = f"f-{flow}" if flow else None
        manager.submit(ReportEquity(equity=Decimal(equity), flow=Decimal(flow), flow_id=flow_id), NOW)
        assert manager.engine.state.equity == equity
    assert manager.engine.state.peak == 750_000, "nothing was left of 500,000, and 250,000 came"
    assert not manager.engine.state.doubted_losses


def test_a_doubt_is_taken_over():
    desk = Desk(version=3)
    desk.equity(100_000)
    desk.equity(50_000, account="hedge")
    desk.equity(60_000)
    desk.start()
    state = desk.engine.state
    assert state.doubted_losses == {"main": Decimal(40_000)}
    assert not state.barred, "an account that an old store knows is accepted"
    desk.equity(55_000)
    desk.equity(50_000)
    assert state.accounts["main"].equity == 50_000
    assert state.doubted_accounts == 0


def test_doubted_flows_are_bounded():
    desk = Desk()
    desk.equity(100_000)
    for number in range(MOST_OPEN_FLOWS):
        desk.equity(1 if number % 2 else 500_000, flow=90_000, flow_id=f"d-{number}")
    account = desk.engine.state.accounts["main"]
    assert len(account.open_flows) == MOST_OPEN_FLOWS
    desk.equity(100_000, flow=10, flow_id="one-more")
    assert len(account.open_flows) == MOST_OPEN_FLOWS
    assert "one-more" not in account.flows
    desk.do(AcceptEquity(account="main", drop=True, reason="nonsense"))
    assert not account.open_flows
    for number in range(MOST_SETTLED_FLOWS + 10):
        desk.equity(100_000, flow=1, flow_id=f"s-{number}")
    assert len(account.flows) == MOST_SETTLED_FLOWS
