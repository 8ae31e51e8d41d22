"""Where the risk service listens, and how it is spoken to there."""

from __future__ import annotations

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Address"]

_LONGEST_UNIX_PATH = 107


class Address(NamedTuple):
    """`scheme` says which language is spoken; a unix socket has a `path`, a TCP listener `host` and `port`."""

    scheme: Literal["unix", "http", "http+unix"]
    path: str
    host: str = "localhost"
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `unix:/run/…/orders.sock`, `http+unix:/run/…/admin.sock` or `http://127.0.0.1:9000`.

        Raises ValueError for anything else.
        """
        parts = urlsplit(text)
        if parts.scheme in ("unix", "http+unix") and not parts.netloc and parts.path.startswith("/"):
            path = text[len(parts.scheme) + 1 :].removeprefix("//")
            if len(path.encode()) > _LONGEST_UNIX_PATH:
                raise ValueError(f"{text}: the path of a unix socket has at most {_LONGEST_UNIX_PATH} bytes")
            return cls("unix" if parts.scheme == "unix" else "http+unix", path)
        if parts.scheme == "http" and parts.hostname and parts.path in ("", "/") and not parts.query + parts.fragment:
            if parts.username is not None or parts.password is not None:
                raise ValueError("the address holds no credentials: give token=")
            return cls("http", "", parts.hostname, parts.port or 80)
        raise ValueError(
            f"{text}: expected unix:/path/orders.sock, http+unix:/path/admin.sock or http://host:port"
        )  # fmt: skip
