"""The page on containers (container.md) is followed word for word with a real engine; its image is the service's."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.container.desk import CONFIG, PAGE, RUN, STORE, Desk
from tests.service.machine import CHECKOUT

UNIT = (CHECKOUT / "systemd" / "weltklassebot.service").read_text()
FOLLOWED = {
    "Prepare the host", "Build the image", "Start it", "Is it healthy?", "Stop trading, and resume",
    "Stop trading while it is down", "Stop and start the container", "Start it with the host", "Change settings",
    "Let bots and operators in", "Upgrade and roll back",
}  # fmt: skip


def unit(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def test_every_section_with_commands_is_followed():
    sections = re.findall(r"^#{2,3} (.+)$", PAGE.text, re.MULTILINE)
    with_commands = {section for section in sections if PAGE.blocks(section, "sh", "console")}
    assert with_commands - {"Do now"} == FOLLOWED


def test_the_image_is_told_what_the_service_is_told(prepared: Desk):
    config = json.loads(prepared.host("podman image inspect weltklassebot --format '{{json .Config}}'"))
    assert {line for line in config["Env"] if not line.startswith("PATH=")} == set(unit("Environment"))
    assert config["Entrypoint"] + config["Cmd"] == unit("ExecStart")[0].split()
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["User"]), "a number, and not root's"
    assert (config["StopSignal"], list(config["ExposedPorts"])) == ("SIGTERM", ["9000/tcp"])


def test_what_is_mounted_is_what_the_image_writes(prepared: Desk):
    """And what systemd would make for the service."""
    table = set(re.findall(r"^\| `(/[^`]+)` \|", PAGE.text, re.MULTILINE))
    (start,) = PAGE.blocks("Start it", "sh")
    mounted = dict(re.findall(r"--volume ([^: ]+):([^ ]+)", start.text))
    assert set(mounted) == table
    assert {place for place, there in mounted.items() if not there.endswith(":ro")} == {
        RUN, STORE, "/var/lib/weltklassebot",
    }  # fmt: skip
    for place, rights in (("run/weltklassebot", "0755"), ("var/lib/weltklassebot", "0700"), (STORE[1:], "0700")):
        found = prepared.host(f"stat --format '%u:%g %a' /{place}")
        assert found == f"10001:10001 {rights[1:]}"


def test_neither_pip_nor_the_checkout_is_in_the_image(prepared: Desk):
    within = prepared.host(
        "podman run --rm --network none --entrypoint /usr/bin/find weltklassebot "
        "/opt /usr/local /checkout -maxdepth 7 -type d -printf '%P\\n'",
        code=None,
    )
    assert "site-packages/weltklassebot" in within
    assert not re.search(r"site-packages/(pip|setuptools)$", within, re.MULTILINE)
    assert "'/checkout': No such file" in within


def test_it_is_healthy(desk: Desk):
    said = desk.follow("Is it healthy?")
    assert re.search(r"\bUp\b.*weltklassebot", said)
    assert re.search(r"^state +RUNNING$", said, re.MULTILINE)
    assert '"event":"ready"' in said
    assert desk.inspect(".HostConfig.ReadonlyRootfs") == "true"


def test_stop_trading_and_resume(desk: Desk):
    assert "HALTED" in desk.follow("Stop trading, and resume")
    assert desk.state()["state"] == "RUNNING"
    stopped, resumed = desk.records()[-2:]
    assert stopped["actor"] == resumed["actor"] == "head@desk"


def test_stop_trading_while_it_is_down(desk: Desk):
    desk.host("podman stop weltklassebot")
    said = desk.follow("Stop trading while it is down")
    assert re.search(r"latched +yes\n(.*\n)?recorded +yes", said)
    desk.host("podman start weltklassebot")
    desk.serves()
    assert desk.state()["kill_switch"]["state"] == "KILLED"
    assert not desk.check("c-1")["allowed"]


def test_stop_and_start_the_container(desk: Desk):
    desk.exec("halt --reason drill")
    said = desk.follow("Stop and start the container", 0)
    assert said.splitlines()[1] == "0", said
    desk.serves()
    desk.follow("Stop and start the container", 1)
    desk.serves()
    assert desk.state()["state"] == "HALTED"
    assert [record["action"] for record in desk.records()].count("stop") == 2


def test_start_it_with_the_host(desk: Desk):
    before = desk.check("c-1")
    desk.follow("Start it with the host")
    desk.serves()
    assert desk.check("c-1")["seq"] == before["seq"], "it goes on with the same store"
    assert desk.host("systemctl is-enabled container-weltklassebot") == "enabled"

    old = desk.pid
    desk.host(f"kill -KILL {old}")
    desk.until("systemctl show -P SubState container-weltklassebot | grep auto-restart")
    assert desk.host("systemctl show -P RestartUSec container-weltklassebot") == "5s"
    desk.host("systemctl restart container-weltklassebot")
    desk.serves()
    assert desk.pid != old
    desk.host("systemctl disable --now container-weltklassebot")
    assert desk.records()[-1]["action"] == "stop"


def test_change_settings(desk: Desk):
    # As an editor does it: the file is another one afterwards.
    desk.host(f"(cat {CONFIG}; printf '[risk]\\nmax_trades_per_day = 7\\n') >/tmp/new; mv /tmp/new {CONFIG}")
    assert "the settings are good" in desk.follow("Change settings")
    desk.until('podman logs weltklassebot | grep \'"event":"reloaded"\'')
    assert desk.state()["limits"]["max_trades_per_day"] == 7


def test_let_bots_and_operators_in(desk: Desk):
    said = desk.follow("Let bots and operators in")
    assert said.startswith("yes ")
    assert desk.records()[-1]["principal"] == "uid:20001"


def test_upgrade_and_roll_back(desk: Desk):
    before = desk.check("c-1")
    desk.follow("Upgrade and roll back", 0)
    for last in (False, True):
        desk.start()
        assert desk.check("c-1")["seq"] == before["seq"]
        if not last:
            desk.follow("Upgrade and roll back", 1)
    assert [record["action"] for record in desk.records()].count("start") == 3


def test_the_readme_and_the_index_name_the_page():
    for path in ("README.md", "runbooks/README.md"):
        assert "container.md" in Path(CHECKOUT, path).read_text(), path
