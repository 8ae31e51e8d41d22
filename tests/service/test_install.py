"""A bare machine, the service on it, and who may do what. In this order."""

from __future__ import annotations

import json
import re

from tests.service.looks import ADMIN, CHECK, pid, state
from tests.service.machine import SECONDS, Machine
from weltklassebot.journal.wall_clock import synchronised


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


def test_it_may_ask_the_kernel_whether_the_clock_is_synchronised(service: Machine):
    """What sets the clock is refused by the capability that is not there."""
    start = json.loads(service("weltklassebot audit show --action start --json | tail -n 1"))["command"]
    assert start.get("synchronised") is synchronised() is not None
    assert not start.get("unconfigured", False)


def test_the_exposure_is_small(service: Machine):
    said = service("systemd-analyze security --no-pager weltklassebot.service")
    found = re.search(r"Overall exposure level for weltklassebot.service: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= 1.4, said
    status = service(f"cat /proc/{pid(service)}/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


def test_its_memory_has_a_bound(service: Machine):
    """And a child that is ended for it does not take the daemon along."""
    said = service("systemctl show -p MemoryHigh -p MemoryMax -p OOMPolicy weltklassebot.service").split()
    assert sorted(said) == [f"MemoryHigh={1536 << 20}", f"MemoryMax={2 << 30}", "OOMPolicy=continue"]


def test_a_child_that_reads_history_is_idle_where_there_is_a_way_out_of_that(service: Machine):
    """A machine whose systemd may not raise limits is given a capability instead: that is a way out as well."""
    place = "/run/systemd/system/weltklassebot.service.d"
    limit = service(f"grep 'nice' /proc/{pid(service)}/limits").split()
    if limit[3:] == ["0", "0"]:
        assert priority_of_a_query(service) == ("SCHED_OTHER", "19")
        service(f"mkdir -p {place}")
        for name in ("AmbientCapabilities", "CapabilityBoundingSet"):
            service(f"printf '[Service]\\n{name}=CAP_SYS_NICE\\n' >{place}/{name}.conf")
        service("systemctl daemon-reload; systemctl restart weltklassebot")
    else:
        assert limit[3:] == ["1", "1"]
    try:
        assert priority_of_a_query(service) == ("SCHED_IDLE", "19")
    finally:
        service(f"rm -rf {place}; systemctl daemon-reload; systemctl restart weltklassebot")


def priority_of_a_query(service: Machine) -> tuple[str, str]:
    """Policy and nice of the child that looks something up in the audit."""
    service("curl --silent --fail --unix-socket /run/weltklassebot/admin.sock http://localhost/v1/audit")
    child = service(f"pgrep -P {pid(service)} -f weltklassebot.journal.query").strip()
    policy = service(f"chrt -p {child}").splitlines()[0].split()[-1]
    return policy, service(f"cut -d ' ' -f 19 /proc/{child}/stat").strip()


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
