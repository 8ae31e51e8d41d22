"""The daemons of `tests/daemon`."""

from tests.daemon.conftest import make

__all__ = ["make"]
