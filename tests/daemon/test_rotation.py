"""When the live file is closed."""

from __future__ import annotations

import pytest

from weltklassebot.runtime.rotation import Rotation


@pytest.fixture
def rotation() -> Rotation:
    return Rotation(max_bytes=1_000, max_records=10, first_seq=7, records=0, size=0)


@pytest.mark.parametrize(("records", "size"), [(10, 10), (1, 1_000), (3, 2_000)])
def test_it_is_closed_when_it_has_grown(rotation: Rotation, records: int, size: int) -> None:
    rotation.appended(records - 1, size - 1)
    assert not rotation.due or size - 1 >= 1_000
    rotation.appended(1, 1)
    assert rotation.due
    rotation.done()
    assert (rotation.due, rotation.first_seq) == (False, 7 + records)


def test_it_is_closed_when_somebody_wants_that_and_something_is_in_it(rotation: Rotation) -> None:
    rotation.want()
    rotation.appended(1, 1)
    assert not rotation.due, "nothing was in it then"
    rotation.want()
    assert rotation.due


def test_what_a_start_finds_in_it_counts() -> None:
    assert Rotation(max_bytes=1_000, max_records=10, first_seq=7, records=2, size=1_000).due
