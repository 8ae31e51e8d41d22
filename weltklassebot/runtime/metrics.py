"""What Prometheus sees. Counted in plain numbers on the hot path, turned into metric families only when scraped.

Label sets are closed: reasons, stages, states and batch outcomes are enums of ours, never text from outside.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from weltklassebot import __version__, logs
from weltklassebot.core.commands import ReportEquity, ReportFill, ReportOrder
from weltklassebot.core.doubted_equity import stale_accounts
from weltklassebot.core.drawdown import drawdown
from weltklassebot.core.events import SEVERITY
from weltklassebot.core.parameters import OF_EQUITY
from weltklassebot.core.views import doubted_marks, holding, unfed, unnamed_accounts
from weltklassebot.runtime.answers import CheckAnswer, Done
from weltklassebot.runtime.bounds import Bound, families
from weltklassebot.runtime.checkpoints import Checkpoints
from weltklassebot.runtime.commit import Entry
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.histogram import Histogram
from weltklassebot.runtime.refusals import OUTCOMES, Outcome
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.upkeep import Upkeep

__all__ = ["Metrics"]

SECONDS: Final = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5,
)  # fmt: skip
RECORDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
STAGES: Final = ("decode", "decide", "journal", "respond")


class Metrics:
    """A collector over the sequencer's state and the counters below."""

    def __init__(self) -> None:
        self.sequencer: Sequencer | None = None
        self.stages: Final = {stage: Histogram(SECONDS) for stage in STAGES}
        self.fsync: Final = Histogram(SECONDS)
        self.batches: Final = Histogram(RECORDS)
        self.denials: Final = dict.fromkeys(SEVERITY, 0)
        self.decisions: Final = {"allowed": 0, "denied": 0, "replayed": 0}
        self.duplicate_fills = 0
        self.doubtful_fills = 0
        self.turned_legs = 0
        self.late_fills = 0
        self.fills_without_room = 0
        self.unprotected_positions = 0
        self.oversized_stops = 0
        self.oversized_orders = 0
        self.flipped_positions = 0
        self.ends_without_quantity = 0
        self.contradicting_fills = 0
        self.shared_fill_ids = 0
        self.uncounted_flows = 0
        self.journal_errors = 0
        self.bad_input = 0
        self.slow_clients = 0
        self.refused_connections = 0
        self.refused: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        """Those of `Refusals`, once there is one."""
        self.uncounted: dict[str, int] = {}
        """Those of `Uncounted`, once there is one."""
        self.faults: Faults | None = None
        self.lost_sockets = 0
        self.upkeep: Upkeep | None = None
        self.checkpoints: Checkpoints | None = None
        self.bounds: Final[list[Bound]] = []
        """Of every part that has one; the composition root adds them."""
        self.state_known = True
        """False while the journal cannot be read: then nobody knows the state of anything."""
        self.free_bytes = float("nan")
        """Where the journal lies. Looked up off the loop: a disk that hangs must not hang the daemon."""
        self._started: Final = time.time()
        self._registry: Final = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def released(self, entries: list[Entry], fsync_seconds: float, now: float) -> None:
        """A batch became durable, and its answers left from `now` on (`perf_counter`)."""
        journal = self.stages["journal"]
        records = 0
        for entry in entries:
            if entry.body is not None:
                records += 1
                journal.observe(now - entry.decided)
            self._count(entry)
        if records:
            self.batches.observe(records)
            self.fsync.observe(fsync_seconds)

    def _count(self, entry: Entry) -> None:
        answer = entry.answer
        if type(answer) is CheckAnswer:
            self.count_check(answer)
        elif type(answer) is Done:
            self._count_done(entry, answer)

    def _count_done(self, entry: Entry, answer: Done) -> None:
        self.unprotected_positions += len(answer.body.get("unprotected", ()))
        self.oversized_stops += len(answer.body.get("oversized", ()))
        self.oversized_orders += len(answer.body.get("reduce_to", ()))
        self.flipped_positions += "flipped" in answer.body
        if type(entry.command) is ReportFill:
            if answer.body.get("replayed"):
                self.duplicate_fills += 1
            elif answer.body.get("doubtful"):
                self.doubtful_fills += 1
                self.contradicting_fills += answer.body["cause"] == "contradicts_fill"
                self.turned_legs += answer.body["cause"] == "turns_leg" or "booked_quantity" in answer.body
                self.fills_without_room += answer.body["cause"] == "no_room" or "unremembered" in answer.body
            else:
                self.fills_without_room += "unremembered" in answer.body or "position" not in answer.body
                self.late_fills += "late" in answer.body
                self.shared_fill_ids += "fill_id_shared" in answer.body
        elif type(entry.command) is ReportOrder and "notices" in answer.body:
            self.ends_without_quantity += 1
        elif type(entry.command) is ReportEquity:
            flows = answer.body.get("flows")
            if (entry.command.flow and "notices" in answer.body) or (flows and "dropped" in flows.values()):
                self.uncounted_flows += 1

    def count_check(self, answer: CheckAnswer) -> None:
        if answer.replayed:
            self.decisions["replayed"] += 1
            return
        self.decisions["allowed" if answer.allowed else "denied"] += 1
        for denial in answer.denials:
            self.denials[denial.reason] += 1

    def collect(self) -> Iterator[Metric]:
        """Called by a scrape."""
        yield _info("build_info", "The version that runs.", {"version": __version__})
        yield _counters(
            "risk_denials", "Denials by reason; an order may be denied for several.", "reason", self.denials
        )
        yield _counters("risk_decisions", "Order checks by decision.", "decision", self.decisions)
        yield _counters("access_refused", "Requests and connections refused, by why.", "outcome", self.refused)
        yield _counters(
            "risk_uncounted_reports", "Reports of who is none of the sources, by kind.", "kind", self.uncounted
        )
        yield _histograms("stage_latency_seconds", "Time spent in each stage.", "stage", self.stages)
        yield _histogram("journal_fsync_seconds", "Time one fdatasync took.", self.fsync)
        yield _histogram("journal_batch_records", "Records made durable by one fdatasync.", self.batches)
        for name, text, value in (
            ("duplicate_fills", "Fills reported again.", self.duplicate_fills),
            ("doubtful_fills", "Fills that fit no order.", self.doubtful_fills),
            ("turned_legs", "Fills that would have turned a leg; what goes beyond it is doubtful.", self.turned_legs),
            ("late_fills", "Fills behind their order's end, or beyond what it said; they count.", self.late_fills),
            (
                "fills_without_room",
                "Fills that could not be remembered, or not held as doubtful one by one.",
                self.fills_without_room,
            ),
            (
                "contradicting_fills",
                "Executions reported again with another quantity or price.",
                self.contradicting_fills,
            ),
            (
                "shared_fill_ids",
                "Days and venues in which a fill id came for several executions.",
                self.shared_fill_ids,
            ),
            (
                "unprotected_positions",
                "Positions that a stop of trading left with less behind stop orders than before.",
                self.unprotected_positions,
            ),
            ("oversized_stops", "Stop orders that were kept although larger than the position.", self.oversized_stops),
            (
                "oversized_orders",
                "Orders of a group, or stops, that were left larger than what they would close.",
                self.oversized_orders,
            ),
            ("flipped_positions", "Fills of reducing orders that opened a position.", self.flipped_positions),
            (
                "order_ends_without_quantity",
                "Ends that do not say how much was executed, taken as unknown.",
                self.ends_without_quantity,
            ),
            (
                "uncounted_flows",
                "Reports with a deposit or withdrawal that is not counted: without an id, under another's, or dropped.",
                self.uncounted_flows,
            ),
            ("journal_errors", "Failures of the journal.", self.journal_errors),
            ("bad_input", "Requests and lines that were not understood.", self.bad_input),
            ("slow_clients", "Connections cut off because they did not read.", self.slow_clients),
            (
                "refused_connections",
                "Connections turned away or ended because there were too many.",
                self.refused_connections,
            ),
            ("log_lines_lost", "Lines of the log that nobody took.", logs.lost()),
            (
                "faults",
                "Faults of the program itself; the log has their traces.",
                self.faults.count if self.faults else 0,
            ),
        ):
            yield CounterMetricFamily(name, text, value=float(value))
        yield GaugeMetricFamily(
            "lost_sockets",
            "Unix sockets whose path leads elsewhere, and that cannot be bound again.",
            value=float(self.lost_sockets),
        )
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When this process started, Unix seconds.", value=self._started
        )
        if self.sequencer is not None:
            yield from self._of_journal(self.sequencer)
            if self.state_known:
                yield from self._of_state(self.sequencer)
        yield from families(self.bounds)
        if self.upkeep is not None:
            yield from _of_upkeep(self.upkeep, self.checkpoints)

    def _of_state(self, sequencer: Sequencer) -> Iterator[Metric]:
        state = sequencer.state
        short = {"RUN": "RUNNING", "COOL": "COOLDOWN", "HALT": "HALTED"}
        yield _states(
            "risk_state", "1 for the current risk state.", {k: v == state.risk.state for k, v in short.items()}
        )
        kills = {name: name == state.kill_switch.state for name in ("ACTIVE", "KILLED", "RECOVERING")}
        yield _states("kill_switch_state", "1 for the current state of the kill switch.", kills)
        yield _gauges(
            "risk_limit_unfed", "1 while what the limit is held against was never reported.", "limit",
            {key: key in unfed(state) for key in OF_EQUITY},
        )  # fmt: skip
        now = state.now
        stale = {name for name, _ in stale_accounts(state, sequencer.clock.now())}
        limit = state.parameters.max_drawdown
        fallen = drawdown(state.equity, state.peak) if state.equity is not None and state.peak is not None else 0
        for name, text, value in (
            ("risk_state_since_seconds", "When the risk state was entered, Unix seconds.", state.risk.since),
            ("risk_drawdown_ratio", "1 - equity / peak.", float(fallen)),
            ("risk_drawdown_limit_ratio", "Drawdown at which trading halts; +Inf: no limit.", _limit(limit)),
            ("risk_gross_notional", "Exposure of the desk in the base currency.", float(state.gross)),
            ("risk_max_notional", "Its limit; +Inf: no limit.", _limit(state.parameters.max_notional)),
            ("risk_trades_today", "Approvals of the trading day.", state.trades_today),
            ("risk_limits_changed", "Limits that differ from the configured ones.", len(state.overrides)),
            ("risk_open_orders", "Orders whose fate is not known.", len(state.orders)),
            ("risk_doubtful_fills", "Doubtful fills that wait for an operator.", len(state.doubtful)),
            ("risk_doubted_marks", "Prices that are doubted.", doubted_marks(state)),
            ("risk_halted_accounts", "Accounts halted by doubtful fills.", len(state.halted_accounts)),
            ("risk_unconfirmed_cancels", "Cancel requests that nobody confirmed.", len(state.cancels)),
            (
                "risk_unsettled_positions",
                "Symbols of an account that stand at several venues since an upgrade.",
                sum(map(len, state.unsettled.values())),
            ),
            ("risk_doubted_accounts", "Accounts whose equity is doubted.", len(state.doubted_losses)),
            (
                "risk_open_flows",
                "Deposits and withdrawals that are doubted, or wait for an operator.",
                sum(len(account.open_flows) for account in state.accounts.values()),
            ),
            (
                "risk_unconfirmed_accounts",
                "Accounts that report, and that nobody has accepted.",
                list(state.barred.values()).count("unconfirmed"),
            ),
            (
                "risk_unnamed_accounts",
                "Accounts that hold, rest or count anything and are not named.",
                len(unnamed_accounts(state)),
            ),
            ("risk_stale_accounts", "Accounts whose equity is too old.", len(stale)),
            ("risk_stale_accounts_holding", "Those of them that hold a position.", len(stale & holding(state))),
            ("risk_clock_doubted", "1 while the wall clock is in doubt.", state.clock_doubted),
            (
                "risk_clock_difference_seconds",
                "Wall clock less the daemon's own, beyond what was accepted.",
                sequencer.clock.difference() - state.clock_offset,
            ),
            ("risk_remembered", "Ended orders and fills that are remembered.", sequencer.state.remembered_count()),
            (
                "risk_awaiting_admin",
                "1 while a restored stop waits for an admin.",
                state.risk.awaiting_admin,
            ),
            ("risk_now_seconds", "`now` of the last record, Unix seconds.", now),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))

    def _of_journal(self, sequencer: Sequencer) -> Iterator[Metric]:
        commit = sequencer.commit
        for name, text, value in (
            ("journal_durable_seq", "Last sequence number on disk.", commit.durable_seq),
            ("journal_last_seq", "Last sequence number given.", sequencer.seq),
            ("journal_queue_records", "Decided and not yet durable.", commit.waiting),
            ("journal_in_flight_seconds", "For how long the disk has owed an answer.", commit.in_flight_seconds),
            ("journal_stalled", "1 while the disk hangs and new orders are denied.", commit.stalled is not None),
            ("journal_failed", "1 when the journal cannot be written.", sequencer.failed is not None),
            ("risk_ready", "1 while an order can be approved; /readyz says why not.", sequencer.not_ready is None),
            ("journal_free_bytes", "Free space where the journal lies.", self.free_bytes),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))


