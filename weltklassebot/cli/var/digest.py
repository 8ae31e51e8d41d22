"""The digest of a file, computed while it is read elsewhere: who signs a verdict knows of which data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Thread

__all__ = ["Digest"]


class Digest:
    def __init__(self, file: Path) -> None:
        self._file, self._found = file, ""
        self._error: OSError | None = None
        self._thread = Thread(target=self._compute, daemon=True)
        self._thread.start()

    def hexdigest(self) -> str:
        """Raises OSError where the file could not be read."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found

    def _compute(self) -> None:
        try:
            with self._file.open("rb") as data:
                self._found = hashlib.file_digest(data, "sha256").hexdigest()
        except OSError as error:
            self._error = error
