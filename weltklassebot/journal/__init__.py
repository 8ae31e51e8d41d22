"""The journal: what was asked, what was answered, and proof that nothing of it was changed since.

This docstring is the definition of the file format, version 1 (`Start.format`).

The store is one directory (0700) of one owner, with one writer at a time:

    lock                        flock'ed by the writer; holds its process id as text
    risk_audit.jsonl            the journal (0600), only ever appended to
    risk_audit.torn-<seq>-<n>   what a recovery cut off the end of it, for people to look at
    risk_state.json             the risk state for people and tools (0600), replaced whole; nothing is recovered from it

A line of the journal is one JSON object in UTF-8, ended by a newline, with its members in exactly this order and no
space between them:

    {"seq":12,"ts":1763712000.123456,"actor":"bot-7","principal":"token:1f","action":"check","reason":"",
     "command":{...},"events":[...],"batch":[10,15],"hash":"<64 hex digits>"}

`seq`        counts every record of the store from 1, without a gap.
`ts`         Unix seconds UTC with microseconds: the `now` at which the command was decided. Strictly increasing.
`actor`      who it claims to be; `principal` is who was authenticated.
`action`     the tag of the command (`op`), repeated for readers that want no more than that.
`command`    what was asked, `events` what came of it: the structs of `core.commands` and `core.events`. Numbers that
             must be exact are strings in plain notation, never with an exponent. Members at their default are left out.
`batch`      the first and the last `seq` of the records that were written and synced together.
`hash`       sha256, in hex, of the previous line's 64 hex digits (as ASCII; 64 zeros before the first line) and every
             byte of this line before `,"hash":`.

Because user text is JSON-escaped, `,"batch":[` and `,"hash":"` occur in a line only as its own members, and the hash
stands at a fixed distance from the end of the line.

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

What a recovery does with damage
--------------------------------
*Tear*: the damage lies wholly inside the last batch, and the file does not end in a newline or an aligned 512-byte
sector in the damaged part is all zero. From the first damaged line on, the end of the file is saved as
`risk_audit.torn-<seq>-<n>` (seq: of the first damaged line) and cut off.

*Incomplete last batch*: `batch` says [10,15] and the file ends, undamaged, after 12; also what is left when a tear was
cut inside a batch. Lines 10 to 12 stay and count: their answers never left, but they were decided, and holding a
reservation too many is the safe side. The next batch goes on at 13. Readers therefore accept that a batch ends early
when the next line begins a batch of its own.

*Anything else* (a changed byte, a missing, added or moved line, a tear that is not at the end) stops the start with an
error that names file and line.

An older program refuses a store whose `Start` says a newer format.
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
