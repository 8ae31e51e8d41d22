"""`[risk]`, `[symbols.X]` and `[accounts.X]`: the core's own structs as settings, field by field.

The models are made from the structs, so the two cannot drift: a field without a range here fails at import, and a new
one is a setting, with its default, as soon as it has one.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model

from weltklassebot.core.names import id_error
from weltklassebot.core.parameters import (
    LIMITS,
    MOST_COUNTED,
    NEVER_UNLIMITED,
    OF_EQUITY,
    REST,
    WHOLE,
    Account,
    Instrument,
    Parameters,
    Venue,
    limit_error,
)
from weltklassebot.settings.validators import validated
from weltklassebot.settings.values import Parser, boolean, choice, decimal, number, optional, text, whole

__all__ = [
    "NONE_WORDS", "AccountSettings", "Risk", "SymbolSettings", "VenueSettings", "instrument_of", "none_word",
    "parameters_of",
]  # fmt: skip

NONE_WORDS: Final = {
    **{key: "unlimited" for key in LIMITS if key not in NEVER_UNLIMITED},
    "max_equity_age_seconds": "off",
    "max_start_step_days": "off",
    "equity_max_step": "auto",
    "require_equity": "auto",
    "require_mark": "auto",
    "currency": "base",
    "tick": "any",
    "lot": "any",
    "delta": "none",
    "asset": "none",
    "underlying": "none",
    "expiry": "none",
    "min_price": "any",
    "max_price": "any",
    "mark_max_step": "off",
    "accounts": "all",
    "strategies": "all",
    "kinds": "all",
    "sources": "all",
    "symbols.mark_max_step": "desk",
    "keep_days": "all",
    "max_bytes": "unlimited",
    "checkpoint_secret": "none",
    "checkpoint_url": "none",
    "checkpoint_token": "none",
}
"""How `None` is written for each setting that may be it, by its name, or its table and its name where that matters."""

_NEW_DEFAULTS: Final = {
    "max_start_step_days": 30.0,
    "recovery_cooldown_seconds": 300.0,
    "equity_max_step": None,
    "equity_confirmations": 3,
    "require_equity": None,
    "mark_max_step": Decimal("0.5"),
    "open_orders_share": Decimal("0.25"),
}
"""Where the core's own default is what an old start record means that does not name the parameter."""

_MOST_ALIASES: Final = 100
_DAY = 86_400.0
_MILLION = 1_000_000


def _timezone(value: Any) -> str:
    name = text(allowed="must be the name of a time zone")(value)
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not in the time zone database; names look like Europe/Berlin or UTC") from None
    return str(name)


def _id(value: Any) -> str:
    if error := id_error(value):
        raise ValueError(error)
    return str(value)


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MOST_ALIASES:
        raise ValueError(f"must be a list of at most {_MOST_ALIASES} spellings")
    return tuple(_id(one) for one in value)


