"""Ed25519 keys as operators handle them: PEM as openssl writes it, or the 32 bytes in base64.

    openssl genpkey -algorithm ed25519 -out journal.checkpoint_secret
    openssl pkey -in journal.checkpoint_secret -pubout

Both forms have a fixed frame around the 32 bytes, so reading one needs no library for cryptography, which the daemon
and most commands never load. Raises `ValueError` with what is allowed; no message repeats what was given.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import sha256
from typing import Final

__all__ = ["key_id", "private_key", "private_pem", "public_key", "public_text"]

_PRIVATE_FRAME: Final = bytes.fromhex("302e020100300506032b657004220420")
"""PKCS #8, version 1."""
_PUBLIC_FRAME: Final = bytes.fromhex("302a300506032b6570032100")
_KEY_BYTES: Final = 32
_pem: Final = re.compile(r"\s*-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END \1-----\s*").fullmatch


def private_key(text: str) -> bytes:
    """The 32 bytes that sign."""
    found = _bytes_of(text, "PRIVATE KEY", _PRIVATE_FRAME)
    if found is None:
        raise ValueError("must be an Ed25519 private key: PEM (PKCS #8, not encrypted), or 32 bytes in base64")
    return found


def public_key(text: str) -> bytes:
    """The 32 bytes that prove a signature."""
    found = _bytes_of(text, "PUBLIC KEY", _PUBLIC_FRAME)
    if found is None:
        raise ValueError("must be an Ed25519 public key: PEM, or 32 bytes in base64")
    return found


def private_pem(key: bytes) -> str:
    """What `private_key` and openssl read."""
    body = base64.b64encode(_PRIVATE_FRAME + key).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


def public_text(key: bytes) -> str:
    """A public key in one word."""
    return base64.b64encode(key).decode()


def key_id(public: bytes) -> str:
    """The short name of a public key: which of several a signature is to be proved by."""
    return sha256(public).hexdigest()[:16]


def _bytes_of(text: str, label: str, frame: bytes) -> bytes | None:
    pem = _pem(text)
    if pem is not None and pem[1] != label:
        return None
    body = "".join((pem[2] if pem is not None else text).split())
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error:
        return None
    if pem is not None:
        if not data.startswith(frame):
            return None
        data = data[len(frame) :]
    return data if len(data) == _KEY_BYTES else None
