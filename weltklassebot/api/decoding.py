"""Bytes to commands. What leaves here is well-formed and makes sense; everything else is a `Problem` with its field."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from weltklassebot.core import commands as c
from weltklassebot.core import grammar
from weltklassebot.core.grammar import NotWritten, unix_seconds
from weltklassebot.core.validation import NUMBER_FIELDS, Invalid, validate
from weltklassebot.runtime.answers import FieldError, Problem

__all__ = ["BadInput", "check", "command_from", "convert", "decode", "decoder", "problem"]

T = TypeVar("T")
_TIME_FIELDS: Final = ("ts", "as_of")
_ROWS: Final = ("orders", "marks")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS_RAW: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SUSPICIOUS: Final = re.compile(rb"_(?:(?<=[0-9]_)|(?=[0-9]))").search
"""An underscore beside a digit. It begins with the underscore because a search for a literal start is fast."""
_PADDED: Final = re.compile(rb' (?:"(?<![:,] ")|(?<=" )[-+.0-9 ])').search
"""A space before a closing quote, or between an opening one and a number. What is compact is not searched."""
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
    if _SUSPICIOUS(data) or b"\\" in data or not data.isascii() or (b" " in data and _PADDED(data)):
        _look_closely(data)
    try:
        try:
            return with_decoder.decode(data)
        except msgspec.ValidationError:
            # The daemon's own clients send numbers, so only what is refused is searched for other words of time.
            if (with_numbers := _times_as_numbers(data)) is None:
                raise
            return with_decoder.decode(with_numbers)
    except msgspec.ValidationError as error:
        _look_closely(data)
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise problem("", f"no valid JSON: {error}", status=400) from None
    except (ArithmeticError, ValueError, OverflowError):
        raise problem("", "a number is out of range") from None


def convert(tree: Any, kind: type[T]) -> T:
    """What was read as plain objects already, as `decode` would have it. Raises `BadInput`."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
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


def _times_as_numbers(data: bytes | msgspec.Raw, place: str = "") -> bytes | None:
    """The same with every text in the place of a time as a number; None if there is none. Raises `BadInput`.

    Members are moved as the bytes that they are: a price would lose digits on its way through a float.
    """
    try:
        members = _MEMBERS.decode(data)
        rows = _ROWS_RAW.decode(members["marks"]) if "marks" in members and not place else []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = False
    for name in _TIME_FIELDS:
        if bytes(members.get(name, b""))[:1] == b'"':
            found = True
            try:
                members[name] = msgspec.Raw(repr(unix_seconds(msgspec.json.decode(members[name], type=str))).encode())
            except NotWritten as error:
                raise problem(place + name, str(error)) from None
    for number, row in enumerate(rows):
        if (changed := _times_as_numbers(row, f"marks[{number}].")) is not None:
            found = True
            rows[number] = msgspec.Raw(changed)
    if rows:
        members["marks"] = msgspec.Raw(msgspec.json.encode(rows))
    return msgspec.json.encode(members) if found else None


def _look_closely(data: bytes) -> None:
    """Refuse texts that are no numbers: Python reads "1_000", " 5" and Arabic digits too, escaped or not."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the decoder proper will say so
    for field, text in _number_texts(tree):
        try:
            grammar.number(text)
        except NotWritten as error:
            raise problem(field, str(error)) from None


def _rows(tree: Any) -> list[dict[str, Any]]:
    """The object itself, and those of its orders or marks."""
    if not isinstance(tree, dict):
        return []
    rows = [tree]
    for name in _ROWS:
        if isinstance(tree.get(name), list):
            rows += [row for row in tree[name] if isinstance(row, dict)]
    return rows


def _number_texts(tree: Any) -> list[tuple[str, str]]:
    """Every text in the place of a number, one level of orders or marks deep."""
    found = [(key, row[key]) for row in _rows(tree) for key in NUMBER_FIELDS if isinstance(row.get(key), str)]
    if isinstance(tree, dict) and isinstance(tree.get("set"), dict):
        found += [(f"set.{key}", text) for key, text in tree["set"].items() if isinstance(text, str)]
    return found
