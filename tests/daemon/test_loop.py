"""Nothing on the daemon's event loop waits for a file, a lock or a child: the whole tour under a watch for blocking
calls, which turns each of them into an error."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.daemon import daemon as driver
from tests.daemon.daemon import Daemon

WATCHED = """
import sys
from blockbuster import BlockBuster
from weltklassebot.app import daemon
from weltklassebot.cli import main

watch = BlockBuster()
# A stop is latched on a tmpfs before anything else happens; that is the point of it. What lies there is looked at once
# a second. Tokens are read when their file has changed, which every request asks the kernel for.
for name, function in watch.functions.items():
    if name != "time.sleep":
        function.can_block_in("journal/latch.py", {"hold_latch", "read_latch", "clear_latch", "lift_halt"})
    function.can_block_in("runtime/latching.py", {"_signature"})
    function.can_block_in("journal/provenance.py", {"note"})
    function.can_block_in("api/listeners.py", {"_socket_at"})
    function.can_block_in("api/tokens.py", {"_signature", "_read"})

tell = daemon.notify

def notify(*lines):
    if lines[0] == "READY=1":
        watch.activate()
    elif lines[0] == "STOPPING=1":
        watch.deactivate()
    tell(*lines)

daemon.notify = notify
sys.exit(main(["serve"]))
"""


def test_the_tour_blocks_nothing(make: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "COMMAND", [sys.executable, "-c", WATCHED])
    daemon = make().start()
    with daemon.stream() as stream:
        assert stream.ask({"op": "subscribe"})["subscribed"]
        assert stream.check("a-1")["allowed"]
        assert stream.ask({"op": "mark", "symbol": "BTC-EUR", "price": "1000"}) == {"accepted": 1}
    token = daemon.token("viewer")
    assert daemon.http("GET", "/v1/state", token=token).status == 200
    for path in ("/v1/state", "/v1/orders", "/v1/positions", "/v1/limits", "/v1/audit", "/readyz"):
        assert daemon.http("GET", path).status == 200, path
    assert daemon.http("GET", "/metrics").status == 200
    assert daemon.post("/v1/admin/halt", reason="drill")["state"] == "HALTED"
    assert daemon.post("/v1/kill-switch/trigger", reason="drill")["kill_switch"] == "KILLED"
    assert daemon.post("/v1/admin/resume", reason="drill")["state"] == "RUNNING"
    assert daemon.terminate() == 0
    assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text


def test_the_watch_sees_a_blocking_call(make: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch) -> None:
    unforgiving = WATCHED.replace('"hold_latch", ', "")
    monkeypatch.setattr(driver, "COMMAND", [sys.executable, "-c", unforgiving])
    daemon = make().start()
    # What it raises is in the log, unless to print it reads a source file, which is seen as well.
    assert daemon.http("POST", "/v1/admin/halt", {"reason": "drill"}).status == 500
