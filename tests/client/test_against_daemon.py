"""The client and the real daemon, as processes of their own, at every door."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from weltklassebot.client import AsyncRiskClient, Push, RefusedError, RiskClient, Unreachable

ORDER: dict[str, Any] = {"symbol": "BTC-EUR", "side": "buy", "quantity": "0.01", "price": "64000"}


class Daemon:
    """A daemon in folders of its own."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._run = directory / "run"
        self.orders = f"unix:{self._run}/orders.sock"
        self.admin = f"http+unix:{self._run}/admin.sock"
        self.tcp = f"http://127.0.0.1:{port}"
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("WELTKLASSE_")}
        self._env |= {
            "WELTKLASSE_RUNTIME_DIR": str(self._run),
            "WELTKLASSE_STATE_DIR": str(directory / "state"),
            "WELTKLASSE_METRICS_PORT": str(port),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until the order stream answers."""
        self._process = subprocess.Popen([*COMMAND, "serve"], env=self._env, stderr=subprocess.DEVNULL, stdout=-1)
        ends = time.monotonic() + 20
        with RiskClient(self.orders, backoff=(0.02, 0.02)) as risk:
            while time.monotonic() < ends:
                assert self._process.poll() is None, "the daemon ended"
                try:
                    risk.mark("READY", 1, retries=20)
                except (Unreachable, RefusedError):
                    continue
                return
        raise AssertionError("the daemon did not come up")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(15) == 0
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def say(self, *words: str) -> dict[str, Any]:
        """A command of the command line."""
        done = subprocess.run([*COMMAND, *words, "--json"], env=self._env, capture_output=True, check=True)
        said: dict[str, Any] = json.loads(done.stdout)
        return said


COMMAND = [sys.executable, "-m", "weltklassebot"]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as directory:
        running = Daemon(Path(directory))
        running.start()
        yield running
        running.stop()


def test_the_life_of_an_order_at_every_door(daemon: Daemon) -> None:
    token = daemon.say("token", "create", "--role", "trader", "--name", "bot")["token"]
    for door, secret in ((daemon.orders, None), (daemon.admin, None), (daemon.tcp, token)):
        # Each door its own account: three doubtful fills would halt one.
        with RiskClient(door, token=secret, account=f"a{len(door)}", strategy="s", timeout=4) as risk:
            risk.mark("BTC-EUR", Decimal(64000))
            assert risk.equity(100_000).seq
            if door != daemon.orders:  # a second account waits for an operator
                daemon.say("accounts", "accept", f"a{len(door)}", "--reason", "a door of its own")
                assert risk.equity(100_000).seq
            answer = risk.check(ORDER)
            assert answer, answer
            assert 0 < answer.deadline - time.monotonic() <= 5
            name = answer.client_order_id
            again = risk.check(ORDER, client_order_id=name)
            assert (again.allowed, again.replayed, again.seq) == (True, True, answer.seq)
            assert again.still_valid()
            conflict = risk.check(ORDER, client_order_id=name, quantity=2)
            assert conflict.reasons == ("refused",)
            assert risk.report(name, "sent").seq
            fill: dict[str, Any] = {"fill_id": name[-36:], "client_order_id": name, "symbol": "BTC-EUR", "side": "buy"}
            fill |= {"quantity": "0.01", "price": 64000}
            assert risk.fill(**fill).seq
            assert risk.fill(**fill).replayed
            doubtful = risk.fill(**{**fill, "quantity": "0.02"})
            assert doubtful.raw["cause"] == "contradicts_fill"
            with pytest.raises(RefusedError) as refused:
                risk.report(name, "accepted")
            assert refused.value.status == 409
            big = risk.check(ORDER, quantity=1)
            assert (big.allowed, big.reason) == (False, "max_order_notional")
            assert big.denials[0].limit == "25000"
            assert risk.check(symbol="BTC-EUR", side="up", quantity=1).reasons == ("refused",)


def test_many_orders_at_once(daemon: Daemon) -> None:
    orders = [{**ORDER, "quantity": "0.00001", "client_order_id": f"o-{number}"} for number in range(300)]
    with RiskClient(daemon.orders, strategy="a", timeout=4) as risk:
        answers = risk.check_many(orders, timeout=5)
        assert all(answer.allowed for answer in answers), answers[-1]
    with RiskClient(daemon.admin, strategy="a", timeout=4) as risk:
        again = risk.check_many(orders, timeout=5)
    assert [answer.seq for answer in again] == [answer.seq for answer in answers]
    assert all(answer.replayed for answer in again)

    async def ask() -> list[Any]:
        async with AsyncRiskClient(daemon.orders, strategy="a", timeout=4) as risk:
            return await asyncio.gather(*(risk.check(order, timeout=5) for order in orders))

    assert [answer.seq for answer in asyncio.run(ask())] == [answer.seq for answer in answers]


def test_tokens_are_asked_for(daemon: Daemon) -> None:
    with RiskClient(daemon.tcp, token="wrong", timeout=4) as risk:
        assert risk.check(ORDER).reasons == ("refused",)
        with pytest.raises(RefusedError) as refused:
            risk.mark("X", 1)
        assert refused.value.status == 401


def test_a_kill_reaches_the_bot_and_its_orders(daemon: Daemon) -> None:
    got: Queue[Push] = Queue()
    with RiskClient(daemon.orders, account="main", strategy="a", timeout=4) as risk, risk.subscribe(got.put) as told:
        assert told.wait_subscribed(5)
        answer = risk.check(ORDER)
        assert answer
        risk.report(answer.client_order_id, "accepted")
        daemon.say("kill-switch", "trigger", "--reason", "drill")
        pushes = {push.kind: push for push in (got.get(timeout=5), got.get(timeout=5))}
        assert pushes["stop"].kill_switch == "KILLED"
        assert pushes["stop"].reason == "drill"
        assert pushes["cancel_request"].client_order_id == answer.client_order_id
        assert pushes["cancel_request"].account == "main"
        assert risk.check(ORDER).reason == "kill_switch"
        replayed = risk.check(ORDER, client_order_id=answer.client_order_id)
        assert (replayed.allowed, replayed.reason) == (False, "kill_switch")
        risk.report(answer.client_order_id, "canceled", filled_quantity=0)


async def test_a_bot_lives_through_a_restart(daemon: Daemon) -> None:
    client = AsyncRiskClient(daemon.orders, timeout=4, backoff=(0.01, 0.05))
    async with client as risk, aclosing(risk.events()) as events:
        assert await risk.check(ORDER)
        listening = asyncio.create_task(anext(events))
        await asyncio.to_thread(daemon.stop)
        assert not await risk.check(ORDER)
        with pytest.raises(Unreachable):
            await risk.report("a", "sent", retries=2)
        starting = asyncio.create_task(asyncio.to_thread(daemon.start))
        assert (await risk.mark("BTC-EUR", 64000, retries=400)).raw
        await starting
        assert await risk.check(ORDER)
        await asyncio.to_thread(daemon.say, "halt", "--reason", "drill")
        assert (await asyncio.wait_for(listening, 5)).state == "HALTED"
