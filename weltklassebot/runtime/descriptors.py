"""How many connections the process can hold: each takes a descriptor, and the kernel's soft limit is often low."""

from __future__ import annotations

import resource
from typing import Any, Final

__all__ = ["OWN", "connections_that_fit"]

OWN: Final = 128
"""Descriptors for everything that is no connection: files, listeners, children."""


def connections_that_fit(wanted: int, log: Any) -> int:
    """Raise the soft limit to the hard one. Returns `wanted`, or as many as there can be, and then says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, wanted + OWN)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fit = max(1, hard - OWN)
    if fit < wanted:
        log.warning(
            "few_descriptors",
            connections=fit,
            wanted=wanted,
            help="raise LimitNOFILE, or lower runtime.max_connections",
        )
    return min(wanted, fit)
