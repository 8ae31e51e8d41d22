"""The page on the service is followed word for word, on a machine with a real systemd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.docs.pages import Page
from tests.service.machine import PIP, Machine

PAGE = Page("runbooks/service.md")
BEFORE = f'set -euo pipefail; cd /mnt/checkout; export {PIP}; sudo() {{ "$@"; }}; sudoedit() {{ test -w "$1"; }}\n'


@contextmanager
def other_store(service: Machine) -> Iterator[None]:
    """An empty one for a while, and a checkout in /root/next; then the version and the store of before."""
    before = service("readlink /opt/weltklassebot/current")
    service(f"systemctl stop weltklassebot; cp -a {STORE} /root/kept; find {STORE} -mindepth 1 -delete")
    service("rm -rf /root/next; mkdir /root/next")
    service("cd /mnt/checkout; cp -R weltklassebot systemd ops README.md *.toml *.lock /root/next")
    yield
    service(f"systemctl stop weltklassebot; find {STORE} -mindepth 1 -delete; cp -a /root/kept/. {STORE}")
    service(f"rm -rf /root/kept; ln -sfn {before} /opt/weltklassebot/back")
    service("mv -T /opt/weltklassebot/back /opt/weltklassebot/current; systemctl start weltklassebot")
    service("weltklassebot resume --reason 'as it was before'")


@pytest.mark.parametrize(
    ("section", "prints"),
    [
        ("Is it well?", "RUNNING"),
        ("Logs", '"event":"ready"'),
        ("Start, stop, restart", ""),
        ("Change settings", ""),
        ("A secret", ""),
        ("Upgrade and rollback", "weltklassebot 0."),
    ],
)
def test_what_a_section_says_works(service: Machine, section: str, prints: str):
    blocks = PAGE.blocks(section, "sh")
    assert blocks
    assert prints in "".join(service(BEFORE + block.text) for block in blocks)
    if section == "Change settings":  # a moment after the signal
        service.until("systemctl show -P StatusText weltklassebot | grep --fixed-strings 'ready, reloaded'")
    service.until("systemctl is-active weltklassebot")
    assert "RUNNING" in service("weltklassebot status")


UPGRADE, BACK = (BEFORE + block.text for block in PAGE.blocks("Upgrade and rollback", "sh"))
STORE = "/var/lib/weltklasse/risk"


def test_an_upgrade_takes_over_the_store_that_an_earlier_version_wrote(service: Machine):
    before = service("weltklassebot version")
    with other_store(service):
        service(f"install -o weltklassebot -m 600 -t {STORE} /mnt/checkout/tests/stores/format-1/*")
        service("""cd /root/next
            sed -i 's/^__version__ = .*/__version__ = "0.2.0"/' weltklassebot/__init__.py""")
        assert "weltklassebot 0.2.0" in service(UPGRADE.replace("/mnt/checkout", "/root/next"))
        assert '"event":"older_format"' in service("journalctl -u weltklassebot -o cat --no-pager")
        assert "HALTED" in service("weltklassebot status")
        assert "max_order_notional 30000" in " ".join(service("weltklassebot limits show").split())
        assert service("weltklassebot audit verify")
        service(BACK)
        assert service("weltklassebot version") == before
        assert "HALTED" in service("weltklassebot status")


def test_a_rollback_behind_a_newer_format_is_refused_with_one_line(service: Machine):
    with other_store(service):
        service("""cd /root/next
            sed -i 's/^__version__ = .*/__version__ = "0.3.0"/' weltklassebot/__init__.py
            sed -i 's/^FORMAT: Final = .*/FORMAT: Final = 6/' weltklassebot/core/records.py""")
        service(UPGRADE.replace("/mnt/checkout", "/root/next"))
        # Exit code 78 is not tried again: the restart itself fails, and says so.
        service(BACK, code=1)
        assert service.show("ExecMainStatus") == "78"
        said = service("journalctl -u weltklassebot -o cat --no-pager -n 20 | grep cannot_serve")
        assert "written in format 6" in said


def test_every_section_with_commands_is_followed():
    sections = [line[3:] for line in PAGE.text.splitlines() if line.startswith("## ")]
    followed = [
        mark for mark in getattr(test_what_a_section_says_works, "pytestmark", []) if mark.name == "parametrize"
    ]
    named = {section for section, _ in followed[0].args[1]}
    assert named == {section for section in sections if PAGE.blocks(section, "sh", "console")}
