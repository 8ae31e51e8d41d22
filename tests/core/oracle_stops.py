"""The part of the oracle that stops: halts, kills, cooldowns, and what each leaves resting."""

from __future__ import annotations

from tests.core.facts import Order, after
from tests.core.oracle_fits import at
from weltklassebot.core.commands import (
    Cooldown,
    Resume,
)


class Stops:
    """To be mixed into `Oracle`."""

    # --- stops --------------------------------------------------------------------------------------------------

    def halt(self, cause: str, seq: int, *, at_start: bool = False) -> None:
        self.risk, self.cause, self.until, self.awaiting = "HALTED", cause, None, at_start
        self.stops.append((seq, "halted", self.halt_passes_reducing(cause)))

    def withdraw(self, released: int | None, spares_reducing: bool, account: str | None = None) -> set:
        gone = set()
        for known in self.facts.open():
            untold = released is not None and known.seq > released and not known.sent and not known.filled
            if untold and not (spares_reducing and known.reducing) and account in (None, known.order.account):
                known.withdrawn = True
                self.end(known)
                gone.add(known.order.key)
        return gone

    def take_back_untold(self, released: int | None, unwanted: list[Order]) -> None:
        """Nobody was told yes: withdrawn, and not asked back."""
        for known in unwanted:
            if released is not None and known.seq > released and not known.sent and not known.filled:
                known.withdrawn = True
                self.end(known)

    def opening(self, account: str | None) -> list[Order]:
        """What is open and is not kept by a halt."""
        orders = [known for known in self.facts.open() if account in (None, known.order.account)]
        stays: list[Order] = []
        for place in {at(known.order) for known in orders}:
            kept, _ = self.facts.stays([one for one in orders if at(one.order) == place], self.facts.held(place))
            stays += kept
        for known in stays:
            known.reducing = True
        return [known for known in orders if known not in stays]

    def killed(self, seq: int) -> None:
        self.kill = "KILLED"
        self.stops.append((seq, "kill_switch", False))

    def cooldown(self, command: Cooldown, now: float) -> None:
        minutes = self.facts.parameters.cooldown_minutes if command.minutes is None else command.minutes
        until = after(now, minutes * 60)
        if self.risk == "COOLDOWN" and self.until is not None:
            until = max(until, self.until)
        self.risk, self.cause, self.awaiting, self.until = "COOLDOWN", "admin", False, until

    def resume(self, command: Resume) -> None:
        if command.account is not None:
            assert {doubt.fill.fill_id for doubt in self.facts.doubtful if doubt.fill.account == command.account} == {
                *command.fills
            }
            del self.halted_accounts[command.account]
            self.doubted_at = [(ts, account) for ts, account in self.doubted_at if account != command.account]
            return
        if command.rebase_peak and self.facts.purse.peak is not None:
            self.facts.purse.peak = self.facts.equity()
        self.risk, self.cause, self.until, self.awaiting = "RUNNING", "admin", None, False