def _of_upkeep(upkeep: Upkeep, checkpoints: Checkpoints | None) -> Iterator[Metric]:
    chores = [upkeep.snapshot, upkeep.scrub]
    if checkpoints is not None:
        steps = {"write": checkpoints.write, "post": checkpoints.post}
        chores += [step.chore for step in steps.values()]
        failing = GaugeMetricFamily(
            "journal_checkpoint_failing", "1 while checkpoints cannot be written or posted.", labels=["step"]
        )
        for name, step in steps.items():
            failing.add_metric([name], float(step.failing))
        yield failing
        yield GaugeMetricFamily(
            "journal_checkpoint_seq", "Record of the newest signed checkpoint; 0 before one.", value=checkpoints.seq
        )
    yield _counters(
        "journal_chore_failures",
        "Work beside the journal that failed, by what it was.",
        "chore",
        {one.name: one.failures for one in chores},
    )
    damaged = float("nan") if upkeep.damaged is None else upkeep.damaged
    for name, text, value in (
        ("journal_snapshot_seq", "Record that the newest snapshot stands behind.", upkeep.snapshot_seq),
        ("journal_damaged_segments", "Damaged files that the last scrub found; NaN before the first.", damaged),
    ):
        yield GaugeMetricFamily(name, text, value=float(value))


def _limit(value: object) -> float:
    return float("inf") if value is None else float(value)  # type: ignore[arg-type]


def _info(name: str, text: str, labels: dict[str, str]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), 1.0)
    return family


def _counters(name: str, text: str, label: str, values: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def _states(name: str, text: str, values: dict[str, bool]) -> Metric:
    return _gauges(name, text, "state", values)


def _gauges(name: str, text: str, label: str, values: dict[str, bool]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, text)
    family.add_metric([], buckets=histogram.buckets(), sum_value=histogram.sum)
    return family


def _histograms(name: str, text: str, label: str, histograms: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for key, histogram in histograms.items():
        family.add_metric([key], buckets=histogram.buckets(), sum_value=histogram.sum)
    return family
