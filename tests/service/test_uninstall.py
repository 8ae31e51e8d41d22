"""New versions, a kill that nobody heard, and the end of the service. In this order."""

from __future__ import annotations

from tests.service.looks import ALL, pid, state
from tests.service.machine import PIP, Machine


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
