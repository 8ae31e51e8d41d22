"""Bearer tokens for the TCP listener: who may call, in which role, for which accounts and strategies.

`tokens.json` in the state directory, mode 0600, written whole: temporary file, fsync, rename, fsync of the directory.
A token is `wkb_<id>_<secret>`; it is shown once and the file holds the SHA-256 of the secret. A slow password hash
would add nothing: the secret is 256 random bits, which nobody guesses from its digest, and a check must cost little.

Invariants: an id is never given twice; a file that cannot be read or understood lets nobody in; at most `MAX_TOKENS`.
Little more than the standard library and msgspec is needed here, so a command starts at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from weltklassebot.core.names import ID_WANTED, id_error
from weltklassebot.core.reporters import Kind
from weltklassebot.journal.anchor import make_directory, sync_directory
from weltklassebot.journal.new_files import give_to_owner, new_file, open_as_found, open_lock
from weltklassebot.journal.ownership import name_of, ownership_problem

if TYPE_CHECKING:
    from weltklassebot.runtime.refusals import Outcome

__all__ = ["MAX_TOKENS", "ROLES", "Role", "Token", "TokenError", "TokenFile", "Tokens"]

Role = Literal["viewer", "trader", "operator"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "trader", "operator")
MAX_TOKENS: Final = 1_000

_MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_TOKEN = re.compile(r"wkb_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY: Final = hashlib.sha256(b"no such token").hexdigest()

# `$` would let a newline at the end pass.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z")]


class TokenError(Exception):
    """A token cannot be made or taken back, or the file cannot be used; one line says why."""


class Token(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is kept of a token. No bindings: it may act for every account and strategy, and say all that its role may.

    What it is not bound to is not written, so that a file without newer bindings is read by older versions."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{16}\\Z")]
    name: Name
    role: Role
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}\\Z")]
    created: float
    accounts: tuple[str, ...] | None = None
    strategies: tuple[str, ...] | None = None
    kinds: tuple[Kind, ...] | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` if it is bound to what can be no account and no strategy."""
        if any(id_error(name) for name in (*(self.accounts or ()), *(self.strategies or ()))):
            raise ValueError(f"an account or a strategy {ID_WANTED}")

    @property
    def is_bound(self) -> bool:
        return self.accounts is not None or self.strategies is not None or self.kinds is not None

    @property
    def principal(self) -> str:
        """How the journal names whoever holds it."""
        return f"token:{self.id}:{self.name}"


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal[1] = 1
    tokens: Annotated[list[Token], Meta(max_length=MAX_TOKENS)] = []


_decode = msgspec.json.Decoder(_Document).decode


