"""Directories and sockets that somebody else could have put there: no start on them, and no command believes them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.daemon.daemon import Daemon
from weltklassebot.client import RiskClient
from weltklassebot.journal.latch import read_latch, take_latch

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can be somebody else"
)
SOMEBODY = 54321


@pytest.fixture
def desk(tmp_path_factory) -> Iterator[Desk]:
    import shutil
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    yield Desk(home)
    shutil.rmtree(home)


# --- the daemon


@pytest.mark.parametrize("which", ["run", "state", "state/risk"])
def test_no_start_in_a_directory_that_others_may_write(make, which: str):
    daemon: Daemon = make()
    place = daemon.directory / which
    place.mkdir(parents=True)
    place.chmod(0o770)
    assert daemon.start(wait=False).wait() == 78
    said = daemon.log("cannot_serve")["problem"]
    assert said == f"{place}: others may write in it: `chmod go-w {place}` once you know what they left there."
    place.chmod(0o750)
    daemon.start()


@needs_root
@pytest.mark.parametrize("which", ["run", "state", "state/risk"])
def test_no_start_in_somebody_elses_directory(make, which: str):
    daemon: Daemon = make()
    place = daemon.directory / which
    place.mkdir(parents=True)
    os.chown(place, SOMEBODY, SOMEBODY)
    assert daemon.start(wait=False).wait() == 78
    assert f"belongs to user {SOMEBODY}" in daemon.log("cannot_serve")["problem"]


@pytest.mark.parametrize("how", ["link", "pipe"])
def test_tokens_that_others_could_have_written_let_nobody_in(daemon: Daemon, how: str):
    token = daemon.token("viewer")
    file = daemon.directory / "state" / "tokens.json"
    assert daemon.http("GET", "/v1/state", token=token).status == 200
    if how == "link":
        file.rename(file.with_name("elsewhere"))
        file.symlink_to("elsewhere")
    else:
        file.unlink()
        os.mkfifo(file, 0o600)
    assert daemon.http("GET", "/v1/state", token=token).status == 401


# --- a kill


def test_a_kill_is_done_in_a_wrong_directory_too_and_says_so(desk: Desk):
    run = desk.state / "run"
    run.mkdir(parents=True)
    run.chmod(0o777)
    done = desk("kill-switch", "trigger", "--reason", "r", "--json")
    assert (done.code, done.json) == (0, {"latched": True, "recorded": True, "daemon": "none is running"})
    assert f"warning: {run}: others may write in it: `chmod go-w {run}`" in done.err


def test_what_a_wrong_directory_says_is_not_believed(desk: Desk):
    """Somebody marks the latch as taken, and no daemon has it."""
    run = desk.state / "run"
    run.mkdir(parents=True)
    run.chmod(0o777)
    (desk.state / "risk").write_text("not a directory")
    over = threading.Event()

    def mark() -> None:
        while not over.is_set():
            if (latch := read_latch(run)) is not None:
                take_latch(run, latch, 4711)
                return

    marker = threading.Thread(target=mark)
    marker.start()
    try:
        done = desk("kill-switch", "trigger", "--reason", "r", "--json")
    finally:
        over.set()
        marker.join()
    assert done.json == {"latched": True, "recorded": False, "daemon": "none took it"}


# --- the other end of a socket

IMPOSTOR = """
import os, socket, sys
path, uid = sys.argv[1], int(sys.argv[2])
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
os.setgid(uid), os.setuid(uid)
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    connection.settimeout(5)
    if data := connection.recv(65536):
        print(data.split(b"\\r\\n")[0].decode(), flush=True)
        while data.startswith(b"POST") and not data.endswith(b"}"):
            data += connection.recv(65536)
        body = b'{"seq": 1, "ts": 1.0, "state": "HALTED", "allowed": true, "kill_switch": "KILLED"}'
        head = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
        connection.sendall(head + body if data.startswith((b"POST", b"GET")) else body + b"\\n")
    else:
        print("nothing was sent", flush=True)
    connection.close()
"""


@contextmanager
def impostor(path: Path, uid: int) -> Iterator[subprocess.Popen[str]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-c", IMPOSTOR, str(path), str(uid)], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            yield process
        finally:
            process.kill()


@needs_root
def test_a_halt_that_somebody_else_takes_is_not_done(desk: Desk):
    with impostor(desk.state / "run" / "admin.sock", SOMEBODY) as other:
        done = desk("halt", "--reason", "r")
        assert done.code == 69
        assert f"user {SOMEBODY} listens there: end that process" in done.err
        assert other.stdout.readline() == "nothing was sent\n"
        done = desk("status")
        assert done.code == 69
        assert other.stdout.readline() == "nothing was sent\n"


@needs_root
def test_a_kill_that_somebody_else_takes_is_latched_and_recorded(desk: Desk):
    with impostor(desk.state / "run" / "admin.sock", SOMEBODY):
        done = desk("kill-switch", "trigger", "--reason", "r", "--json")
    assert done.json == {"latched": True, "recorded": True, "daemon": "none is running"}
    assert f"user {SOMEBODY} listens there" in done.err
    assert read_latch(desk.state / "run").kind == "kill"


@needs_root
def test_orders_are_not_fed_to_somebody_else(desk: Desk):
    with impostor(desk.state / "run" / "orders.sock", SOMEBODY) as other:
        done = desk("orders", "feed", "-", stdin=b'{"op": "heartbeat", "source": "x"}\n')
        assert done.code == 69
        assert other.stdout.readline() == "nothing was sent\n"


@needs_root
@pytest.mark.parametrize("scheme", ["unix", "http+unix"])
def test_the_client_takes_no_yes_of_somebody_else(desk: Desk, scheme: str):
    path = desk.home / "run" / "some.sock"
    order = {"symbol": "BTC-EUR", "side": "buy", "quantity": "1", "order_type": "limit", "price": "1"}
    with impostor(path, SOMEBODY) as other, RiskClient(f"{scheme}:{path}") as risk:
        answer = risk.check(**order)
        assert not answer
        assert f"user {SOMEBODY}" in str(answer)
        assert other.stdout.readline() == "nothing was sent\n"


@needs_root
def test_the_owner_of_the_directory_is_the_daemon(desk: Desk):
    """Root asks a daemon that runs as its own user."""
    run = desk.state / "run"
    with impostor(run / "admin.sock", SOMEBODY) as other:
        os.chown(run, SOMEBODY, SOMEBODY)
        done = desk("halt", "--reason", "r", "--json")
        assert done.code == 0, done.err
        assert other.stdout.readline().startswith("POST /v1/admin/halt")
