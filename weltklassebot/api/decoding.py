"""Bytes to commands. What leaves here is well-formed and makes sense; everything else is a `Problem` with its field."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from weltklassebot.core import commands as c
from weltklassebot.core.validation import NUMBER_FIELDS, Invalid, validate
from weltklassebot.runtime.answers import FieldError, Problem

__all__ = ["BadInput", "check", "command_from", "decode", "decoder", "problem"]

T = TypeVar("T")
_SUSPICIOUS: Final = re.compile(rb"_(?:(?<=[0-9]_)|(?=[0-9]))").search
"""An underscore beside a digit. It begins with the underscore because a search for a literal start is fast."""
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_PATH: Final = re.compile(r"(?P<message>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>.*)`", re.DOTALL)


class BadInput(Exception):
    """Input that was not understood, as a `Problem`."""

    def __init__(self, answer: Problem) -> None:
        super().__init__(answer.detail)
        self.problem = answer


def problem(field: str, message: str, *, status: int = 422) -> BadInput:
    field, message = field[:200], message[:500]
    title = "Not understood" if status == 400 else "Not acceptable"
    detail = f"{field}: {message}" if field else message
    return BadInput(
        Problem(type="bad_input", title=title, status=status, detail=detail, errors=[FieldError(field, message)])
    )


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(data: bytes, with_decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a body or a line. Raises `BadInput`: 400 for what is no JSON, 422 for what is not what was asked for."""
    if _SUSPICIOUS(data) is not None or not data.isascii():
        _look_closely(data)
    try:
        return with_decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("", f"no valid JSON: {error}", status=400) from None
    except (ArithmeticError, ValueError, OverflowError):
        raise problem("", "a number is out of range") from None


def check(command: c.AnyCommand) -> None:
    """Raise `BadInput` for a command that makes no sense."""
    try:
        validate(command)
    except Invalid as invalid:
        raise problem(invalid.field, invalid.message) from None


def command_from(data: bytes, with_decoder: msgspec.json.Decoder[Any]) -> Any:
    """Decode and validate one command."""
    command = decode(data, with_decoder)
    check(command)
    return command


def _explain(text: str) -> BadInput:
    """msgspec says where in its message; put it into `field`."""
    match = _PATH.fullmatch(text)
    message, path = (match["message"], match["path"] or "") if match else (text, "")
    for pattern, words in ((_UNKNOWN, "unknown field"), (_MISSING, "is required")):
        if found := pattern.fullmatch(message):
            field = found["field"]
            return problem(f"{path}.{field}" if path else field, words)
    return problem(path, message)


def _look_closely(data: bytes) -> None:
    """Python reads "1_000" and Arabic digits as numbers; nobody else does."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the decoder proper will say so
    for field, text in _number_texts(tree):
        if not _NUMBER(text.strip()):
            raise problem(field, "must be a plain decimal number")


def _number_texts(tree: Any) -> list[tuple[str, str]]:
    """Every text in the place of a number, one level of orders or marks deep."""
    found: list[tuple[str, str]] = []
    rows = [tree]
    if isinstance(tree, dict):
        for name in ("orders", "marks"):
            if isinstance(tree.get(name), list):
                rows += tree[name]
        if isinstance(tree.get("set"), dict):
            found += [(f"set.{key}", text) for key, text in tree["set"].items() if isinstance(text, str)]
    for row in rows:
        if isinstance(row, dict):
            found += [(key, row[key]) for key in NUMBER_FIELDS if isinstance(row.get(key), str)]
    return found
