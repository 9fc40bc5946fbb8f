"""The section `[mqtt]` of edgecl.toml; it moves into `config.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from edgecl.config import Seconds, _Section

_TOPIC = r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}$"


class MqttSettings(_Section):
    """Which broker is told what the cameras see."""

    host: Annotated[str, Field(min_length=1, max_length=253)] | None = None  # none: no broker
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    tls: bool = False
    username: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    password_file: Path | None = None
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None  # edgecl-NODE without
    base_topic: Annotated[str, Field(pattern=_TOPIC)] = "edgecl"
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None  # the host's name without
    discovery: bool = True
    discovery_prefix: Annotated[str, Field(pattern=_TOPIC)] = "homeassistant"
    image: bool = False  # pictures leave the device only if asked
    image_every_s: Seconds = 10.0

    @model_validator(mode="after")
    def _password_of_someone(self) -> MqttSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("expected a username where there is a password_file")
        return self
