"""Parsers of values as validators of pydantic."""

from __future__ import annotations

from typing import Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from weltklassebot.settings.values import Parser

__all__ = ["validated"]


def validated(parse: Parser) -> PlainValidator:
    """The parser as a pydantic validator, its message unadorned."""

    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise PydanticCustomError("value", "{what}", {"what": str(error)}) from None

    return PlainValidator(validate)
