"""Daemons for the tools around them."""

from __future__ import annotations

from tests.daemon.conftest import daemon, make

__all__ = ["daemon", "make"]
