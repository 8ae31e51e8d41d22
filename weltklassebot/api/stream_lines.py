"""What a client may say on the order stream: one line, one command."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from weltklassebot.api.decoding import BadInput, check, decode
from weltklassebot.core.commands import CheckOrder, Mark, ReportEquity, ReportFill, ReportOrder
from weltklassebot.runtime.answers import Problem

__all__ = ["MAX_ENDLESS_BYTES", "MAX_LINE_BYTES", "Ack", "Subscribe", "understand"]

MAX_LINE_BYTES: Final = 64 * 1024
MAX_ENDLESS_BYTES: Final = 2 * MAX_LINE_BYTES
"""A line of more bytes than that, wherever its end may be, is the last one on its connection."""


class Subscribe(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"):
    """From now on, tell of stops."""


class Ack(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="ack"):
    """A stop has arrived."""

    id: str


_LINES: Final = msgspec.json.Decoder(CheckOrder | ReportOrder | ReportFill | Mark | ReportEquity | Subscribe | Ack)


def understand(line: bytes) -> Any:
    """The command. Raises `BadInput`."""
    if len(line) > MAX_LINE_BYTES:
        detail = f"at most {MAX_LINE_BYTES} bytes"
        raise BadInput(Problem(type="too_large", title="Line too long", status=413, detail=detail))
    command: Any = decode(line, _LINES)
    if type(command) is not Subscribe and type(command) is not Ack:
        check(command)
    return command
