"""Values that nobody is shown: what they must be, and the wrapping that keeps them out of every listing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from weltklassebot.settings.values import MAX_TEXT, Parser, text

__all__ = ["bearer", "https", "secret"]


def secret(check: Callable[[str], object]) -> Parser:
    """Text that `check` has nothing against. Its `ValueError` says what is allowed, and never what was given."""

    def parse(value: Any) -> SecretStr:
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(plain, str) or not 0 < len(plain) <= MAX_TEXT:
            raise ValueError("must be text, and not empty")
        check(plain)
        return SecretStr(plain)

    return parse


_HTTPS: Final = "must be an https:// address, without a user, a password or a fragment"
_url: Final = text(r"https://[!-~]+", _HTTPS)


def https(value: str) -> None:
    """An address that is asked over TLS and nothing else."""
    _url(value)
    try:
        parts = urlsplit(value)
        bad = not parts.hostname or "@" in parts.netloc or bool(parts.fragment) or parts.port == 0
    except ValueError:
        bad = True
    if bad:
        raise ValueError(_HTTPS)


bearer: Final = text(r"[A-Za-z0-9._~+/=-]{1,1024}", "must be a token: letters, digits and . _ ~ + / = - alone")
