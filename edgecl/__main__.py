"""`python -m edgecl`: the same as `edgecl`, where the script is not on the path."""

from edgecl.cli.app import program

program()
