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

from weltklassebot.cli.exits import DONE, BadConfiguration, Usage
from weltklassebot.cli.output import OutputLost, say, show

if TYPE_CHECKING:
    from weltklassebot.cli.stop_words import StopWords
    from weltklassebot.cli.transport import Client
    from weltklassebot.settings import Directories, Settings

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
        self._directories: Directories | None = None

    def settings(self, overrides: dict[str, str] | None = None) -> Settings:
        from weltklassebot.settings import load

        return load(self.config, overrides=overrides)

    def directories(self) -> Directories:
        """Where the daemon is, for what depends on no other setting. What is wrong elsewhere is told behind the act."""
        from weltklassebot.settings import directories

        if self._directories is None:
            self._directories = directories(self.config)
            click.get_current_context().call_on_close(self._tell_problems)
        return self._directories

    def _tell_problems(self) -> None:
        problems = list(self.directories().problems)
        try:
            self.settings()
        except Exception as error:  # noqa: BLE001 - the act is done, whatever the rest of the settings is like
            problems += getattr(error, "problems", None) or [f"{type(error).__name__}: {error}"]
        for problem in dict.fromkeys(problems):
            say(f"warning: {problem}")

    def client(self, timeout_seconds: float | None = None, *, lenient: bool = False) -> Client:
        """How to reach the daemon: over TCP with `--url` (WELTKLASSE_URL), else by its admin socket.

        `lenient`: the settings need say no more than where that is.
        """
        from weltklassebot.cli.transport import TIMEOUT_SECONDS, Client

        timeout = TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds

        token = self.token or os.environ.get("WELTKLASSE_TOKEN")
        if self.url:
            return Client.over_tcp(self.url, token, timeout)
        if url := os.environ.get("WELTKLASSE_URL"):
            try:
                return Client.over_tcp(url, token, timeout)
            except Usage as wrong:
                if not lenient:
                    raise
                # No word of the environment keeps a stop from the daemon of this machine.
                say(f"warning: WELTKLASSE_URL, WELTKLASSE_TOKEN: not taken ({wrong})")
        path = self.directories().admin_socket if lenient else self.settings().admin_socket
        if path is None:
            raise BadConfiguration("nothing says where the daemon is: say WELTKLASSE_RUNTIME_DIR")
        return Client.over_socket(path, timeout)

    def get(self, path: str, *, lenient: bool = False, **query: Any) -> Any:
        return self.client(lenient=lenient).request("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What is None is left out: the daemon has its own defaults."""
        return self.client().request("POST", path, body=without_nothing(body))

    def stop(self, path: str, words: StopWords, **more: Any) -> None:
        """Stop something, and say what came of it."""
        answer = self.client(lenient=True).request("POST", path, body=words.body(**more))
        self.act(words.beside(answer))

    def show(self, value: Any, text: str | None = None) -> None:
        """Print `value`: as JSON with `--json`, else `text`, else aligned for people. Raises `OutputLost`."""
        show(value, as_json=self.json, text=text)

    def act(self, answer: Any, text: str | None = None) -> None:
        """Print what came of an act. It is done, whether or not anybody can read it."""
        self.verdict(answer, DONE, text, done=True)

    def verdict(self, answer: Any, code: int, text: str | None = None, *, done: bool = False) -> int:
        """Print an answer that has an exit code of its own, which outlasts it: a no is one on a full disk too.

        A yes that cannot be written raises `OutputLost`, unless it stands for something that was `done`.
        """
        try:
            self.show(answer, text)
        except OutputLost as lost:
            if code == DONE and not done:
                raise
            if str(lost):
                say(str(lost))
        return code


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
    return click.option("--actor", default=_clean_actor, metavar="A", help="Who asks for it; default: you.")(function)


def default_actor() -> str:
    """user@host, as the record's word on who asked; who was authenticated stands beside it."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid={os.getuid()}"
    return f"{os.environ.get('SUDO_USER') or user}@{socket.gethostname()}"


def _clean_actor() -> str | None:
    from weltklassebot.core.plain_text import clean_actor

    return clean_actor(default_actor())[0]
