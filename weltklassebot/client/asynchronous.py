"""The client for bots that run on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Protocol, Self, Unpack

from weltklassebot.client.address import Address
from weltklassebot.client.answers import Answer, Outcome, Receipt, judge, receipt
from weltklassebot.client.blocking import may_retry, opener
from weltklassebot.client.errors import RiskClientError, Unanswered, Unreachable
from weltklassebot.client.listener import require_service
from weltklassebot.client.messages import (
    Command,
    EquityExtras,
    FillFields,
    MarkExtras,
    Number,
    OrderFields,
    ReportExtras,
    check_command,
    command,
)
from weltklassebot.client.pipeline import Pipeline
from weltklassebot.client.pool import Backoff, Pool
from weltklassebot.client.pushes import SUBSCRIBE, Inbox, Push, acknowledgement

__all__ = ["AsyncRiskClient"]

_CONNECT_SECONDS: Final = 5.0
_THREADS: Final = 8


class AsyncRiskClient:
    """Asks the risk service; for any number of tasks of one event loop.

    The arguments and methods are those of `RiskClient`, awaited. On the order stream all requests share one connection
    with up to `window` in flight; over HTTP they share eight connections, each served by a thread.
    A request that finds no room in flight waits for it, within its timeout.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        account: str = "default",
        strategy: str = "default",
        venue: str = "default",
        timeout: float = 1.0,
        window: int = 1024,
        backoff: tuple[float, float] = (0.01, 0.5),
    ) -> None:
        if timeout <= 0 or window < 1:
            raise ValueError("timeout and window must be positive")
        self._address = Address.parse(address)
        self._defaults = {"account": account, "strategy": strategy, "venue": venue}
        self._timeout = timeout
        self._pauses = backoff
        open_connection = opener(self._address, token)
        self._transport: _Transport
        if self._address.scheme == "unix":
            self._transport = Pipeline(self._address.path, window, Backoff(*backoff), patience=2 * timeout)
        else:
            self._transport = _Threads(Pool(open_connection, _THREADS, Backoff(*backoff)), _THREADS, window)
        self._closing = asyncio.Event()
        self._listening: set[asyncio.StreamWriter] = set()
        self._subscribed: set[asyncio.StreamWriter] = set()

    async def check(
        self, order: Mapping[str, object] | None = None, *, timeout: float | None = None, **fields: Unpack[OrderFields]
    ) -> Answer:
        """May this order go out? See `RiskClient.check`."""
        asked = check_command({**(order or {}), **fields}, self._defaults)
        return judge(asked, (await self._ask([asked], timeout))[0])

    async def check_many(self, orders: Iterable[Mapping[str, object]], *, timeout: float | None = None) -> list[Answer]:
        """Check orders in their order, all in flight at once. One answer an order; `timeout` is for all."""
        asked = [check_command(order, self._defaults) for order in orders]
        outcomes = await self._ask(asked, timeout) if asked else []
        return [judge(each, outcome) for each, outcome in zip(asked, outcomes, strict=True)]

    async def report(
        self,
        client_order_id: str,
        status: str,
        *,
        timeout: float | None = None,
        retries: int = 0,
        **fields: Unpack[ReportExtras],
    ) -> Receipt:
        """Say what became of an order. See `RiskClient.report`."""
        said = {"client_order_id": client_order_id, "status": status, **fields}
        return await self._say("order_event", said, timeout, retries)

    async def fill(self, *, timeout: float | None = None, retries: int = 0, **fields: Unpack[FillFields]) -> Receipt:
        """Say what was executed. See `RiskClient.fill`."""
        return await self._say("fill", fields, timeout, retries)

    async def mark(
        self,
        symbol: str,
        price: Number,
        *,
        timeout: float | None = None,
        retries: int = 0,
        **fields: Unpack[MarkExtras],
    ) -> Receipt:
        """Say a price. See `RiskClient.mark`."""
        return await self._say("mark", {"symbol": symbol, "price": price, **fields}, timeout, retries)

    async def equity(
        self, equity: Number, *, timeout: float | None = None, retries: int = 0, **fields: Unpack[EquityExtras]
    ) -> Receipt:
        """Say an account's equity. See `RiskClient.equity` for what is retried."""
        return await self._say("equity", {"equity": equity, **fields}, timeout, retries)

    async def events(self) -> AsyncGenerator[Push, None]:
        """Every stop and cancel request, until the client is closed; connects again when it must.

        A push is acknowledged when the next one is asked for: leave the loop within a push and it comes again.
        """
        if self._address.scheme != "unix":
            raise ValueError("pushes come on the order stream: give a unix:/…/orders.sock address")
        pauses = Backoff(*self._pauses)
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    reader, writer = await self._subscription()
            except OSError:  # TimeoutError is one
                await self._rest(pauses)
                continue
            self._listening.add(writer)
            try:
                writer.write(SUBSCRIBE)
                inbox = Inbox()
                while not self._closing.is_set():
                    inbox.feed(await reader.read(65536))
                    if inbox.subscribed:
                        pauses.succeeded()
                        self._subscribed.add(writer)
                    while not self._closing.is_set() and (push := inbox.next()) is not None:
                        yield push
                        writer.write(acknowledgement(push))
            except (RiskClientError, OSError):
                await self._rest(pauses)
            finally:
                self._subscribed.discard(writer)
                self._listening.discard(writer)
                writer.close()

    async def _subscription(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self._address.path)
        try:
            require_service(writer.get_extra_info("socket"), self._address.path)
        except OSError:
            writer.close()
            raise
        return reader, writer

    @property
    def subscribed(self) -> bool:
        """Whether pushes arrive at the moment."""
        return bool(self._subscribed)

    async def aclose(self) -> None:
        """End `events` and close the connections. A check after it is denied, a report raises."""
        self._closing.set()
        for writer in tuple(self._listening):
            writer.close()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, commands: list[Command], timeout: float | None) -> list[Outcome]:
        seconds = self._timeout if timeout is None else timeout
        return await self._transport.ask(commands, time.monotonic() + seconds)

    async def _say(self, op: str, fields: Mapping[str, object], timeout: float | None, retries: int) -> Receipt:
        said = command(op, fields, self._defaults)
        pauses = Backoff(*self._pauses)
        while True:
            try:
                return receipt(said, (await self._ask([said], timeout))[0])
            except RiskClientError as error:
                if retries <= 0 or not may_retry(said, error):
                    raise
            retries -= 1
            pauses.failed()
            await asyncio.sleep(max(pauses.pause(), self._transport.pause()))

    async def _rest(self, pauses: Backoff) -> None:
        pauses.failed()
        try:
            async with asyncio.timeout(pauses.pause()):
                await self._closing.wait()
        except TimeoutError:
            pass


class _Transport(Protocol):
    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Outcome]: ...

    def pause(self) -> float: ...

    async def aclose(self) -> None: ...


class _Threads:
    """The blocking connections, each used by a thread; at most `window` calls wait for one."""

    def __init__(self, pool: Pool, connections: int, window: int) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="risk-client")
        self._room = asyncio.Semaphore(window)
        self.pause = pool.pause

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Outcome]:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._room.acquire()
        except TimeoutError:
            return [Unreachable("no room in flight", reason="timeout")] * len(commands)
        try:
            asked = self._threads.submit(self._pool.ask, commands, deadline)
        except RuntimeError:
            self._room.release()
            return [Unreachable("the client is closed", reason="closed")] * len(commands)
        answered = asyncio.wrap_future(asked)
        answered.add_done_callback(lambda _: self._room.release())
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await answered
        except TimeoutError:
            return [Unanswered("no answer in time", reason="timeout")] * len(commands)

    async def aclose(self) -> None:
        self._pool.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
