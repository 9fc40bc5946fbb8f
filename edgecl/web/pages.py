"""Where the page's files lie."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
