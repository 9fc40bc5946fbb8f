"""Signatures by ed25519: who made a release. A private key is read, used and forgotten; nothing here prints one."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from edgecl.errors import InputRefused, ReleaseError, ReleaseRefused
from edgecl.files import private_folder, sha256, write_durably

KIND = "ed25519"
TRUSTED_FILE = "trusted_keys"
KEY_FILE = Path("keys", "release.pem")  # in the home
TRUSTED_BYTES_MAX = KEY_BYTES_MAX = 65_536
SIGNATURE_BYTES_MAX = 1024
_LINE = re.compile(rf"{KIND} ([A-Za-z0-9+/]{{43}}=)(?: ([^\n\r]{{0,200}}))?")


@dataclass(frozen=True)
class PublicKey:
    """Who may sign.

    Attributes:
        raw: the key's 32 bytes.
        comment: whose it is, in words.
    """

    raw: bytes
    comment: str = ""

    @property
    def id(self) -> str:
        """By which a signature names it: 16 hexadecimal digits."""
        return sha256(self.raw)[:16]

    @property
    def line(self) -> str:
        """As it is handed on and listed: `ed25519 BASE64 COMMENT`."""
        return f"{KIND} {base64.b64encode(self.raw).decode('ascii')} {self.comment}".rstrip()

    @classmethod
    def from_line(cls, text: str) -> PublicKey:
        """The inverse of `line`.

        Raises:
            InputRefused: it is no such line.
        """
        found = _LINE.fullmatch(text.strip())
        if found is None:
            raise InputRefused(
                f"found {text.strip()[:60]!r}, expected a public key as one line `{KIND} BASE64 COMMENT`; "
                "copy the line that `edgecl release keygen` printed"
            )
        comment = (found[2] or "").strip()
        if not comment.isprintable():
            raise InputRefused("found a public key whose comment cannot be seen, expected text; mend the line")
        return cls(base64.b64decode(found[1]), comment)


def generate(path: Path, comment: str) -> PublicKey:
    """Make a key pair: the private key goes to the new file `path`, open to its owner alone.

    Raises:
        InputRefused: something is at `path`; a key is never overwritten.
        StoreUnwritable: the disk refuses.
    """
    if path.exists() or path.is_symlink():
        raise InputRefused(f"found something at {path}, expected a new file; name another, a key is never overwritten")
    key = Ed25519PrivateKey.generate()
    private_folder(path.parent)
    write_durably(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return PublicKey(_raw(key.public_key()), comment)


def public_key(path: Path, comment: str = "") -> PublicKey:
    """The public half of the private key in `path`.

    Raises:
        ReleaseError: it cannot be read, or is no such key.
    """
    return PublicKey(_raw(_private_key(path).public_key()), comment)


def sign(document: bytes, path: Path) -> bytes:
    """The contents of release.sig: a signature over exactly these bytes by the private key in `path`.

    Raises:
        ReleaseError: the key cannot be read, is open to others, or is no ed25519 key.
    """
    key = _private_key(path)
    record = {
        "key": PublicKey(_raw(key.public_key())).id,
        "signature": base64.b64encode(key.sign(document)).decode("ascii"),
    }
    return (json.dumps(record, sort_keys=True) + "\n").encode("ascii")


def check_signature(document: bytes, signature: bytes, trusted: Iterable[PublicKey]) -> PublicKey:
    """Whose signature over `document` this is.

    Raises:
        ReleaseRefused: it is none, of a key that is not trusted, or of other bytes.
    """
    key_id, found = _read_signature(signature)
    keys = {key.id: key for key in trusted}
    if key_id not in keys:
        expected = f"one by {' or '.join(keys)}, trusted here" if keys else "a trusted one, but no key is trusted here"
        raise ReleaseRefused(
            f"found a signature by key {key_id}, expected {expected}; if you know whose it is, trust it with: "
            "edgecl release trust LINE"
        )
    try:
        Ed25519PublicKey.from_public_bytes(keys[key_id].raw).verify(found, document)
    except (InvalidSignature, ValueError) as error:
        raise ReleaseRefused(
            f"found a wrong signature by key {key_id}: release.json is not what was signed, or another key signed it; "
            "get the release from where it was made"
        ) from error
    return keys[key_id]


def _read_signature(data: bytes) -> tuple[str, bytes]:
    try:
        record: Any = json.loads(data.decode("ascii")) if len(data) <= SIGNATURE_BYTES_MAX else None
        if not isinstance(record, dict) or set(record) != {"key", "signature"}:
            raise ValueError("other fields")
        if not re.fullmatch("[0-9a-f]{16}", record["key"]):
            raise ValueError("no key's name")
        found = base64.b64decode(record["signature"], validate=True)
        if len(found) != 64:
            raise ValueError(f"a signature of {len(found)} bytes")
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise ReleaseRefused(
            f"found a malformed release.sig ({error}), expected the key's name and an ed25519 signature; "
            "get the release from where it was made"
        ) from error
    return record["key"], found


def trusted_keys(home: Path) -> list[PublicKey]:
    """The keys that the device with this home trusts; none where it lists none.

    Raises:
        ReleaseError: the list cannot be read.
    """
    path = home / TRUSTED_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ReleaseError(f"could not read {path}: {error}; check the disk and the rights of the file") from error
    try:
        if len(data) > TRUSTED_BYTES_MAX:
            raise InputRefused(f"found {len(data)} bytes, expected at most {TRUSTED_BYTES_MAX}")
        lines = [line.strip() for line in data.decode("utf-8").split("\n")]
        return [PublicKey.from_line(line) for line in lines if line and not line.startswith("#")]
    except (InputRefused, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} cannot be used: {error}") from error


def trust(home: Path, key: PublicKey) -> list[PublicKey]:
    """Add `key` to those that the home trusts, and return all of them.

    Raises:
        ReleaseError: the list that is there cannot be read.
        StoreUnwritable: the disk refuses; the list is as it was.
    """
    keys = trusted_keys(home)
    if key.raw not in {known.raw for known in keys}:
        keys.append(key)
        path = private_folder(home) / TRUSTED_FILE
        there = path.read_bytes() if path.exists() else b""  # with what its owner noted in it
        if there and not there.endswith(b"\n"):
            there += b"\n"
        write_durably(path, there + f"{key.line}\n".encode())
    return keys


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(KEY_BYTES_MAX)
    except OSError as error:
        raise ReleaseError(
            f"could not read the private key {path}: {error.strerror}; make one with: edgecl release keygen"
        ) from error
    if mode & 0o077:
        raise ReleaseError(
            f"found {path} open to others (mode {mode & 0o777:o}), expected a key that its owner alone may read; "
            f"chmod 600 {path}, and make a new key if others may have read it"
        )
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # the library's words could hold a part of the key
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError(f"found no ed25519 key in {path}, expected one as `edgecl release keygen` makes it")
    return key


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
