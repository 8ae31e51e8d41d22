"""Pages for a damaged and a lost store, followed as root on a machine whose service is another user.

Behind `test_install.py`, which wants a bare machine.
"""

from __future__ import annotations

from tests.docs.pages import Page
from tests.service.looks import ADMIN, UNIT, state
from tests.service.machine import Machine

STORE = "/var/lib/weltklasse/risk"
BEFORE = (
    "set -euo pipefail\n"
    'sudo() { [ "$1 $2" != "-u weltklassebot" ] || { shift 2; set -- as_the_daemon "$@"; }; "$@"; }\n'
    'as_the_daemon() { setpriv --reuid=weltklassebot --regid=weltklassebot --init-groups "$@"; }\n'
)


def follow(service: Machine, page: str, *sections: str) -> str:
    """In one terminal, so that a variable holds from one block to the next."""
    found = Page(page)
    return service(BEFORE + "".join(block.text for section in sections for block in found.blocks(section, "sh")))


def test_a_damaged_journal(service: Machine) -> None:
    service(f'{ADMIN}/v1/marks --data \'{{"symbol": "DAMAGED-1", "price": "1"}}\'')
    service(f"systemctl stop weltklassebot; sed -i s/DAMAGED-1/DAMAGED-2/ {STORE}/risk_audit*.jsonl")
    service("systemctl start weltklassebot", code=1)
    assert service.show("ExecMainStatus") == "74"
    assert "are lost" in follow(service, "runbooks/damaged-journal.md", "Do now")
    assert state(service)["state"] == "RUNNING"


def test_a_restore_from_a_backup(service: Machine) -> None:
    assert "HALTED" in follow(service, "runbooks/restore-from-backup.md", "Take a backup", "Restore")
    assert service.show("ActiveState", UNIT) == "active"
    assert service(f"find {STORE} ! -user weltklassebot") == ""
    assert state(service)["state"] == "RUNNING"


def test_a_restore_in_a_terminal_of_its_own(service: Machine) -> None:
    """The backup is last night's: nothing of that terminal is left."""
    follow(service, "runbooks/restore-from-backup.md", "Restore")
    assert state(service)["state"] == "RUNNING"
