"""Deposits and withdrawals: they rescale the peak, so that they look like neither profit nor loss.

A flow is known by its id and counts once. It is taken at once if it is no larger than the step, its report fits it (is
within the step of E + F), and the withdrawals of the day are no more than the step of the day's first equity. Else it
is doubted, and its report with it:

    taken      once several reports in a row fit it; a withdrawal beyond the day's step is not, it waits;
    dropped    once several in a row fit only without it;
    and where several in a row are believed that fit neither: a deposit is taken with them (`assumed`), a withdrawal is
    not (`waiting`), so that the drawdown is the worse. Both are an operator's to change.

Each doubted flow is held against what is believed by itself. A report that fits one is not believed before it is taken;
a report that fits only without is, at once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from weltklassebot.core.claims import EquityDoubt, Flow, FlowStatus
from weltklassebot.core.memory import Refused
from weltklassebot.core.numbers import ZERO, ratio
from weltklassebot.core.state import AccountEquity, State
from weltklassebot.core.steps import agreed, hear, held, moved, side_of

__all__ = ["MOST_OPEN_FLOWS", "MOST_SETTLED_FLOWS", "Ledger", "rescaled"]

MOST_OPEN_FLOWS: Final = 100
"""Of an account; a further one is no more counted than one without an id."""
MOST_SETTLED_FLOWS: Final = 1_000
"""Remembered of an account, so that none counts twice; the oldest are forgotten."""


def rescaled(peak: Decimal | None, equity: Decimal, flow: Decimal) -> Decimal:
    """The peak after a flow: peak x (E + F) / E. Where that means nothing (E or E + F not positive), F is added."""
    if peak is None:
        return flow
    if not flow:
        return peak
    if equity > 0 and equity + flow > 0:
        return ratio(peak * (equity + flow), equity)
    return peak + flow


class Ledger:
    """An account and the desk, as they will be: a decision works on this copy, and changes nothing."""

    def __init__(self, state: State, account: AccountEquity) -> None:
        self._account: Final = account
        self._step: Final = state.parameters.equity_step
        self._fitting: Final = state.fitting
        self._confirmations: Final = state.parameters.equity_confirmations
        self.desk: Decimal = state.equity or ZERO
        self.peak: Decimal | None = state.peak
        self.believed: Decimal = account.equity
        self.doubt: EquityDoubt | None = account.doubt
        self.taken: Decimal = ZERO
        """The flows that were taken."""
        self.moved = False
        """Equity, peak or both."""
        self.believes = False
        """Equity, not the peak alone."""
        self._changed: Final[dict[str, Flow]] = {}

    @property
    def changed(self) -> tuple[Flow, ...]:
        return tuple(self._changed.values())

    @property
    def doubts(self) -> bool:
        """Whether anything is doubted at all."""
        return self._confirmations > 0

    def find(self, flow_id: str) -> Flow | None:
        account = self._account
        return self._changed.get(flow_id) or account.open_flows.get(flow_id) or account.flows.get(flow_id)

    def open_flows(self) -> list[Flow]:
        every = self._account.open_flows | self._changed
        return [flow for flow in every.values() if flow.status not in ("taken", "dropped")]

    def _doubted(self) -> list[Flow]:
        return [flow for flow in self.open_flows() if flow.status == "doubted"]

    # --- reports ----------------------------------------------------------------------------------------------------

    def join(self, said: Decimal, flow_id: str | None, flow: Decimal) -> None:
        """The first report that is believed of an account: all of it is a flow."""
        self._join(said)
        self.doubt = agreed(self.doubt, said, self._confirmations)
        if flow_id is not None:
            self._change(Flow(flow_id, flow, "taken"))

    def doubt_joining(self, said: Decimal) -> None:
        """A first report of zero or less: several of them join all the same."""
        run = (*(self.doubt.run if self.doubt is not None else ()), said)
        self.doubt = EquityDoubt(said, low=min(run), run=run)
        if len(run) >= self._confirmations:
            self._join(said)
            self.doubt = None

    def hear(self, said: Decimal, flow: Flow | None, *, doubtful: bool) -> None:
        """A report, with a flow that was never heard of before. `doubtful`: not to be believed at once."""
        if not self.doubts:
            if flow is not None:
                self.take_at_once(flow)
            self._believe(said)
            self.doubt = None
            return
        if flow is not None and flow.amount is not None and self._is_likely(said, flow.amount):
            self.take_at_once(flow)
            flow = None
        if flow is not None:
            self._change(flow)
        if self._settle(said):
            return
        fitting = any(one.fits for one in self._doubted())
        if (flow is not None or doubtful or fitting) and side_of(self.believed, said, self._step) == "within":
            self._hold(said, confirmable=not fitting)
            return
        self._hear_step(said)

    def take_at_once(self, flow: Flow) -> None:
        """A flow that is taken with its own report. What was doubted before it is doubted with it."""
        amount = flow.amount or ZERO
        self._flow(amount)
        if self.doubt is not None:
            along = moved(self.doubt, amount)
            self.doubt = along if self._fitting else replace(along, run=self.doubt.run)  # as before format 5
        self._change(replace(flow, status="taken"))

    def note(self, flow: Flow) -> None:
        self._change(flow)

    def _is_likely(self, said: Decimal, amount: Decimal) -> bool:
        small = abs(amount) <= self._step * self.believed
        return small and self._fits(said, amount) and not self._beyond_the_day(amount)

    def _fits(self, said: Decimal, amount: Decimal) -> bool:
        return side_of(self.believed + amount, said, self._step) == "within"

    def _beyond_the_day(self, amount: Decimal) -> bool:
        """Whether the withdrawals of the day are too much with this one; one that came with this very report counts."""
        if amount >= 0:
            return False
        account = self._account
        taken = [flow.amount or ZERO for flow in self._changed.values() if flow.status == "taken"]
        withdrawn = account.withdrawn - sum((one for one in taken if one < 0), ZERO)
        return withdrawn - amount > self._step * account.day_equity

    def _settle(self, said: Decimal) -> bool:
        """What a report says of each doubted flow. True: one of them was taken, and the report with it."""
        for flow in self._doubted():
            amount = flow.amount or ZERO
            if self._fits(said, amount):
                flow = replace(flow, fits=flow.fits + 1, fits_without=0)  # noqa: PLW2901 - the same flow, a report later
            elif self._fits(said, ZERO):
                flow = replace(flow, fits=0, fits_without=flow.fits_without + 1)  # noqa: PLW2901
            else:
                flow = replace(flow, fits=0, fits_without=0)  # noqa: PLW2901
            self._change(flow)
        for flow in self._doubted():
            if flow.fits_without >= self._confirmations:
                self._change(_settled(flow, "dropped"))
            elif flow.fits >= self._confirmations:
                if not self._beyond_the_day(flow.amount or ZERO):
                    self._take(flow, said)
                    return True
                if side_of(self.believed, said, self._step) == "within":
                    self._change(_settled(flow, "waiting", before=self.desk))
        return False

    def _take(self, flow: Flow, said: Decimal) -> None:
        self._flow(flow.amount or ZERO)
        self._change(_settled(flow, "taken"))
        self._believe(said)
        self.doubt = None
        for other in self._doubted():
            self._change(replace(other, fits=0, fits_without=0))

    def _hold(self, said: Decimal, *, confirmable: bool) -> None:
        self.doubt = held(self.believed, self.doubt, said)
        if confirmable and self.doubt.agreed >= self._confirmations:
            self._believe(said)
            self.doubt = None

    def _hear_step(self, said: Decimal) -> None:
        found = hear(self.believed, self.doubt, said, self._step, self._confirmations)
        self.doubt = found.doubt
        if not found.moved:
            return
        if found.by_step:
            self._take_the_worse()
        self._believe(found.believed)

    def _take_the_worse(self) -> None:
        """Equity is believed that fits no doubted flow: with the deposits, without the withdrawals."""
        for flow in self._doubted():
            amount, before = flow.amount or ZERO, self.desk
            if amount > 0:
                self._flow(amount)
            self._change(_settled(flow, "assumed" if amount > 0 else "waiting", before=before))

    # --- an operator's word -----------------------------------------------------------------------------------------

    def accept_equity(self) -> None:
        """Take the last doubted equity."""
        assert self.doubt is not None
        if not self._account.known:
            self._join(self.doubt.last)
        self._take_the_worse()
        self._believe(self.doubt.last)
        self.doubt = None

    def accept_flow(self, flow: Flow) -> None:
        """Take the flow, whatever became of it. Raises `Refused` for one that counts already."""
        amount = flow.amount or ZERO
        match flow.status:
            case "doubted":
                self._flow(amount)
                if self.doubt is not None and side_of(self.believed, self.doubt.last, self._step) == "within":
                    self._believe(self.doubt.last)
                    self.doubt = None
                elif self.doubt is not None:
                    self.doubt = replace(self.doubt, run=(), agreed=0)
            case "waiting":
                assert flow.before is not None
                self._rescale(flow.before, amount)
                self.taken += amount
            case "dropped":
                raise Refused(f"flow {flow.flow_id} was dropped: report it once more, under another id")
            case "assumed":
                pass
            case "taken":
                raise Refused(f"flow {flow.flow_id} was counted already")
            case "announced":
                raise Refused(f"flow {flow.flow_id} is awaited already")
        self._change(_settled(flow, "announced" if flow.amount is None else "taken"))

    def drop_flow(self, flow: Flow) -> None:
        """It never was. Raises `Refused` for one that was taken on the word of reports or an operator."""
        if flow.status == "taken":
            raise Refused(f"flow {flow.flow_id} was counted: report what takes it back as a flow of its own")
        if flow.status == "assumed" and flow.amount is not None and flow.before is not None:
            self._rescale(flow.before + flow.amount, -flow.amount)
            self.taken -= flow.amount
        self._change(_settled(flow, "dropped"))

    # --- the sums ---------------------------------------------------------------------------------------------------

    def _believe(self, said: Decimal) -> None:
        self.desk += said - self.believed
        self.believed = said
        self.moved = self.believes = True

    def _flow(self, amount: Decimal) -> None:
        self._rescale(self.desk, amount)
        self._believe(self.believed + amount)
        self.taken += amount

    def _join(self, said: Decimal) -> None:
        self._rescale(self.desk, said)
        self._believe(said)

    def _rescale(self, equity: Decimal, amount: Decimal) -> None:
        self.peak = rescaled(self.peak, equity, amount)
        self.moved = True

    def _change(self, flow: Flow) -> None:
        self._changed[flow.flow_id] = flow


def _settled(flow: Flow, status: FlowStatus, before: Decimal | None = None) -> Flow:
    return Flow(flow.flow_id, flow.amount, status, before=before)
