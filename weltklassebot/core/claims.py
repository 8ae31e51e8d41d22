"""What an account claims of its equity and its flows, and nobody has believed yet. Events and the state hold it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

__all__ = ["EquityDoubt", "Flow", "FlowStatus"]

FlowStatus = Literal["doubted", "taken", "dropped", "assumed", "waiting", "announced"]
"""`assumed`: a doubted deposit, taken with the equity; `waiting`: a doubted withdrawal, which the equity went without;
both until an operator's word. `announced`: an operator's word came first."""


class EquityDoubt(Struct, frozen=True, omit_defaults=True, gc=False):
    """What an account says of its equity that is not believed yet (`steps`)."""

    last: Decimal
    """What was said last without being believed."""
    low: Decimal | None = None
    """The lowest since the doubt began that was said to be no more than what was believed then."""
    high: Decimal | None = None
    """The last that was said to be more."""
    run: tuple[Decimal, ...] = ()
    """The reports in a row that speak against what is believed, all to one side of it."""
    agreed: int = 0
    """The reports in a row that agree with what is believed."""

    @property
    def worst(self) -> Decimal:
        """The worst of it that could be true."""
        return min((one for one in (self.low, self.high) if one is not None), default=self.last)


class Flow(Struct, frozen=True, omit_defaults=True, gc=False):
    """A deposit (+) or withdrawal (-) of an account, known by its id."""

    flow_id: str
    amount: Decimal | None
    """None: an operator's word came before the report."""
    status: FlowStatus
    fits: int = 0
    """Reports in a row that are as they must be if the flow is true,"""
    fits_without: int = 0
    """and those that can only be as they are if it is not."""
    before: Decimal | None = None
    """Desk equity just before the reports that contain it were taken; of one that is `assumed` or `waiting`."""
