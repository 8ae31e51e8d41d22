"""Posts checkpoints to where nobody who can write the store reaches them, in a process of its own.

    python -m weltklassebot.journal.checkpoint_post

is asked for one request at a time: checkpoints as they stand in their file, one a line (`application/x-ndjson`). An
answer of 200 to 299 means that they are kept. Nothing else is followed, least of all a redirect; of an answer nothing
but the status is looked at, and no proxy of the environment is asked.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Final
from urllib.parse import urlsplit

import msgspec

from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.errors import JournalError

__all__ = ["SECONDS", "Post", "post"]

SECONDS: Final = 10.0
"""Without a byte from the other side."""


class Post(msgspec.Struct, frozen=True):
    """What is sent where."""

    url: str
    token: str
    lines: list[str]


class NotPosted(JournalError):
    """They are not known to be kept there."""


def post(task: Post) -> dict[str, int]:
    """Raises `NotPosted`; no message repeats path, query or token, which may be secrets."""
    where = urlsplit(task.url)
    assert where.scheme == "https"
    assert where.hostname
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    headers = {"Content-Type": "application/x-ndjson", "User-Agent": "weltklassebot"}
    if task.token:
        headers["Authorization"] = f"Bearer {task.token}"
    body = "".join(f"{line}\n" for line in task.lines).encode()
    connection = http.client.HTTPSConnection(
        where.hostname, where.port, timeout=SECONDS, context=ssl.create_default_context()
    )
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, UnicodeError, http.client.HTTPException) as error:  # Unicode: no host can have such a name
        raise NotPosted(f"the checkpoints could not be posted: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotPosted(f"the checkpoints could not be posted: status {status}")
    return {"status": status, "posted": len(task.lines)}


if __name__ == "__main__":
    answer_all(Post, post)
