"""Pages list what the code can say."""

from __future__ import annotations

from typing import get_args

from tests.daemon.daemon import ROOT
from weltklassebot.core.events import DoubtCause


def test_the_page_on_doubtful_fills_names_every_cause() -> None:
    text = (ROOT / "runbooks" / "alerts" / "DoubtfulFills.md").read_text()
    assert not [cause for cause in get_args(DoubtCause) if f"| `{cause}` |" not in text]
