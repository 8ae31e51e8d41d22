"""What a developer's loop leaves to `make test`: tests that simulate, or work a real disk and real children hard."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LEFT_TO_THE_FULL_RUN = {
    HERE / "journal" / "test_ahead.py",
    HERE / "journal" / "test_cut_off.py",
    HERE / "journal" / "test_segments.py",
    HERE / "var" / "test_exact.py",
    HERE / "var" / "test_shortfall.py",
    HERE / "var" / "test_simulation.py",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # Several workers: the tests of a file stay together, those of a machine that boots once as well.
        together = item.path.parent if item.path.parent == HERE / "service" else item.path
        item.add_marker(pytest.mark.xdist_group(str(together.relative_to(HERE))))
        if item.path in LEFT_TO_THE_FULL_RUN:
            item.add_marker(pytest.mark.slow)
