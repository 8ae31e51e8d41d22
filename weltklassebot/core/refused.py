"""What the core refuses: well-formed, and not possible now. Nothing has changed, and nothing is recorded."""

from __future__ import annotations

__all__ = ["Conflict", "NotFound", "Refused"]


class Refused(Exception):
    """A command that is well-formed and not possible now. It changes nothing and leaves no record."""

    def __init__(self, message: str, *, code: str = "conflict", field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        """Of the command, where one of them is wrong (`bad_input`)."""


class Conflict(Refused):
    """The key is taken by something else."""


class NotFound(Refused):
    """There is no such thing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_found")
