"""The risk authority of a trading desk.

One import for those who use the core in process: `RiskManager`, `ExecutionGate`, `TradingBlockedError`, `Parameters`,
`Instrument`, and the commands of `weltklassebot.core.commands`. Bots that ask a daemon import `weltklassebot.client`.

To read the code, follow an order: `api/stream.py` or `api/routes.py`, `runtime/sequencer.py`, `core/engine.py`,
`core/checks.py`, `core/evolve_orders.py`, `runtime/commit.py`, `journal/`, `runtime/publisher.py`. `app/wiring.py` puts
them together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from weltklassebot.core.commands import CheckOrder
    from weltklassebot.core.manager import Decision, ExecutionGate, RiskManager, TradingBlockedError
    from weltklassebot.core.parameters import Instrument, Parameters

__all__ = [
    "CheckOrder", "Decision", "ExecutionGate", "Instrument", "Parameters", "RiskManager", "TradingBlockedError",
    "__version__",
]  # fmt: skip

__version__ = "0.1.0"

_HOMES: Final = {
    "CheckOrder": "commands",
    "Decision": "manager",
    "ExecutionGate": "manager",
    "Instrument": "parameters",
    "Parameters": "parameters",
    "RiskManager": "manager",
    "TradingBlockedError": "manager",
}


def __getattr__(name: str) -> Any:
    """Import the core only for those who ask for it: the client library and the command line start without it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"weltklassebot.core.{home}"), name)
