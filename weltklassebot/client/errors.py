"""What can go wrong between a bot and the risk service.

`check` turns each of these into a denial; every other call raises them, because a report that is lost must be noticed.
"""

from __future__ import annotations

__all__ = ["BadAnswer", "FieldError", "RefusedError", "RiskClientError", "Unanswered", "Unreachable"]

FieldError = tuple[str, str]
"""(field, message)"""


class RiskClientError(Exception):
    """Base of all. `reason` is the word that a denied `Answer` carries for it."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unreachable(RiskClientError):
    """The request was not sent: no connection, none free in time, or the client is closed. Asking again is harmless."""

    def __init__(self, message: str, *, reason: str = "no_answer") -> None:
        super().__init__(message, reason=reason)


class Unanswered(RiskClientError):
    """The request was sent, at least in part, and no answer came: whether it was recorded is not known."""

    def __init__(self, message: str, *, reason: str = "no_answer") -> None:
        super().__init__(message, reason=reason)


class BadAnswer(RiskClientError):
    """Something came that is not the answer to this request. The connection it came on is given up."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="bad_answer")


class RefusedError(RiskClientError):
    """The risk service answered that it did not take the request, and why.

    `status` is the HTTP status (409 conflict, 422 malformed, 401 and 403 not allowed, 503 not able at the moment).
    """

    def __init__(self, status: int, title: str, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        fields = "; ".join(f"{field}: {message}" for field, message in errors)
        text = " - ".join(part for part in (title, detail, fields) if part)
        super().__init__(f"{status} {text}", reason="refused" if status < 500 else "no_answer")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors
