"""The unix sockets or their directory are removed under a running daemon: they are back within a second."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.daemon import Daemon
from tests.daemon.test_service import Manager

DOORS = ("admin", "orders")


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def back(daemon: Daemon, seconds: float = 2.0) -> None:
    """Within this time both doors serve those who come."""
    ends = time.monotonic() + seconds
    for door in DOORS:
        while not listens(daemon.directory / "run" / f"{door}.sock"):
            assert time.monotonic() < ends, daemon.text
    with daemon.admin() as http, daemon.stream() as bot:
        assert http("GET", "/healthz").status == 200
        assert bot.check("again")["client_order_id"] == "again"


def unlinked(run: Path) -> None:
    for door in DOORS:
        (run / f"{door}.sock").unlink()


def moved(run: Path) -> None:
    run.rename(run.with_name("elsewhere"))


def left_behind(run: Path) -> None:
    """A file in the socket's place that nobody listens at: dead sockets, as a crash leaves them."""
    for door in DOORS:
        (run / f"{door}.sock").unlink()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(run / f"{door}.sock"))


@pytest.mark.parametrize("act", [unlinked, shutil.rmtree, moved, left_behind])
def test_they_come_back_and_nobody_who_is_connected_is_disturbed(daemon: Daemon, act: Callable[[Path], object]) -> None:
    run = daemon.directory / "run"
    modes = [(run / f"{door}.sock").stat().st_mode for door in DOORS]
    with daemon.stream() as bot, daemon.admin() as http:
        assert bot.check("a-1")["allowed"]
        assert http("GET", "/healthz").status == 200
        act(run)
        back(daemon)
        assert bot.check("a-2")["allowed"]
        assert http("POST", "/v1/admin/halt", {"reason": "drill"})["state"] == "HALTED"
    assert [(run / f"{door}.sock").stat().st_mode for door in DOORS] == modes
    assert sorted(line["socket"] for line in daemon.logs if line["event"] == "socket_restored") == list(DOORS)
    assert daemon.latch.exists()
    assert (run / "high-water.json").exists()
    assert daemon.restart().state()["state"] == "HALTED"


def test_again_and_again_costs_no_descriptor(daemon: Daemon) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{daemon.pid}/fd"))

    unlinked(daemon.directory / "run")
    back(daemon)
    before = descriptors()
    for _ in range(2):
        unlinked(daemon.directory / "run")
        back(daemon)
    ends = time.monotonic() + SECONDS
    while descriptors() > before and time.monotonic() < ends:
        pass  # the clients above are just leaving
    assert descriptors() <= before


def test_what_somebody_else_listens_at_is_not_taken_away(daemon: Daemon) -> None:
    path = daemon.directory / "run" / "orders.sock"
    with daemon.stream() as bot, socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))
        other.listen(0)
        lost = daemon.log("socket_lost")
        assert lost["socket"] == "orders"
        assert lost["problem"] == f"{path}: somebody listens there already"
        assert "lost_sockets 1.0" in daemon.http("GET", "/metrics").body.decode()
        assert bot.check("a-1")["allowed"]
        with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as full:
            for one in (client, full):  # its queue is full by now, and a look waits for nobody
                one.setblocking(False)
                with suppress(BlockingIOError):
                    one.connect(str(path))
            assert bot.check("a-2")["allowed"]
        other.close()
        path.unlink()
    back(daemon)
    assert [line["event"] for line in daemon.logs].count("socket_lost") == 1
    with daemon.admin() as ask:
        while "lost_sockets 0.0" not in ask("GET", "/metrics").body.decode():
            pass


def test_a_directory_that_cannot_be_made_again_is_said_once(make: Callable[..., Daemon]) -> None:
    daemon = make()
    daemon.settings["WELTKLASSE_RUNTIME_DIR"] = str(daemon.directory / "above" / "run")
    (daemon.directory / "above").mkdir()
    daemon.start()
    token = daemon.token("operator")
    shutil.rmtree(daemon.directory / "above")
    (daemon.directory / "above").touch()
    assert daemon.log("socket_lost")["socket"] == "admin"
    with daemon.tcp(token) as ask:
        assert ask("GET", "/readyz").status == 200
        assert ask("POST", "/v1/kill-switch/trigger", {"reason": "drill"})["kill_switch"] == "KILLED"
    daemon.log("latch_not_set")
    (daemon.directory / "above").unlink()
    daemon.log("socket_restored")
    latch = daemon.directory / "above" / "run" / "latch.json"
    ends = time.monotonic() + SECONDS
    while not latch.exists() and time.monotonic() < ends:
        pass
    assert '"kill"' in latch.read_text()
    assert len([line for line in daemon.logs if line["event"] == "socket_lost"]) == len(DOORS)


@pytest.fixture
def manager(make: Callable[..., Daemon]) -> Iterator[Manager]:
    one = Manager(make())
    yield one
    one.daemon.end()
    one.close()


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
def test_sockets_that_systemd_holds_are_bound_here_when_their_path_is_gone(manager: Manager, when: str) -> None:
    if when == "before the start":
        unlinked(manager.run)
        daemon = manager.start()
    else:
        daemon = manager.start()
        assert daemon.check("a-1")["allowed"]
        shutil.rmtree(manager.run)
    back(daemon)
    for door in DOORS:
        assert stat.S_IMODE((manager.run / f"{door}.sock").stat().st_mode) == 0o660
    assert daemon.check("a-2")["allowed"]
    assert daemon.terminate() == 0


def test_a_restart_does_not_take_the_dead_socket_of_the_run_before_for_the_one_that_is_handed_over(
    manager: Manager,
) -> None:
    """The run before bound it in the place of the one that systemd holds; its file outlives it, and leads nowhere."""
    daemon = manager.start()
    unlinked(manager.run)
    back(daemon)
    daemon.kill()
    assert not any(listens(manager.run / f"{door}.sock") for door in DOORS)
    manager.start()
    assert all(listens(manager.run / f"{door}.sock") for door in DOORS), "before it says that it is ready"
    assert daemon.check("a-1")["allowed"]
    assert daemon.terminate() == 0
