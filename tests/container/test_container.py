"""What an engine does to a container, and what becomes of the daemon in it: stops, kills, mounts, users, networks."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.container.desk import CONFIG, MOUNTS, OPTIONS, RUN, STATE, STORE, Desk
from tests.service.looks import ADMIN
from tests.service.machine import SECONDS

IMAGE = "weltklassebot"
SECONDS_TO_STOP = 10.0
"""Of the timeout of 15 that the page gives."""


# --- the root, the user


def test_nothing_but_the_mounts_is_written(empty: Desk):
    empty.run(IMAGE)
    empty.serves()
    before = empty.host("podman diff weltklassebot")
    assert empty.check("c-1")["allowed"]
    empty.exec("halt --reason drill")
    empty.exec("token create --role viewer --name grafana")
    empty.exec("audit verify")
    empty.host("podman kill --signal HUP weltklassebot")
    empty.until('podman logs weltklassebot | grep \'"event":"reloaded"\'')
    mounts = [line.split() for line in empty.host(f"cat /proc/{empty.pid}/mounts").splitlines()]
    kept = {
        fields[1] for fields in mounts if "rw" in fields[3].split(",") and not fields[1].startswith(("/dev", "/proc"))
    }
    assert kept == {RUN, STATE, STORE}
    assert empty.host("podman diff weltklassebot") == before
    bad = [line for line in empty.logs() if line["level"] in ("warning", "error") and line["event"] != "halt"]
    assert not bad
    empty.host("podman stop weltklassebot")
    assert empty.inspect(".State.ExitCode") == "0"


def test_a_user_who_stands_in_no_file_and_has_no_home(empty: Desk):
    """The engine writes no entry for it, and says no HOME."""
    python = "/opt/weltklassebot/current/bin/python -P -m weltklassebot serve"
    empty.run("--passwd=false --entrypoint /usr/bin/env", IMAGE, f"-u HOME {python}")
    empty.serves()
    environment = empty.host(f"cat /proc/{empty.pid}/environ").split("\0")
    assert not [line for line in environment if line.startswith("HOME=")]
    assert "10001" not in empty.host("podman exec weltklassebot cat /etc/passwd", code=None)
    assert empty.check("c-1")["allowed"]
    assert "HALTED" in empty.exec("halt --reason drill")
    assert empty.records()[-1]["principal"] == "uid:10001"


def test_whatever_the_umask_files_have_the_rights_that_they_are_to_have(empty: Desk):
    empty.run("--umask 0000", IMAGE)
    empty.serves()
    empty.exec("token create --role viewer --name grafana")
    open_ones = empty.host(f"find {STORE} {STATE} -mindepth 1 -perm /077 -printf '%m %p\\n'")
    assert open_ones == ""
    assert empty.host(f"stat --format %a {RUN}/admin.sock {RUN}/orders.sock") == "660\n660"


def test_what_is_not_mounted_is_missed(empty: Desk):
    for place, said in (
        (RUN, "/run/weltklassebot: Read-only file system"),
        ("/etc/weltklassebot", "/etc/weltklassebot/config.toml: cannot be read"),
    ):
        assert said in empty.run(IMAGE, without=(place,), detach=False, code=78)
    empty.run(IMAGE, without=(STORE,))
    assert empty.until(f"stat --format '%a %g' {RUN}/admin.sock") == "660 10001", "without /etc/group"
    empty.until("curl --silent http://127.0.0.1:9000/readyz | grep 'Read-only file system'")
    assert empty.check("c-1")["denials"][0]["reason"] == "journal_failed"
    empty.host("podman rm --force --time 0 weltklassebot")
    empty.run(IMAGE, without=(STATE,))
    empty.serves()
    assert "Read-only file system" in empty.host(
        "podman exec weltklassebot weltklassebot token create --role viewer --name grafana 2>&1", code=None
    )


def test_two_containers_on_one_store_are_one(desk: Desk):
    said = desk.run("--env WELTKLASSE_METRICS_PORT=0", IMAGE, detach=False, code=75)
    assert STORE in said
    assert desk.check("c-1")["allowed"]


# --- process 1


def test_a_stop_records_its_end_and_ends_with_zero(desk: Desk):
    with desk.bot(enough=100) as answered:
        assert desk.stop() < SECONDS_TO_STOP
    assert desk.inspect(".State.ExitCode") == "0"
    records = desk.records()
    assert records[-1]["action"] == "stop"
    asked = [record["command"]["client_order_id"] for record in records if record["action"] == "check"]
    # What comes while it closes is denied without a record.
    assert asked == answered[: len(asked)], "all that was recorded was answered"


def test_a_stop_during_the_start_does_not_wait_for_its_timeout(empty: Desk):
    """Process 1 does not get a signal that it has said nothing about. Here the start waits for its settings."""
    empty.host(f"rm {CONFIG}; mkfifo {CONFIG}; chmod 644 {CONFIG}")
    empty.run(IMAGE)
    empty.until(f"grep -E '^SigCgt:.*[4567cdef]...$' /proc/{empty.pid}/status")
    assert empty.stop() < SECONDS_TO_STOP
    assert empty.inspect(".State.ExitCode") == "143"
    assert empty.host(f"find {STORE} -mindepth 1") == ""


def test_kill_nine_loses_nothing_that_was_answered(desk: Desk):
    with desk.bot(enough=500) as answered:
        desk.host("podman kill weltklassebot")
    desk.host("podman start weltklassebot")
    desk.serves()
    asked = {record["command"]["client_order_id"] for record in desk.records() if record["action"] == "check"}
    assert len(answered) >= 500
    assert set(answered) <= asked
    assert "ok        yes" in desk.exec("audit verify")


def test_what_ends_by_itself_is_started_again_until_it_can(desk: Desk):
    first = desk.pid
    desk.host(f"kill -KILL {first}")
    desk.until(f"test $(podman inspect --format '{{{{.State.Pid}}}}' weltklassebot) -gt {first}")
    desk.serves()
    desk.host(f"podman stop weltklassebot; cp {CONFIG} /tmp/good; echo nonsense >>{CONFIG}; podman start weltklassebot")
    desk.until("test $(podman inspect --format '{{.RestartCount}}' weltklassebot) -ge 3")
    assert CONFIG in desk.host("podman logs --tail 1 weltklassebot 2>&1")
    desk.host(f"cp /tmp/good {CONFIG}")
    desk.serves()


def test_process_one_buries_what_was_left_to_it(desk: Desk):
    desk.host("podman exec weltklassebot sh -c 'sleep 0.01 & sleep 0.01 & exit'")
    desk.host("podman exec weltklassebot sh -c 'sleep 60 & exit'")
    assert "start" in desk.exec("audit tail"), "and a child of its own is asked as ever"
    children = f"cat /proc/{desk.pid}/task/{desk.pid}/children"
    names = f"for child in $({children}); do tr '\\0' ' ' </proc/$child/cmdline; grep State /proc/$child/status; done"
    desk.until(f"! {{ {names}; }} | grep Z")
    left = desk.host(names)
    assert "sleep 60" in left
    assert "writer_child.py" in left


# --- stops


def test_a_halt_holds_over_a_restart(desk: Desk):
    desk.exec("halt --reason drill")
    desk.host("podman restart weltklassebot")
    desk.serves()
    assert desk.state()["state"] == "HALTED"
    assert [one["reason"] for one in desk.check("c-1")["denials"]] == ["halted"]


def test_a_stop_that_was_latched_alone_holds_over_every_start(desk: Desk):
    """The disk did not take it: nothing but the mounted runtime directory knows of it."""
    desk.host("podman stop weltklassebot")
    said = desk.run(IMAGE, "kill-switch trigger --reason drill", without=(STORE,), network="none", detach=False)
    assert re.search(r"latched +yes\n(.*\n)?recorded +no", said)
    assert "trigger" not in " ".join(record["action"] for record in desk.records())
    for verb in ("start", "restart"):
        desk.host(f"podman {verb} weltklassebot")
        desk.serves()
        assert desk.state()["kill_switch"]["state"] == "KILLED"


# --- logs that nobody takes


@contextmanager
def ended(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Nobody waits for them longer than the block takes."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("reader", ["stops reading", "goes away"])
def test_orders_and_stops_go_on_when_nobody_takes_the_log(empty: Desk, reader: str):
    """The container writes to a pipe of the machine itself, and its reader takes the first lines only."""
    options = " ".join([OPTIONS, "--network host", *MOUNTS.values()])
    reads = "exec sleep 60" if reader == "stops reading" else "exit"
    empty.host("rm -f /tmp/log; mkfifo /tmp/log")
    read = empty.host.run(f"exec </tmp/log; read -r line; echo $line; {reads}")
    run = empty.host.run(f"exec podman run {options} --name weltklassebot --log-driver passthrough {IMAGE} >/tmp/log")
    with read, run, ended(read, run):
        assert read.stdout is not None
        assert "recovered" in read.stdout.readline()
        if reader == "goes away":
            read.wait(SECONDS)
        empty.serves()
        # More than a pipe takes.
        reason = json.dumps({"reason": "x" * 400})
        empty.host(f"{ADMIN}/v1/admin/halt?[1-200] --data '{reason}' >/dev/null")
        assert empty.check("c-1")["denials"][0]["reason"] == "halted"
        empty.post("/v1/admin/resume", reason="drill is over")
        assert empty.check("c-2")["allowed"]
        assert empty.stop() < SECONDS_TO_STOP
        assert empty.inspect(".State.ExitCode") == "0"
        assert run.wait(SECONDS) == 0
    assert empty.records()[-1]["action"] == "stop"


# --- who is at the other end


def test_users_of_the_host_come_in_by_their_groups(desk: Desk):
    desk.host("useradd --groups weltklasse-trade bot; useradd --groups weltklasse-admin head; useradd other")
    assert desk.check("c-1", user="bot")["allowed"]
    assert desk.records()[-1]["principal"] in ("bot", f"uid:{desk.host('id --user bot')}")
    for user, door in (("bot", "admin"), ("head", "orders"), ("other", "admin"), ("other", "orders")):
        curl = f"curl --silent --show-error --unix-socket {RUN}/{door}.sock http://localhost/v1/state"
        with desk.host.run(curl, user=user) as refused:
            assert refused.wait(SECONDS) != 0, f"{user} came in by {door}.sock"
    halt = (
        f'curl --silent --unix-socket {RUN}/admin.sock http://localhost/v1/admin/halt --data \'{{"reason":"drill"}}\''
    )
    assert json.loads(desk.host(halt, user="head"))["state"] == "HALTED"


def test_in_a_user_namespace_nobody_of_the_host_is_taken_for_the_daemon(empty: Desk):
    """Everybody outside is shown as 65534 in there, and that is the daemon's own number."""
    outside = 165534
    empty.host(f"chown --recursive {outside}:{outside} {RUN} {STATE} {STORE}")
    try:
        empty.run("--uidmap 0:100000:65535 --gidmap 0:100000:65535 --user 65534:65534", IMAGE)
        empty.serves()
        empty.host(f"chmod 666 {RUN}/admin.sock")
        ask = f"curl --silent --write-out %{{http_code}} --unix-socket {RUN}/admin.sock http://localhost/v1/state"
        for who in ("--reuid=12345 --regid=12345", "--reuid=0 --regid=0"):
            assert empty.host(f"setpriv {who} --clear-groups {ask}").endswith("403"), who
    finally:
        empty.host(f"podman rm --force --time 0 --all; chown --recursive 10001:10001 {RUN} {STATE} {STORE}")


def test_in_a_network_of_its_own_tokens_guard_the_port(empty: Desk):
    empty.host(
        "ip netns add desk; ip link add desk0 type veth peer name eth0 netns desk; "
        "ip address add 10.9.9.1/24 dev desk0; ip link set desk0 up; "
        "ip -n desk address add 10.9.9.2/24 dev eth0; ip -n desk link set eth0 up; ip -n desk link set lo up"
    )
    empty.run("--env WELTKLASSE_HOST=0.0.0.0", IMAGE, network="ns:/run/netns/desk")
    empty.until("curl --silent --fail http://10.9.9.2:9000/readyz")
    state = "curl --silent --output /dev/null --write-out %{http_code} http://10.9.9.2:9000/v1/state"
    assert empty.host(state) == "401"
    token = json.loads(empty.exec("token create --role viewer --name grafana --json"))["token"]
    assert empty.host(f"{state} --header 'Authorization: Bearer {token}'") == "200"
    assert empty.check("c-1")["allowed"], "the sockets need no network"
