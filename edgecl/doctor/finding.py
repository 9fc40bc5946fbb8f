"""What was found, one line each, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edgecl.errors import EdgeclError


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        check: what was looked at.
        state: 'ok', 'warn' (works, but not as it should) or 'fail'.
        found: what was found.
        remedy: what to do, or None.
    """

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str | None = None


def guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """What `look` finds, or what hinders it."""
    try:
        return look()
    except EdgeclError as error:
        return failure(check, error)
    except OSError as error:
        return Finding(check, "fail", str(error), "check the disk and the rights of the folder")


def failure(check: str, error: EdgeclError) -> Finding:
    """An error as a finding; its words say what to do."""
    return Finding(check, "fail", str(error))


def to_do(findings: Iterable[Finding]) -> list[str]:
    """What is to be done before all is as it should be, what fails first; empty where the machine is ready."""
    open_ones = sorted((one for one in findings if one.state != "ok"), key=lambda one: one.state != "fail")
    return [f"{one.check}: {one.remedy or one.found}" for one in open_ones]
