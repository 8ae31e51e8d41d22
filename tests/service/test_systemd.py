"""The service under a real systemd: restarts, crashes, the watchdog, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.service.looks import ADMIN, ALL, CHECK, UNIT, limit, pid, settings, state
from tests.service.machine import SECONDS, Machine

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
        for number in range(4):
            service("systemctl restart weltklassebot")
            with service.knock("ask", CHECK % f"between-{number}") as knock:
                assert json.loads(knock.communicate(timeout=SECONDS)[0])["allowed"]
        service("touch /tmp/enough")
        said, _ = load.communicate(timeout=SECONDS)
    result = json.loads(said)
    assert result["failures"] == {}
    assert min(result["answers"][door] for door in ("http", "admin", "orders")) > 20, result


def test_it_stops_within_ten_seconds_with_connections_open(service: Machine):
    with service.knock("hold", "/tmp/held") as holder:
        service.until("test -e /tmp/held")
        seconds = float(service("TIMEFORMAT=%R; time systemctl stop weltklassebot 2>&1").splitlines()[-1])
        assert holder.wait(SECONDS) == 0, holder.communicate()
    assert seconds < 10
    assert (service.show("Result"), service.show("ActiveState")) == ("success", "inactive")
    for unit in ("weltklassebot.socket", "weltklassebot-admin.socket", "weltklassebot-orders.socket"):
        service.until(f"test $(systemctl show -P ActiveState {unit}) = inactive")
    service("curl --silent http://127.0.0.1:9000/healthz", code=7)
    assert service('tail -n 1 /var/lib/weltklasse/risk/risk_audit.jsonl | grep -o \'"action":"stop"\'')
    service("systemctl start weltklassebot")
    assert service(f"systemctl is-active {ALL}").split() == ["active"] * 4


def test_a_socket_that_is_removed_is_back_for_the_same_group(service: Machine):
    first = pid(service)
    for door, group in (("orders", "weltklasse-trade"), ("admin", "weltklasse-admin")):
        path = f"/run/weltklassebot/{door}.sock"
        service(f"rm {path}")
        service.until(f"test -S {path} && test \"$(stat -c '%U %G %a' {path})\" = 'weltklassebot {group} 660'")
    with service.knock("ask", CHECK % "restored") as knock:
        assert json.loads(knock.communicate(timeout=SECONDS)[0])["client_order_id"] == "restored"
    assert state(service)["kill_switch"]["state"] == "ACTIVE"
    assert pid(service) == first


def test_without_its_directory_it_alarms_until_a_stop_and_a_start(service: Machine):
    """/run belongs to root."""
    service("rm -r /run/weltklassebot")
    service.until("curl --silent http://127.0.0.1:9000/metrics | grep 'lost_sockets 2'")
    assert "socket_lost" in service.journal()
    service("systemctl stop weltklassebot; systemctl start weltklassebot")
    assert state(service)["kill_switch"]["state"] == "ACTIVE"
    service.until("curl --silent http://127.0.0.1:9000/metrics | grep 'lost_sockets 0'")


# --- the watchdog ---------------------------------------------------------------------------------------------------


@pytest.fixture
def short_watchdog(service: Machine) -> Iterator[Machine]:
    """Four seconds instead of ninety, and no time is lost."""
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
    stuck = first if who == "the loop" else int(short_watchdog(f"pgrep -P {first} -f writer_child"))
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


def test_checkpoints_are_signed_in_the_hardened_unit(service: Machine):
    secret, kept = (
        "/etc/weltklassebot/credentials/journal.checkpoint_secret",
        "/var/lib/weltklassebot/checkpoints.jsonl",
    )
    public = json.loads(service(f"weltklassebot audit key create {secret} --json"))["public"]
    try:
        service("systemctl restart weltklassebot")
        service.until(f"test -s {kept} && test \"$(stat -c '%U %a' {kept})\" = 'weltklassebot 600'")
        service("systemctl reload weltklassebot")
        found = json.loads(service(f"weltklassebot audit verify --json --checkpoints {kept} --key {public}"))
        assert (found["ok"], found["signatures"]) == (True, "proved")
        assert "journal_checkpoint" in service.journal()
    finally:
        service(f"rm -f {secret} {kept}; systemctl restart weltklassebot")


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
