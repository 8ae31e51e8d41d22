"""Large files reach the disk a little at a time: whoever syncs a record meanwhile waits for a little, not for all."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["GentleFile"]

_STEP_BYTES: Final = 256 * 1024


class GentleFile:
    """Writes to a descriptor, which stays its owner's. Raises `OSError`; a descriptor that has failed is not used
    again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: Final = descriptor
        self._behind = 0
        """Bytes that are written and not yet synced."""

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            count = os.write(self._descriptor, left[:_STEP_BYTES])
            left = left[count:]
            self._behind += count
            if self._behind >= _STEP_BYTES:
                os.fdatasync(self._descriptor)
                self._behind = 0
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
