"""Many at once, from tasks and threads; connections that come and go; what is said again and what is not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import uvloop

from tests.client.service import Line, Service, Session
from weltklassebot.client import AsyncRiskClient, RefusedError, RiskClient, RiskClientError, Unanswered, Unreachable

ORDER = {"symbol": "BTC-EUR", "side": "buy", "quantity": "1"}
FILL: dict[str, Any] = {"client_order_id": "a", "symbol": "X", "side": "buy", "quantity": 1, "price": 1}


def orders(count: int) -> list[dict[str, object]]:
    return [{**ORDER, "client_order_id": f"o-{number}"} for number in range(count)]


def hold_until(service: Service, count: int) -> None:
    """Answer nothing before `count` lines are there; allow the even ones."""
    held: list[Line] = []

    async def behave(line: Line, session: Session) -> None:
        held.append(line)
        if len(held) == count:
            for each in held:
                even = int(each["client_order_id"].removeprefix("o-")) % 2 == 0
                session.say({"push": "stop", "id": "s1", "allowed": True, "client_order_id": each["client_order_id"]})
                session.say(service.answer(each, allowed=even, denials=[] if even else [{"reason": "tick"}]))

    service.behave = behave


async def test_a_thousand_in_flight_are_answered_in_order(service: Service) -> None:
    """With a push before every answer."""
    hold_until(service, 1000)
    async with AsyncRiskClient(service.orders, window=1000) as risk:
        answers = await asyncio.gather(*(risk.check(order, timeout=5) for order in orders(1000)))
    assert [answer.client_order_id for answer in answers] == [f"o-{number}" for number in range(1000)]
    assert [answer.allowed for answer in answers] == [number % 2 == 0 for number in range(1000)]
    assert [answer.seq for answer in answers] == list(range(1, 1001))
    assert len(service.sessions) == 1


def test_another_event_loop_will_do(service: Service) -> None:
    async def ask() -> list[bool]:
        async with AsyncRiskClient(service.orders) as risk:
            return [bool(answer) for answer in await risk.check_many(orders(10))]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == [True] * 10


async def test_check_many_in_flight_together(service: Service) -> None:
    hold_until(service, 100)
    with RiskClient(service.orders) as blocking:
        answers = await asyncio.to_thread(blocking.check_many, orders(100), timeout=5)
    assert [answer.seq for answer in answers] == list(range(1, 101))
    hold_until(service, 250)
    async with AsyncRiskClient(service.orders) as risk:
        answers = await risk.check_many(orders(250), timeout=5)
        assert await risk.check_many([]) == []
    assert [answer.allowed for answer in answers] == [number % 2 == 0 for number in range(250)]


def test_check_many_over_http_goes_in_hundreds(service: Service) -> None:
    with RiskClient(service.tcp) as risk:
        answers = risk.check_many(orders(250), timeout=5)
        assert all(answers)
        assert [answer.client_order_id for answer in answers] == [f"o-{number}" for number in range(250)]
    assert len(service.headers) == 3


def test_a_request_over_http_leaves_in_one_piece() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        RiskClient(f"http://127.0.0.1:{server.getsockname()[1]}") as bot,
    ):
        thread = threading.Thread(target=bot.check, kwargs=orders(1)[0])
        thread.start()
        with server.accept()[0] as session:
            first = session.recv(1 << 16)
        thread.join()
    head, _, body = first.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert b"o-0" in body


def test_a_batch_keeps_what_was_answered_before_the_break(service: Service) -> None:
    async def behave(line: Line, session: Session) -> None:
        if line["client_order_id"] == "o-3":
            session.say(service.answer(line, client_order_id="o-4"))
        else:
            session.say(service.answer(line))

    service.behave = behave
    with RiskClient(service.orders) as risk:
        answers = risk.check_many(orders(6))
    assert [answer.reason for answer in answers] == [None, None, None, "bad_answer", "no_answer", "no_answer"]


async def test_a_lost_connection_denies_all_in_flight(service: Service) -> None:
    async def behave(_: Line, session: Session) -> None:
        if len(session.lines) == 50:
            session.close()

    service.behave = behave
    async with AsyncRiskClient(service.orders) as risk:
        answers = await asyncio.gather(*(risk.check(order) for order in orders(50)))
        assert {answer.reasons for answer in answers} == {("no_answer",)}
        service.behave = service.well
        assert await risk.check(ORDER)


async def test_a_bad_answer_denies_all_behind_it(service: Service) -> None:
    async def behave(line: Line, session: Session) -> None:
        if len(session.lines) == 3:
            session.say(service.answer(session.lines[1]))
            for each in session.lines:
                session.say(service.answer(each))

    service.behave = behave
    async with AsyncRiskClient(service.orders) as risk:
        answers = await asyncio.gather(*(risk.check(order) for order in orders(3)))
    assert [answer.reason for answer in answers] == ["bad_answer", "no_answer", "no_answer"]


async def test_no_more_than_the_window_is_in_flight(service: Service) -> None:
    async def behave(_: Line, __: Session) -> None:
        pass

    service.behave = behave
    async with AsyncRiskClient(service.orders, window=10) as risk:
        answers = await asyncio.gather(*(risk.check(order, timeout=0.1) for order in orders(30)))
        assert {answer.reasons for answer in answers} == {("timeout",)}
        assert service.seen.qsize() == 10


async def test_a_service_that_stops_answering_gets_a_new_connection(service: Service) -> None:
    """The places of the abandoned requests are not lost for ever."""
    first: list[Session] = []

    async def behave(line: Line, session: Session) -> None:
        if not first:
            first.append(session)
        if session is not first[0]:
            await service.well(line, session)

    service.behave = behave
    async with AsyncRiskClient(service.orders, window=2, timeout=0.05) as risk:
        denied = await asyncio.gather(*(risk.check(order) for order in orders(2)))
        assert {answer.reasons for answer in denied} == {("timeout",)}
        assert await risk.check(ORDER, timeout=5)  # there is room when the first connection is given up
    assert len(service.sessions) == 2


async def test_a_cancelled_question_keeps_its_place(service: Service) -> None:
    held: list[Line] = []
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def behave(line: Line, session: Session) -> None:
        held.append(line)
        loop.call_soon_threadsafe(asked.set)
        if len(held) == 2:
            for each in held:
                session.say(service.answer(each))

    service.behave = behave
    async with AsyncRiskClient(service.orders) as risk:
        cancelled = asyncio.create_task(risk.fill(fill_id="first", **FILL))
        await asked.wait()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (await risk.fill(fill_id="second", **FILL)).raw["echo"] == held[1]


@pytest.mark.parametrize("door", ["orders", "tcp"])
def test_threads_share_a_client(service: Service, door: str) -> None:
    """Answers to fills do not name them, so a swapped one would show in its echo."""
    with RiskClient(getattr(service, door), connections=4, timeout=10) as risk:

        def work(thread: int) -> None:
            for number in range(50):
                name = f"{thread}-{number}"
                assert risk.check(ORDER, client_order_id=name).client_order_id == name
                assert risk.fill(fill_id=name, **FILL).raw["echo"]["fill_id"] == name  # type: ignore[index]

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(work, range(16)))
    assert len(service.sessions) <= 4


def test_a_forked_child_opens_its_own_connection(service: Service) -> None:
    with RiskClient(service.orders) as risk:
        assert risk.check(ORDER)
        child = os.fork()
        if child == 0:
            os._exit(0 if risk.check(ORDER) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert risk.check(ORDER)
    assert len(service.sessions) == 2


async def test_after_a_restart_of_the_service(service: Service) -> None:
    with RiskClient(service.orders, backoff=(0, 0)) as risk:
        async with AsyncRiskClient(service.orders, backoff=(0, 0)) as other:
            assert risk.check(ORDER)
            assert await other.check(ORDER)
            service.stop()
            assert risk.check(ORDER).reasons == ("no_answer",)
            assert (await other.check(ORDER)).reasons == ("no_answer",)
            service.start()
            assert risk.check(ORDER)
            assert await other.check(ORDER)


def test_a_connection_on_which_something_came_unasked_is_not_used_again(service: Service) -> None:
    with RiskClient(service.orders) as risk:
        assert risk.check(ORDER, client_order_id="a")

        async def stray() -> None:
            service.sessions[0].say({"allowed": True, "client_order_id": "b"})
            await service.sessions[0].writer.drain()

        service.call(stray())
        assert risk.check(ORDER, client_order_id="b")
    assert len(service.sessions) == 2


def test_pauses_between_attempts_to_connect_grow_to_their_bound() -> None:
    with RiskClient("unix:/nowhere/orders.sock", backoff=(60, 60)) as risk:
        assert "No such file" in risk.check(ORDER).denials[0].message
        assert "the next one is due in" in risk.check(ORDER).denials[0].message


# --- reports --------------------------------------------------------------------------------------------------------


def test_a_lost_report_is_an_error(service: Service) -> None:
    async def behave(_: Line, session: Session) -> None:
        session.close()

    service.behave = behave
    with RiskClient(service.orders) as risk:
        for say in (
            lambda: risk.report("a", "sent"),
            lambda: risk.fill(fill_id="f", **FILL),
            lambda: risk.mark("X", 1),
            lambda: risk.equity(1),
        ):
            with pytest.raises(Unanswered):
                say()
    with pytest.raises(Unreachable), RiskClient("unix:/nowhere") as risk:
        risk.fill(fill_id="f", **FILL)


@pytest.mark.parametrize("answer", [{}, {"seq": "1"}, {"seq": 1, "client_order_id": "b"}, {"error": "?"}])
def test_an_answer_that_proves_nothing_is_an_error(service: Service, answer: object) -> None:
    async def behave(_: Line, session: Session) -> None:
        session.say(answer)

    service.behave = behave
    with RiskClient(service.orders) as risk, pytest.raises(RiskClientError) as raised:
        risk.fill(fill_id="f", **FILL)
    assert raised.value.reason == "bad_answer"


@pytest.mark.parametrize("door", ["orders", "tcp"])
async def test_a_refusal_says_what_is_wrong(service: Service, door: str) -> None:
    problem = {
        "type": "bad_input", "title": "Not acceptable", "status": 422, "detail": "quantity: must be positive",
        "errors": [{"field": "quantity", "message": "must be positive"}],
    }  # fmt: skip

    async def behave(_: Line, session: Session) -> None:
        session.say({"error": problem})

    service.behave = behave
    with RiskClient(getattr(service, door)) as risk, pytest.raises(RefusedError, match="must be positive") as raised:
        risk.fill(fill_id="f", retries=5, **FILL)
    assert (raised.value.status, raised.value.errors) == (422, (("quantity", "must be positive"),))
    assert service.seen.qsize() == 1, "what is refused is not said again"
    async with AsyncRiskClient(getattr(service, door)) as other:
        with pytest.raises(RefusedError):
            await other.report("a", "sent", retries=5)


async def test_reports_are_said_again_until_they_are_taken(service: Service) -> None:
    def fail_first(count: int) -> None:
        seen: list[Line] = []

        async def behave(line: Line, session: Session) -> None:
            seen.append(line)
            if len(seen) <= count:
                session.close()
            else:
                session.say(service.answer(line, replayed=True) | {"seq": None})

        service.behave = behave

    with RiskClient(service.orders, backoff=(0, 0)) as risk:
        fail_first(2)
        assert risk.fill(fill_id="f", retries=2, **FILL).replayed
        fail_first(3)
        with pytest.raises(Unanswered):
            risk.report("a", "sent", retries=2)
    async with AsyncRiskClient(service.orders, backoff=(0, 0)) as other:
        fail_first(2)
        assert (await other.mark("X", Decimal(1), retries=2)).seq is None


async def test_equity_that_may_have_been_heard_is_not_said_again(service: Service) -> None:
    async def behave(_: Line, session: Session) -> None:
        session.close()

    service.behave = behave
    with RiskClient(service.orders) as risk, pytest.raises(Unanswered):
        risk.equity(100, flow=10, retries=5)
    async with AsyncRiskClient(service.orders) as other:
        with pytest.raises(Unanswered):
            await other.equity(100, flow=10, retries=5)
    assert service.seen.qsize() == 2


def test_a_busy_pool_denies_in_time(service: Service) -> None:
    async def behave(_: Line, __: Session) -> None:
        pass

    service.behave = behave
    with RiskClient(service.orders, connections=1) as risk:
        other = threading.Thread(target=lambda: risk.check(ORDER, timeout=0.3))
        other.start()
        service.seen.get(timeout=1)
        answer = risk.check(ORDER, timeout=0.05)
        assert "busy" in answer.denials[0].message
        assert answer.reasons == ("timeout",)
        other.join()
