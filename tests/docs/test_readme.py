"""The tour of the README, word for word, against a daemon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.daemon.daemon import Daemon
from tests.docs.pages import Page, Shell


@pytest.mark.slow
def test_the_tour_goes_as_it_is_told(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    shell = Shell(daemon)
    tour = Page("README.md").blocks("Five-minute tour", "sh")
    ask, denied, report, halt, status, resume, metrics = (block.text for block in tour)

    assert "yes" in shell(ask)
    answer = shell(denied)
    assert '"reason":"max_order_notional","limit":"25000","value":"32000"' in answer
    assert '"message":"order notional 32000 exceeds 25000"' in answer
    assert "0.1" in shell(report)
    assert "that was a no" in shell(halt)
    daemon.restart()
    assert "HALTED" in shell(status)
    said = shell(resume)
    assert "RUNNING" in said
    assert "exchange announces maintenance" in said
    port = daemon.port
    figures = shell(metrics.replace(":9000", f":{port}"))
    assert 'risk_state{state="RUN"} 1.0' in figures
    assert 'risk_denials_total{reason="max_order_notional"}' in figures
