"""The page on denials is the table in the code."""

from __future__ import annotations

from typing import get_args

from tests.daemon.daemon import ROOT
from weltklassebot.core.events import Reason
from weltklassebot.core.reasons import REASONS, Scope

PAGE = ROOT / "runbooks" / "denials.md"


def rows() -> str:
    """What the page must say, scope by scope."""
    heads = {
        "desk": "What stops the desk", "account": "What stops an account", "strategy": "What stops a strategy",
        "symbol": "What stops a symbol", "order": "What is wrong with an order",
    }  # fmt: skip
    parts = []
    for scope in get_args(Scope):
        parts += [
            f"## {heads[scope]}",
            "",
            "| reason | message | closing orders too | ends with |",
            "|---|---|---|---|",
        ]
        parts += [
            f"| `{reason}` | {found.words} | {found.closing} | {found.ends} |"
            for reason, found in REASONS.items()
            if found.stops == scope
        ]
        parts.append("")
    return "\n".join(parts)


def test_every_reason_is_in_the_table_in_its_order() -> None:
    assert tuple(REASONS) == get_args(Reason)


def test_the_page_is_the_table() -> None:
    text = PAGE.read_text()
    assert text[text.index("## What stops the desk") :] == rows()
