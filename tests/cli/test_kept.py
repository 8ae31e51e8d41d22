"""What `audit verify` proves alone, and what it proves with what was kept elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.journal.journals import journal
from weltklassebot.journal.anchor import Anchor, replace_durably
from weltklassebot.journal.chain import GENESIS, seal
from weltklassebot.journal.checkpoints import Checkpoint, public_of, signed
from weltklassebot.journal.codec import encode
from weltklassebot.journal.reading import iterate, iterate_lines
from weltklassebot.journal.segments import segment_name
from weltklassebot.journal.store import JOURNAL
from weltklassebot.settings.keys import key_id, private_pem, public_text

KEY = bytes(range(32))
PUBLIC = public_text(public_of(KEY))
SIZE = 12
NEVER = "0" * 64


def hashes(store: Path) -> list[str]:
    """By the number of the record; 0 is what the first is chained to."""
    return [GENESIS, *(line[-66:-2].decode() for line in iterate_lines(store))]


def rewritten(store: Path, at: int) -> None:
    """Change one word of one record, as somebody who can write the store does it: with hashes that fit."""
    chain, data = GENESIS, b""
    for record in iterate(store):
        other = msgspec.structs.replace(record, actor="nobody") if record.seq == at else record
        sealed, chain = seal([encode(other)], record.seq, chain)
        data += sealed
    (store / JOURNAL).write_bytes(data)
    for beside in [*store.glob("snapshot-*"), store / "risk_state.json", store / "store.id"]:
        beside.unlink(missing_ok=True)


def checkpoints(store: Path, *seqs: int, key: bytes = KEY) -> list[bytes]:
    links = hashes(store)
    return [signed(Checkpoint(seq, links[seq], float(seq), links[1]), key).line() for seq in seqs]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    journal(tmp_path / "store", *[1] * SIZE)
    return tmp_path / "store"


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: bytes) -> str:
        path = tmp_path / "kept.jsonl"
        path.write_bytes(b"".join(lines))
        return str(path)

    return write


@pytest.fixture
def verify(desk, store) -> Iterator[Callable]:
    return lambda *more: desk("audit", "verify", "--json", "--dir", str(store), *more)


def test_a_chain_that_was_made_again_passes_alone_and_is_found_by_what_was_kept(desk, store, kept, verify):
    before = hashes(store)
    said = desk("audit", "checkpoint", "--dir", str(store)).out.split()
    assert said == [str(SIZE), before[SIZE]]
    file = kept(*checkpoints(store, 2, 5, 8, SIZE))
    for proof in (("--expect", *said), ("--checkpoints", file, "--key", PUBLIC), ("--checkpoints", file)):
        assert verify(*proof).code == 0

    rewritten(store, at=6)

    assert verify().code == 0, "the chain proves nothing against whoever can write the store"
    misled = verify("--expect", *said)
    assert misled.code == 74
    (misfit,) = misled.json["misfits"]
    assert (misfit["seq"], misfit["kept"], misfit["found"]) == (SIZE, before[SIZE], hashes(store)[SIZE])
    for key in ((), ("--key", PUBLIC)):
        found = verify("--checkpoints", file, *key)
        assert (found.code, found.json["ok"], found.json["proven_through_seq"]) == (74, False, 5)
        (misfit,) = found.json["misfits"]
        assert (misfit["source"], misfit["line"], misfit["seq"]) == (file, 3, 8), "the first that does not fit"
        assert (misfit["kept"], misfit["found"]) == (before[8], hashes(store)[8])
    assert "changed" in desk("audit", "verify", "--dir", str(store), "--checkpoints", file).out


def test_nobody_without_the_private_key_makes_one_that_fits(store, kept, verify):
    rewritten(store, at=6)
    (theirs,) = checkpoints(store, SIZE, key=bytes(32))
    other = key_id(public_of(bytes(32)))
    assert (
        verify("--checkpoints", kept(theirs), "--key", PUBLIC)
        .json["misfits"][0]["problem"]
        .startswith(f"it is signed with key {other}")
    )
    claimed = json.loads(theirs) | {"key": key_id(public_of(KEY))}
    unsigned = {name: claimed[name] for name in ("seq", "hash")}
    for forged, problem in ((claimed, "the signature is not that of key"), (unsigned, "it is not signed")):
        found = verify("--checkpoints", kept(json.dumps(forged).encode() + b"\n"), "--key", PUBLIC)
        assert found.code == 74
        assert found.json["misfits"][0]["problem"].startswith(problem)
    assert verify("--checkpoints", kept(theirs)).code == 0, "without --key no signature is looked at"
    assert "not looked at" in verify("--checkpoints", kept(theirs)).json["signatures"]


@pytest.mark.parametrize("member", ["seq", "hash", "ts", "journal", "signature"])
def test_every_member_is_signed(store, kept, verify, member):
    (line,) = checkpoints(store, 5)
    good = json.loads(line)
    other = json.loads(checkpoints(store, 6)[0])
    good[member] = other[member] if member != "journal" else other["hash"]
    found = verify("--checkpoints", kept(json.dumps(good).encode() + b"\n"), "--key", PUBLIC)
    assert (found.code, found.json["misfits"][0]["problem"][:13]) == (74, "the signature")


def test_keys_are_changed_without_losing_what_the_old_one_signed(store, kept, verify):
    file = kept(*checkpoints(store, 3), *checkpoints(store, 7, key=bytes(32)))
    new = public_text(public_of(bytes(32)))
    assert verify("--checkpoints", file, "--key", PUBLIC, "--key", new).code == 0
    found = verify("--checkpoints", file, "--key", new)
    assert (found.code, found.json["misfits"][0]["line"]) == (74, 1)


def test_several_hashes_are_compared(store, verify):
    links = hashes(store)
    right = [word for seq in (9, 1, 5) for word in ("--expect", str(seq), links[seq])]
    assert verify(*right).json["compared"] == 3
    found = verify(*right, "--expect", "5", NEVER)
    assert (found.code, [one["seq"] for one in found.json["misfits"]]) == (74, [5])


def test_what_was_cut_off_is_missed(store, kept, verify):
    links, file = hashes(store), kept(*checkpoints(store, 4, SIZE))
    lines = (store / JOURNAL).read_bytes().splitlines(keepends=True)
    (store / JOURNAL).write_bytes(b"".join(lines[:10]))
    for proof in (("--expect", str(SIZE), links[SIZE]), ("--checkpoints", file, "--key", PUBLIC)):
        found = verify(*proof)
        assert found.code == 74
        assert found.json["misfits"][0]["problem"] == "the journal ends with record 10: what came behind it was cut off"
    (store / JOURNAL).write_bytes(b"".join(lines[:10]) + lines[10][:40])
    assert verify("--expect", "10", links[10]).json["compared"] == 1
    assert verify("--expect", str(SIZE), links[SIZE]).code == 74


def test_a_torn_end_and_damage_prove_nothing_behind_them(store, verify):
    journal(store, 5, 5)
    links = hashes(store)
    good = (store / JOURNAL).read_bytes()
    (store / JOURNAL).write_bytes(good[:-1400] + bytes(1399) + b"\n")
    torn = verify("--expect", "10", links[10])
    assert (torn.code, torn.json["torn"]) == (74, True)
    assert "a torn end" in torn.json["misfits"][0]["problem"]
    (store / JOURNAL).write_bytes(good.replace(b'"a-4"', b'"b-4"'))
    damaged = verify("--expect", "3", links[3], "--expect", "9", links[9])
    assert (damaged.code, damaged.json["line"], damaged.json["compared"]) == (74, 4, 1)
    assert "damaged behind it" in damaged.json["misfits"][0]["problem"]


def test_another_journal_is_told_apart(store, kept, verify, tmp_path):
    journal(tmp_path / "other", 2, 40)
    for seq in (5, 30):
        found = verify("--checkpoints", kept(*checkpoints(tmp_path / "other", seq)), "--key", PUBLIC)
        assert (found.code, found.json["misfits"][0]["problem"][:24]) == (74, "it is of another journal")


def test_what_retention_deleted_is_compared_with_nothing(store, kept, verify):
    links, file = hashes(store), kept(*checkpoints(store, 2, 4, 7))
    lines = (store / JOURNAL).read_bytes().splitlines(keepends=True)
    replace_durably(store / "anchor.json", [msgspec.json.encode(Anchor(4, 1.0, links[4]))])
    (store / segment_name(5)).write_bytes(b"".join(lines[4:8]))
    (store / JOURNAL).write_bytes(b"".join(lines[8:]))
    found = verify("--checkpoints", file, "--key", PUBLIC)
    assert (found.code, found.json["compared"], found.json["compared_with_nothing"]) == (0, 2, 1)
    assert found.json["deleted_through_seq"] == 4
    assert verify("--expect", "4", links[4]).code == 0, "the anchor has its hash"
    gone = verify("--expect", "3", links[3])
    assert (gone.code, gone.json["ok"]) == (1, False)
    assert "retention" in gone.json["problem_of_proof"]
    assert verify("--expect", "3", links[3], "--expect", "4", NEVER).code == 74


def test_a_file_of_checkpoints_is_read_as_strictly_as_it_is_written(store, kept, verify):
    good = checkpoints(store, 3, 6)
    cut = verify("--checkpoints", kept(*good, good[0][:50]), "--key", PUBLIC)
    assert (cut.code, len(cut.json["torn_checkpoints"])) == (0, 1), "the daemon was killed while it wrote it"
    for bad, line, problem in (
        ([good[1], good[0]], 2, "it is of record 3, and the one before it of 6"),
        ([good[0], b"\n", good[1]], 2, "it is no checkpoint"),
        ([good[0][:50] + b"\n", good[1]], 1, "it is no checkpoint"),
        ([b"x" * 100_000 + b"\n"], 1, "the line has more than 1024 bytes"),
        ([b'{"seq":3,"hash":"%b","more":1}\n' % (b"0" * 64)], 1, "it is no checkpoint"),
    ):
        found = verify("--checkpoints", kept(*bad), "--key", PUBLIC)
        assert found.code == 74
        assert found.json["misfits"][0]["line"] == line
        assert found.json["misfits"][0]["problem"].startswith(problem)
    assert verify("--checkpoints", kept(), "--key", PUBLIC).code == 1, "an empty one proves nothing"
    assert verify("--checkpoints", kept(*good) + ".gone").code == 74


def test_what_is_printed_to_be_kept_makes_a_file(desk, store, kept, verify):
    lines = [desk("audit", "checkpoint", "--dir", str(store), *form).out.encode() for form in ((), ("--json",))]
    assert [line.count(b"\n") for line in lines] == [1, 1]
    found = verify("--checkpoints", kept(*lines))
    assert (found.code, found.json["compared"]) == (0, 2)
    for line in lines:
        found = verify("--checkpoints", kept(line.rstrip()))  # as it was pasted
        assert (found.code, found.json["compared"]) == (0, 1)
        assert "torn_checkpoints" not in found.json


def test_keys_are_made_and_shown_and_openssl_reads_them(desk, tmp_path):
    file = tmp_path / "journal.checkpoint_secret"
    made = desk("audit", "key", "create", str(file), "--json")
    assert made.code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert desk("audit", "key", "show", str(file), "--json").json == made.json
    assert desk("audit", "key", "create", str(file)).code == 1, "a key is never replaced"
    from cryptography.hazmat.primitives import serialization

    private = serialization.load_pem_private_key(file.read_bytes(), None)
    assert base64.b64encode(private.public_key().public_bytes_raw()).decode() == made.json["public"]
    assert file.read_text() == private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()  # fmt: skip


def test_a_public_key_may_be_a_file(store, kept, verify, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = (
        Ed25519PrivateKey.from_private_bytes(KEY)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "public.pem").write_bytes(pem)
    file = kept(*checkpoints(store, 5))
    assert verify("--checkpoints", file, "--key", str(tmp_path / "public.pem")).code == 0
    (tmp_path / "private.pem").write_text(private_pem(KEY))
    for wrong in (str(tmp_path / "private.pem"), "c2hvcnQ=", str(tmp_path / "gone")):
        assert verify("--checkpoints", file, "--key", wrong).code == 2
    assert verify("--key", PUBLIC).code == 2
    assert verify("--expect", "0", NEVER).code == verify("--expect", "3", "beef").code == 2


def test_a_record_that_a_start_would_refuse_is_found(store, verify):
    lines = (store / JOURNAL).read_bytes().splitlines()
    chain, data = GENESIS, b""
    for seq, line in enumerate(lines, start=1):
        body = line[: line.rindex(b',"batch":')]
        sealed, chain = seal([body.replace(b'"side":"buy"', b'"side":"up"') if seq == 7 else body], seq, chain)
        data += sealed
    (store / JOURNAL).write_bytes(data)
    found = verify()
    assert (found.code, found.json["line"]) == (74, 7)
    assert "makes no sense" in found.json["problem"]
    assert "help" not in found.json, "no repair cuts off what the chain proves"


@pytest.mark.parametrize("format", [1, 2])
def test_stores_of_older_versions_are_held_against_what_was_kept(desk, format):
    store = str(Path(__file__).parents[1] / "stores" / f"format-{format}")
    assert desk("audit", "verify", "--dir", store, "--decode").code == 0
    said = desk("audit", "checkpoint", "--dir", store).out.split()
    assert desk("audit", "verify", "--dir", store, "--expect", *said).code == 0
    assert desk("audit", "verify", "--dir", store, "--expect", "3", said[1]).code == 74


def test_a_chain_is_verified_without_a_library_that_only_keys_need(desk, store):
    done = desk("audit", "verify", "--dir", str(store), PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0
    assert "msgspec" in done.err
    assert "cryptography" not in done.err
