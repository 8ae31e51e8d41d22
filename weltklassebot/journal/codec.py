"""Records to bytes and back.

`encode` gives a line without its closing brace: batch and hash are spliced in behind it by `chain.seal`. `decode`
reads a whole line and passes over those two. Exact numbers are printed plainly, without an exponent, whatever their
size.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from weltklassebot.core.records import Record
from weltklassebot.journal.chain import seal

__all__ = ["decode", "encode", "encode_plainly", "seal"]

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Record).decode


def encode(record: Record) -> bytes:
    """The record's line up to its closing brace."""
    return encode_plainly(record)[:-1]


def encode_plainly(value: Any) -> bytes:
    """Anything that msgspec knows as JSON, with exact numbers as plain strings."""
    text = _encode(value)
    if b"E-" in text or b"E+" in text:
        # Either a Decimal that msgspec prints as "1E-7", or an id that happens to look like one: only the structure
        # knows which.
        text = _encode(_plainly(msgspec.to_builtins(value, builtin_types=(Decimal,))))
    return text


def decode(line: bytes) -> Record:
    """The record in a line. Raises `msgspec.DecodeError` for one that this version does not understand."""
    return _decode(line)


def _plainly(value: Any) -> Any:
    match value:
        case Decimal():
            text = str(value)
            # Zeros behind the point stay: sums made from what is read back must print as those made before.
            return format(value, "f") if "E" in text else text
        case dict():
            return {key: _plainly(member) for key, member in value.items()}
        case list() | tuple():
            return [_plainly(member) for member in value]
        case _:
            return value
