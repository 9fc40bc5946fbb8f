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
        help="Folder of the memory and the backbone; else $EDGECL_HOME, else the user's data folder.",
        show_default=False,
        readable=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON, one object or one object a line, on stdout.")
]