def _moment(value: Any) -> str:
    said = str(value)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise ValueError("must be a moment like 2027-03-26T08:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("must say its offset, like 2027-03-26T08:00:00Z")
    return said


_PARSERS: Final[dict[str, Parser]] = {
    "recovery_cooldown_seconds": number(0.0, 7 * _DAY),
    "max_doubtful_fills": whole(1, _MILLION),
    "doubtful_fill_window_seconds": number(0.0, 7 * _DAY, above=True),
    "approval_ttl_seconds": number(0.0, _DAY, above=True),
    "base_currency": _id,
    "max_mark_age_seconds": number(0.0, 365 * _DAY, above=True),
    "equity_max_step": decimal(0, 1000, above=True, what="a fraction (0.2 is 20 %)"),
    "equity_confirmations": whole(1, 1000),
    "max_equity_age_seconds": number(0.0, 365 * _DAY, above=True),
    "timezone": _timezone,
    "day_roll": text(r"([01][0-9]|2[0-3]):[0-5][0-9]", "must be a time of day, HH:MM from 00:00 to 23:59"),
    "max_clock_step_seconds": number(0.0, _DAY, above=True),
    "max_start_step_days": number(0.0, 36_500.0, above=True),
    "max_start_step_unsynchronised_days": number(0.0, 36_500.0, above=True),
    "max_open_orders": whole(1, _MILLION),
    "max_remembered": whole(1, 10 * _MILLION),
    "max_remembered_per_strategy": whole(1, 10 * _MILLION),
    "max_remembered_denials": whole(1, 10 * _MILLION),
    "max_symbols": whole(1, _MILLION),
    "max_accounts": whole(1, _MILLION),
    "max_doubtful": whole(1, _MILLION),
    "currency": _id,
    "multiplier": decimal(0, 10**12, above=True),
    "tick": decimal(0, 10**12, above=True),
    "lot": decimal(0, 10**12, above=True),
    "delta": decimal(-(10**6), 10**6),
    "aliases": _ids,
    "asset": _id,
    "underlying": _id,
    "expiry": _moment,
    "mark_max_step": decimal(0, 1000, above=True, what="a fraction (0.5 is 50 %)"),
    "mark_confirmations": whole(1, 1000),
    "mark_confirm_seconds": number(0.0, _DAY),
    "min_price": decimal(-(10**18) + 1, 10**18 - 1),
    "max_price": decimal(-(10**18) + 1, 10**18 - 1),
    "open_orders_share": decimal(0, 1, above=True, what="a fraction (0.25 is 25 %)"),
}


def _limit(key: str) -> Parser:
    """A limit has the range that it has at run time."""
    parse_number = decimal(0, 10**18 - 1)
    parse_whole = whole(0, MOST_COUNTED)

    def parse(value: Any) -> Decimal | int:
        found: Decimal | int = parse_whole(value) if key in WHOLE else parse_number(value)
        if error := limit_error(key, Decimal(found)):
            raise ValueError(error)
        return found

    return parse


def none_word(table: str, key: str) -> str:
    return NONE_WORDS.get(f"{table}.{key}") or NONE_WORDS[key]


def _parser(table: str, key: str, kind: Any) -> Parser:
    """The parser of a field of the core, by its name and its type."""
    may_be_none = get_origin(kind) in (Union, UnionType) and type(None) in get_args(kind)
    if may_be_none:
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if key in LIMITS:
        parse = _limit(key)
    elif get_origin(kind) is Literal:
        parse = choice(*get_args(kind))
    elif kind is bool:
        parse = boolean()
    else:
        parse = _PARSERS[key]
    return optional(parse, none_word(table, key)) if may_be_none else parse


def _model_of(
    struct: type[msgspec.Struct],
    name: str,
    *,
    table: str = "",
    without: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> type[BaseModel]:
    hints = get_type_hints(struct)
    definitions: dict[str, Any] = {
        field.name: (
            Annotated[hints[field.name], validated(_parser(table, field.name, hints[field.name]))],
            defaults.get(field.name, field.default),
        )
        for field in msgspec.structs.fields(struct)
        if field.name not in without
    }
    return create_model(name, __config__=ConfigDict(frozen=True, extra="forbid"), **definitions)


if TYPE_CHECKING:
    Risk = BaseModel
    _Symbol = BaseModel
    _Venue = BaseModel
    _Account = BaseModel
else:
    Risk = _model_of(Parameters, "Risk", without=frozenset({"symbols", "venues", "accounts"}), defaults=_NEW_DEFAULTS)
    _Symbol = _model_of(Instrument, "Symbol", table="symbols")
    _Venue = _model_of(Venue, "Venue")
    _Account = _model_of(Account, "Account")


def _symbol_name(value: Any) -> str:
    if error := id_error(value):
        raise ValueError(f'a symbol {error}; "{REST}" stands for the rest')
    return str(value)


SymbolSettings = Annotated[
    dict[Annotated[str, validated(_symbol_name)], _Symbol],
    Field(max_length=10_000),
]


VenueSettings = Annotated[dict[Annotated[str, validated(_id)], _Venue], Field(max_length=1_000)]
AccountSettings = Annotated[dict[Annotated[str, validated(_id)], _Account], Field(max_length=1_000)]


def instrument_of(model: BaseModel) -> Instrument:
    return Instrument(**dict(model))


def parameters_of(
    risk: BaseModel, symbols: dict[str, Any], venues: dict[str, Any], accounts: dict[str, Any]
) -> Parameters:
    """The core's parameters, whole. Somebody who names a drawdown limit means that equity is reported."""
    values = dict(risk)
    named = risk.model_fields_set & set(OF_EQUITY)
    if values["require_equity"] is None and any(values[key] is not None for key in named):
        values["require_equity"] = True
    return Parameters(
        **values,
        symbols={name: instrument_of(model) for name, model in symbols.items()},
        venues={name: Venue(**dict(model)) for name, model in venues.items()},
        accounts={name: Account(**dict(model)) for name, model in accounts.items()},
    )
