"""What is kept for whoever follows along: every durable line once, however quiet the desk is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from weltklassebot.app.wiring import wire
from weltklassebot.core.commands import Start
from weltklassebot.core.records import FORMAT
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.opening import open_store
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.settings import load


async def test_a_proof_that_the_disk_answers_brings_no_line_again(tmp_path: Path) -> None:
    settings = load(
        environ={
            "WELTKLASSE_STATE_DIR": str(tmp_path), "WELTKLASSE_RUNTIME_DIR": str(tmp_path / "run"),
            "WELTKLASSE_RISK_STORE_DIR": str(tmp_path / "risk"),
        }
    )  # fmt: skip
    (tmp_path / "run").mkdir()
    with open_store(tmp_path / "risk") as store:
        log = structlog.get_logger()
        parts = wire(settings, store, RuntimeLatch(tmp_path / "run", log), log, lambda _why: None)
        sequencer, recent = parts.sequencer, parts.events.recent
        wall = sequencer.clock.wall()
        await sequencer.ask(Start(version="t", format=FORMAT, parameters=settings.parameters(), wall=wall), DAEMON)
        kept = recent.size
        assert kept
        for _ in range(3):
            answered = asyncio.get_running_loop().create_future()
            sequencer.prove(answered.set_result)
            async with asyncio.timeout(10):
                await answered
            await asyncio.sleep(0)
        assert recent.size == kept
        parts.upkeep.stop()
