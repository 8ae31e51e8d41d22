"""Tokens: shown once, kept hashed, revoked without a restart, and nobody gets in by a broken file."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat

import pytest

from weltklassebot.api.tokens import MAX_TOKENS, TokenError, TokenFile, Tokens


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "tokens.json"


def create(path, name="bot", role="trader", **more):
    return TokenFile(path).create(name=name, role=role, created=1.5, **more)


def test_a_token_is_accepted_and_its_secret_is_not_kept(path):
    text, token = create(path)
    assert text.startswith(f"wkb_{token.id}_")
    assert len(text.split("_", 2)[2]) == 43
    content = path.read_text()
    assert text.split("_", 2)[2] not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Tokens(path).verify(text) == token
    assert token.principal == f"token:{token.id}:bot"


@pytest.mark.parametrize("change", ["", "wkb_", "x{}", "{}x", "{}\n", " {}", "Bearer {}"])
def test_what_is_not_exactly_the_token_is_refused(path, change):
    text, _ = create(path)
    assert Tokens(path).verify(change.format(text)) is None


def test_every_changed_character_is_refused(path):
    text, _ = create(path)
    tokens = Tokens(path)
    for at, character in enumerate(text):
        assert tokens.verify(text[:at] + ("a" if character != "a" else "b") + text[at + 1 :]) is None


def test_no_file_lets_nobody_in(path):
    tokens = Tokens(path)
    assert tokens.verify("wkb_" + "0" * 16 + "_" + "a" * 43) is None
    assert tokens.problem is None


def test_creation_and_revocation_are_seen_at_once(path):
    tokens = Tokens(path)
    first, _ = create(path, "first")
    assert tokens.verify(first) is not None
    second, token = create(path, "second")
    before = tokens.generation()
    TokenFile(path).revoke("first")
    assert tokens.verify(first) is None
    assert tokens.verify(second) == token
    assert tokens.generation() != before
    TokenFile(path).revoke(token.id)
    assert tokens.verify(second) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 2, "tokens": []}', b'{"tokens": [{}]}', b"\xff"])
def test_a_damaged_file_lets_nobody_in_until_it_is_mended(path, damage):
    text, _ = create(path)
    good = path.read_bytes()
    tokens = Tokens(path)
    assert tokens.verify(text) is not None
    path.write_bytes(damage)
    assert tokens.verify(text) is None
    assert tokens.problem is not None
    with pytest.raises(TokenError, match="is damaged"):
        TokenFile(path).create(name="other", role="viewer", created=0.0)
    path.write_bytes(good)
    assert tokens.verify(text) is not None
    assert tokens.problem is None


def test_a_file_that_others_may_read_lets_nobody_in(path):
    text, _ = create(path)
    path.chmod(0o640)
    tokens = Tokens(path)
    assert tokens.verify(text) is None
    assert "chmod 600" in (tokens.problem or "")
    path.chmod(0o600)
    assert tokens.verify(text) is not None


def test_bindings_are_kept(path):
    _, free = create(path, "free")
    _, bound = create(path, "bound", accounts=("main",), strategies=("a", "b"))
    assert TokenFile(path).tokens() == [free, bound]
    assert (free.accounts, free.strategies) == (None, None)
    assert (bound.accounts, bound.strategies) == (("main",), ("a", "b"))


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "ä", "a\n"])
def test_names_are_ids(path, name):
    with pytest.raises(TokenError, match="1 to 64 characters"):
        create(path, name)
    assert not path.exists()


def test_a_name_is_given_once_and_only_what_exists_is_revoked(path):
    create(path)
    with pytest.raises(TokenError, match="already"):
        create(path)
    with pytest.raises(TokenError, match="no token has"):
        TokenFile(path).revoke("nobody")


def test_there_are_at_most_so_many(path):
    create(path)
    document = json.loads(path.read_text())
    one = document["tokens"][0]
    document["tokens"] = [one | {"id": f"{n:016x}", "name": f"n{n}"} for n in range(MAX_TOKENS)]
    path.write_text(json.dumps(document))
    with pytest.raises(TokenError, match="revoke some first"):
        create(path, "one-more")


def create_many(path, prefix, count):
    for n in range(count):
        create(path, f"{prefix}{n}")


def test_processes_that_create_at_once_lose_nothing(path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=create_many, args=(path, prefix, 10)) for prefix in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {token.name for token in TokenFile(path).tokens()} == {f"{p}{n}" for p in "abc" for n in range(10)}


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="needs root")
def test_roots_command_leaves_the_file_to_the_daemon(path):
    path.parent.mkdir()
    os.chown(path.parent, 12345, 12346)
    create(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(path.parent, 0, 0)
    create(path, "next")
    assert path.stat().st_uid == 12345
