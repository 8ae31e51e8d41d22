"""A reload (SIGHUP): settings are read again while the daemon serves.

Limits that are configured otherwise now are journaled and in force at once, but for those that were set at run time:
they hold until `limits unset`. Whatever else differs takes a restart, and is named. Settings that are wrong change
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from weltklassebot.core.commands import ConfigureLimits
from weltklassebot.core.parameters import LIMITS
from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.systemd import notify, notify_reloading
from weltklassebot.settings import Settings, SettingsError, changed_keys

__all__ = ["Reload"]

_ACTOR: Final = "reload"
_LIMIT_KEYS: Final = frozenset(f"risk.{key}" for key in LIMITS)


class Reload:
    """Reloads one after the other, as often as it is asked."""

    def __init__(self, sequencer: Sequencer, settings: Settings, read: Callable[[], Settings], log: Any) -> None:
        """`settings`: those of the start. `read` gives those of now, or raises `SettingsError`."""
        self._sequencer: Final = sequencer
        self._settings: Final = settings
        self._read: Final = read
        self._log: Final = log
        self._asked: Final = asyncio.Event()

    def ask(self) -> None:
        """To be called from the event loop, at a signal."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            notify_reloading()
            status = await self._reload()
            notify("READY=1", f"STATUS={status}")

    async def _reload(self) -> str:
        try:
            settings = await asyncio.to_thread(self._read)
        except SettingsError as error:
            for problem in error.problems:
                self._log.error("reload_refused", problem=problem)
            return f"serving; the last reload was refused: {error.problems[0]}"
        changes = self._limits(settings)
        if changes:
            command = ConfigureLimits(set=changes, reason="settings were read again", actor=_ACTOR)
            answer = await self._sequencer.ask(command, DAEMON)
            if isinstance(answer, Problem):
                self._log.error("reload_refused", problem=answer.detail or answer.title)
                return f"serving; the last reload was refused: {answer.detail or answer.title}"
        later = [key for key in changed_keys(self._settings, settings) if key not in _LIMIT_KEYS]
        if later:
            self._log.warning("restart_needed", settings=later)
        held = sorted(changes.keys() & self._sequencer.state.overrides.keys())
        self._log.info("reloaded", limits=sorted(changes), held_until_unset=held, seq=self._sequencer.seq)
        return f"ready, reloaded; a restart is needed for {', '.join(later)}" if later else "ready, reloaded"

    def _limits(self, settings: Settings) -> dict[str, Decimal | None]:
        """What is configured otherwise than by now."""
        old, new = self._sequencer.state.configured, settings.parameters()
        values = {key: getattr(new, key) for key in LIMITS if getattr(new, key) != getattr(old, key)}
        return {key: None if value is None else Decimal(value) for key, value in values.items()}
