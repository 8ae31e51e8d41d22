"""Whom a directory obeys: who could change what lies in it, or put another one in its place.

    the directory     belongs to this user or to root, and nobody else may write in it, no group either
    those above it    belong to this user or to root as well. One that others may write in, too, must be sticky, so that
                      they cannot rename what is this user's. A group that holds its owner alone counts as the owner.

Root, who works on the daemon's behalf, and an operator, who asks it something, stand before a directory that belongs to
another user, the daemon's. `another` lets that user own it, and directories above it, but not one that lies where
everybody may make some: there the first one to come would be taken for the daemon.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final, Literal

__all__ = ["name_of", "ownership_problem", "unknown_id"]

_EVERY_ID: Final = "4294967295"
_USUAL_OVERFLOW: Final = 65534
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def ownership_problem(directory: Path, *, another: bool = False) -> str | None:
    """What is wrong with it, and what to do, in one sentence without its stop; None if nothing is.

    Raises `OSError` if it, or one above it, cannot be looked at.
    """
    directory = directory.absolute()
    found = directory.stat()
    mine = {0, os.geteuid()}
    owners = mine | {found.st_uid} if another else mine
    if found.st_uid not in owners:
        return (
            f"{directory}: belongs to {name_of(found.st_uid)}, and this is {name_of(os.geteuid())}: "
            "run this as its owner, or name another directory"
        )
    if found.st_mode & _OTHERS:
        return f"{directory}: others may write in it: `chmod go-w {directory}` once you know what they left there"
    return _problem_above(directory, owners, mine) or _problem_above(directory.resolve(), owners, mine)


def _problem_above(directory: Path, owners: set[int], mine: set[int]) -> str | None:
    """The same of the directories, and links, on the way to it."""
    below = directory.lstat()
    for place in directory.parents:
        found = place.lstat()
        unknown = unknown_id("uid")
        if found.st_uid not in owners and found.st_uid != unknown:
            return f"{directory}: {place} above it belongs to {name_of(found.st_uid)}, who could replace it"
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & _OTHERS and not _is_private(found):
            if not found.st_mode & stat.S_ISVTX:
                return f"{directory}: others may replace it: `chmod go-w {place}`, or name another directory"
            if below.st_uid not in mine:
                return f"{directory}: anybody could have made it in {place}: name another directory"
        below = found
    return None


def _is_private(found: os.stat_result) -> bool:
    """Only its group may write, which is its owner's own: some systems give every user one, and a umask of 002."""
    if found.st_mode & stat.S_IWOTH:
        return False
    try:
        group, owner = grp.getgrgid(found.st_gid), pwd.getpwuid(found.st_uid)
    except KeyError:
        return False
    return found.st_gid == owner.pw_gid and group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}


def name_of(uid: int) -> str:
    """A user's name, for people."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def unknown_id(kind: Literal["uid", "gid"]) -> int | None:
    """The number that stands for all who have none in this user namespace; None where everybody has one."""
    try:
        if Path(f"/proc/self/{kind}_map").read_text().split() == ["0", "0", _EVERY_ID]:
            return None
        return int(Path(f"/proc/sys/kernel/overflow{kind}").read_text())
    except (OSError, ValueError):  # no such file in this kernel, or not to be seen
        return _USUAL_OVERFLOW
