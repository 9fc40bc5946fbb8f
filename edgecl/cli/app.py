"""The command `edgecl`: its groups put together, its errors put into words."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from edgecl import __version__
from edgecl.cli.terminal import printable
from edgecl.errors import EdgeclError

# In the order of the help. Each file has `commands`, a Typer of its own.
GROUPS = ("demo", "teaching", "prediction", "classes", "health", "safekeeping", "exporting", "evaluation")

app = typer.Typer(
    name="edgecl",
    help="A camera that is taught on the spot and does not forget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"edgecl {__version__}")
        raise typer.Exit


@app.callback()
def edgecl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """A camera that is taught on the spot and does not forget."""


for _group in GROUPS:
    app.add_typer(importlib.import_module(f"edgecl.cli.{_group}").commands)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or failed, 2 wrongly called, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode is no reason to fail
    try:
        app(args=arguments, prog_name="edgecl")
    except EdgeclError as error:
        print(f"edgecl: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0
