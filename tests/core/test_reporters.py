"""How principals are named in settings, and which of them a name means."""

from __future__ import annotations

import pytest

from weltklassebot.core.reporters import is_among, principal_error

ID, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "_www",
        "DOMAIN\\alice",
        "alice@example.org",
        "uid:0",
        "uid:4294967294",
        "token:feed",
        f"token:{ID}:feed",
    ],
)
def test_somebody_may_be_named_so(name):
    assert principal_error(name) is None


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a:b", "a/b", "a,b", "a\n", "uid:", "uid:-1", "uid:01", "uid:4294967295", "uid:٣", "token:",
     "token:a b", "token:é", "token:" + "a" * 200, "a" * 300, None, 5, ["alice"]],
)  # fmt: skip
def test_nobody_can_be_named_so(name):
    assert principal_error(name)


@pytest.mark.parametrize(
    ("principal", "names", "is_one"),
    [
        ("alice", ["alice"], True),
        ("alice", ["alic", "token:alice"], False),
        ("uid:1001", ["uid:1001"], True),
        ("uid:1001", ["uid:100"], False),
        (f"token:{ID}:feed", ["token:feed"], True),
        (f"token:{ID}:feed", [f"token:{ID}:feed"], True),
        (f"token:{ID}:feed", [f"token:{OTHER}:feed"], False),
        (f"token:{ID}:feed", [f"token:{ID}", "feed"], False),
        # Somebody makes a token whose name is another one's id and name.
        (f"token:{OTHER}:{ID}:feed", [f"token:{ID}:feed"], False),
        (f"token:{OTHER}:{ID}:feed", [f"token:{OTHER}:{ID}:feed"], True),
    ],
)
def test_whose_name_it_is(principal, names, is_one):
    assert is_among(principal, names) is is_one
