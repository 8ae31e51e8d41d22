"""Every bound of the daemon as two gauges: how much there is, and how much there may be.

`runbooks/bounds.md` says for each what happens when it is full. One alert covers them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Final, NamedTuple, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric

from weltklassebot.core.adjustments import MOST_BOOKED
from weltklassebot.core.flows import MOST_OPEN_FLOWS, MOST_SETTLED_FLOWS
from weltklassebot.core.parameters import LIMITS
from weltklassebot.core.shares import glance, most_open, most_remembered
from weltklassebot.runtime.commit import MAX_BATCH_RECORDS
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["Bound", "families", "of_core", "of_sequencer"]


T = TypeVar("T")


class Bound(NamedTuple):
    """Something that grows up to a limit."""

    name: str
    limit: Callable[[], int]
    size: Callable[[], int]


def of_sequencer(sequencer: Sequencer) -> list[Bound]:
    """What waits between a decision and its answer."""
    return [
        Bound("pending", lambda: sequencer.max_pending, lambda: sequencer.commit.waiting),
        Bound("batch", lambda: MAX_BATCH_RECORDS, lambda: sequencer.commit.in_flight_records),
        Bound("marks_waiting", lambda: sequencer.state.parameters.max_symbols, lambda: len(sequencer.marks)),
    ]


def of_core(sequencer: Sequencer) -> list[Bound]:
    """What the core remembers. A state is replaced as a whole when a snapshot is restored, so it is asked for anew."""

    def held(name: str, limit: Callable[[], int], what: str) -> Bound:
        return Bound(name, limit, lambda: len(getattr(sequencer.state, what)))

    def most(key: str) -> Callable[[], int]:
        return lambda: int(getattr(sequencer.state.parameters, key))

    return [
        held("open_orders", most("max_open_orders"), "orders"),
        Bound("open_orders_of_one_strategy", lambda: most_open(sequencer.state, 0), lambda: _open(sequencer, 0)),
        Bound("open_orders_of_one_principal", lambda: most_open(sequencer.state, 1), lambda: _open(sequencer, 1)),
        held("cancels", most("max_open_orders"), "cancels"),
        Bound("remembered", most("max_remembered"), lambda: sequencer.state.remembered_count()),  # noqa: PLW0108 - see above
        Bound(
            "remembered_of_one_strategy",
            lambda: most_remembered(sequencer.state, 0),
            lambda: _largest(sequencer.state.remembered, sequencer.state.remembered_before),
        ),
        Bound(
            "remembered_of_one_principal",
            lambda: most_remembered(sequencer.state, 1),
            lambda: _largest(sequencer.state.remembered_by, sequencer.state.remembered_by_before),
        ),
        held("remembered_denials", most("max_remembered_denials"), "denied"),
        held("doubtful_fills", most("max_doubtful"), "doubtful"),
        held("symbols", most("max_symbols"), "markets"),
        Bound("venue_marks", most("max_symbols"), lambda: sequencer.state.venue_marks),
        held("positions", most("max_positions"), "positions"),
        held("booked_fills", lambda: MOST_BOOKED, "booked"),
        held("adjusted_positions", most("max_positions"), "adjusted"),
        held("split_symbols", most("max_symbols"), "splits"),
        held("accounts", most("max_accounts"), "accounts"),
        Bound("open_flows", lambda: MOST_OPEN_FLOWS, lambda: _most_flows(sequencer, "open_flows")),
        Bound("known_flows", lambda: MOST_SETTLED_FLOWS, lambda: _most_flows(sequencer, "flows")),
        held("limits_changed", lambda: len(LIMITS), "overrides"),
    ]


def _open(sequencer: Sequencer, which: int) -> int:
    """Of the pair (0), or the principal (1), that has most."""
    there = glance(sequencer.state)
    return max(islice((there.pairs, there.principals)[which].values(), _LOOKED_AT), default=0)


def _largest(today: dict[T, int], before: dict[T, int]) -> int:
    owners = islice(chain(today, before), _LOOKED_AT)
    return max((today.get(owner, 0) + before.get(owner, 0) for owner in owners), default=0)


_LOOKED_AT: Final = 1000
"""Of so many the largest is told: a scrape holds up nobody."""


def _most_flows(sequencer: Sequencer, what: str) -> int:
    return max((len(getattr(account, what)) for account in sequencer.state.accounts.values()), default=0)


def families(bounds: Iterable[Bound]) -> list[Metric]:
    """The two gauges."""
    size = GaugeMetricFamily("bounded_size", "How much there is of what is bounded.", labels=["bound"])
    limit = GaugeMetricFamily("bounded_limit", "How much there may be of it.", labels=["bound"])
    for bound in bounds:
        size.add_metric([bound.name], float(bound.size()))
        limit.add_metric([bound.name], float(bound.limit()))
    return [size, limit]
