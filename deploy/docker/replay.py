"""Do what a Dockerfile says where there is no Docker: in copies of a bare system, then run what came of it, confined.

As root, with debootstrap and dockerfile-parse at hand, and a package index in reach:

    debootstrap --variant=minbase bookworm BASE
    python deploy/docker/replay.py BASE WORK --file deploy/docker/Dockerfile

The steps are read from the Dockerfile itself. What they make is then begun as its user, with no capability, in a
network of its own, on a system that is read-only but for /tmp and its volumes; its HEALTHCHECK has to succeed there,
and SIGTERM has to end it. A base made by debootstrap is not the image of that name, and devices are this machine's.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile_parse import DockerfileParser

HEALTHY_S, END_S = 120.0, 30.0
PASSED_ON = re.compile(r"PIP_|.*_proxy$|SSL_CERT|REQUESTS_CA", re.IGNORECASE)  # how this machine reaches the index


@dataclass
class Stage:
    """What a part of the Dockerfile has made so far."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    folder: str = "/"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    @property
    def begun(self) -> list[str]:
        """What a container of it runs."""
        return [*self.entrypoint, *self.command]


def main() -> None:
    """Replay a Dockerfile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, help="root of a bare system, in the place of every FROM of an image")
    parser.add_argument("work", type=Path, help="folder for what is made")
    parser.add_argument("--file", type=Path, required=True, help="the Dockerfile")
    parser.add_argument("--context", type=Path, default=Path(), help="what COPY copies from")
    parser.add_argument("--lend", type=Path, action="append", default=[], help="file of this machine that RUN may see")
    parser.add_argument(
        "--bind", action="append", default=[], metavar="SOURCE:TARGET", help="as of docker run --volume"
    )
    parser.add_argument("--then", metavar="COMMAND", help="run here, in its network, once its health is good")
    given = parser.parse_args()
    stage = build(given.base.resolve(), given.work.resolve(), given.file, given.context.resolve(), given.lend)
    size = subprocess.run(["du", "-sm", stage.root], capture_output=True, text=True, check=True).stdout.split()[0]
    print(f"made {stage.root}, {size} MB with its base", flush=True)
    run(stage, [(Path(source), target) for source, _, target in (one.partition(":") for one in given.bind)], given.then)


# Making it


def build(base: Path, work: Path, file: Path, context: Path, lent: Sequence[Path]) -> Stage:
    """The last stage of the Dockerfile, after all steps."""
    stages: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    stage = Stage(base)
    for step in DockerfileParser(fileobj=io.BytesIO(file.read_bytes())).structure:
        name, value = step["instruction"], step["value"]
        if name == "COMMENT":
            continue
        print(f"{name} {value}"[:150], flush=True)
        match name:
            case "FROM":
                called = value.split()[-1] if " AS " in value.upper() else f"stage{len(stages)}"
                stage = stages[called] = Stage(_copy_of(base, work / called))
            case "ARG":
                key, _, preset = value.partition("=")
                arguments.setdefault(key, preset)
            case "ENV":
                stage.environment |= dict(word.partition("=")[::2] for word in shlex.split(value))
            case "RUN":
                _in_chroot(stage, ["/bin/sh", "-c", value], lent)
            case "COPY":
                _copy(stage, stages, context, _filled(value, arguments).split())
            case "USER":
                stage.user = value
            case "WORKDIR":
                stage.folder = value
                (stage.root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "VOLUME":
                stage.volumes += json.loads(value)
            case "HEALTHCHECK":
                stage.health = json.loads(value.partition(" CMD ")[2])
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(value)
            case "CMD":
                stage.command = json.loads(value)
            case "EXPOSE":
                pass
            case _:
                raise SystemExit(f"found {name}, expected an instruction that is replayed here")
    return stage


def _copy_of(base: Path, root: Path) -> Path:
    if root.exists():
        raise SystemExit(f"found {root}, expected none; remove it")
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--reflink=auto", base, root], check=True)
    return root


def _filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], text)


def _copy(stage: Stage, stages: dict[str, Stage], context: Path, words: list[str]) -> None:
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *patterns, target = words
    into = stage.root / target.lstrip("/")
    for pattern in patterns:
        found = sorted(source.glob(pattern.lstrip("/")))
        if not found:
            raise SystemExit(f"found nothing at {source / pattern}, expected what COPY names")
        for one in found:
            if one.is_dir():
                shutil.copytree(one, into, symlinks=True, dirs_exist_ok=True)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(one, into)


def _in_chroot(stage: Stage, command: Sequence[str], lent: Sequence[Path]) -> None:
    binds = [(path, str(path)) for path in (*lent, Path("/etc/resolv.conf"))]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"} | stage.environment
    environment |= {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
    script = [*_mounting(stage.root, binds), f"exec chroot {stage.root} {shlex.join(command)}"]
    subprocess.run(["unshare", "--mount", "sh", "-ec", "\n".join(script)], env=environment, check=True)


def _mounting(root: Path, binds: Sequence[tuple[Path, str]]) -> Iterator[str]:
    for source, target in binds:
        at = root / target.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        if not at.exists():
            at.mkdir() if source.is_dir() else at.touch()
        yield f"mount --bind {source.resolve()} {at}"
    yield f"mount -t proc proc {root}/proc"
    yield f"mount --rbind /dev {root}/dev"


# Running it


def run(stage: Stage, binds: Sequence[tuple[Path, str]], then: str | None) -> None:
    """Begin it as a container is begun; its health has to become good, and SIGTERM has to end it.

    Args:
        stage: what was made.
        binds: what of this machine lies where in it, and can be written.
        then: a command of this machine's shell, in the network of the container, once its health is good.
    """
    root = stage.root
    every = sorted([*binds, *_volumes(stage, {target for _, target in binds})], key=lambda one: one[1])  # outer first
    mounts = list(_mounting(root, every))
    script = [f"mount --bind {root} {root}", f"mount -o remount,bind,ro {root}", *mounts]
    script += [f"mount -t tmpfs tmpfs {root / 'tmp'}", "ip link set lo up", f"exec {_confined(stage, stage.begun)}"]
    isolated = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-ec", "\n".join(script)]
    begun = time.monotonic()
    with subprocess.Popen(isolated) as process:
        try:
            inside = _child_of(process.pid)
            _await_health(stage, process, inside)
            print(f"healthy after {time.monotonic() - begun:.1f} s as user {stage.user}", flush=True)
            if then is not None:
                subprocess.run(["nsenter", "--target", str(inside), "--net", "sh", "-ec", then], check=True)
            begun = time.monotonic()
            os.kill(inside, signal.SIGTERM)
            process.wait(END_S)
            print(f"ended {time.monotonic() - begun:.1f} s after SIGTERM with status {process.returncode}", flush=True)
        finally:
            process.kill()
    if process.returncode != 0:
        raise SystemExit(f"found status {process.returncode}, expected 0")


def _volumes(stage: Stage, given: set[str]) -> Iterator[tuple[Path, str]]:
    """The volumes that nothing was given for, filled as Docker fills new ones."""
    for target in set(stage.volumes) - given:
        kept = stage.root.with_name(f"{stage.root.name}{target.replace('/', '-')}")
        if not kept.exists():
            subprocess.run(["cp", "--archive", stage.root / target.lstrip("/"), kept], check=True)
        yield kept, target


def _confined(stage: Stage, command: Sequence[str]) -> str:
    """`command` in the root, as the image's user: of root as much as a container may, of others nothing."""
    drop = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    drop += [f"--reuid={stage.user}", f"--regid={stage.user}", "--init-groups"]
    words = [] if stage.user == "0" else drop
    words += ["env", "-i", *(f"{name}={value}" for name, value in stage.environment.items())]
    words += ["sh", "-c", 'cd "$0" && exec "$@"', stage.folder, *command]
    return f"chroot {stage.root} {shlex.join(words)}"


def _child_of(number: int) -> int:
    """The first process of the container, as this machine numbers it."""
    children = Path(f"/proc/{number}/task/{number}/children")
    while not children.read_text():
        time.sleep(0.05)
    return int(children.read_text().split()[0])


def _await_health(stage: Stage, process: subprocess.Popen[bytes], inside: int) -> None:
    asked = [
        "nsenter",
        "--target",
        str(inside),
        "--mount",
        "--pid",
        "--net",
        "sh",
        "-c",
        _confined(stage, stage.health),
    ]
    end = time.monotonic() + HEALTHY_S
    while subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("found it not healthy, expected its HEALTHCHECK to succeed; see above for what it said")
        time.sleep(1.0)


if __name__ == "__main__":
    main()
