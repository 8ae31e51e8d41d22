"""What is said about settings: one line a problem, one form a value, no secret in either."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from weltklassebot.core.numbers import plain
from weltklassebot.settings.credentials import CREDENTIAL
from weltklassebot.settings.model import Settings
from weltklassebot.settings.risk import none_word
from weltklassebot.settings.sources import quoted

__all__ = ["HIDDEN", "OPEN_TABLES", "keys", "line", "shown", "suggestion"]

HIDDEN: Final = "********"
"""What stands for a secret."""
OPEN_TABLES: Final = frozenset({"accounts", "symbols", "users", "venues"})
"""Tables whose keys the desk names itself."""


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every dotted key that there is, besides those of the open tables."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{prefix}{name}.")
        elif name not in OPEN_TABLES:
            yield prefix + name


def line(detail: Any, sources: Mapping[str, str]) -> str:
    """One line: where, which key, what is wrong, and what it said unless that is a secret."""
    parts = [part if isinstance(part, int) else quoted(part) for part in detail["loc"] if part != "[key]"]
    key = detail.get("ctx", {}).get("key") or ".".join(map(str, parts))
    source = sources.get(key) or next((name for at, name in sources.items() if at.startswith(f"{key}.")), None)
    where = f"{source}: {key}" if source else key
    if detail["type"] == "extra_forbidden":
        return f"{where}: no such setting{suggestion(key, [*keys(), *OPEN_TABLES])}"
    if detail["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"{where}: must be a table"
    said = detail["input"]
    open_to_all = isinstance(said, str | int | float | Decimal) and not _secret(key) and source != CREDENTIAL
    shown = f" (not {str(said)[:60]!r})" if open_to_all else ""
    return f"{where}: {detail['msg']}{shown}"


def suggestion(name: str, known: list[str], prefix: str = "") -> str:
    """The nearest known name. A `prefix` that all of them have says nothing about how near one is."""
    bare = [other.removeprefix(prefix) for other in known]
    close = difflib.get_close_matches(name.removeprefix(prefix), bare, n=1, cutoff=0.75)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _secret(key: str) -> bool:
    return re.search(r"(password|secret|token|credential|url)s?$", key) is not None


def shown(key: str, value: Any) -> str:
    if value is None:
        return none_word(key.split(".", 1)[0], key.rsplit(".", 1)[-1])
    if isinstance(value, SecretStr) or _secret(key):
        return HIDDEN
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value if isinstance(value, Decimal) else Decimal(repr(value))) if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Decimal | int | float)
