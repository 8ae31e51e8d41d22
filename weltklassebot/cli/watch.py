"""`status --watch`: the state, shown anew whenever a record says that something happened."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Final

import click
import orjson

from weltklassebot.cli.exits import CommandError, NotReachable, TryAgain
from weltklassebot.cli.invocation import Invocation
from weltklassebot.cli.output import emit, is_terminal, plain_line, show, when
from weltklassebot.cli.status import text_of
from weltklassebot.cli.transport import Client

__all__ = ["watch_state"]

BETWEEN_SECONDS: Final = 0.2
"""Between two looks at the state, however much happens."""
AGAIN_SECONDS: Final = 1.0


def watch_state(invocation: Invocation) -> None:
    """Show it until interrupted. Raises what `status` would if the daemon does not answer at the beginning."""
    client = invocation.client(lenient=True)
    state = client.request("GET", "/v1/state")
    news = _News(client, state["journal"]["durable_seq"])
    said = ""
    while True:
        said = _show(invocation, state, said)
        time.sleep(BETWEEN_SECONDS)
        news.wait()
        state = _look(client)


class _News:
    """Follows the events in a thread of its own, and says that there are some; which does not matter."""

    def __init__(self, client: Client, after_seq: int) -> None:
        self._client: Final = client
        self._after = after_seq
        self._some: Final = threading.Event()
        self._refused: CommandError | None = None
        threading.Thread(target=self._follow, daemon=True).start()

    def wait(self) -> None:
        """Until something happened. Raises what the daemon refused the stream with."""
        self._some.wait()
        self._some.clear()
        if self._refused is not None:
            raise self._refused

    def _follow(self) -> None:
        while self._refused is None:
            try:
                for event in self._client.events("/v1/events", self._after):
                    self._after = event.id
                    self._some.set()
            except (NotReachable, TryAgain):
                pass
            except CommandError as error:
                self._refused = error
            self._some.set()  # it went away
            time.sleep(AGAIN_SECONDS)


def _look(client: Client) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = client.request("GET", "/v1/state")
    except (NotReachable, TryAgain):
        return None
    return state


def _show(invocation: Invocation, state: dict[str, Any] | None, said: str) -> str:
    """Print what differs from what was said before; returns what is said now."""
    if invocation.json:
        text = orjson.dumps(state).decode()
    elif is_terminal(sys.stdout):
        text = "the daemon does not answer; waiting for it" if state is None else text_of(state)
        if text != said:
            click.clear()
            show(None, as_json=False, text=text)
        return text
    else:
        text = plain_line(_line(state))
    if text != said:
        emit(text + "\n")
    return text


def _line(state: dict[str, Any] | None) -> str:
    if state is None:
        return "the daemon does not answer; waiting for it"
    words = {
        "kill_switch": state["kill_switch"]["state"],
        "since": when(state["since"]),
        "equity": state["equity"],
        "drawdown": state["drawdown"],
        "gross_notional": state["gross_notional"],
        "trades_today": state["trades_today"],
        "open_orders": state["open_orders"],
        "last_seq": state["journal"]["last_seq"],
    }
    return "  ".join([state["state"], *(f"{name}={'-' if value is None else value}" for name, value in words.items())])
