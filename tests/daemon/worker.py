"""A child of the daemon for tests: it does what it is told.

python -m tests.daemon.worker
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.errors import StoreFailed


def work(task: dict[str, Any]) -> dict[str, Any]:
    match task["do"]:
        case "answer":
            return {"pid": os.getpid()}
        case "refuse":
            raise StoreFailed(Path("/store"), "reading", errno.EIO)
        case "die":
            sys.exit(3)
        case "talk":
            return {"said": "x" * 100_000}
        case "open":
            Path(task["marker"]).touch()
            Path(task["path"]).touch()
            time.sleep(600)
        case "sleep":
            time.sleep(600)
        case "spin":
            while True:
                pass
    raise ValueError("nobody knows what that is")


if __name__ == "__main__":
    answer_all(dict[str, Any], work)
