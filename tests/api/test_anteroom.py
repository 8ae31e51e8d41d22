"""Turns of those who were not let in, and bytes that wait for theirs."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.api.test_fair_share import Clock, clock  # noqa: F401 - a fixture
from weltklassebot.api import anteroom as rooms
from weltklassebot.api.anteroom import A_TURN, GARBAGE_BYTES, Anteroom
from weltklassebot.api.fair_share import REMEMBERED_SECONDS, Company
from weltklassebot.api.held_bytes import HeldBytes


class Visitor:
    def __init__(self, room: Anteroom, cost: float = 0.0) -> None:
        self.turns = 0
        self._room = room
        self._cost = cost

    def take_turn(self) -> None:
        self.turns += 1
        self._room.spend(self._cost)


async def test_a_few_have_their_turn_and_then_everybody_else() -> None:
    room = Anteroom()
    visitors = [Visitor(room) for _ in range(3 * A_TURN)]
    for visitor in visitors:
        room.queue(visitor)
        room.queue(visitor)  # one turn, however often it asks
    assert room.busy
    await asyncio.sleep(0)
    while any(visitor.turns == 0 for visitor in visitors):
        done = [visitor.turns for visitor in visitors]
        assert done == sorted(done, reverse=True), "the longest waiting first"
        assert sum(done) % A_TURN == 0
        await asyncio.sleep(0)
    assert [visitor.turns for visitor in visitors] == [1] * len(visitors)


async def test_whoever_has_gone_has_no_turn() -> None:
    room = Anteroom()
    gone, last = Visitor(room), Visitor(room)
    room.queue(gone)
    room.queue(last)
    room.leave(gone)
    for _ in range(3):
        await asyncio.sleep(0)
    assert (gone.turns, last.turns) == (0, 1)


async def test_all_of_them_share_one_account(clock: Clock) -> None:  # noqa: F811
    room = Anteroom()
    visitors = [Visitor(room, 0.002) for _ in range(100)]
    for visitor in visitors:
        room.queue(visitor)
    for _ in range(200):
        await asyncio.sleep(0)  # the account's clock stands still
    turns = sum(visitor.turns for visitor in visitors)
    assert 10 <= turns <= 12, "a burst of 20 ms, and no more however many they are"
    assert room.busy


async def test_garbage_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    monkeypatch.setattr(rooms, "gc", type("Collector", (), {"collect": staticmethod(collected.append)}))
    assert rooms.gc is not gc
    room = Anteroom()
    for _ in range(2 * GARBAGE_BYTES // 65536):
        room.drop(65536)
    assert collected == [], "not while something is being answered"
    await asyncio.sleep(0)
    assert collected == [0, 0]


def test_one_is_alone_until_another_was_at_work(clock: Clock) -> None:  # noqa: F811
    company, first, second = Company(), object(), object()
    assert company.alone(first)
    assert company.alone(first)
    assert not company.alone(second)
    assert not company.alone(first)
    clock.now += REMEMBERED_SECONDS
    assert company.alone(first)
    clock.now += 10
    assert company.alone(first)
    company.forget(first)


def test_held_bytes_are_taken_in_pieces_and_head_by_head() -> None:
    stream = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\n\r\nbody\r\n\r\n\r\nrest"
    for step in range(1, len(stream) + 1):
        for most in (1, 2, 3, 7, 1000):
            held, out = HeldBytes(), b""
            for at in range(0, len(stream), step):
                held.add(stream[at : at + step])
                while held:
                    piece = held.take(most, one_head=True)
                    assert 0 < len(piece) <= most
                    out += piece
                    end = out.rfind(b"\r\n\r\n")
                    assert end + 4 <= len(out) - len(piece) or end + 4 == len(out) or end < 0
            assert out == stream
    held = HeldBytes()
    held.add(stream)
    assert held.take(len(stream)) is stream, "not copied"
