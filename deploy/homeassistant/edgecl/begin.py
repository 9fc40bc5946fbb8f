"""Begin as a Home Assistant app: its options, and the broker that it offers, become edgecl.toml; then edgecl runs.

It begins as root, to read the options and to give the folder away; all else is done by a user who may do little.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

DATA = Path("/data")
SUPERVISOR = "supervisor"  # name of the one who starts us, in its own network
INGRESS = "172.30.32.2"  # from where it shows our page, to people who are logged in
PORT = 8420
ANSWER_S = 10.0


def main() -> None:
    """Become edgecl."""
    options = json.loads((DATA / "options.json").read_text("utf-8"))
    become("edgecl", DATA)
    os.environ.pop("HASSIO_TOKEN", None)  # the same, by its former name: no camera's command is to have it
    write(DATA, options, broker(SUPERVISOR, os.environ.pop("SUPERVISOR_TOKEN", "")))
    os.execvp("edgecl", ["edgecl", "run"])  # noqa: S606, our own, by the image's PATH


def broker(supervisor: str, token: str) -> dict[str, Any] | None:
    """The MQTT broker that Home Assistant has; None where it has none, which is said.

    Args:
        supervisor: HOST or HOST:PORT.
        token: by which it knows us.
    """
    try:
        line = HTTPConnection(supervisor, timeout=ANSWER_S)
        line.request("GET", "/services/mqtt", headers={"Authorization": f"Bearer {token}"})
        answer = line.getresponse()
        told = json.loads(answer.read())
        if answer.status == 200:
            found: dict[str, Any] = told["data"]
            return found
        reason = told["message"]
    except (OSError, HTTPException, ValueError, LookupError) as error:
        reason = repr(error)
    print(f"no MQTT broker: {reason}; Home Assistant is told nothing", file=sys.stderr)
    return None


def write(data: Path, options: Mapping[str, Any], offered: Mapping[str, Any] | None) -> None:
    """Write the settings, the token and the broker's password into the folder `data`.

    Args:
        data: the home; what it holds beside these stays as it is.
        options: as config.yaml describes them.
        offered: the broker: host, port, ssl, username and password.
    """
    token = data / "token"
    if options.get("token"):
        _keep(token, options["token"])
    elif not token.exists():
        _keep(token, secrets.token_hex(32))  # nobody knows it, so only ingress lets people in
    server = {"host": "0.0.0.0", "port": PORT, "token_file": str(token), "trusted_proxy": INGRESS}  # noqa: S104
    sections = [("[server]", server | {"log_format": options["log_format"]})]
    sections += [("[[cameras]]", camera) for camera in options["cameras"]]
    if offered is not None:
        mqtt = {"host": offered["host"], "port": offered["port"], "tls": offered["ssl"], "node": "homeassistant"}
        if offered.get("username"):
            _keep(data / "mqtt-password", offered["password"])
            mqtt |= {"username": offered["username"], "password_file": str(data / "mqtt-password")}
        sections.append(("[mqtt]", mqtt | {"image": options["mqtt_image"]}))
    lines = ["# Written anew at every start, from the options of the app."]
    for name, values in sections:
        lines += ["", name, *(f"{key} = {_toml(value)}" for key, value in values.items())]
    _keep(data / "edgecl.toml", "\n".join(lines) + "\n")  # addresses of cameras may have passwords in them


def become(name: str, data: Path) -> None:
    """Be the user `name`, who may read cameras and has the folder `data`, instead of root."""
    account = pwd.getpwnam(name)
    for path in (data, *data.rglob("*")):  # what a backup put back is root's; a link is not followed, whoever made it
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    data.chmod(0o700)
    os.setgroups(sorted({camera.stat().st_gid for camera in Path("/dev").glob("video*")}))
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _keep(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(secret, "utf-8")


def _toml(value: str | int | bool) -> str:
    """As TOML writes it, which for these is as JSON does."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
