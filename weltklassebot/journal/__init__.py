"""The journal: what was asked, what was answered, and a chain that shows where it is not what was written.

This docstring is the definition of the file format, version 4 (`Start.format`). Versions 1 to 3 are read: 1
has no `store.id`, in 1 and 2 the clock does not go back, and their starts and snapshots lack what was added since. What
stands behind a start of version 3 or before is decided again by the rules of then (`State.corrected`).

The store is one directory (0700) of one owner, with one writer at a time:

    lock                            flock'ed by the writer, as is the directory; holds its process id as text
    risk_audit.jsonl                the live file of the journal (0600), only ever appended to
    risk_audit-<first seq>.jsonl    a closed segment: 20 digits, the number of its first record; never changed again
    risk_audit-<first seq>.jsonl.gz the same, compressed: all but the newest eight
    risk_audit.torn-<seq>-<n>       what a recovery cut off the end of the journal, for people to look at
    risk_audit.saved-<n>.jsonl      what was in a live file that was removed while it was written (`placement`)
    snapshot-<seq>.json             the state behind record seq, which ends a segment; the newest two are kept
    anchor.json                     number, time and hash of the last record that retention deleted, or that a repair
                                    took out of old history (its time is 0 then)
    probe.tmp                       for a moment: a start that waits for room looks whether there is some
    snapshot.lock                   flock'ed by the child that keeps the store in shape
    store.id                        inode and generation of itself, and of the file that was live when the store was
                                    claimed: a copy has others; replaced at every start
    damaged-<time>/                 what a repair touched: every file whole, and report.json
    repaired.json                   what a repair cut off, or somebody changed under the writer, until a start has
                                    journaled it
    risk_state.json                 the risk state for people and tools (0600), replaced whole; nothing is recovered
                                    from it; it names the records behind which times go back

and the runtime directory, on a tmpfs, which others may read and nobody else may write:

    latch.json                      a stop that holds over a restart, whatever the disk does (`latch`)
    latch.lock                      flock'ed by whoever changes the latch (0600)
    high-water.json                 how far the journal was on disk a moment ago (`provenance`)

The segments and the live file, in the order of their numbers, are one journal: numbers and chain go on from file to
file. A line of it is one JSON object in UTF-8, ended by a newline, with its members in exactly this order and no space
between them:

    {"seq":12,"ts":1763712000.123456,"actor":"bot-7","principal":"token:1f","action":"check","reason":"",
     "command":{...},"events":[...],"batch":[10,15],"hash":"<64 hex digits>"}

`seq`        counts every record of the store from 1, without a gap.
`ts`         Unix seconds UTC with microseconds: the `now` at which the command was decided. Strictly increasing,
             but behind a `restart_clock`: that record is the last one of its time, and the next is later than its
             `wall`. By `seq` alone anything comes before or behind.
`actor`      who it claims to be; `principal` is who was authenticated.
`action`     the tag of the command (`op`), repeated for readers that want no more than that.
`command`    what was asked, `events` what came of it: the structs of `core.commands` and `core.events`. Numbers that
             must be exact are strings in plain notation, never with an exponent. Members at their default are left out.
`batch`      the first and the last `seq` of the records that were written and synced together.
`hash`       sha256, in hex, of the previous line's 64 hex digits (as ASCII; 64 zeros before the first line; the line
             before may be in another file, or be known by the anchor alone) and every byte of this line before
             `,"hash":`.

Because user text is JSON-escaped, `,"batch":[` and `,"hash":"` occur in a line only as its own members, and the hash
stands at a fixed distance from the end of the line.

What the chain proves
---------------------
It finds accidents: a flipped bit, a torn write, a line or a file that is missing, added or moved. It finds edits by
those who cannot write the store. Against those who can it proves nothing by itself: the hashes have no secret in
them, so anybody may change a record and make every hash behind it again. Such a journal passes `verify` once what
beside it knows better is gone: `risk_state.json` and the snapshots, which can be rewritten as well, and `high-
water.json`, which is gone after a reboot. What proves it against them is the number and the hash of one record, kept
where they cannot write: it stands for every record up to there. `checkpoints` has the form, and the signatures by
which a file of them needs no safe place; `kept` compares.

Invariants
----------
1. A batch is appended by one write (or several, if the kernel takes less) and one fdatasync. The next batch is written
   only after that fdatasync has returned. So every batch but the last is known to be whole on disk, and only the last
   can be torn.
2. No answer leaves before its batch is synced. Whatever a tear destroys was never answered.
3. After the first failed write or fsync nothing is written through that descriptor again. A write that failed is cut
   back to the last good offset; a failed fsync is left as it is, because nobody can know what is on the disk.
4. A recovery writes the last batch again, with the same bytes, and fsyncs it before anything is answered from it: pages
   that a failed or omitted fsync left in the page cache alone would otherwise be believed.
5. A file is closed between two batches, by the writer: its last batch is on disk, its new name is on disk before the
   next file is made, and that one is on disk before a batch goes into it. So only the newest file can be torn. A file
   without a record is never closed.
6. Whatever is written besides the journal is written under another name, fsynced and renamed, and the directory is
   fsynced, before anything that it replaces is deleted: a snapshot before older ones, a compressed segment before the
   plain one, the anchor before the segments that it stands for. The segments that the kept snapshots need stay.
7. The path is what counts: after each fdatasync, and once a second, the writer compares it with the file that it has
   open. One that was renamed, removed, replaced, cut short or lengthened is a failure, and nothing is written any more.

Segments, snapshots and their keeping
-------------------------------------
The live file is closed at a start that finds a thousand records in it, at the day's roll, and when it holds `[journal]
segment_records` or `segment_bytes`. Then a child, `python -m weltklassebot.journal.snapshot`, works at idle priority,
one at a time: it folds the newest snapshot and the segments behind it into the next snapshot, compresses, and deletes
what retention does not keep (off by default). It writes nothing that the daemon writes; a child that fails or is killed
is tried again after the next rotation, and until then a start takes longer and nothing else.

A start is the newest snapshot and what came behind it; what it folds is bounded by one live file and the segments that
were closed while the child was at work. A snapshot counts only if its own hash fits and its record ends a segment with
the hash that it names (`snapshot_file` has its form, `image` that of the state in it). Whoever changes the fields of
`core.state.State`, or what folding a record means, raises the snapshot's format.

What a recovery does with damage
--------------------------------
*Tear*: the damage lies wholly inside the last batch of the newest file, and the file does not end in a newline or an
aligned 512-byte sector in the damaged part is all zero, or the rest of the one in which that part begins. From the
first damaged line on, the end of the file is saved as `risk_audit.torn-<seq>-<n>` (seq: of the first damaged line) and
cut off.

*Incomplete last batch*: `batch` says [10,15] and the file ends, undamaged, after 12; also what is left when a tear was
cut inside a batch. Lines 10 to 12 stay and count: their answers never left, but they were decided, and holding a
reservation too many is the safe side. The next batch goes on at 13. Readers therefore accept that a batch ends early
when the next line begins a batch of its own.

*Anything else* in the newest snapshot or behind it (a changed byte, a missing, added or moved line or file, a tear that
is not at the end) stops the start with an error that names file and line.

*Damage before the newest snapshot* stops nothing: no start reads it. `verify` locates it, and the daemon has a child do
that once a day, and alarms.

A *repair* (`damage` plans it, `repair` does it) is a person's decision. It keeps what a fold can reach from the first
record or from a snapshot that is whole, and cuts the journal at the first line that cannot follow; damage before such a
snapshot takes old history out, and an anchor stands where proof begins again. The next start is halted by what
`repaired.json` says, and its record repeats it.

A store that is not the one that the run before left
----------------------------------------------------
is found by `store.id`, by `repaired.json`, or by `high-water.json` in the runtime directory (`provenance`).
`Start.restored` says which, and the start halts: what was answered since that copy was taken is not in it.

An older program refuses a store whose `Start`, or whose snapshot, says a newer format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weltklassebot.journal.offline import JsonlStateStore

__all__ = ["JsonlStateStore"]


def __getattr__(name: str) -> Any:
    # Loaded on use: the audit query is a child process that must start fast and never needs the engine.
    if name == "JsonlStateStore":
        from weltklassebot.journal.offline import JsonlStateStore

        return JsonlStateStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
