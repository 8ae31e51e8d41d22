"""The page on containers, followed on a machine, and what its container and its host look like afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.container.engine import ENGINE_BUILDS
from tests.docs.pages import Page
from tests.service.looks import ADMIN, CHECK
from tests.service.machine import SECONDS, Machine

__all__ = ["CHECKOUT", "CONFIG", "MOUNTS", "OPTIONS", "PAGE", "RUN", "STORE", "Desk"]

CHECKOUT = "/mnt/checkout"
PAGE = Page("runbooks/container.md")
RUN = "/run/weltklassebot"
STATE = "/var/lib/weltklassebot"
STORE = "/var/lib/weltklasse/risk"
CONFIG = "/etc/weltklassebot/config.toml"
SOON = 30.0
READY = "curl --silent --fail http://127.0.0.1:9000/readyz"
_BEFORE = f'set -euo pipefail; cd {CHECKOUT}; sudo() {{ "$@"; }}\n'

OPTIONS = "--stop-timeout 15 --read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges"
"""Those of the page; and nothing can be written but what is mounted."""
MOUNTS = {
    "/etc/weltklassebot": "--volume /etc/weltklassebot:/etc/weltklassebot:ro",
    RUN: f"--volume {RUN}:{RUN}",
    STATE: f"--volume {STATE}:{STATE}",
    STORE: f"--volume {STORE}:{STORE}",
}


class Desk:
    """A host on which the daemon runs in a container by the name of the page."""

    def __init__(self, machine: Machine) -> None:
        self.host = machine

    # --- the page

    def follow(self, section: str, number: int | None = None) -> str:
        """Do what a section says, or one of its blocks; what it printed."""
        blocks = PAGE.blocks(section, "sh")
        assert blocks, f"{section} has no commands"
        chosen = blocks if number is None else [blocks[number]]
        return "".join(self.host(ENGINE_BUILDS + _BEFORE + block.text) for block in chosen)

    def start(self) -> None:
        self.follow("Start it")
        self.serves()

    def serves(self) -> None:
        self.until(READY)

    def until(self, command: str) -> str:
        """Run it on the host until it succeeds, within SOON."""
        return self.host.until(command, SOON)

    def clear(self) -> None:
        """Whatever runs is gone, all that it kept, and other settings."""
        self.host("podman rm --force --time 0 --all")
        self.host(f"find {RUN} {STATE} {STORE} -mindepth 1 -delete")
        self.host(f"rm -f {CONFIG}; cp {CHECKOUT}/ops/config.example.toml {CONFIG}")

    # --- other containers than the page's

    def run(
        self,
        *more: str,
        without: tuple[str, ...] = (),
        network: str = "host",
        detach: bool = True,
        code: int | None = 0,
    ) -> str:
        """A container whose root takes nothing at all, with some of the mounts. `more`: options, image, command."""
        mounts = " ".join(option for place, option in MOUNTS.items() if place not in without)
        how = "--detach --name weltklassebot" if detach else "--rm"
        return self.host(f"podman run {how} {OPTIONS} --network {network} {mounts} {' '.join(more)}", code=code)

    def exec(self, command: str, code: int | None = 0) -> str:
        """A command of ours in the page's container."""
        return self.host(f"podman exec weltklassebot weltklassebot {command}", code=code)

    @contextmanager
    def bot(self, enough: int) -> Iterator[list[str]]:
        """A bot asks order after order, and has had this many answers when the block begins. When the daemon has gone
        in there, the list holds the client order id of each order that was answered."""
        answered: list[str] = []
        self.host("rm -f /tmp/answered")
        bot = f"exec /usr/bin/python3 {CHECKOUT}/tests/container/bot.py {RUN}/orders.sock >/tmp/answered"
        with self.host.run(bot) as process:
            self.until(f"test $(wc -l </tmp/answered) -ge {enough}")
            yield answered
            assert process.wait(SECONDS) == 0
        answered += self.host("cat /tmp/answered").splitlines()

    def stop(self) -> float:
        """How long the engine takes to stop it, in seconds."""
        return float(self.host("TIMEFORMAT=%R; { time podman stop weltklassebot &>/dev/null; } 2>&1"))

    # --- what can be seen

    def inspect(self, what: str) -> str:
        return self.host(f"podman inspect --format '{{{{{what}}}}}' weltklassebot")

    @property
    def pid(self) -> int:
        """The daemon's, as the machine counts."""
        return int(self.inspect(".State.Pid"))

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.host("podman logs weltklassebot").splitlines()]

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.host(f"{ADMIN}/v1/state")))

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return dict(json.loads(self.host(f"{ADMIN}{path} --data '{json.dumps(body)}'")))

    def check(self, client_order_id: str, user: str | None = None) -> dict[str, Any]:
        """An order on the machine's own `orders.sock`."""
        with self.host.knock("ask", CHECK % client_order_id, user=user) as knock:
            said, _ = knock.communicate(timeout=SECONDS)
        assert said.startswith("{"), said
        return dict(json.loads(said))

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.host(f"cat {STORE}/risk_audit*.jsonl").splitlines()]
