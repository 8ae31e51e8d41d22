from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.service import Service
from weltklassebot.client import Answer, AsyncRiskClient, RiskClient

DOORS = ["stream", "async stream", "tcp", "async tcp", "admin.sock"]


@pytest.fixture
def service() -> Iterator[Service]:
    # The path of a unix socket is short; pytest's own folders are not.
    with tempfile.TemporaryDirectory() as directory:
        running = Service(Path(directory))
        yield running
        running.end()


class Bot:
    """A bot at one of the doors; blocking, whatever its client is."""

    def __init__(self, door: str, service: Service) -> None:
        self.door = door
        self.web = "stream" not in door
        addresses = {"stream": service.orders, "tcp": service.tcp, "admin.sock": service.admin}
        self._address = addresses[door.removeprefix("async ")]
        self._token = "secret" if door.endswith("tcp") else None

    def ask(self, *ids: str, timeout: float = 5, last_timeout: float | None = None) -> list[Answer]:
        """Check orders one after the other with one client."""
        order = {"symbol": "BTC-EUR", "side": "buy", "quantity": "1"}
        timeouts = [timeout] * (len(ids) - 1) + [last_timeout or timeout]
        pairs = list(zip(ids, timeouts, strict=True))
        if self.door.startswith("async"):

            async def run() -> list[Answer]:
                async with AsyncRiskClient(self._address, token=self._token, backoff=(0, 0)) as client:
                    return [await client.check(order, client_order_id=name, timeout=limit) for name, limit in pairs]

            return asyncio.run(run())
        with RiskClient(self._address, token=self._token, backoff=(0, 0)) as client:
            return [client.check(order, client_order_id=name, timeout=limit) for name, limit in pairs]


@pytest.fixture(params=DOORS)
def bot(request: pytest.FixtureRequest, service: Service) -> Bot:
    return Bot(request.param, service)
