"""A client that goes away at a moment that no test of a real one hits reliably."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiohttp import StreamReader, web
from multidict import CIMultiDict

from weltklassebot.api.access import Access, Known
from weltklassebot.api.doors import Doors
from weltklassebot.api.route_table import Call, Route
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import Principal
from weltklassebot.runtime.refusals import Refusals


class _Gone:
    """Its connection was lost between the start of its body and the question for the rest, as aiohttp tells of it."""

    method = "POST"
    raw_path = "/v1/fills"
    body_exists = True
    content_length = 100
    transport = None

    def __init__(self) -> None:
        self.connected = False
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.door = "admin"
        self.content = StreamReader(cast(Any, self), 2**16)
        self.protocol = self
        self.known = Known("", -1, Principal("desk", "trader"))

    async def read(self) -> bytes:
        return await self.content.readany()


async def test_who_hangs_up_in_the_middle_of_a_body_is_no_fault() -> None:
    async def handler(call: Call) -> Any:
        raise AssertionError("there is nobody who asks")

    doors = Doors(Access(cast(Any, None), cast(Any, None), Refusals(None)), Metrics(), Faults(None), 5.0)
    serve = doors.handler([Route("POST", "/v1/fills", "trader", handler)])
    with pytest.raises(ConnectionResetError):
        await serve(cast(web.BaseRequest, _Gone()))
