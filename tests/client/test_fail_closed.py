"""Whatever comes back that is not a proper yes in time is a no, at every door; the next question has its own answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from typing import Any

import pytest

from tests.client.conftest import Bot
from tests.client.service import Line, Service, Session
from weltklassebot.client import AsyncRiskClient, RiskClient

ORDER = {"symbol": "BTC-EUR", "side": "buy", "quantity": "1"}
NOW = 1763712000.0
YES: dict[str, Any] = {
    "allowed": True, "client_order_id": "bad", "seq": 7, "ts": NOW, "state": "RUNNING", "valid_until": NOW + 5,
    "denials": [],
}  # fmt: skip


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in YES.items() if key != name}


SAID: dict[str, tuple[bytes | object, str]] = {
    "allowed in words": ({**YES, "allowed": "true"}, "bad_answer"),
    "allowed is 1": ({**YES, "allowed": 1}, "bad_answer"),
    "allowed is 1.0": ({**YES, "allowed": 1.0}, "bad_answer"),
    "allowed is null": ({**YES, "allowed": None}, "bad_answer"),
    "allowed is a list": ({**YES, "allowed": [True]}, "bad_answer"),
    "allowed is missing": (without("allowed"), "bad_answer"),
    "another order": ({**YES, "client_order_id": "good"}, "bad_answer"),
    "another order in other letters": ({**YES, "client_order_id": "BAD"}, "bad_answer"),
    "no order": (without("client_order_id"), "bad_answer"),
    "order is null": ({**YES, "client_order_id": None}, "bad_answer"),
    "no record": (without("seq"), "bad_answer"),
    "record in words": ({**YES, "seq": "7"}, "bad_answer"),
    "record is true": ({**YES, "seq": True}, "bad_answer"),
    "no end of validity": (without("valid_until"), "bad_answer"),
    "validity in words": ({**YES, "valid_until": "9999999999"}, "bad_answer"),
    "validity beyond all time": ({**YES, "valid_until": 1e300}, "bad_answer"),
    "no time": (without("ts"), "bad_answer"),
    "yes and no": ({**YES, "denials": [{"reason": "halted"}]}, "bad_answer"),
    "denials in words": ({**YES, "denials": "none"}, "bad_answer"),
    "replayed in words": ({**YES, "replayed": "false"}, "bad_answer"),
    "too old already": ({**YES, "valid_until": NOW}, "expired"),
    "a replay too old by the wall clock": ({**YES, "replayed": True}, "expired"),
    "a list": ([YES], "bad_answer"),
    "a text": ("allowed", "bad_answer"),
    "true alone": (True, "bad_answer"),
    "null": (None, "bad_answer"),
    "an empty object": ({}, "bad_answer"),
    "nothing": (b"", "bad_answer"),
    "garbage": (b'\xff\xfe{"allowed": true', "bad_answer"),
    "not UTF-8": (json.dumps(YES).encode().replace(b"RUNNING", b"\xff\xff"), "bad_answer"),
    "two objects": (json.dumps(YES).encode() + b" " + json.dumps(YES).encode(), "bad_answer"),
    "allowed twice": (b'{"allowed": false, ' + json.dumps(YES).encode()[1:], "bad_answer"),
    "NaN": (json.dumps({**YES, "valid_until": float("nan")}).encode(), "bad_answer"),
    "infinity": (json.dumps({**YES, "valid_until": float("inf")}).encode(), "bad_answer"),
    "nested too deep": (b"[" * 200_000 + b"]" * 200_000, "bad_answer"),
    "10 MB": (json.dumps({**YES, "padding": "x" * 10_000_000}).encode(), "bad_answer"),
    "conflict": ({"error": {"type": "conflict", "title": "Not possible now", "status": 409}}, "refused"),
    "unable": ({"error": {"type": "overloaded", "title": "No room", "status": 503}}, "no_answer"),
    "yes and error": ({**YES, "error": {"title": "?", "status": 503}}, "no_answer"),
    "an error without a status": ({"error": {"title": "?"}}, "bad_answer"),
    "an error in words": ({**YES, "error": "none"}, "bad_answer"),
}


def first_bad(service: Service, behave: Any) -> None:
    """Behave badly to the first order only."""

    async def both(line: Line, session: Session) -> None:
        await (behave if line["client_order_id"] == "bad" else service.well)(line, session)

    service.behave = both


@pytest.mark.parametrize("case", SAID)
def test_an_answer_that_is_not_a_proper_yes_is_a_no(service: Service, bot: Bot, case: str) -> None:
    said, reason = SAID[case]

    async def behave(_: Line, session: Session) -> None:
        session.say_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())

    first_bad(service, behave)
    bad, good = bot.ask("bad", "good")
    assert (bad.allowed, bool(bad), bad.still_valid(), bad.reasons) == (False, False, False, (reason,)), bad
    assert bad.denials[0].message
    assert (good.allowed, good.client_order_id) == (True, "good")


async def silent(_: Line, __: Session) -> None:
    await asyncio.Event().wait()


async def hang_up(_: Line, session: Session) -> None:
    session.close()


async def half_then_hang_up(_: Line, session: Session) -> None:
    body = json.dumps(YES).encode()
    session.raw((session.head(len(body)) if session.web else b"") + body[:-3])
    session.close()


async def all_but_the_end(_: Line, session: Session) -> None:
    """Every byte of the yes, but not the end of the line, or of the body."""
    body = json.dumps(YES).encode()
    session.raw((session.head(len(body) + 1) if session.web else b"") + body)
    session.close()


async def half_then_silent(line: Line, session: Session) -> None:
    session.raw(b"HTTP/1.1 200 OK\r\nContent-" if session.web else b'{"allowed": tr')
    await silent(line, session)


async def drip(_: Line, session: Session) -> None:
    """A byte now and then, for ever: each comes in time, the answer does not."""
    for byte in itertools.chain(session.head(10**6) if session.web else b"", itertools.cycle(b" ")):
        session.raw(bytes([byte]))
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("behave", "timeout", "reason"),
    [
        (silent, 0.05, "timeout"),
        (half_then_silent, 0.05, "timeout"),
        (drip, 0.05, "timeout"),
        (hang_up, 5, "no_answer"),
        (half_then_hang_up, 5, "no_answer"),
        (all_but_the_end, 5, "no_answer"),
    ],
)
def test_silence_and_halves_are_a_no_in_time(
    service: Service, bot: Bot, behave: Any, timeout: float, reason: str
) -> None:
    service.behave = behave
    began = time.monotonic()
    (answer,) = bot.ask("bad", timeout=timeout)
    assert answer.reasons == (reason,)
    assert not answer
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("behave", [hang_up, half_then_hang_up, all_but_the_end])
def test_the_next_question_gets_a_connection_of_its_own(service: Service, bot: Bot, behave: Any) -> None:
    first_bad(service, behave)
    bad, good = bot.ask("bad", "good")
    assert (bad.allowed, good.allowed) == (False, True)


def test_a_late_answer_reaches_nobody_else(service: Service, bot: Bot) -> None:
    """The yes to the first order comes when the second is asked, before its answer, which is a no."""
    held: list[tuple[Line, Session]] = []

    async def late(line: Line, session: Session) -> None:
        if line["client_order_id"] == "first":
            held.append((line, session))
            return
        for first, its_session in held:
            its_session.say(service.answer(first))
        session.say(service.answer(line, allowed=False, denials=[{"reason": "halted"}]))

    service.behave = late
    first, second = bot.ask("first", "second", timeout=0.05, last_timeout=5)
    assert first.reasons == ("timeout",)
    assert second.reasons == ("halted",)
    assert second.client_order_id == "second"


async def test_an_answer_that_a_busy_loop_reads_too_late_is_late(service: Service) -> None:
    answered = threading.Event()

    async def behave(line: Line, session: Session) -> None:
        await service.well(line, session)
        answered.set()

    async with AsyncRiskClient(service.orders) as risk:
        assert await risk.check(ORDER)
        service.behave = behave
        asked = asyncio.create_task(risk.check(ORDER, timeout=0.05))
        for _ in range(3):
            await asyncio.sleep(0)  # until it is sent
        assert answered.wait(2)  # this blocks the loop on purpose,
        time.sleep(0.06)  # noqa: ASYNC251 - and this past the deadline: answer and timer are due in the same turn
        assert (await asked).reasons == ("timeout",)


@pytest.mark.parametrize("client", ["blocking", "asyncio"])
async def test_a_late_receipt_reaches_nobody_else(service: Service, client: str) -> None:
    """The answer to a fill does not name it: nothing but the order of answers keeps two fills apart."""
    fill = {"client_order_id": "a", "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
    held: list[tuple[Line, Session]] = []

    async def late(line: Line, session: Session) -> None:
        if line["fill_id"] == "second":
            for first, its_session in held:
                its_session.say(service.answer(first))
            session.say(service.answer(line))
        else:
            held.append((line, session))

    service.behave = late
    if client == "asyncio":
        async with AsyncRiskClient(service.orders) as risk:
            with pytest.raises(Exception, match="no answer in time"):
                await risk.fill(fill_id="first", timeout=0.05, **fill)
            receipt = await risk.fill(fill_id="second", **fill)
        assert len(service.sessions) == 1, "the late answer came first on the same connection, and was dropped"
    else:
        with RiskClient(service.orders) as blocking:
            with pytest.raises(Exception, match="no answer in time"):
                blocking.fill(fill_id="first", timeout=0.05, **fill)
            receipt = blocking.fill(fill_id="second", **fill)
        assert len(service.sessions) == 2, "the connection that owed an answer was given up"
    assert receipt.raw["echo"]["fill_id"] == "second"


@pytest.mark.parametrize("door", ["unix:/nowhere/orders.sock", "http+unix:/nowhere/admin.sock", "http://127.0.0.1:1"])
async def test_nobody_there_is_a_no(door: str) -> None:
    with RiskClient(door) as risk:
        answer = risk.check(ORDER)
        assert (answer.allowed, answer.reason) == (False, "no_answer")
        assert [again.reason for again in risk.check_many([ORDER] * 3)] == ["no_answer"] * 3
    async with AsyncRiskClient(door) as risk:
        assert (await risk.check(ORDER)).reasons == ("no_answer",)
        assert [again.reason for again in await risk.check_many([ORDER] * 3)] == ["no_answer"] * 3


async def test_a_closed_client_says_no(service: Service) -> None:
    blocking = RiskClient(service.orders)
    assert blocking.check(ORDER)
    blocking.close()
    assert blocking.check(ORDER).reasons == ("closed",)
    for door in (service.orders, service.tcp):
        client = AsyncRiskClient(door)
        assert await client.check(ORDER)
        await client.aclose()
        assert (await client.check(ORDER)).reasons == ("closed",)


def test_what_http_alone_can_get_wrong(service: Service) -> None:
    yes = json.dumps(YES).encode()
    cases = [
        (b"HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>", "no_answer"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: %d\r\n\r\n%s" % (len(yes), yes), "bad_answer"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%s" % (len(yes), yes), "no_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(yes) - 1, yes), "bad_answer"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "bad_answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no_answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n", "no_answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz" % (len(yes), yes), "no_answer"),
    ]
    for raw, reason in cases:

        async def behave(_: Line, session: Session, raw: bytes = raw) -> None:
            session.raw(raw)
            session.close()

        service.behave = behave
        with RiskClient(service.tcp, token="t") as risk:
            answer = risk.check(ORDER, client_order_id="bad")
        assert answer.reasons == (reason,), (raw, answer)


def test_chunks_and_bodies_ended_by_the_connection_are_read(service: Service) -> None:
    yes = json.dumps(YES).encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(yes), yes)
    for raw in (chunked, b"HTTP/1.0 200 OK\r\n\r\n" + yes):

        async def behave(_: Line, session: Session, raw: bytes = raw) -> None:
            session.raw(raw)
            session.close()

        service.behave = behave
        with RiskClient(service.tcp) as risk:
            assert risk.check(ORDER, client_order_id="bad")


def test_a_yes_holds_for_what_is_left_of_it(service: Service) -> None:
    async def behave(line: Line, session: Session) -> None:
        # The service's clock is years off: only the difference counts.
        session.say({**YES, "client_order_id": line["client_order_id"], "ts": 1000.0, "valid_until": 1002.0})

    service.behave = behave
    with RiskClient(service.orders) as risk:
        answer = risk.check(ORDER)
    assert answer
    assert answer.still_valid(margin=1.0)
    assert not answer.still_valid(margin=2.0)


def test_a_replayed_yes_holds_no_longer_than_the_first(service: Service) -> None:
    async def behave(line: Line, session: Session) -> None:
        now = time.time()
        session.say(service.answer(line, replayed=True, ts=now - 4, valid_until=now + 1))

    service.behave = behave
    with RiskClient(service.orders) as risk:
        answer = risk.check(ORDER)
    assert answer.replayed
    assert answer.still_valid()
    assert not answer.still_valid(margin=1.0)
