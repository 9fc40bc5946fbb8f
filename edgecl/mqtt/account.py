"""Where the broker is and as whom we come; what is listened to there, and what comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgecl.config import MqttSettings
from edgecl.errors import ConfigRefused

PASSWORD_BYTES_MAX = 65_535


@dataclass(frozen=True)
class Account:
    """Where the broker is, and as whom we come.

    Attributes:
        host: its name or address.
        port: of it.
        tls: whether it has to show a certificate that this machine trusts.
        client_id: ours alone: a broker throws out the first of two that have the same.
        username: None for nobody.
        password: None without one; never written anywhere.
    """

    host: str
    port: int
    tls: bool
    client_id: str
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def of(cls, settings: MqttSettings, client_id: str) -> Account:
        """What the settings say, under the name `client_id` where they give none.

        Raises:
            ConfigRefused: they name no host, or the password cannot be read, or others can read it.
        """
        if settings.host is None:
            raise ConfigRefused("found no mqtt.host, expected the broker's name or address; set it in edgecl.toml")
        password = None if settings.password_file is None else read_password(settings.password_file)
        client_id = settings.client_id or client_id
        return cls(settings.host, settings.port, settings.tls, client_id, settings.username, password)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Message:
    """One that came.

    Attributes:
        topic: where.
        payload: what.
        retained: whether the broker keeps it.
    """

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True)
class Hearing:
    """How a filter is listened to.

    Attributes:
        kept: whether what the broker keeps there is wanted at once.
        as_published: whether it is said of each message that it was sent to be kept; else only of those kept before.
    """

    kept: bool
    as_published: bool = False


def read_password(path: Path) -> str:
    """The password in `path`.

    Raises:
        ConfigRefused: it cannot be read, others may read it, or there is none.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigRefused(f"could not read a password from {path}, expected a file with one line") from error
    if mode & 0o077:
        raise ConfigRefused(f"found {path} open to others (mode {mode & 0o777:o}), expected 600; chmod 600 {path}")
    if not text or "\n" in text or len(text.encode("utf-8")) > PASSWORD_BYTES_MAX:
        raise ConfigRefused(f"found no password in {path}, expected one line that is not empty")
    return text
