"""The page on the service is followed word for word, on a machine with a real systemd."""

from __future__ import annotations

import pytest

from tests.docs.pages import Page
from tests.service.machine import PIP, Machine

PAGE = Page("runbooks/service.md")
BEFORE = f'set -euo pipefail; cd /mnt/checkout; export {PIP}; sudo() {{ "$@"; }}; sudoedit() {{ test -w "$1"; }}\n'


@pytest.mark.parametrize(
    ("section", "prints"),
    [
        ("Is it well?", "RUNNING"),
        ("Logs", '"event":"ready"'),
        ("Start, stop, restart", ""),
        ("Change settings", "ready, reloaded"),
        ("A secret", ""),
        ("Upgrade and rollback", "weltklassebot 0."),
    ],
)
def test_what_a_section_says_works(service: Machine, section: str, prints: str):
    blocks = PAGE.blocks(section, "sh")
    assert blocks
    assert prints in "".join(service(BEFORE + block.text) for block in blocks)
    service.until("systemctl is-active weltklassebot")
    assert "RUNNING" in service("weltklassebot status")


def test_every_section_with_commands_is_followed():
    sections = [line[3:] for line in PAGE.text.splitlines() if line.startswith("## ")]
    followed = [
        mark for mark in getattr(test_what_a_section_says_works, "pytestmark", []) if mark.name == "parametrize"
    ]
    named = {section for section, _ in followed[0].args[1]}
    assert named == {section for section in sections if PAGE.blocks(section, "sh", "console")}
