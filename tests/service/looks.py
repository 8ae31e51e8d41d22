"""What a test looks at in the machine, and asks of the service there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.service.machine import Machine

__all__ = ["ADMIN", "ALL", "CHECK", "UNIT", "limit", "pid", "settings", "state"]

UNIT = "weltklassebot.service"
ALL = "'weltklassebot*'"
ADMIN = "curl --silent --show-error --fail-with-body --unix-socket /run/weltklassebot/admin.sock http://localhost"
CHECK = '{"op":"check","client_order_id":"%s","symbol":"BTC-EUR","side":"buy","quantity":"0.001","price":"1000"}'


def pid(machine: Machine) -> int:
    return int(machine.show("MainPID"))


def state(machine: Machine) -> dict[str, Any]:
    return dict(json.loads(machine(f"{ADMIN}/v1/state")))


def limit(machine: Machine, key: str) -> str:
    return str(json.loads(machine(f"{ADMIN}/v1/limits"))["limits"][key]["value"])


@contextmanager
def settings(machine: Machine, text: str) -> Iterator[None]:
    """More text in the file of settings, for a while."""
    before = machine("mktemp")
    machine(f"cp /etc/weltklassebot/config.toml {before}; printf '{text}' >>/etc/weltklassebot/config.toml")
    try:
        yield
    finally:
        machine(f"cp {before} /etc/weltklassebot/config.toml")
