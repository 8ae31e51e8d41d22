"""Stops and cancel requests: handed over, acknowledged once handled, and found again after a lost connection."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing
from queue import Queue

import pytest

from tests.client.service import Line, Service, Session
from weltklassebot.client import AsyncRiskClient, Push, RiskClient

STOP = {"push": "stop", "id": "s412", "state": "HALTED", "kill_switch": "ACTIVE", "reason": "drawdown", "seq": 412}
CANCEL = {
    "push": "cancel_request", "id": "c412-1", "account": "main", "strategy": "ma", "client_order_id": "a-1",
    "symbol": "BTC-EUR", "reason": "halt",
}  # fmt: skip


def push_on_subscribe(service: Service, *pushes: object, hang_up_after_acks: int = 0) -> None:
    """Push to every subscriber; hang up on the first when it has acknowledged so many."""

    async def behave(line: Line, session: Session) -> None:
        if line["op"] == "subscribe":
            session.say({"subscribed": True})
            for push in pushes:
                session.say(push)
        elif session is service.sessions[0] and len(session.lines) == hang_up_after_acks + 1:
            session.close()

    service.behave = behave


def ops(service: Service, count: int) -> list[tuple[str, str | None]]:
    lines = [service.seen.get(timeout=2) for _ in range(count)]
    return [(line["op"], line.get("id")) for line in lines]


def test_a_handler_gets_pushes_and_they_are_acknowledged(service: Service) -> None:
    push_on_subscribe(service, STOP, CANCEL)
    got: Queue[Push] = Queue()
    with RiskClient(service.orders) as risk, risk.subscribe(got.put) as subscription:
        assert subscription.wait_subscribed(2)
        stop, cancel = got.get(timeout=2), got.get(timeout=2)
        assert ops(service, 3) == [("subscribe", None), ("ack", "s412"), ("ack", "c412-1")]
    assert not subscription.subscribed
    assert (stop.kind, stop.state, stop.kill_switch, stop.reason) == ("stop", "HALTED", "ACTIVE", "drawdown")
    assert stop.raw["seq"] == 412
    assert (cancel.kind, cancel.account, cancel.client_order_id) == ("cancel_request", "main", "a-1")


async def test_events_are_acknowledged_when_the_next_is_asked_for(service: Service) -> None:
    push_on_subscribe(service, STOP, CANCEL)
    async with AsyncRiskClient(service.orders) as risk, aclosing(risk.events()) as events:
        assert (await anext(events)).id == "s412"
        assert risk.subscribed
        assert ops(service, 1) == [("subscribe", None)]
        assert service.seen.empty()
        assert (await anext(events)).id == "c412-1"
        assert await asyncio.to_thread(ops, service, 1) == [("ack", "s412")]
    assert not risk.subscribed


def test_a_lost_subscription_is_taken_up_again(service: Service) -> None:
    push_on_subscribe(service, STOP, hang_up_after_acks=1)
    got: Queue[Push] = Queue()
    with RiskClient(service.orders, backoff=(0, 0)) as risk, risk.subscribe(got.put):
        assert [got.get(timeout=2).id, got.get(timeout=2).id] == ["s412", "s412"]
        assert ops(service, 4) == [("subscribe", None), ("ack", "s412")] * 2


async def test_lost_events_are_taken_up_again(service: Service) -> None:
    push_on_subscribe(service, STOP, hang_up_after_acks=1)
    async with AsyncRiskClient(service.orders, backoff=(0, 0)) as risk, aclosing(risk.events()) as events:
        assert [(await anext(events)).id for _ in range(2)] == ["s412", "s412"]


@pytest.mark.parametrize(
    "noise", [b"garbage", b'{"push": "stop"}', b'{"push": 1, "id": "s1"}', b'{"error": {}}', b"[]"]
)
def test_what_is_not_the_protocol_ends_the_connection_and_nothing_else(service: Service, noise: bytes) -> None:
    async def behave(line: Line, session: Session) -> None:
        if line["op"] == "subscribe":
            session.say({"subscribed": True})
            if session is service.sessions[0]:
                session.raw(noise + b"\n")
            session.say(STOP)

    service.behave = behave
    got: Queue[Push] = Queue()
    with RiskClient(service.orders, backoff=(0, 0)) as risk, risk.subscribe(got.put):
        assert got.get(timeout=2).id == "s412"
        assert len(service.sessions) == 2


def test_what_a_handler_could_not_handle_is_not_acknowledged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    push_on_subscribe(service, STOP, CANCEL)
    raised: Queue[object] = Queue()
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.put(args.exc_value))

    def handler(push: Push) -> None:
        if push.kind == "stop":
            raise RuntimeError("no hands")

    with RiskClient(service.orders) as risk, risk.subscribe(handler):
        assert str(raised.get(timeout=2)) == "no hands"
        assert ops(service, 2) == [("subscribe", None), ("ack", "c412-1")]


def test_a_push_that_came_again_before_it_was_handled_is_not_doubled(service: Service) -> None:
    async def behave(line: Line, session: Session) -> None:
        if line["op"] == "subscribe":
            # In one piece: the client has read them all before it handles the first.
            pushes = ({"subscribed": True}, STOP, *[CANCEL] * 5)
            session.raw(b"".join(json.dumps(push).encode() + b"\n" for push in pushes))

    service.behave = behave
    got: Queue[str] = Queue()
    with RiskClient(service.orders) as risk, risk.subscribe(lambda push: got.put(push.id)):
        assert ops(service, 3) == [("subscribe", None), ("ack", "s412"), ("ack", "c412-1")]
    assert [got.get_nowait(), got.get_nowait()] == ["s412", "c412-1"]
    assert got.empty()


def test_a_handler_may_close_its_own_client(service: Service) -> None:
    push_on_subscribe(service, STOP)
    done = threading.Event()
    with RiskClient(service.orders) as risk:

        def handler(_: Push) -> None:
            risk.close()
            done.set()

        risk.subscribe(handler)
        assert done.wait(2)


async def test_checks_go_on_beside_pushes(service: Service) -> None:
    push_on_subscribe(service, STOP)
    subscribed = service.behave

    async def behave(line: Line, session: Session) -> None:
        await (subscribed if line["op"] in ("subscribe", "ack") else service.well)(line, session)

    service.behave = behave
    async with AsyncRiskClient(service.orders) as risk, aclosing(risk.events()) as events:
        async for push in events:
            assert push.kind == "stop"
            assert await risk.check(symbol="X", side="buy", quantity=1)
            break


async def test_closing_the_client_ends_the_events(service: Service) -> None:
    client = AsyncRiskClient(service.orders)
    listening = asyncio.create_task(anext(client.events(), None))
    await asyncio.to_thread(ops, service, 1)
    await client.aclose()
    assert await listening is None
    nowhere = AsyncRiskClient("unix:/nowhere/orders.sock", backoff=(60, 60))
    listening = asyncio.create_task(anext(nowhere.events(), None))
    await asyncio.sleep(0)
    await nowhere.aclose()
    assert await asyncio.wait_for(listening, 2) is None


async def test_pushes_need_the_order_stream(service: Service) -> None:
    with RiskClient(service.tcp) as risk, pytest.raises(ValueError, match="order stream"):
        risk.subscribe(print)
    async with AsyncRiskClient(service.tcp) as other:
        with pytest.raises(ValueError, match="order stream"):
            await anext(other.events())
