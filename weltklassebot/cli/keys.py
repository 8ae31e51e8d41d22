"""audit key: the keys that sign checkpoints of the journal, and prove them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from weltklassebot.cli.exits import Refused, Usage
from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation

__all__ = ["key", "public_of"]

_MOST_BYTES = 4096


@click.group(cls=Group)
def key() -> None:
    """Keys that sign checkpoints of the journal.

    Example: weltklassebot audit key show journal.checkpoint_secret
    """


@key.command("create", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_invocation
def create(invocation: Invocation, file: Path) -> None:
    """Make a key pair: the private key goes into FILE (PEM, 0600), the public one is printed. Keep that elsewhere.

    What `openssl genpkey -algorithm ed25519` makes does as well.

    Example: weltklassebot audit key create /etc/weltklassebot/credentials/journal.checkpoint_secret
    """
    from weltklassebot.settings.keys import private_pem

    private = os.urandom(32)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"{file}: it exists; a key is never replaced") from None
    with open(descriptor, "wb") as out:
        out.write(private_pem(private).encode())
        out.flush()
        os.fsync(out.fileno())
    _show_key(invocation, private)


@key.command("show", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@pass_invocation
def show(invocation: Invocation, file: Path) -> None:
    """Print the public key of a private one, and its short name, which stands in what it signed.

    Example: weltklassebot audit key show journal.checkpoint_secret
    """
    from weltklassebot.settings.keys import private_key

    try:
        private = private_key(_text_of(file))
    except ValueError as error:
        raise Refused(f"{file}: {error}") from None
    _show_key(invocation, private)


def public_of(said: str) -> bytes:
    """What a command line says: the key itself, or a file with it."""
    from weltklassebot.settings.keys import public_key

    with suppress(ValueError):
        return public_key(said)
    path = Path(said)
    if not path.is_file():
        raise Usage("--key is neither an Ed25519 public key (32 bytes in base64) nor a file with one")
    try:
        return public_key(_text_of(path))
    except ValueError as error:
        raise Usage(f"--key {said}: {error}") from None


def _show_key(invocation: Invocation, private: bytes) -> None:
    from weltklassebot.journal.checkpoints import public_of as made_from
    from weltklassebot.settings.keys import key_id, public_text

    public = made_from(private)
    invocation.act({"public": public_text(public), "key": key_id(public)})


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode(errors="replace")
