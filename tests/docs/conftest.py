"""Pages are followed against daemons of their own."""

from __future__ import annotations

from tests.daemon.conftest import make

__all__ = ["make"]
