"""The options that every command has; each command declares them, so that they stand after its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Folder of the memory and the backbone; else $EDGECL_HOME, the service's, the user's.",
        show_default=False,
        readable=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON, one object or one object a line, on stdout.")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to answer at.", show_default="127.0.0.1")]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65_535, help="Port to answer at; 0 for a free one.", show_default="8420"),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="F", help="File with the token that others have to show.", show_default=False),
]
