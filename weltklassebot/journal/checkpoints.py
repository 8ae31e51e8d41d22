"""Checkpoints: number and hash of a record, kept where whoever can rewrite the store cannot reach them.

The chain proves a journal against accidents, and against edits by those who cannot write the store. Whoever can write
it can make a new chain that fits. A checkpoint that was kept elsewhere does not fit that one; a signed one cannot be
made again without the private key, wherever it is kept. The daemon has that key, and so has whoever is root or the
daemon's user on its host: against them only what had left the host by then counts, in a log, a copy or by a webhook.

A file of checkpoints is JSON, one object a line, oldest first:

    {"seq":412,"hash":"<64 hex digits>","ts":1763712000.123456,"journal":"<64 hex digits>","key":"<16 hex digits>",
     "signature":"<base64>"}

`seq`, `hash`  of a record that was on disk when the checkpoint was made.
`ts`           Unix seconds UTC: when that was.
`journal`      the hash of record 1, by which journals are told apart; left out where retention had deleted it already.
`key`          the first 16 hex digits of the SHA-256 of the public key's 32 bytes.
`signature`    Ed25519 (RFC 8032), over these lines in ASCII, each ended by a newline:

    weltklassebot journal checkpoint v1
    seq, in decimal
    hash
    ts, with six decimals
    journal, which may be empty
    key

An unsigned checkpoint has the first four members alone, and may be written `SEQ HASH`. Only the daemon appends; a last
line that is not whole is one that a crash cut off, and the next checkpoint takes its place. What people or collectors
wrote down may lack the last newline alone.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from weltklassebot.journal.kept import Kept, Unfit
from weltklassebot.settings.keys import key_id

__all__ = ["MAX_LINE", "Checkpoint", "CheckpointFile", "public_of", "signed"]

MAX_LINE: Final = 1024
_DOMAIN: Final = "weltklassebot journal checkpoint v1"

_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Checkpoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """See above."""

    seq: Annotated[int, msgspec.Meta(ge=1, lt=10**18)]
    hash: _Hash
    ts: Annotated[float, msgspec.Meta(ge=0, lt=10**11)] = 0.0
    journal: Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    key: Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{16})?\Z")] = ""
    signature: str = ""

    def signed_bytes(self) -> bytes:
        parts = (_DOMAIN, str(self.seq), self.hash, f"{self.ts:.6f}", self.journal, self.key)
        return "".join(f"{part}\n" for part in parts).encode()

    def line(self) -> bytes:
        return msgspec.json.encode(self) + b"\n"


def public_of(private: bytes) -> bytes:
    """The public key of a private one, both as their 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def signed(checkpoint: Checkpoint, private: bytes) -> Checkpoint:
    """The same with key and signature."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    named = msgspec.structs.replace(checkpoint, key=key_id(public_of(private)), signature="")
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(named.signed_bytes())
    return msgspec.structs.replace(named, signature=base64.b64encode(signature).decode())


class CheckpointFile:
    """The checkpoints of a file, in order; each is proved as it is read, and one line is in memory at a time.

    What is appended after this was made is left out: its records may be newer than the journal that is looked at.
    """

    def __init__(self, path: Path, keys: Sequence[bytes] = ()) -> None:
        """`keys`: public ones; without any, no signature is looked at. Raises `OSError`."""
        path.stat()
        if not path.is_file():
            raise OSError(errno.EINVAL, "no plain file", str(path))
        self.path: Final = path
        self.torn = False
        """The last line is not whole. Known once all were read."""
        self._file: Final = path.open("rb")
        self._left = os.fstat(self._file.fileno()).st_size
        self._prove: Final = _provers(keys)

    def __iter__(self) -> Iterator[Kept]:
        """Raises `Unfit` at the first line that is no checkpoint, not signed as it must be, or behind a later one."""
        number, last = 0, 0
        with self._file as file:
            while self._left and (line := file.readline(min(MAX_LINE + 1, self._left))):
                number += 1
                self._left -= len(line)
                if not line.endswith(b"\n"):
                    if len(line) > MAX_LINE:
                        raise Unfit(number, f"the line has more than {MAX_LINE} bytes")
                    if not _is_whole(line):
                        self.torn = True
                        return
                found = self._checked(line, number)
                if found.seq < last:
                    raise Unfit(number, f"it is of record {found.seq}, and the one before it of {last}", found.seq)
                last = found.seq
                yield Kept(found.seq, found.hash, str(self.path), number, found.journal)

    def _checked(self, line: bytes, number: int) -> Checkpoint:
        try:
            found = _understood(line)
        except (ValueError, msgspec.DecodeError) as error:
            raise Unfit(number, f"it is no checkpoint ({error})") from None
        if not self._prove:
            return found
        if not found.signature:
            raise Unfit(number, "it is not signed", found.seq)
        prove = self._prove.get(found.key)
        if prove is None:
            raise Unfit(number, f"it is signed with key {found.key}, which was not given", found.seq)
        if not prove(found):
            raise Unfit(number, f"the signature is not that of key {found.key}", found.seq)
        return found


_decode: Final = msgspec.json.Decoder(Checkpoint).decode


def _understood(line: bytes) -> Checkpoint:
    """Raises `ValueError` or `msgspec.DecodeError`."""
    return msgspec.convert(_plain(line), Checkpoint) if line[:1].isdigit() else _decode(line)


def _is_whole(line: bytes) -> bool:
    """Whether a line without a newline lacks nothing else."""
    try:
        _understood(line)
    except (ValueError, msgspec.DecodeError):
        return False
    return True


def _plain(line: bytes) -> dict[str, object]:
    seq, _, link = line.decode("ascii").strip().partition(" ")
    return {"seq": int(seq), "hash": link}


def _provers(keys: Sequence[bytes]) -> dict[str, Callable[[Checkpoint], bool]]:
    if not keys:
        return {}
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    def prover(public: bytes) -> Callable[[Checkpoint], bool]:
        key = Ed25519PublicKey.from_public_bytes(public)

        def prove(found: Checkpoint) -> bool:
            try:
                key.verify(base64.b64decode(found.signature, validate=True), found.signed_bytes())
            except (InvalidSignature, ValueError):
                return False
            return True

        return prove

    return {key_id(public): prover(public) for public in keys}