class TokenFile:
    """The file, for those who change it: the command line. Changes are serialised by a lock beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tokens(self) -> list[Token]:
        """All of them, oldest first; none if there is no file. Raises `TokenError`."""
        return list(_read(self.path).tokens)

    def create(
        self,
        *,
        name: str,
        role: Role,
        created: float,
        accounts: tuple[str, ...] | None = None,
        strategies: tuple[str, ...] | None = None,
        kinds: tuple[Kind, ...] | None = None,
    ) -> tuple[str, Token]:
        """Make a token. The first result is the secret text, which is not kept. Raises `TokenError`."""
        if any(id_error(bound) for bound in (*(accounts or ()), *(strategies or ()))):
            raise TokenError(f"an account or a strategy {ID_WANTED}")
        if kinds and role != "trader":
            raise TokenError(f"kinds are of what a trader says: a token with the role {role} is not bound by them")
        secret = secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(8),
            name=name,
            role=role,
            sha256=_digest(secret),
            created=created,
            accounts=accounts or None,
            strategies=strategies or None,
            kinds=kinds or None,
        )
        try:
            msgspec.convert(msgspec.to_builtins(token), Token)
        except msgspec.ValidationError:
            raise TokenError("names are 1 to 64 characters out of A-Z a-z 0-9 . _ : -") from None
        with self._locked():
            tokens = self.tokens()
            if len(tokens) >= MAX_TOKENS:
                raise TokenError(f"there are {MAX_TOKENS} tokens already: revoke some first")
            if any(other.name == name for other in tokens):
                raise TokenError(f"there is a token named {name} already: revoke it first, or take another name")
            _write(self.path, [*tokens, token])
        return f"wkb_{token.id}_{secret}", token

    def revoke(self, which: str) -> Token:
        """Take back the token of this id or name. A running daemon refuses it from now on. Raises `TokenError`."""
        with self._locked():
            tokens = self.tokens()
            found = next((token for token in tokens if which in (token.id, token.name)), None)
            if found is None:
                raise TokenError(f"no token has the id or name {which}")
            _write(self.path, [token for token in tokens if token is not found])
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            make_directory(self.path.parent, 0o700)
            if (problem := ownership_problem(self.path.parent, another=os.geteuid() == 0)) is not None:
                raise TokenError(problem)
            lock = open_lock(self.path.with_name(f"{self.path.name}.lock"))
        except OSError as error:
            raise TokenError(f"{self.path.parent}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise TokenError(f"{self.path}: {error.strerror}") from None
        finally:
            os.close(lock)


class Tokens:
    """The daemon's view: answers from memory, and looks before each answer whether the file is still the one it read.

    Whenever the file cannot be used nobody is let in, and `problem` says why.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        self._by_id: dict[str, Token] = {}
        self._last_good: dict[str, Token] = {}
        self._revoked: Final[dict[str, Token]] = {}
        """Since the daemon started, the last `MAX_TOKENS` of them: whoever still shows one is told of in the log."""
        self._seen: tuple[int, ...] | None = None
        self._generation = 0

    def verify(self, text: str) -> Token | None:
        """The token of this secret text, or None. Ids are no secret; the secret is compared in constant time."""
        self._refresh()
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        token = self._by_id.get(match[1])
        same = hmac.compare_digest(_digest(match[2]), token.sha256 if token else _NOBODY)
        return token if same else None

    def why_not(self, text: str) -> tuple[Outcome, str | None]:
        """Why a text that was not verified is worth nothing, and the id of the token if there is or was one."""
        match = _TOKEN.fullmatch(text)
        if self.problem is not None:
            return "unreadable_tokens", None
        if match is None:
            return ("unknown_token", None) if text else ("no_token", None)
        if match[1] in self._by_id:
            return "wrong_secret", match[1]
        gone = self._revoked.get(match[1])
        if gone is not None and hmac.compare_digest(_digest(match[2]), gone.sha256):
            return "revoked_token", gone.id
        return "unknown_token", None

    def __len__(self) -> int:
        return len(self._by_id)

    def all(self) -> list[Token]:
        """Those that are valid now."""
        self._refresh()
        return list(self._by_id.values())

    def generation(self) -> int:
        """Another number after every change of the file: what was found out before holds no more."""
        self._refresh()
        return self._generation

    def _refresh(self) -> None:
        seen = _signature(self.path)
        if seen == self._seen and self.problem is None:
            return
        self._seen = seen
        self._generation += 1
        try:
            self._by_id = {token.id: token for token in _read(self.path).tokens}
            self.problem = None
            self._remember_revoked()
        except TokenError as error:
            self._by_id = {}
            self.problem = str(error)

    def _remember_revoked(self) -> None:
        self._revoked.update((key, token) for key, token in self._last_good.items() if key not in self._by_id)
        for key in list(self._revoked)[:-MAX_TOKENS]:
            del self._revoked[key]
        self._last_good = self._by_id


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _signature(path: Path) -> tuple[int, ...] | None:
    """Differs after every change: a rename brings another inode, an edit another time or size."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode)


def _read(path: Path) -> _Document:
    try:
        descriptor = open_as_found(path)
    except FileNotFoundError:
        return _Document()
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if found.st_mode & 0o077:
                raise TokenError(f"{path}: others may read or write it: chmod 600 it, and revoke what is in it")
            if found.st_uid not in (0, os.geteuid()) and os.geteuid():  # before root the directory speaks for it
                raise TokenError(f"{path}: belongs to {name_of(found.st_uid)}: remove it, and make new tokens")
            if not stat.S_ISREG(found.st_mode):
                raise TokenError(f"{path}: is no file: remove it, and make new tokens")
            return _decode(file.read(_MAX_FILE_BYTES))
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise TokenError(f"{path}: is damaged: {error}") from None


def _write(path: Path, tokens: list[Token]) -> None:
    temporary = path.with_name(f".{path.name}.new")
    content = msgspec.json.format(msgspec.json.encode(_Document(tokens=tokens)), indent=1)
    descriptor = new_file(temporary)
    with os.fdopen(descriptor, "wb") as file:
        give_to_owner(descriptor, path)
        file.write(content + b"\n")
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    sync_directory(path.parent)
