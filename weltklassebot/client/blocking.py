"""The client for bots that block."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Self, Unpack

from weltklassebot.client.address import Address
from weltklassebot.client.answers import Answer, Outcome, Receipt, judge, receipt
from weltklassebot.client.connections import Connection, StreamConnection
from weltklassebot.client.errors import RefusedError, RiskClientError, Unreachable
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
from weltklassebot.client.pool import Backoff, Pool
from weltklassebot.client.pushes import Push, Subscription

__all__ = ["RiskClient", "may_retry", "opener"]


def opener(address: Address, token: str | None) -> Callable[[float], Connection]:
    """What opens a connection to `address`: called with a monotonic deadline, it raises Unreachable."""
    if address.scheme == "unix":
        if token is not None:
            raise ValueError("the order stream knows who asks by the socket: it takes no token")
        return partial(StreamConnection, address)
    from weltklassebot.client.web import WebConnection, bearer  # noqa: PLC0415 - http.client is slow to import

    return partial(WebConnection, address, bearer(token))


def may_retry(asked: Command, error: RiskClientError) -> bool:
    """Whether saying it again can help and do no harm.

    A report, a fill and a mark mean the same when they are said twice; an equity report does not (a doubtful
    one would confirm itself), so it is said again only if it was never sent.
    """
    if isinstance(error, Unreachable):
        return error.reason != "closed"
    if isinstance(error, RefusedError) and error.status < 500:
        return False
    return asked.op != "equity"


class RiskClient:
    """Asks the risk service; safe to share between threads.

    `address` is `unix:/run/…/orders.sock` (the order stream), `http+unix:/run/…/admin.sock`, or
    `http://127.0.0.1:9000` with a `token`. `account`, `strategy` and `venue` are said with every order that does not
    say its own. `timeout` is in seconds and covers a whole call but the look-up of a host name: give an IP address.
    `connections` bounds how many threads are served at once. Pauses between attempts to connect, and between retries,
    grow from `backoff[0]` to `backoff[1]` seconds; a call made in a pause between attempts to connect fails at once.

    Wrong types in a call raise TypeError or ValueError before anything is sent.
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
        connections: int = 8,
        backoff: tuple[float, float] = (0.01, 0.5),
    ) -> None:
        if timeout <= 0 or connections < 1:
            raise ValueError("timeout and connections must be positive")
        self._address = Address.parse(address)
        self._defaults = {"account": account, "strategy": strategy, "venue": venue}
        self._timeout = timeout
        self._pauses = backoff
        self._pool = Pool(opener(self._address, token), connections, Backoff(*backoff))
        self._subscriptions: list[Subscription] = []

    def check(
        self, order: Mapping[str, object] | None = None, *, timeout: float | None = None, **fields: Unpack[OrderFields]
    ) -> Answer:
        """May this order go out? Ask with a dict, with keywords, or with both (keywords win).

        Whatever goes wrong on the way is an `Answer` with `allowed=False`; see `answers` for the reasons. An order
        without a client_order_id gets one; it is in the answer.
        """
        asked = check_command({**(order or {}), **fields}, self._defaults)
        return judge(asked, self._ask([asked], timeout)[0])

    def check_many(self, orders: Iterable[Mapping[str, object]], *, timeout: float | None = None) -> list[Answer]:
        """Check orders in their order, in as few round trips as possible. One answer an order; `timeout` is for all."""
        asked = [check_command(order, self._defaults) for order in orders]
        outcomes = self._ask(asked, timeout) if asked else []
        return [judge(each, outcome) for each, outcome in zip(asked, outcomes, strict=True)]

    def report(
        self,
        client_order_id: str,
        status: str,
        *,
        timeout: float | None = None,
        retries: int = 0,
        **fields: Unpack[ReportExtras],
    ) -> Receipt:
        """Say what became of an order. Raises RiskClientError unless it is recorded; retrying it is safe."""
        said = {"client_order_id": client_order_id, "status": status, **fields}
        return self._say("order_event", said, timeout, retries)

    def fill(self, *, timeout: float | None = None, retries: int = 0, **fields: Unpack[FillFields]) -> Receipt:
        """Say what was executed. Raises RiskClientError unless it is recorded; retrying it is safe."""
        return self._say("fill", fields, timeout, retries)

    def mark(
        self,
        symbol: str,
        price: Number,
        *,
        timeout: float | None = None,
        retries: int = 0,
        **fields: Unpack[MarkExtras],
    ) -> Receipt:
        """Say a price. Raises RiskClientError unless it is taken; retrying it is safe.

        The receipt's `counted` is false where the service takes prices from others alone.
        """
        return self._say("mark", {"symbol": symbol, "price": price, **fields}, timeout, retries)

    def equity(
        self, equity: Number, *, timeout: float | None = None, retries: int = 0, **fields: Unpack[EquityExtras]
    ) -> Receipt:
        """Say an account's equity, in the base currency. Raises RiskClientError unless it is recorded.

        Only a report that was never sent is retried. A `flow` needs a `flow_id`: the same one counts once. The
        receipt's `counted` is false where the service takes equity from others alone: then nothing is recorded.
        """
        return self._say("equity", {"equity": equity, **fields}, timeout, retries)

    def subscribe(self, handler: Callable[[Push], object]) -> Subscription:
        """Call `handler` with every stop and cancel request, in a thread of its own. Only on the order stream."""
        if self._address.scheme != "unix":
            raise ValueError("pushes come on the order stream: give a unix:/…/orders.sock address")
        subscription = Subscription(self._address, handler, Backoff(*self._pauses))
        self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """End the subscriptions and close the connections. A check after it is denied, a report raises."""
        self._pool.close()
        for subscription in self._subscriptions:
            subscription.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, commands: list[Command], timeout: float | None) -> list[Outcome]:
        return self._pool.ask(commands, time.monotonic() + (self._timeout if timeout is None else timeout))

    def _say(self, op: str, fields: Mapping[str, object], timeout: float | None, retries: int) -> Receipt:
        said = command(op, fields, self._defaults)
        pauses = Backoff(*self._pauses)
        while True:
            try:
                return receipt(said, self._ask([said], timeout)[0])
            except RiskClientError as error:
                if retries <= 0 or not may_retry(said, error):
                    raise
            retries -= 1
            pauses.failed()
            time.sleep(max(pauses.pause(), self._pool.pause()))
