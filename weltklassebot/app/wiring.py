"""The only place that puts the parts together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weltklassebot import logs
from weltklassebot.api.access import Access
from weltklassebot.api.bounds import of_doors
from weltklassebot.api.connections import Connections
from weltklassebot.api.doors import Doors
from weltklassebot.api.events import Events
from weltklassebot.api.history import History
from weltklassebot.api.lane import Lanes
from weltklassebot.api.openapi import description_routes
from weltklassebot.api.peers import Binding, Peers
from weltklassebot.api.pushes import Pushes
from weltklassebot.api.reads import read_routes
from weltklassebot.api.routes import command_routes
from weltklassebot.api.server import HttpServer, StreamServer
from weltklassebot.api.stream_share import OrderStream
from weltklassebot.api.tokens import Tokens
from weltklassebot.runtime.bounds import Bound, of_core, of_sequencer
from weltklassebot.runtime.checkpoints import Checkpoints
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.commit import GroupCommit
from weltklassebot.runtime.descriptors import connections_that_fit
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.no_commit import NoCommit
from weltklassebot.runtime.opening import OpenStore
from weltklassebot.runtime.origin import Origin
from weltklassebot.runtime.publisher import Publisher
from weltklassebot.runtime.recent import Recent
from weltklassebot.runtime.refusals import Refusals
from weltklassebot.runtime.rotation import Rotation
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.uncounted import Uncounted
from weltklassebot.runtime.upkeep import Upkeep
from weltklassebot.runtime.witness import Witness
from weltklassebot.settings import Settings, User

__all__ = ["Parts", "wire"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run has to do with."""

    sequencer: Sequencer
    uncounted: Uncounted
    tokens: Tokens
    faults: Faults
    metrics: Metrics
    upkeep: Upkeep
    checkpoints: Checkpoints
    origin: Origin
    places: Connections
    stream: OrderStream
    pushes: Pushes
    events: Events
    history: History
    http: HttpServer
    stream_server: StreamServer


def wire(
    settings: Settings, store: OpenStore, latch: RuntimeLatch, log: Any, on_journal_failure: Callable[[str], None]
) -> Parts:
    """Put them together. Nothing runs yet, and no door is open."""
    runtime, recovered = settings.runtime, store.recovered
    metrics, faults, refusals = Metrics(), Faults(log), Refusals(log)
    metrics.refused = refusals.counts
    uncounted = Uncounted(settings.marks.sources, settings.equity.sources, log)
    metrics.uncounted = uncounted.counts
    sequencer = Sequencer(
        store.engine,
        Clock(recovered.last_ts),
        latch,
        max_pending=runtime.max_pending,
        mark_interval_seconds=runtime.mark_interval_ms / 1000,
        faults=faults,
        on_decided=metrics.stages["decide"].observe,
        on_turned_away=metrics.count_check,
    )
    metrics.sequencer = sequencer
    sequencer.uncounted = uncounted
    metrics.state_known = store.read
    metrics.faults = faults
    publisher = Publisher(sequencer, metrics, faults, on_journal_failure)
    upkeep = metrics.upkeep = Upkeep(sequencer, settings.risk_store_dir, settings.journal, recovered.snapshot_seq, log)
    recent = Recent(recovered.last_seq, recovered.chain)
    sequencer.commit = _commit(settings, store, metrics, faults, publisher, upkeep, recent)
    checkpoints = metrics.checkpoints = Checkpoints(settings, recent, sequencer.clock, log)
    metrics.bounds.append(checkpoints.bound)
    sequencer.stops.listeners.append(checkpoints.stop_of_desk)
    origin = Origin(settings.risk_store_dir, settings.runtime_dir, log)
    origin.commit = sequencer.commit
    users = {name: _binding(user) for name, user in settings.users.items()}
    peers = Peers({settings.auth.trade_group: "trader", settings.auth.admin_group: "operator"}, users)
    places = Connections(connections_that_fit(runtime.max_connections, log), metrics)
    stream = OrderStream(sequencer, metrics, faults, refusals, peers, places)
    pushes = Pushes(sequencer, stream)
    stream.on_subscribe.append(pushes.welcome)
    witness = Witness(store.engine.state, log)
    sequencer.stops.listeners.append(pushes.tell)
    sequencer.stops.listeners.append(witness.stop)
    publisher.consumers.append(witness.offer)
    publisher.after_batch.append(stream.flush)
    admin_peers = Peers({settings.auth.admin_group: "operator"}, users)
    tokens = Tokens(settings.tokens_file)
    doors = Doors(Access(tokens, admin_peers, refusals), metrics, faults, runtime.request_timeout_seconds)
    metrics.bounds.append(Bound("log_lines", lambda: logs.MAX_WAITING, logs.waiting))
    metrics.bounds.extend(of_sequencer(sequencer))
    metrics.bounds.extend(of_doors(places, doors, stream, pushes, tokens))
    if store.read:
        metrics.bounds.extend(of_core(sequencer))
    history = History(settings.risk_store_dir)
    events = Events(sequencer, recent, history, doors, metrics)
    routes = [
        *command_routes(sequencer, metrics, places),
        *read_routes(sequencer, metrics, settings.risk_store_dir, history),
        events.route,
    ]
    http = HttpServer(
        doors,
        [*routes, *description_routes(routes)],
        places,
        Lanes(doors, sequencer, metrics, runtime.keepalive_seconds),
        keepalive_seconds=runtime.keepalive_seconds,
        unread_seconds=runtime.request_timeout_seconds,
        shutdown_seconds=runtime.shutdown_timeout_seconds / 2,
    )
    return Parts(
        sequencer,
        uncounted,
        tokens,
        faults,
        metrics,
        upkeep,
        checkpoints,
        origin,
        places,
        stream,
        pushes,
        events,
        history,
        http,
        StreamServer(stream),
    )


def _binding(user: User) -> Binding:
    return Binding(*(None if names is None else frozenset(names) for _, names in user))


def _commit(
    settings: Settings,
    store: OpenStore,
    metrics: Metrics,
    faults: Faults,
    publisher: Publisher,
    upkeep: Upkeep,
    recent: Recent,
) -> GroupCommit | NoCommit:
    recovered, failed, journal = store.recovered, store.failed, settings.journal
    if failed is not None or store.writer is None:
        metrics.journal_errors += 1
        why = "" if failed is None else failed.why
        return NoCommit(why, chain=recovered.chain, durable_seq=recovered.last_seq)
    commit = GroupCommit(
        store.writer,
        chain=recovered.chain,
        rotation=Rotation(
            max_bytes=journal.segment_bytes,
            max_records=journal.segment_records,
            first_seq=recovered.live_from,
            records=recovered.live_records,
            size=recovered.live_bytes,
        ),
        faults=faults,
        on_durable=publisher.durable,
        on_failure=publisher.failed,
        on_rotated=upkeep.rotated,
        on_lines=recent.add,
    )
    commit.durable_seq = recovered.last_seq
    return commit
