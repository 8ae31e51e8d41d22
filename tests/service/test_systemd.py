"""The service under a real systemd, from a bare machine to one that it has left again. In this order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.service.machine import PIP, SECONDS, Machine

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


# --- installing -----------------------------------------------------------------------------------------------------


def test_it_is_installed_on_a_bare_machine_and_serves(machine: Machine):
    assert "there is no weltklassebot" not in machine("systemctl cat weltklassebot", code=1)
    said = machine.install()
    assert said.splitlines()[-1].endswith("serves: weltklassebot status")
    assert machine.show("ActiveState") == "active"
    assert machine.show("Type") == "notify"
    assert machine.show("StatusText").startswith("ready, seq ")
    assert machine("curl --silent --fail http://127.0.0.1:9000/readyz")
    assert "risk_state" in machine("curl --silent --fail http://127.0.0.1:9000/metrics")
    assert state(machine)["state"] == "RUNNING"
    with machine.knock("ask", CHECK % "a-1") as knock:
        assert json.loads(knock.communicate(timeout=SECONDS)[0])["allowed"]
    assert "RUNNING" in machine("weltklassebot status")
    owners = machine("stat -c '%U %a %n' /var/lib/weltklasse/risk /var/lib/weltklassebot /run/weltklassebot/*.sock")
    assert owners.splitlines() == [
        "weltklassebot 700 /var/lib/weltklasse/risk",
        "weltklassebot 700 /var/lib/weltklassebot",
        "weltklassebot 660 /run/weltklassebot/admin.sock",
        "weltklassebot 660 /run/weltklassebot/orders.sock",
    ]


def test_a_second_installation_changes_nothing(service: Machine):
    places = "/etc /opt /usr/local /var/lib/weltklasse*"
    look = f"find {places} -type f ! -name 'risk_*' -printf '%p %T@ %C@ %m %u\\n' | sort"
    before, first = service(look), pid(service)
    assert service.install().splitlines() == [service.install()]
    assert (service(look), pid(service)) == (before, first)


def test_the_exposure_is_small(service: Machine):
    said = service("systemd-analyze security --no-pager weltklassebot.service")
    found = re.search(r"Overall exposure level for weltklassebot.service: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= 2.0, said
    status = service(f"cat /proc/{pid(service)}/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_a_token_that_root_makes_is_one_that_the_daemon_reads(service: Machine):
    token = json.loads(service("weltklassebot token create --role viewer --name scrape --json"))["token"]
    service(f"curl --silent --fail -H 'Authorization: Bearer {token}' http://127.0.0.1:9000/v1/state")


# --- who may --------------------------------------------------------------------------------------------------------


def test_groups_decide_who_may_do_what_on_which_socket(service: Machine):
    service("useradd ann; useradd -G weltklasse-trade bob; useradd -G weltklasse-admin cid")
    order = CHECK % "groups"
    asked = {}
    for user in ("ann", "bob", "cid"):
        with service.knock("ask", order, user=user) as knock:
            asked[user] = knock.communicate(timeout=SECONDS)[0]
    assert json.loads(asked["bob"])["allowed"]
    assert "PermissionError" in asked["ann"]
    assert "PermissionError" in asked["cid"]
    for user in ("ann", "bob"):
        service(f"{ADMIN}/v1/state", user=user, code=7)
    assert json.loads(service(f"{ADMIN}/v1/state", user="cid"))["state"] == "RUNNING"
    service("weltklassebot halt --reason drill", user="cid")
    assert state(service)["state"] == "HALTED"
    record = service("weltklassebot audit tail --json | tail -n 1")
    assert '"principal":"cid"' in record.replace(": ", ":")


# --- restarts -------------------------------------------------------------------------------------------------------


def test_a_halt_outlasts_a_restart(service: Machine):
    service("weltklassebot halt --reason 'exchange announces maintenance'")
    service("systemctl restart weltklassebot")
    assert state(service)["state"] == "HALTED"


def test_after_a_crash_it_comes_back_halted_and_serves_who_waits(service: Machine):
    service("weltklassebot halt --reason 'exchange announces maintenance'")
    first, restarts = pid(service), int(service.show("NRestarts"))
    service(f"kill -9 {first}")
    with service.run("curl --silent --fail --max-time 60 http://127.0.0.1:9000/healthz") as waiting:
        service.until(f"test $(systemctl show -P NRestarts {UNIT}) -gt {restarts} && systemctl is-active {UNIT}")
        assert waiting.communicate(timeout=SECONDS)[0]
        assert waiting.returncode == 0
    assert pid(service) not in (0, first)
    assert state(service)["state"] == "HALTED"


def test_a_restart_under_load_refuses_nobody(service: Machine):
    with service.knock("load", "/tmp/enough") as load:
        for _ in range(4):
            service("systemctl restart weltklassebot")
            with service.knock("ask", CHECK % "between") as knock:
                assert json.loads(knock.communicate(timeout=SECONDS)[0])["allowed"]
        service("touch /tmp/enough")
        said, _ = load.communicate(timeout=SECONDS)
    result = json.loads(said)
    assert result["failures"] == {}
    assert min(result["answers"][door] for door in ("http", "admin", "orders")) > 20, result


def test_it_stops_within_ten_seconds_with_connections_open(service: Machine):
    with service.knock("hold", "/tmp/held") as holder:
        service.until("test -e /tmp/held")
        seconds = float(service(f"TIMEFORMAT=%R; time systemctl stop weltklassebot 2>&1").splitlines()[-1])
        assert holder.wait(SECONDS) == 0, holder.communicate()
    assert seconds < 10
    assert (service.show("Result"), service.show("ActiveState")) == ("success", "inactive")
    assert service('tail -n 1 /var/lib/weltklasse/risk/risk_audit.jsonl | grep -o \'"action":"stop"\'')
    service("systemctl start weltklassebot")
    assert service(f"systemctl is-active {ALL}").split() == ["active"] * 4


# --- the watchdog ---------------------------------------------------------------------------------------------------


@pytest.fixture
def short_watchdog(service: Machine) -> Iterator[Machine]:
    """Four seconds instead of thirty, and no time is lost."""
    place = "/run/systemd/system/weltklassebot.service.d"
    service(f"mkdir -p {place}; printf '[Service]\\nWatchdogSec=4\\nRestartSec=100ms\\n' >{place}/short.conf")
    service("systemctl daemon-reload; systemctl restart weltklassebot")
    yield service
    service(f"rm -r {place}; systemctl daemon-reload")
    service("systemctl restart weltklassebot")


def test_an_idle_daemon_feeds_its_watchdog(short_watchdog: Machine):
    fed, seq = short_watchdog.show("WatchdogTimestampMonotonic"), state(short_watchdog)["journal"]["last_seq"]
    short_watchdog.until(f"test $(systemctl show -P WatchdogTimestampMonotonic {UNIT}) -gt {fed}")
    assert state(short_watchdog)["journal"]["last_seq"] == seq


@pytest.mark.parametrize("who", ["the loop", "the writer"])
def test_whatever_is_stuck_the_watchdog_ends_it(short_watchdog: Machine, who: str):
    first = pid(short_watchdog)
    stuck = first if who == "the loop" else int(short_watchdog(f"pgrep -P {first}"))
    short_watchdog(f"kill -STOP {stuck}")
    short_watchdog.until(f"systemctl is-active {UNIT} && test $(systemctl show -P MainPID {UNIT}) != {first}")
    said = short_watchdog.journal()
    assert "weltklassebot.service: Watchdog timeout" in said
    assert f"weltklassebot.service: Killing process {first} (python) with signal SIGABRT" in said


def test_a_credential_reaches_the_daemon_and_nobody_else(service: Machine):
    secret = "/etc/weltklassebot/credentials/risk.max_notional"
    service(f"echo 4242 >{secret}; chmod 600 {secret}; systemctl restart weltklassebot")
    try:
        assert limit(service, "max_notional") == "4242"
        service("cat /run/credentials/weltklassebot.service/*", user="nobody", code=1)
    finally:
        service(f"rm {secret}; systemctl restart weltklassebot")


# --- settings -------------------------------------------------------------------------------------------------------


def test_a_reload_changes_limits_and_a_bad_file_changes_nothing(service: Machine):
    first = pid(service)
    with settings(service, "\\n[risk]\\nmax_notional = 77000\\n"):
        service("systemctl reload weltklassebot")
        service.until(f"systemctl show -P StatusText {UNIT} | grep reloaded")
        assert limit(service, "max_notional") == "77000"
        with settings(service, "max_drawdwon = 0.1\\n"):
            service("systemctl reload weltklassebot", code=1)
            assert "did you mean risk.max_drawdown?" in service.journal()
            service(f"kill -HUP {first}")
            service.until(f"systemctl show -P StatusText {UNIT} | grep 'the last reload was refused'")
        assert limit(service, "max_notional") == "77000"
    assert (pid(service), service.show("ActiveState")) == (first, "active")
    assert '"action":"configure_limits"' in service("cat /var/lib/weltklasse/risk/risk_audit.jsonl")
    service("systemctl reload weltklassebot")
    service.until(f"{ADMIN}/v1/limits | grep -q '\"100000\"'")


def test_settings_that_are_wrong_fail_the_start_and_whoever_waits_is_served_once_they_are_right(service: Machine):
    with settings(service, "\\nhots = 1\\n"):
        service("systemctl restart weltklassebot", code=1)
        assert (service.show("ActiveState"), service.show("ExecMainStatus")) == ("failed", "78")
        waiting = service.run("curl --silent --fail --max-time 60 http://127.0.0.1:9000/healthz")
    service.until(f"systemctl is-active {UNIT}")
    with waiting:
        assert waiting.communicate(timeout=SECONDS)[0]
        assert waiting.returncode == 0


# --- new versions, and the end --------------------------------------------------------------------------------------


def test_an_upgrade_switches_the_version_and_a_rollback_switches_back(service: Machine):
    old, first = service("readlink /opt/weltklassebot/current"), pid(service)
    service("mkdir /root/newer; cd /mnt/checkout; cp -R weltklassebot systemd ops README.md *.toml *.lock /root/newer")
    service("""sed -i 's/^__version__ = .*/__version__ = "9.9.9"/' /root/newer/weltklassebot/__init__.py""")
    said = service.install("/root/newer")
    assert "restarted: version 9.9.9-" in said
    assert service("weltklassebot version") == "weltklassebot 9.9.9"
    assert pid(service) != first
    service(f"ln -sfn {old} /opt/weltklassebot/.back; mv -T /opt/weltklassebot/.back /opt/weltklassebot/current")
    service("systemctl restart weltklassebot")
    assert "9.9.9" not in service("weltklassebot version")
    assert state(service)["state"] == "RUNNING"


def test_a_kill_while_it_is_stopped_is_there_at_the_start(service: Machine):
    service("systemctl stop weltklassebot")
    service("weltklassebot kill-switch trigger --reason 'runaway strategy'")
    service("systemctl start weltklassebot")
    assert state(service)["kill_switch"]["state"] == "KILLED"


def test_uninstalling_leaves_the_data(installed: Machine):
    look = "cd / && find var/lib/weltklasse* etc/weltklassebot -type f | sort"
    installed("systemctl stop weltklassebot")
    before = installed(f"{look} | xargs sha256sum")
    said = installed("/mnt/checkout/systemd/uninstall.sh")
    assert "removed /opt/weltklassebot" in said
    assert installed(f"{look} | xargs sha256sum") == before
    assert "risk_audit.jsonl" in before
    assert not installed(f"systemctl list-units --all --no-legend {ALL}")
    installed("ls -d /opt/weltklassebot /usr/local/bin/weltklassebot", code=2)
    installed("curl --silent http://127.0.0.1:9000/healthz", code=7)
    assert "removed" not in installed("/mnt/checkout/systemd/uninstall.sh")


def test_the_debian_package_does_the_same_and_its_removal_too(installed: Machine):
    installed("test -d /root/deb || mkdir /root/deb; cd /mnt/checkout; cp -R weltklassebot systemd ops /root/deb")
    installed("cd /mnt/checkout; cp Makefile README.md *.toml *.lock /root/deb")
    installed(f"{PIP} make --no-print-directory -C /root/deb deb && dpkg -i /root/deb/dist/*.deb")
    assert installed(f"systemctl is-active {ALL}").split() == ["active"] * 4
    assert state(installed)["kill_switch"]["state"] == "KILLED"
    assert installed("command -v weltklassebot") == "/usr/bin/weltklassebot"
    first = pid(installed)
    installed("echo '# mine' >>/etc/weltklassebot/config.toml; dpkg -i /root/deb/dist/*.deb")
    assert pid(installed) not in (0, first)
    assert installed("tail -n 1 /etc/weltklassebot/config.toml") == "# mine"
    installed("dpkg -r weltklassebot")
    assert not installed("systemctl list-units --all --no-legend 'weltklassebot*' | grep -v not-found", code=None)
    installed("curl --silent http://127.0.0.1:9000/healthz", code=7)
    installed("ls /opt/weltklassebot", code=2)
    assert "risk_audit.jsonl" in installed("ls /var/lib/weltklasse/risk")
