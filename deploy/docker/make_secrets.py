"""Make the secrets of compose.yaml, once: what nobody has seen, each file for one container's user alone.

Run it as root, since the files are given to those users: sudo python3 deploy/docker/make_secrets.py
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

EDGECL, MOSQUITTO, PROMETHEUS = 8420, 1883, 65_534  # users in the images
USER = "edgecl"  # as whom the broker knows us
ITERATIONS = 101  # as mosquitto_passwd does; the password is 192 random bits


def main() -> None:
    """Make them beside this file."""
    folder = Path(__file__).parent / "secrets"
    if folder.exists():
        raise SystemExit(f"found {folder}, expected none; remove it to make new ones")
    try:
        make(folder)
    except PermissionError as error:
        raise SystemExit(
            f"could not give {error.filename} to a container's user, expected to be root; use sudo"
        ) from error
    print(f"made {folder}; log in on the page with: sudo cat {folder / 'edgecl_token'}")


def make(folder: Path, give: Callable[[Path, int, int], None] = os.chown) -> None:
    """Write the files into a new `folder`.

    Args:
        folder: that is not there yet.
        give: makes a file a user's and a group's.

    Raises:
        PermissionError: files cannot be given away here.
    """
    token, password = secrets.token_hex(32), secrets.token_urlsafe(24)
    folder.mkdir(mode=0o700)
    for name, text, user in (
        ("edgecl_token", token, EDGECL),
        ("prometheus_token", token, PROMETHEUS),
        ("mqtt_password", password, EDGECL),
        ("mosquitto_passwords", account(USER, password), MOSQUITTO),
    ):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(f"{text}\n", "ascii")
        give(path, user, user)


def account(user: str, password: str) -> str:
    """A line of the broker's file of passwords: PBKDF2 of SHA-512, as mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode("utf-8"), salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


if __name__ == "__main__":
    main()
