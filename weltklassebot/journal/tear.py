"""Was the end of the file torn by a crash, or damaged by something else?

A crash can only touch the last batch: the one before was synced before this one was written. So a damaged end is a tear
if it looks like an interrupted write (no newline at the end, or a sector that never left zero) and nothing in it
belongs to another batch. Of the sector that the batch begins in, the part before it was there already: there the rest
of the sector counts. Whatever cannot be explained that way is for a person to look at.
"""

from __future__ import annotations

import re
from typing import Final

from weltklassebot.journal.chain import BATCH_PATTERN, MAX_BATCH_BYTES, Chain

__all__ = ["is_tear"]

_SECTOR: Final = 512
_ZEROS: Final = bytes(_SECTOR)

_batches = re.compile(BATCH_PATTERN + rb',"hash":"').finditer
_starts = re.compile(rb'^\{"seq":(\d{1,19}),', re.MULTILINE).finditer


def is_tear(region: bytes, chain: Chain) -> bool:
    """Whether `region`, everything from the first damaged line to the end of the file, is a torn last batch.

    `chain` stands before the damaged line, `chain.offset` is where it begins in the file.
    """
    if len(region) > MAX_BATCH_BYTES:
        return False
    zeros = _has_zero_sector(region, chain.offset)
    if region.endswith(b"\n") and not zeros:
        return False
    due = chain.last_seq + 1
    batches = {(int(found[1]), int(found[2])) for found in _batches(region)}
    numbers = [int(found[1]) for found in _starts(region)]
    if len(batches) > 1 or any(number < due for number in numbers):
        return False
    if batches:
        first, last = batches.pop()
        is_last_batch = first == due or (first, last) == chain.batch
        return is_last_batch and last >= max([due, *numbers])
    # No line of it says its batch. A write that merely stopped damages one line; more than one needs a lost sector.
    return zeros or all(number == due for number in numbers)


def _has_zero_sector(region: bytes, offset: int) -> bool:
    first = -offset % _SECTOR
    if first and not region[:first].strip(b"\0"):
        return True
    return any(region[at : at + _SECTOR] == _ZEROS for at in range(first, len(region) - _SECTOR + 1, _SECTOR))
