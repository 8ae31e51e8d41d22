"""Clients that talk to a daemon until it dies, and remember everything that they were told."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.daemon.clients import Stream, order
from tests.daemon.daemon import Daemon

__all__ = ["Load", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer that a client has in its hands, and when it asked and heard it (monotonic seconds)."""

    asked: dict[str, Any]
    answer: dict[str, Any]
    sent: float
    heard: float


@dataclass
class Load:
    """Several stream connections, HTTP clients and an operator, each in a thread of its own."""

    daemon: Daemon
    seed: int
    told: list[Told] = field(default_factory=list)
    ordered: list[Told] = field(default_factory=list)
    """What the operator was told, in order."""
    under_way: str | None = None
    """The operator's command that was sent last, if nothing came back."""
    _threads: list[threading.Thread] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self, streams: int = 3, https: int = 2) -> None:
        work = [self._bot] * streams + [self._browser] * https + [self._operator]
        for number, each in enumerate(work):
            rng = random.Random(self.seed * 1000 + number)
            thread = threading.Thread(target=self._until_the_end, args=(each, rng, f"{self.seed}-{number}"))
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client waits for ever"

    def forget_after(self, moment: float) -> None:
        """The power was cut at that moment: what was heard later was never said. A stop may have been latched."""
        self.told = [told for told in self.told if told.heard < moment]
        self.ordered = [told if told.heard < moment else _late(told) for told in self.ordered]

    def _until_the_end(self, work: Callable[[random.Random, str], None], rng: random.Random, name: str) -> None:
        # It dies; half an answer is none.
        with contextlib.suppress(OSError, EOFError, ValueError, http.client.HTTPException):
            work(rng, name)

    def _bot(self, rng: random.Random, name: str) -> None:
        approved: list[dict[str, Any]] = []
        number = 0
        with self.daemon.stream() as bot:
            while not self._over.is_set():
                lines = []
                for _ in range(rng.randint(1, 12)):
                    number += 1
                    lines.append(self._line(rng, f"{name}-{number}", approved))
                self._exchange(bot, lines, approved)

    def _line(self, rng: random.Random, name: str, approved: list[dict[str, Any]]) -> dict[str, Any]:
        match rng.randint(0, 9):
            case 0:
                return {"op": "mark", "symbol": rng.choice("XYZ"), "price": rng.randint(900, 1100)}
            case 1:
                return {"op": "equity", "account": "main", "equity": rng.randint(95_000, 105_000)}
            case 2 if approved:
                return rng.choice(approved)  # the same order again
            case 3 | 4 | 5 if approved:
                known = approved.pop(rng.randrange(len(approved)))
                name = {key: known[key] for key in ("client_order_id", "account", "strategy")}
                if rng.random() < 0.5:
                    status = rng.choice(("canceled", "not_sent", "filled"))
                    said = {"filled_quantity": "0"} if status == "canceled" else {}
                    return {"op": "order_event", "status": status, **said, **name}
                place = {key: known[key] for key in ("symbol", "side", "quantity", "price")}
                return {"op": "fill", "fill_id": known["client_order_id"], **name, **place}
            case _:
                quantity = "1000" if rng.random() < 0.1 else "0.001"
                side = rng.choice(("buy", "sell"))
                return {"op": "check", **order(name, symbol=rng.choice("XYZ"), side=side, quantity=quantity)}

    def _exchange(self, bot: Stream, lines: list[dict[str, Any]], approved: list[dict[str, Any]]) -> None:
        sent = time.monotonic()
        bot.send(*lines)
        for line in lines:
            answer = bot.answer()
            self.told.append(Told(line, answer, sent, time.monotonic()))
            if line["op"] == "check" and answer.get("allowed") and not answer.get("replayed"):
                approved.append(line)

    def _browser(self, rng: random.Random, name: str) -> None:
        with self.daemon.admin() as ask:
            number = 0
            while not self._over.is_set():
                number += 1
                body = order(f"{name}-{number}", quantity=rng.choice(("0.001", "500")))
                sent = time.monotonic()
                answer = ask("POST", "/v1/orders/check", body).json
                self.told.append(Told({"op": "check", **body}, answer, sent, time.monotonic()))

    def _operator(self, rng: random.Random, name: str) -> None:
        moves = ["halt", "cooldown", "trigger", *["resume"] * 4, *["recover"] * 3, *["complete-recovery"] * 3]
        with self.daemon.admin() as ask:
            while not self._over.wait(rng.uniform(0, 0.03)):
                move = rng.choice(moves)
                body: dict[str, Any] = {"reason": f"{name} {move}", "actor": "operator"}
                if move == "cooldown":
                    body["minutes"] = 60
                elif move == "recover":
                    body["approved_by"] = "head"
                elif move == "complete-recovery":
                    open_cancels = ask("GET", "/v1/cancel-requests")["cancel_requests"]
                    body = {"accept": [row["id"] for row in open_cancels]}
                elif move == "resume":
                    body["rebase_peak"] = True
                place = "admin" if move in ("halt", "resume", "cooldown") else "kill-switch"
                sent = time.monotonic()
                self.under_way = move
                answer = ask("POST", f"/v1/{place}/{move}", body)
                self.under_way = None
                self.ordered.append(Told({"op": move}, answer.json | {"status": answer.status}, sent, time.monotonic()))


def _late(told: Told) -> Told:
    stop = told.asked["op"] in ("halt", "trigger")
    return replace(told, answer=told.answer | ({"durable": False} if stop else {"status": 503}))
