"""What a command was called with, besides its own options: `--config`, `--json`, `--url`, `--token`.

They may stand before or behind any command, because that is where people put them: `Command` and `Group` bring them to
every level and `Invocation` collects them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from weltklassebot.cli.output import show

if TYPE_CHECKING:
    from weltklassebot.cli.transport import Client
    from weltklassebot.settings import Settings

__all__ = [
    "Command", "Group", "Invocation", "actor_option", "default_actor", "pass_invocation", "reason_option",
    "shared_options", "without_nothing",
]  # fmt: skip


class Invocation:
    """The shared options of one call, and what is made of them when it is first needed."""

    def __init__(self) -> None:
        self.config: Path | None = None
        self.json = False
        self.url: str | None = None
        self.token: str | None = None

    def settings(self, overrides: dict[str, str] | None = None) -> Settings:
        from weltklassebot.settings import load

        return load(self.config, overrides=overrides)

    def client(self, timeout_seconds: float | None = None) -> Client:
        """How to reach the daemon: over TCP with `--url` (WELTKLASSE_URL), else by its admin socket."""
        from weltklassebot.cli.transport import TIMEOUT_SECONDS, Client

        timeout = TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds

        url = self.url or os.environ.get("WELTKLASSE_URL")
        if url:
            return Client.over_tcp(url, self.token or os.environ.get("WELTKLASSE_TOKEN"), timeout)
        return Client.over_socket(self.settings().admin_socket, timeout)

    def get(self, path: str, **query: Any) -> Any:
        return self.client().request("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What is None is left out: the daemon has its own defaults."""
        return self.client().request("POST", path, body=without_nothing(body))

    def show(self, value: Any, text: str | None = None) -> None:
        """Print `value`: as JSON with `--json`, else `text`, else aligned for people."""
        show(value, as_json=self.json, text=text)


def without_nothing(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def shared_options() -> list[click.Option]:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        invocation = context.ensure_object(Invocation)
        if value is not None and value is not False:
            setattr(invocation, str(parameter.name), value)

    def option(*names: str, text: str, **more: Any) -> click.Option:
        return click.Option(names, help=text, expose_value=False, callback=keep, **more)

    return [
        option("--config", text="Settings in TOML.", metavar="FILE", type=click.Path(path_type=Path)),
        option("--json", text="Print JSON.", is_flag=True),
        option("--url", text="Talk to a daemon over TCP, not to its socket (WELTKLASSE_URL).", metavar="URL"),
        option("--token", text="The token for --url; WELTKLASSE_TOKEN keeps it out of the process list.", metavar="T"),
    ]


class Command(click.Command):
    """A command that takes the shared options too."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += shared_options()


class Group(click.Group):
    """A group that takes the shared options, as do the commands in it."""

    command_class = Command

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params += shared_options()


_F = TypeVar("_F", bound=Callable[..., Any])


def reason_option(function: _F) -> _F:
    """--reason, for everything that leaves a record of who did it and why."""
    return click.option("--reason", required=True, metavar="R", help="Why; it stays in the record.")(function)


def actor_option(function: _F) -> _F:
    """--actor, where somebody acts for somebody else."""
    return click.option("--actor", default=default_actor, metavar="A", help="Who asks for it; default: you.")(function)


def default_actor() -> str:
    """user@host, as the record's word on who asked; who was authenticated stands beside it."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid={os.getuid()}"
    return f"{os.environ.get('SUDO_USER') or user}@{socket.gethostname()}"[:200]
