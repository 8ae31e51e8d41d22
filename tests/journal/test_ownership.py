"""Whom a directory obeys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weltklassebot.journal.ownership import ownership_problem

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "above" / "place"
    made.mkdir(parents=True)
    made.chmod(0o700)
    made.parent.chmod(0o755)
    return made


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755, 0o2755])
def test_one_that_only_its_owner_may_write_is_its_own(place: Path, mode: int):
    place.chmod(mode)
    assert ownership_problem(place) is None
    assert ownership_problem(place, another=True) is None


@pytest.mark.parametrize("mode", [0o770, 0o775, 0o777, 0o1777, 0o702, 0o2770])
def test_one_that_others_may_write_is_not(place: Path, mode: int):
    place.chmod(mode)
    for another in (False, True):
        assert ownership_problem(place, another=another) == (
            f"{place}: others may write in it: `chmod go-w {place}` once you know what they left there"
        )


@pytest.mark.parametrize(("mode", "wrong"), [(0o777, True), (0o773, True), (0o1777, False), (0o711, False)])
def test_one_that_others_may_replace_is_not(place: Path, mode: int, wrong: bool):
    place.parent.chmod(mode)
    problem = ownership_problem(place)
    assert problem == (
        f"{place}: others may replace it: `chmod go-w {place.parent}`, or name another directory" if wrong else None
    )


@needs_root
def test_another_owner_is_refused_except_to_root_and_to_those_who_ask(place: Path):
    os.chown(place, 54321, 54321)
    assert f"{place}: belongs to user 54321, and this is user root" in str(ownership_problem(place))
    assert ownership_problem(place, another=True) is None
    os.chown(place.parent, 54321, 54321)
    assert ownership_problem(place, another=True) is None
    os.chown(place.parent, 54322, 54322)
    assert "above it belongs to user 54322, who could replace it" in str(ownership_problem(place, another=True))


@needs_root
def test_where_everybody_may_make_one_the_first_to_come_is_not_the_daemon(place: Path):
    place.parent.chmod(0o1777)
    os.chown(place, 54321, 54321)
    assert f"anybody could have made it in {place.parent}" in str(ownership_problem(place, another=True))


@needs_root
def test_a_group_that_holds_others_counts_as_others(place: Path):
    os.chown(place.parent, 0, 54321)
    place.parent.chmod(0o775)
    assert ownership_problem(place) is not None
    os.chown(place.parent, 0, 0)
    assert ownership_problem(place) is None, "root's group holds root alone"


@needs_root
def test_a_link_counts_as_what_it_is_and_as_what_it_leads_to(tmp_path: Path, place: Path):
    link = tmp_path / "link"
    link.symlink_to(place.parent)
    assert ownership_problem(link / "place") is None
    os.chown(link, 54321, 54321, follow_symlinks=False)
    assert f"{link} above it belongs to user 54321" in str(ownership_problem(link / "place"))
    os.chown(link, 0, 0, follow_symlinks=False)
    place.parent.chmod(0o777)
    assert "others may replace it" in str(ownership_problem(link / "place"))
