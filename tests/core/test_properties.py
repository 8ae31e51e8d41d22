"""Random desk days against the oracle: what is approved, what is held, what is remembered, and that all of it repeats.

A failure prints its bytes; `WKB_DAYS_SEED` repeats a long run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.desk_days import BASE, PRINCIPALS, STEP, Days
from tests.core.facts import ZERO, Order
from tests.core.oracle import Oracle
from tests.core.oracle_fills import as_listed, meant
from tests.core.oracle_fits import Place, at
from weltklassebot.core import views
from weltklassebot.core.clock import start_in_doubt
from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AcceptFill,
    AcceptMark,
    AdjustPosition,
    AnyCommand,
    CancelAll,
    CheckOrder,
    CompleteRecovery,
    ConfigureLimits,
    Cooldown,
    Halt,
    Mark,
    MovePositions,
    OrderKey,
    ReanchorClock,
    RecoverKillSwitch,
    ReopenAccount,
    ReportClock,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    RestartClock,
    Resume,
    RetireAccount,
    SetLimits,
    SettlePositions,
    SplitPositions,
    Start,
    Tick,
    TriggerKillSwitch,
    UnsetLimits,
)
from weltklassebot.core.drawdown import drawdown
from weltklassebot.core.engine import Engine, Recorded, Replayed
from weltklassebot.core.events import (
    AccountHalted,
    CancelsRequested,
    EquitySetAside,
    EquityTaken,
    FillDoubted,
    MarkTaken,
    OrderApproved,
    Oversized,
    PositionFlipped,
)
from weltklassebot.core.memory import Conflict, Refused
from weltklassebot.core.records import Record
from weltklassebot.core.validation import validate
from weltklassebot.journal.codec import decode, encode


class Run:
    """One life of a desk: the engine, its fold, its oracle, and the journal between them."""

    def __init__(self, data: bytes) -> None:
        self.days = Days(data)
        self.engine, self.folded, self.oracle = Engine(), Engine(), Oracle()
        self.now, self.seq, self.released = BASE, 0, 0
        self.journal: list[tuple[bytes, int | None]] = []
        self.image = repr(self.engine.state)
        self.counts: dict[str, int] = {}
        self.by = "p"
        """Who sends it."""

    def live(self) -> None:
        self.put(self.days.start(self.days.first, self.now), None)
        for b in self.days.steps:
            self.now = round(self.now + self.days.pause(b) + 1e-6, 6)
            command = self.days.command(b, self.engine.state, self.now)
            self.by = self.oracle.by = PRINCIPALS[b[7] // 16 % 4 % 3]
            if type(command) is Start:
                self.anchor(command)
            else:
                self.when_due()
            # What was released before stays so; the newest few may still wait for the disk.
            self.released = max(self.released, self.seq - b[6] % 4)
            self.put(command, self.released)
        self.repeat()

    def anchor(self, start: Start) -> None:
        """What the shell does before it stamps a start."""
        held = self.oracle.holds(start)
        assert start_in_doubt(self.engine.state, start) is held
        if held:
            self.now = round(self.oracle.last + 1e-6, 6)
        elif self.oracle.far(start):
            self.now = start.wall

    def when_due(self) -> None:
        deadline = self.engine.deadline()
        assert deadline == self.oracle.deadline()
        if self.now >= deadline:
            self.put(Tick(), None)
            self.now = round(self.now + 1e-6, 6)
            assert self.engine.deadline() > self.now

    def put(self, command: AnyCommand, released: int | None) -> None:
        validate(command)
        state, said = self.engine.state, command
        command = as_listed(self.oracle.facts, command)
        if type(command) is CheckOrder:
            expected = self.oracle.first_answer(command, self.now)
            against = self.oracle.reasons(command, self.now)
        try:
            outcome = self.engine.handle(
                said, seq=self.seq + 1, now=self.now, released_through_seq=released, principal=self.by
            )
        except Refused as refusal:
            outcome = refusal
        self.counts[f"{type(command).__name__} {type(outcome).__name__}"] = 1
        if type(outcome) is not Recorded:
            assert repr(state) == self.image, "a refusal or a replay changed something"
            self.check_refused(command, outcome, expected if type(command) is CheckOrder else None)
            return
        assert not self.oracle.impossible(command)
        self.seq += 1
        decided = self.now
        if type(command) is CheckOrder:
            assert expected is None
            self.check_answer(command, outcome, against)
        else:
            self.tell(command, outcome, released)
        self.oracle.facts.forget_prices()
        self.write(said, outcome, released, decided)
        self.compare()

    def check_refused(self, command: AnyCommand, outcome: object, expected: str | None) -> None:
        if self.oracle.impossible(command) and not isinstance(outcome, Replayed | Conflict):
            assert outcome.code == "bad_input"
        elif type(command) is CheckOrder:
            assert expected == ("conflict" if isinstance(outcome, Conflict) else "yes" if outcome.allowed else "no")
        elif type(command) is ReportFill:
            self.check_replayed_fill(command, outcome)
        elif type(command) is RestartClock:
            assert not self.oracle.may_go_back(command, self.now)
        elif isinstance(command, AcceptAccount | RetireAccount | ReopenAccount):
            assert not self.oracle.facts.purse.word(command, self.oracle.facts.parameters)
        elif type(command) is AcceptEquity:
            assert not self.oracle.accept_equity(command)
        elif type(command) is AdjustPosition:
            quantity = self.oracle.adjusted_to(command, self.now)
            assert quantity is None or self.oracle.turns(command, quantity)
        elif type(command) is MovePositions:
            assert not self.oracle.move(command)
        elif type(command) is ReportEquity:
            assert self.oracle.equity(command, self.now) == ("same" if isinstance(outcome, Replayed) else "refused")
        elif isinstance(outcome, Replayed):
            assert self.oracle.find(command.key).gone
        else:
            self.check_refused_price(command)

    def check_refused_price(self, command: AnyCommand) -> None:
        if type(command) is SplitPositions:
            known = self.engine.state.markets
            assert command.symbol not in known or not self.oracle.may_split(command)
        elif type(command) is Mark:
            assert self.oracle.mark(command, self.now) == "old"
        elif type(command) is AcceptMark:
            assert not self.oracle.accept_mark(command, self.now)
        else:
            assert not isinstance(command, Halt | TriggerKillSwitch | Tick | Start)

    def check_answer(self, order: CheckOrder, outcome: Recorded, against: set[str]) -> None:
        answer = outcome.events[0]
        if type(answer) is not OrderApproved:
            assert {denial.reason for denial in answer.denials} == against
            named = self.oracle.cancel_first(order, against)
            assert answer.cancel_first == tuple(known.order.key for known in named)
            self.asked_for(outcome, "closable", self.oracle.makes_room(named))
            self.counts["cancel_first"] = self.counts.get("cancel_first", 0) + len(named)
            self.oracle.was_denied(order)
            assert len(self.engine.state.denied) <= self.engine.state.parameters.max_remembered_denials
            return
        assert not against
        reducing = self.oracle.reducing(order)
        assert answer.reducing is reducing
        giving_way = self.oracle.gives_way(order) if reducing else []
        self.oracle.approved(order, self.seq, self.now)
        self.asked_for(outcome, "closable", giving_way)
        p, facts = self.engine.state.parameters, self.oracle.facts
        if not reducing:
            assert p.max_notional is None or facts.gross() <= p.max_notional
            assert p.max_order_notional is None or answer.notional <= p.max_order_notional
            assert p.max_trades_per_day is None or self.oracle.trades_today() <= p.max_trades_per_day

    def asked_for(self, outcome: Recorded, cause: str, expected: list[Order]) -> None:
        """Of these orders, those that rest and are not asked back yet are now; of which nobody was told, withdrawn."""
        untold = [one for one in expected if one.seq > self.released and not one.sent and not one.filled]
        rest = [one for one in expected if one not in untold and not one.over and not one.asked_back]
        requests = [
            (one.account, one.strategy, one.client_order_id)
            for event in outcome.events
            if isinstance(event, CancelsRequested) and event.cause == cause
            for one in event.requests
        ]
        assert sorted(requests) == sorted(one.order.key for one in rest), (cause, expected)
        self.oracle.take_back_untold(self.released, untold)
        for one in [*rest, *untold]:
            one.asked_back = True
        self.counts[cause] = self.counts.get(cause, 0) + len(rest)

    def check_replayed_fill(self, fill: ReportFill, outcome: object) -> None:
        seen = self.oracle.seen(fill)
        if isinstance(outcome, Replayed):
            assert seen == "same"
        else:
            assert seen != "same"
            assert self.oracle.no_room_in_doubt(fill)
            held = fill.account in self.oracle.facts.holding()
            assert not held or (
                fill.account in self.oracle.halted_accounts
                and len(self.oracle.facts.doubtful) >= 2 * self.engine.state.parameters.max_doubtful
            )

    def tell(self, command: AnyCommand, outcome: Recorded, released: int | None) -> None:  # noqa: C901, PLR0912
        oracle, seq, now = self.oracle, self.seq, self.now
        match command:
            case Start():
                oracle.start(command, seq, now)
                for known in oracle.facts.open():
                    known.reducing = self.engine.state.orders[known.order.key].reducing
                # A latch, or settings that are tighter, may have asked for them at once.
                oracle.ask_again([known for known in oracle.refused() if self.waits_for_an_answer(known.order.key)])
            case Tick():
                oracle.tick(now)
            case ReportOrder() | ResolveOrder():
                assert not oracle.contradicts(command)
                oracle.report(command, now)
            case ReportFill():
                self.fill(command, outcome, released)
            case AcceptFill():
                self.settle(command, outcome, now)
            case AdjustPosition():
                before = self.held_by(self.place_of(command))
                oracle.adjust(command, now)
                self.leaves(outcome, self.place_of(command), before, None)
            case MovePositions():
                before = self.held_in(command.symbol)
                assert oracle.move(command)
                self.leaves_all(outcome, before)
            case SettlePositions():
                raise AssertionError("nothing is unsettled")
            case SplitPositions():
                assert oracle.may_split(command)
                before = self.held_in(command.symbol)
                oracle.split(command, now)
                self.leaves_all(outcome, before)
            case Mark():
                (event,) = outcome.events
                verdict = oracle.mark(command, now)
                assert verdict == ("believed" if isinstance(event, MarkTaken) else "doubted")
                confirmed = isinstance(event, MarkTaken) and event.confirmed
                self.counts[f"mark {verdict}{' by several' if confirmed else ''}"] = 1
            case AcceptMark():
                assert oracle.accept_mark(command, now)
            case ReportEquity():
                kinds = {type(event) for event in outcome.events}
                verdict = "aside" if EquitySetAside in kinds else "taken" if EquityTaken in kinds else "doubted"
                assert oracle.equity(command, now) == verdict
                self.halt_on_breach(released)
            case AcceptAccount() | RetireAccount() | ReopenAccount():
                assert oracle.facts.purse.word(command, oracle.facts.parameters)
            case AcceptEquity():
                assert oracle.accept_equity(command)
                self.halt_on_breach(released)
            case SetLimits() | UnsetLimits() | ConfigureLimits():
                oracle.limits(command)
                self.halt_on_breach(released)
            case Halt():
                self.halt("admin", released)
            case Cooldown():
                oracle.cooldown(command, now)
                oracle.withdraw(released, spares_reducing=True)
            case Resume():
                oracle.resume(command)
                assert command.account is not None or not oracle.breached()
            case TriggerKillSwitch():
                oracle.killed(seq)
                oracle.withdraw(released, spares_reducing=False)
                oracle.ask_again(oracle.refused())
                self.everything_is_asked_back()
            case CancelAll():
                scope = [one for one in oracle.facts.open() if command.symbol in (None, one.order.symbol)]
                oracle.take_back_untold(released, scope)
                oracle.ask_again([one for one in oracle.refused() if one in scope])
                self.everything_is_asked_back(command.symbol)
            case RecoverKillSwitch():
                assert oracle.kill == "KILLED"
                oracle.kill = "RECOVERING"
                oracle.kill_until = now + self.engine.state.parameters.recovery_cooldown_seconds
            case CompleteRecovery():
                assert oracle.kill == "RECOVERING"
                assert now >= oracle.kill_until - 1e-6
                assert not self.engine.state.cancels
                for known in oracle.facts.open():
                    known.asked_back, known.attempt, known.again_at = False, 1, None
                oracle.kill = "ACTIVE"
            case ReportClock() | ReanchorClock():
                oracle.clock(command, now)
                if type(command) is ReanchorClock:
                    self.now = max(now, command.wall)
            case RestartClock():
                assert oracle.may_go_back(command, now)
                oracle.go_back(command, seq, now)
                self.now = command.wall

    def fill(self, fill: ReportFill, outcome: Recorded, released: int | None) -> None:
        oracle = self.oracle
        seen = oracle.seen(fill)
        assert seen != "same"
        cause = oracle.fill_cause(fill)
        no_room = cause is not None and oracle.no_room_in_doubt(fill)
        cause = "no_room" if no_room else cause
        first = outcome.events[0]
        if no_room and isinstance(first, AccountHalted):
            assert len(self.engine.state.doubtful) >= 2 * self.engine.state.parameters.max_doubtful
            assert oracle.doubt(fill, self.seq, self.now, no_room=True)
            self.stop_account(fill.account, released)
            return
        assert cause == (first.cause if isinstance(first, FillDoubted) else None)
        if cause is None:
            assert first.late is oracle.is_late(fill)
            self.counts[f"booked {seen}"] = 1
            unremembered = oracle.no_room(fill, oracle.find(fill.order_key))
            assert first.unremembered is unremembered
            over = oracle.turned(fill)
            part = Fraction(first.quantity) if over else None
            no_room = bool(over) and oracle.no_room_in_doubt(fill)
            booked = replace(fill, quantity=first.quantity) if over else fill
            self.book(booked, outcome, lambda: oracle.book(fill, self.now, part, unremembered=unremembered))
            if unremembered and oracle.halt_account(fill.account, self.now):
                self.stop_account(fill.account, released)
            if not over:
                return
            assert first.quantity == Fraction(fill.quantity) - over
            fill = replace(fill, quantity=fill.quantity - first.quantity, fee=None, fee_currency=None)
            rests = [event for event in outcome.events if isinstance(event, FillDoubted)]
            if not rests:
                assert no_room
                assert len(self.engine.state.doubtful) >= 2 * self.engine.state.parameters.max_doubtful
            for rest in rests:
                assert (rest.cause, rest.quantity) == ("no_room" if no_room else "turns_leg", over)
            self.counts["doubted a part"] = 1
        else:
            self.counts[f"doubted {cause}"] = 1
        if oracle.doubt(fill, self.seq, self.now, rest=cause is None, no_room=no_room):
            self.stop_account(fill.account, released)

    def stop_account(self, account: str, released: int | None) -> None:
        spares = self.engine.state.parameters.allow_reducing_when_halted != "never"
        self.oracle.withdraw(released, spares, account)
        self.nothing_opening_rests(account, released)

    def settle(self, command: AcceptFill, outcome: Recorded, now: float) -> None:
        if command.discard:
            self.oracle.settle(command, now)
        else:
            (doubt,) = meant(self.oracle.facts.doubtful, command)
            self.book(self.oracle.as_doubted(doubt), outcome, lambda: self.oracle.settle(command, now))

    def book(self, fill: ReportFill, outcome: Recorded, fold: Callable[[], None]) -> None:
        oracle = self.oracle
        known = oracle.find(fill.order_key)
        if known is not None and not oracle.agrees(fill, known):
            known = None
        place = (
            fill.account, oracle.executions.venue(fill, oracle.find(fill.order_key)), fill.symbol,
            oracle.executions.leg(fill, oracle.find(fill.order_key)),
        )  # fmt: skip
        before = self.held_by(place)
        key = (place[0], place[1], fill.strategy, place[2], place[3])
        mine_before = oracle.facts.positions.get(key, ZERO)
        fold()
        after = oracle.facts.held(place)
        rest = []
        if known is not None:
            both = (mine_before, before), (oracle.facts.positions.get(key, ZERO), after)
            rest = oracle.facts.rest_of_group(fill, known.order, *both) if at(known.order) == place else []
        self.leaves(outcome, place, before, known, rest)
        executed = Fraction(fill.quantity) * (1 if fill.side == "buy" else -1)
        flips = known is not None and known.reducing and (before + executed) * executed > 0
        assert [event.new for event in outcome.events if isinstance(event, PositionFlipped)] == (
            [before + executed] if flips else []
        )
        self.counts["flipped"] = self.counts.get("flipped", 0) + flips

    def held_by(self, place: Place) -> Fraction:
        return self.oracle.facts.held(place)

    @staticmethod
    def place_of(command: AdjustPosition) -> Place:
        return (command.account, command.venue, command.symbol, command.position_side)

    def leaves(
        self, outcome: Recorded, place: Place, before: Fraction, filled: Order | None, rest: Sequence[Order] = ()
    ) -> None:
        """What was asked back behind a change of this book, and what is too large there."""
        self.asked_for(outcome, "oco", list(rest))
        unfit, expected = self.too_much(place, before, None if filled is None else filled.order.oco_group)
        self.asked_for(outcome, "unfit", [one for one in unfit if one not in rest])
        self.oversized(outcome, expected)

    def leaves_all(self, outcome: Recorded, before: dict[Place, Fraction]) -> None:
        """The same behind a change of every book that holds something else than before."""
        unfit: list[Order] = []
        expected: dict[OrderKey, Fraction] = {}
        for place, quantity in before.items():
            if quantity != self.held_by(place):
                orders, too_large = self.too_much(place, quantity, None)
                unfit += orders
                expected |= too_large
        self.asked_for(outcome, "unfit", unfit)
        self.oversized(outcome, expected)

    def held_in(self, symbol: str | None) -> dict[Place, Fraction]:
        """What each book holds in which something rests."""
        places = {at(known.order) for known in self.oracle.facts.open() if symbol in (None, known.order.symbol)}
        return {place: self.held_by(place) for place in places}

    def too_much(
        self, place: Place, before: Fraction, group: str | None
    ) -> tuple[list[Order], dict[OrderKey, Fraction]]:
        """What does not fit any more, and what stays all the same, with what it is to be reduced to."""
        facts = self.oracle.facts
        closers, after = facts.closers(place), facts.held(place)
        stays, oversized = facts.stays(closers, after, unfit=True, turned=before * after <= 0)
        return [one for one in closers if one not in stays], facts.excess(place, stays, oversized, group)

    def oversized(self, outcome: Recorded, expected: dict[OrderKey, Fraction]) -> None:
        told = [event for event in outcome.events if isinstance(event, Oversized)]
        assert {
            (one.account, one.strategy, one.client_order_id): Fraction(one.reduce_to)
            for event in told for one in event.orders
        } == expected  # fmt: skip
        self.counts["oversized"] = self.counts.get("oversized", 0) + len(expected)

    def halt_on_breach(self, released: int | None) -> None:
        if self.oracle.breached() and self.oracle.risk != "HALTED":
            self.halt("max_drawdown", released)

    def halt(self, cause: str, released: int | None) -> None:
        self.oracle.halt(cause, self.seq)
        self.oracle.withdraw(released, self.oracle.halt_passes_reducing(cause))
        self.nothing_opening_rests(None, released)

    def asked_back(self, key: OrderKey) -> bool:
        """Whether its cancellation was requested and is not confirmed."""
        known = self.engine.state.orders.get(key)
        return known is not None and known.cancel_id is not None

    def waits_for_an_answer(self, key: OrderKey) -> bool:
        """Whether its cancellation is asked for, and the venue has not refused."""
        state = self.engine.state
        return self.asked_back(key) and state.cancels[state.orders[key].cancel_id].due is None

    def everything_is_asked_back(self, symbol: str | None = None) -> None:
        for known in self.oracle.facts.open():
            if symbol in (None, known.order.symbol):
                assert known.over or self.asked_back(known.order.key)

    def nothing_opening_rests(self, account: str | None, released: int | None) -> None:
        """What no cancellation was asked for closes no more than there is."""
        policy = self.engine.state.parameters.cancel_on_halt
        if policy == "none":
            return
        everything = [one for one in self.oracle.facts.open() if account in (None, one.order.account)]
        unwanted = everything if policy == "all" else self.oracle.opening(account)
        self.oracle.take_back_untold(released, unwanted)
        self.oracle.ask_again([one for one in self.oracle.refused() if one in unwanted])
        left: dict[tuple[Place, str], list[Order]] = {}
        for known in self.oracle.facts.open():
            order = known.order
            asked = self.asked_back(order.key)
            if not known.over and not known.asked_back and account in (None, order.account):
                assert asked is (known in unwanted)
            if not asked and not known.over and account in (None, order.account):
                left.setdefault((at(order), order.side), []).append(known)
        assert not left or policy != "all"
        for (place, side), here in left.items():
            held = self.oracle.facts.held(place) * (1 if side == "sell" else -1)
            orders = [known for known in here if not self.oracle.facts.bound(known.order)]
            over = self.oracle.facts.load(orders) - held
            assert over <= max((Fraction(one.order.quantity) for one in orders), default=ZERO) / 10**12 or (
                held > 0 and any(known.guards or known.order.oco_group for known in orders)
            )

    def write(self, command: AnyCommand, outcome: Recorded, released: int | None, decided: float) -> None:
        line = encode(
            Record(
                seq=self.seq,
                ts=decided,
                actor="a",
                principal=self.by,
                action="x",
                reason="",
                command=command,
                events=outcome.events,
            )
        )
        self.journal.append((line, released))
        self.oracle.last = self.engine.state.now
        self.folded.apply(decode(line + b"}"))
        self.image = repr(self.engine.state)
        assert repr(self.folded.state) == self.image

    def compare(self) -> None:
        state, oracle = self.engine.state, self.oracle
        facts = oracle.facts
        assert {key: Fraction(held) for key, held in state.positions.items()} == facts.positions
        for market in state.markets.values():
            assert market.legged == sum(leg != "both" for _, _, leg in market.books)
            for (_, _, leg), book in market.books.items():
                assert leg == "both" or not book.quantity or (book.quantity > 0) is (leg == "long")
        assert {key: Fraction(known.remaining) for key, known in state.orders.items()} == {
            known.order.key: known.remaining for known in facts.open()
        }
        gross = facts.gross()
        assert bool(state.unpriced) is (gross is None)
        if gross is not None:
            assert Fraction(state.gross) == gross
        for symbol, market in state.markets.items():
            for (account, venue, leg), book in market.books.items():
                assert Fraction(market.price_at(book)) == facts.price(symbol, venue)
                exposure = facts.exposure((account, venue, symbol, leg))
                assert book.unpriced is (exposure is None)
                assert Fraction(book.exposure) == exposure or exposure is None
        for known in facts.open():
            if cancel := state.cancels.get(state.orders[known.order.key].cancel_id or ""):
                known.asked_back = True
                assert (cancel.attempt, cancel.due) == (known.attempt, known.again_at), known
        assert state.trades_today == oracle.trades_today()
        assert state.trading_day == oracle.day
        assert state.next_due == oracle.deadline()
        equity = facts.equity()
        assert (state.equity is None and equity is None) or Fraction(state.equity) == equity
        if facts.purse.peak is not None:
            assert Fraction(state.peak) == facts.purse.peak
            if facts.purse.peak > 0:
                assert abs(Fraction(drawdown(state.equity, state.peak)) - (1 - equity / facts.purse.peak)) <= Fraction(
                    1, 10**18
                )
        self.compare_equity()
        risk = state.risk
        assert (risk.state, risk.until, risk.awaiting_admin) == (oracle.risk, oracle.until, oracle.awaiting)
        assert risk.state == "RUNNING" or risk.cause == oracle.cause
        assert state.kill_switch.state == oracle.kill
        assert set(state.halted_accounts) == set(oracle.halted_accounts)
        assert state.clock_doubted is oracle.clock_doubted
        assert state.start_doubted is oracle.start_doubted
        assert {one.seq: one.fill for one in state.doubtful.values()} == {one.seq: one.fill for one in facts.doubtful}
        assert len(state.doubtful) == len(facts.doubtful)
        self.bounded()
        self.seen_from_outside()

    def compare_equity(self) -> None:
        state, purse = self.engine.state, self.oracle.facts.purse
        assert set(state.accounts) == set(purse.accounts)
        for name, account in state.accounts.items():
            mine = purse.accounts[name]
            assert account.status == ("retired" if mine.retired else "" if mine.aside is None else "unconfirmed")
            assert (account.status == "") is (name not in state.barred)
            assert (account.known, Fraction(account.equity)) == (mine.known, mine.believed)
            assert account.in_doubt is mine.in_doubt is (name in state.doubted_losses)
            assert account.equity - account.doubted_loss == mine.worst
            assert account.as_of == mine.as_of
            if state.parameters.max_equity_age_seconds is not None and account.known:
                assert account.moved == sum(mine.gains)
            assert account.withdrawn == sum(mine.withdrawn)
            flows = account.open_flows | account.flows
            assert {key: flow.status for key, flow in flows.items()} == {k: f.status for k, f in mine.flows.items()}

    def bounded(self) -> None:
        state = self.engine.state
        assert set(state.cancels) <= {known.cancel_id for known in state.orders.values()}
        assert all(not book.empty for market in state.markets.values() for book in market.books.values())
        assert not any(market.empty for market in state.markets.values())
        assert state.venue_marks == sum(len(market.venues) for market in state.markets.values())

    def seen_from_outside(self) -> None:
        state = self.engine.state
        msgspec.json.encode(views.summary(state, self.now))
        for rows in (
            views.positions(state, self.now, by_strategy=True), views.orders(state), views.cancel_requests(state),
            views.doubtful_fills(state),
        ):  # fmt: skip
            msgspec.json.encode(list(rows))

    def repeat(self) -> None:
        """The commands once more, out of the journal: the same events, byte for byte."""
        again = Engine()
        for line, released in self.journal:
            record = decode(line + b"}")
            outcome = again.handle(
                record.command, seq=record.seq, now=record.ts, released_through_seq=released, principal=record.principal
            )
            assert msgspec.json.encode(outcome.events) == msgspec.json.encode(record.events)
        assert again.state == self.engine.state


def live(data: bytes) -> Run:
    run = Run(data)
    run.live()
    return run


@settings(
    max_examples=200, deadline=timedelta(seconds=20), print_blob=True, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.binary(min_size=1 + 20 * STEP, max_size=1 + 200 * STEP))
def test_a_desk_day_goes_by_the_rules(data):
    live(data)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 24))])
def test_a_seeded_desk_day_goes_by_the_rules(seed):
    live(random.Random(seed).randbytes(1 + 400 * STEP))


@pytest.mark.slow
def test_many_desk_days_go_by_the_rules():
    seed = int(os.environ.get("WKB_DAYS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"WKB_DAYS_SEED={seed}")
    source = random.Random(seed)
    for _ in range(60):
        live(source.randbytes(1 + 1000 * STEP))
