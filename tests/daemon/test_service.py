"""What a service manager relies on: sockets that it holds, words that it is told, food for its watchdog, a reload."""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.daemon import Daemon
from weltklassebot.runtime.systemd import feed_watchdog, notify

HAND_OVER = """
import os, sys
given, rest = sys.argv[1], sys.argv[2:]
names, descriptors = zip(*(pair.split("=") for pair in given.split(",")))
copies = [os.dup(os.dup(os.dup(int(descriptor)))) for descriptor in descriptors]
for target, copy in enumerate(copies, 3):
    os.dup2(copy, target)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
os.execv(rest[0], rest)
"""
"""What systemd does with the sockets of a service before it starts it."""


class Manager:
    """Holds sockets for a daemon, and hears what it says."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.run = daemon.directory / "run"
        self.run.mkdir()
        self.sockets = {
            "http": socket.create_server(("127.0.0.1", 0)),
            "admin": self._unix(self.run / "admin.sock"),
            "orders": self._unix(self.run / "orders.sock"),
        }
        self.said: queue.Queue[str] = queue.Queue()
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(daemon.directory / "notify"))
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        daemon.settings["NOTIFY_SOCKET"] = str(daemon.directory / "notify")

    @staticmethod
    def _unix(path: Path) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(path))
        sock.listen(64)
        return sock

    def _listen(self) -> None:
        while text := self._ear.recv(4096).decode():
            self.said.put(text)

    def hears(self, word: str, seconds: float = SECONDS) -> str:
        """Wait until it says this."""
        while True:
            text = self.said.get(timeout=seconds)
            if word in text.split("\n"):
                return text

    def start(self, *, wait: bool = True, **names: str) -> Daemon:
        """`names`: another name for a socket."""
        given = ",".join(f"{names.get(name, name)}={sock.fileno()}" for name, sock in self.sockets.items())
        wrapper = (sys.executable, "-c", HAND_OVER, given)
        return self.daemon.start(wrapper=wrapper, wait=wait, pass_fds=[sock.fileno() for sock in self.sockets.values()])

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.daemon.directory / "notify"))
        self._listener.join(SECONDS)
        self._ear.close()
        for sock in self.sockets.values():
            sock.close()


@pytest.fixture
def manager(make: Callable[..., Daemon]) -> Iterator[Manager]:
    one = Manager(make())
    yield one
    one.daemon.end()
    one.close()


def test_who_knocks_between_two_runs_is_served_by_the_next(manager: Manager):
    daemon = manager.start()
    assert daemon.port == manager.sockets["http"].getsockname()[1]
    assert daemon.http("GET", "/healthz", token="").status == 200
    assert daemon.check("a-1")["allowed"]
    assert daemon.terminate() == 0
    assert (manager.run / "admin.sock").is_socket()
    with daemon.stream() as stream, daemon.tcp() as tcp, daemon.admin() as admin:
        stream.send({"op": "check", **order("a-1")}, {"op": "check", **order("a-2")})
        for http in (tcp, admin):
            http.connection.request("GET", "/healthz")
        manager.start()
        assert [stream.answer()["replayed"], stream.answer()["allowed"]] == [True, True]
        assert [http.connection.getresponse().status for http in (tcp, admin)] == [200, 200]


def test_a_stop_answers_who_is_connected_and_says_it_is_the_last_answer(manager: Manager):
    daemon = manager.start()
    with daemon.admin() as http, daemon.stream() as stream:
        assert http("GET", "/healthz").headers.get("Connection") is None
        assert stream.check("a-1")["allowed"]
        body = json.dumps(order("a-1")).encode()
        http.connection.putrequest("POST", "/v1/orders/check")
        http.connection.putheader("Content-Length", str(len(body)))
        http.connection.endheaders(body[:10])
        daemon.signal(signal.SIGTERM)
        manager.hears("STOPPING=1")
        http.connection.send(body[10:])
        answer = http.connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert json.loads(answer.read())["client_order_id"] == "a-1"
        assert stream.line() is None
    assert daemon.wait() == 0


def test_children_inherit_neither_sockets_nor_their_names(manager: Manager):
    daemon = manager.start()
    held = {f"socket:[{os.fstat(sock.fileno()).st_ino}]" for sock in manager.sockets.values()}
    for pid, holds in ((daemon.pid, True), (daemon.writer_pid, False)):
        files = set()
        for found in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # some come and go
                files.add(os.readlink(found))
        assert (held <= files) is holds, pid
        assert holds or not held & files
    assert b"LISTEN_" not in Path(f"/proc/{daemon.writer_pid}/environ").read_bytes()


def test_sockets_of_somebody_else_are_left_alone(daemon: Daemon):
    daemon.terminate()
    daemon.settings |= {"LISTEN_PID": "1", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "http:admin:orders"}
    daemon.start()
    assert daemon.http("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("names", "settings", "said"),
    [
        ({"admin": "door"}, {}, "FileDescriptorName=door in a socket unit is not one of http, admin, orders"),
        ({"admin": "orders"}, {}, "FileDescriptorName=orders in a socket unit is handed over twice"),
        (
            {"admin": "http", "http": "admin"},
            {},
            "the socket admin that systemd handed over is no listening unix",
        ),
        ({}, {"WELTKLASSE_METRICS_PORT": "1"}, "the settings say port 1: make them agree (systemctl edit weltk"),
        ({}, {"WELTKLASSE_HOST": "127.0.0.9"}, "weltklassebot.socket listens on 127.0.0.1, the settings say 127."),
        (
            {},
            {"WELTKLASSE_RUNTIME_DIR": "/run/elsewhere"},
            "the settings say /run/elsewhere/admin.sock: make them",
        ),
    ],
)
def test_sockets_that_do_not_fit_stop_the_start(
    manager: Manager, names: dict[str, str], settings: dict[str, str], said: str
):
    manager.daemon.settings |= settings
    assert manager.start(wait=False, **names).wait() == 78
    assert any(said in line for line in manager.daemon.text), manager.daemon.text
    assert not manager.daemon.journal.exists() or not manager.daemon.journal.stat().st_size


# --- the watchdog ---------------------------------------------------------------------------------------------------


def test_the_watchdog_is_fed_without_a_record_and_starves_when_the_writer_hangs(manager: Manager):
    manager.daemon.settings["WATCHDOG_USEC"] = "40000"
    daemon = manager.start()
    for _ in range(3):
        manager.hears("WATCHDOG=1")
    assert daemon.state()["journal"]["last_seq"] == len(daemon.records())
    os.kill(daemon.writer_pid, signal.SIGSTOP)
    try:
        for _ in range(2):  # what the writer answered before has arrived
            assert daemon.http("GET", "/healthz").status == 200
        eat_up(manager)
        with pytest.raises(queue.Empty):
            manager.said.get(timeout=0.5)
    finally:
        os.kill(daemon.writer_pid, signal.SIGCONT)
    manager.hears("WATCHDOG=1")


def eat_up(manager: Manager) -> None:
    with suppress(queue.Empty):
        while manager.said.get(timeout=0.5):
            pass


def test_the_watchdog_of_another_process_is_not_fed(manager: Manager):
    manager.daemon.settings |= {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}
    daemon = manager.start()
    manager.hears("READY=1")
    assert daemon.terminate() == 0
    said = [manager.said.get_nowait() for _ in range(manager.said.qsize())]
    assert said, "it says that it stops"
    assert not [text for text in said if "WATCHDOG" in text]


@pytest.mark.fault_injection
def test_a_disk_that_fails_an_idle_daemon_is_found_out(make: Callable[..., Daemon]):
    """Nothing is written, and yet the failure ends the daemon like that of any batch."""
    daemon = make()
    daemon.settings["WATCHDOG_USEC"] = "40000"
    strace = ("strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=8+")
    daemon.start(wrapper=strace)
    assert daemon.log("journal_failed")["problem"] == "fdatasync: Input/output error"
    assert daemon.wait() == 74


# --- a reload -------------------------------------------------------------------------------------------------------


@pytest.fixture
def configured(manager: Manager) -> Callable[[str], dict[str, Any]]:
    """Writes a file of settings and reloads; returns what the daemon then says."""
    file = manager.daemon.directory / "config.toml"
    manager.daemon.settings["WELTKLASSE_CONFIG"] = str(file)
    file.write_text("[risk]\nmax_notional = 5000\n")
    daemon = manager.start()
    manager.hears("READY=1")

    def reload(text: str) -> dict[str, Any]:
        file.write_text(text)
        daemon.logs.clear()
        daemon.signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in manager.hears("RELOADING=1")
        return {"status": manager.hears("READY=1").partition("STATUS=")[2], "logs": list(daemon.logs)}

    return reload


def limits(daemon: Daemon) -> dict[str, Any]:
    return {key: row["value"] for key, row in daemon.get("/v1/limits")["limits"].items()}


def test_a_reload_journals_what_changed_and_names_what_takes_a_restart(
    manager: Manager, configured: Callable[[str], dict[str, Any]]
):
    daemon = manager.daemon
    said = configured('[risk]\nmax_notional = 6000\nmax_trades_per_day = "unlimited"\ntimezone = "Europe/Berlin"\n')
    assert said["status"] == "ready, reloaded; a restart is needed for risk.timezone"
    assert (limits(daemon)["max_notional"], limits(daemon)["max_trades_per_day"]) == ("6000", None)
    (record,) = [line for line in daemon.lines() if line["action"] == "configure_limits"]
    assert (record["actor"], record["principal"]) == ("reload", "daemon")
    assert record["events"][0]["changes"] == [
        {"key": "max_notional", "old": "5000", "new": "6000"},
        {"key": "max_trades_per_day", "old": "500", "new": None},
    ]
    assert daemon.log("restart_needed")["settings"] == ["risk.timezone"]


def test_what_was_set_at_run_time_holds_across_reload_and_restart_until_it_is_unset(
    manager: Manager, configured: Callable[[str], dict[str, Any]]
):
    daemon = manager.daemon
    assert daemon.http("PATCH", "/v1/limits", {"set": {"max_notional": "700"}, "reason": "thin"}).status == 200
    configured("[risk]\nmax_notional = 6000\n")
    assert daemon.log("reloaded")["held_until_unset"] == ["max_notional"]
    assert limits(daemon)["max_notional"] == "700"
    assert daemon.terminate() == 0
    manager.start()
    assert limits(daemon)["max_notional"] == "700"
    daemon.post("/v1/limits/unset", keys=["max_notional"], reason="deep again")
    assert limits(daemon)["max_notional"] == "6000"


def test_settings_that_are_wrong_change_nothing(manager: Manager, configured: Callable[[str], dict[str, Any]]):
    daemon, before = manager.daemon, limits(manager.daemon)
    seq = daemon.state()["journal"]["last_seq"]
    said = configured("[risk]\nmax_notional = 1\nmax_drawdwon = 0.1\n")
    assert said["status"].startswith("serving; the last reload was refused: ")
    assert "max_drawdwon: no such setting; did you mean risk.max_drawdown?" in daemon.log("reload_refused")["problem"]
    assert limits(daemon) == before
    assert daemon.state()["journal"]["last_seq"] == seq
    assert configured("[risk]\nmax_notional = 5000\n")["status"] == "ready, reloaded"
    assert daemon.state()["journal"]["last_seq"] == seq


def test_a_reload_that_finds_the_drawdown_reached_halts(manager: Manager, configured: Callable[[str], dict[str, Any]]):
    daemon = manager.daemon
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/equity", account="main", equity="95000")
    configured("[risk]\nmax_notional = 5000\nmax_drawdown = 0.05\n")
    assert daemon.state()["state"] == "HALTED"


def test_without_a_descriptor_systemd_is_told_nothing_and_nobody_fails(monkeypatch):
    """A journal that failed is told on the way to its denials: what is behind that has to happen."""

    def none_left(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setattr(socket, "socket", none_left)
    notify("STATUS=journal failed")
    feed_watchdog()
