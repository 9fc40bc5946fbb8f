"""Copies of the memory: making one, putting one back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, size

commands = typer.Typer()


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; nothing is overwritten.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the memory into one file.

    The copy is checked. Works while another process uses the memory.
    """
    from edgecl.home import Home

    terminal = Terminal(as_json)
    with Home.at(home).store(writable=False) as store, terminal.progress("copying and checking"):
        store.backup(file)
        revision = store.revision
    count = file.stat().st_size
    record = {"file": str(file), "bytes": count, "revision": revision}
    terminal.answer(record, f"wrote {file} ({size(count)}), revision {revision} of the memory, checked")


@commands.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `edgecl backup` wrote.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the memory.

    The backup is checked first, and the memory that was there is kept beside it.
    """
    from edgecl.hands import daemon_of
    from edgecl.home import Home
    from edgecl.memory.backup import restore as put_back

    terminal = Terminal(as_json)
    place = Home.at(home)
    daemon = daemon_of(place)
    with terminal.progress("checking and copying"):
        if daemon is None:
            before = put_back(place.folder, file)
        else:
            _, kept_as = daemon.restore(_read(file))
            before = None if kept_as is None else place.folder / kept_as
    with place.store(writable=False) as store:
        labels = list(store.classes().values())
    record = {"file": str(file), "classes": labels, "previous": None if before is None else str(before)}
    kept = "" if before is None else f"\nthe memory that was there is now {before}"
    terminal.answer(record, f"restored {file} with {len(labels)} classes: {', '.join(labels) or 'none'}{kept}")


def _read(file: Path) -> bytes:
    from edgecl.errors import StoreError

    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(
            f"could not read {file}: {error}; expected what `edgecl backup` wrote; check the path"
        ) from error
