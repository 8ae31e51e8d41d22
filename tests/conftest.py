"""What a developer's loop leaves to `make test`, and which tests stay together on a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ONE_MACHINE = ("tests/service", "tests/container")
LEFT_TO_THE_FULL_RUN = {
    HERE / "journal" / "test_ahead.py",
    HERE / "journal" / "test_cut_off.py",
    HERE / "journal" / "test_segments.py",
    HERE / "var" / "test_documented_sizes.py",
    HERE / "var" / "test_exact.py",
    HERE / "var" / "test_exact_digits.py",
    HERE / "var" / "test_properties.py",
    HERE / "var" / "test_real_series.py",
    HERE / "var" / "test_shortfall.py",
    HERE / "var" / "test_simulation.py",
    HERE / "var" / "test_size_and_power.py",
    HERE / "var" / "test_which_p_value.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path in LEFT_TO_THE_FULL_RUN:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Several workers: the tests of a file stay together and in order, those of a machine that boots once as well.

    The mark `xdist_group` would say the same, but pytest-xdist 3.8 drops it under pytest 9.2 without a word.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((place for place in ONE_MACHINE if file.startswith(f"{place}/")), file)

    return Together(config, log)
