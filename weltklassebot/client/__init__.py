"""What a bot imports to ask the risk service before every order. Standard library only.

>>> from weltklassebot.client import RiskClient
>>> with RiskClient("unix:/run/weltklassebot/orders.sock", strategy="ma_crossover") as risk:
...     answer = risk.check(symbol="BTC-EUR", side="buy", quantity="0.5", price="64000")
...     if answer:  # allowed, and still valid
...         print("send it as", answer.client_order_id)
...         receipt = risk.report(answer.client_order_id, "sent", retries=3)
...     else:
...         print("keep it:", *answer.reasons)
send it as ma_crossover-...

`check` raises nothing that goes wrong on the way: no answer, a late one or a damaged one is a denial with its reason.
Reports, fills, marks and equity raise a `RiskClientError` unless they are recorded; a receipt is not `counted` where
the service takes prices, or equity, from others alone. `AsyncRiskClient` has the same methods, awaited. Stops and
cancel requests come to `RiskClient.subscribe(handler)` or `AsyncRiskClient.events()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weltklassebot.client.answers import Answer, Denial, Receipt
from weltklassebot.client.blocking import RiskClient
from weltklassebot.client.errors import BadAnswer, RefusedError, RiskClientError, Unanswered, Unreachable
from weltklassebot.client.pushes import Push, Subscription

if TYPE_CHECKING:
    from weltklassebot.client.asynchronous import AsyncRiskClient

__all__ = [
    "Answer", "AsyncRiskClient", "BadAnswer", "Denial", "Push", "Receipt", "RefusedError", "RiskClient",
    "RiskClientError", "Subscription", "Unanswered", "Unreachable",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import asyncio only for those who use it."""
    if name == "AsyncRiskClient":
        from weltklassebot.client.asynchronous import AsyncRiskClient  # noqa: PLC0415

        return AsyncRiskClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
