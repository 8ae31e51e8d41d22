"""A bot on the machine that keeps many orders in flight: `bot.py SOCKET` prints the client order id of each that was
answered, until nobody answers any more. Run there as a script: the standard library alone.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress
from itertools import count

SECONDS = 30.0
IN_FLIGHT = 64
ORDER = {"op": "check", "symbol": "BTC-EUR", "side": "buy", "quantity": "1000", "price": "1000"}
"""Too large: a recorded no, which takes none of the day's trade slots."""


def line(number: int) -> bytes:
    return json.dumps({**ORDER, "client_order_id": f"bot-{number}"}).encode() + b"\n"


def main(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        sock.connect(path)
        numbers = count()
        sock.sendall(b"".join(line(next(numbers)) for _ in range(IN_FLIGHT)))
        with sock.makefile("rb") as answers, suppress(ConnectionError):
            while (answer := answers.readline()).endswith(b"\n"):
                print(json.loads(answer)["client_order_id"], flush=True)
                with suppress(BrokenPipeError):  # answers are still to come
                    sock.sendall(line(next(numbers)))


if __name__ == "__main__":
    main(sys.argv[1])
