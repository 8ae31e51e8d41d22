"""Millions of decisions with every memory at its bound: what the daemon then holds, in memory and in open files.

`python -m tests.soak.endurance --decisions 10000000`, or `make endurance`. First as many orders are left open as may
be, then orders come and end until no more can be remembered, and from there on nearly everything is a denial, each
remembered in place of an older one. The journal rotates, is folded into snapshots, and loses its oldest files.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import click
import msgspec

from tests.daemon.daemon import Daemon

__all__ = ["SETTINGS", "Sample", "endure"]

SETTINGS: Final = {
    "RISK__MAX_TRADES_PER_DAY": "unlimited",
    "RISK__MAX_NOTIONAL": "unlimited",
    "JOURNAL__MAX_BYTES": 512 * 1024 * 1024,
}
WINDOW: Final = 512
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon held when it had decided so much."""

    decisions: int
    resident_mib: float
    most_resident_mib: float
    """Since it started."""
    files: int

    def __str__(self) -> str:
        return (
            f"{self.decisions:>12,} decisions  {self.resident_mib:6.0f} MiB resident "
            f"(at most {self.most_resident_mib:.0f})  {self.files} files"
        )


def endure(daemon: Daemon, decisions: int, *, every: int, left_open: int, remembered: int) -> Iterator[Sample]:
    """Feed a running daemon over its order stream; a sample at the start and after each `every` decisions."""
    path = daemon.directory / "run" / "orders.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(path))
        rest = b""
        waiting = decided = 0
        yield _sample(daemon, 0)
        for line, is_decision in _commands(left_open, remembered):
            sock.sendall(line)
            waiting += 1
            if waiting == WINDOW:
                rest = _take(sock, rest, waiting)
                waiting = 0
            decided += is_decision
            if is_decision and decided % every == 0:
                yield _sample(daemon, decided)
            if decided == decisions:
                _take(sock, rest, waiting)
                return


def _commands(left_open: int, remembered: int) -> Iterator[tuple[bytes, bool]]:
    """Lines, and whether each asks for a decision."""
    for number in count():
        name = f"o{number}"
        strategy = f"s{number % 8}"
        # Beyond the limit on one order, once nothing new can be remembered as approved.
        price = "1000" if number < left_open + remembered else "100000000"
        order = {
            "op": "check", "client_order_id": name, "symbol": f"S{number % 500}", "side": "buy", "quantity": "0.5",
            "price": price, "strategy": strategy,
        }  # fmt: skip
        yield _encode(order) + b"\n", True
        if left_open <= number < left_open + remembered:
            end = {
                "op": "order_event",
                "client_order_id": name,
                "strategy": strategy,
                "status": "canceled",
                "filled_quantity": "0",
            }
            yield _encode(end) + b"\n", False


def _take(sock: socket.socket, rest: bytes, expected: int) -> bytes:
    while expected:
        *answers, rest = (rest + sock.recv(1 << 18)).split(b"\n")
        for answer in answers:
            assert "error" not in _decode(answer), answer
        expected -= len(answers)
    return rest


def _sample(daemon: Daemon, decisions: int) -> Sample:
    process = Path(f"/proc/{daemon.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    resident, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Sample(decisions, resident, most, len(list((process / "fd").iterdir())))


@click.command(help=(sys.modules[__name__].__doc__ or "").replace("\n\n", "\n\n\b\n"))
@click.option("--decisions", type=click.IntRange(min=1), default=10_000_000, show_default=True)
def main(decisions: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    daemon = Daemon(directory, **SETTINGS)
    try:
        daemon.start()
        every = max(decisions // 20, 1)
        for sample in endure(daemon, decisions, every=every, left_open=9_999, remembered=500_000):
            click.echo(sample)
        assert daemon.terminate() == 0
        daemon.start()
        click.echo("after a restart:")
        click.echo(_sample(daemon, 0))
    finally:
        daemon.end()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
