"""All that a device needs and no network gives it: dist/edgecl-VERSION-TARGET.tar, with its own installer.

Run it by `make bundle`. The wheels come from the package index, chosen by uv for the target's Python and machine and
held against the digests that it found; the same wheels give the same bytes.
"""

from __future__ import annotations

import argparse
import email.parser
import email.policy
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MACHINES, PYTHONS = ("aarch64", "x86_64"), ("3.10", "3.11", "3.12", "3.13")
GLIBC_MINOR = range(28, 16, -1)  # all that a Pi or a Jetson runs has Debian 10's 2.28; 2.17 is the oldest of wheels
README = """edgecl {version} for Python {python} on {machine}, to be installed without a network

    sudo python3 -I edgecl-{version}-{target}/install.py
    edgecl teach cup csi://0

The first makes the environment /opt/edgecl and the command /usr/local/bin/edgecl, the second looks through the Pi's own
camera for five seconds; a USB camera is 0 in its place, and a folder of pictures will do. `install.py --service` lets
systemd start it with the machine. To upgrade, run the installer of a newer bundle. It needs Python {python} and the
system's libgl1 and libglib2.0-0, which it lets apt bring where they are missing.

install.py checks every file against SHA256SUMS, and with --key 'ed25519 …', the line that `edgecl release keygen`
printed, whether that key signed them. The installer comes with what it checks: where that matters, let one that is
trusted already, of a former bundle or of the sources, check and install this one: sudo python3 -I TRUSTED/install.py
--key 'ed25519 …' edgecl-{version}-{target}

LICENSE and NOTICE are those of edgecl and its backbone; licenses.txt names those of the packages beside it.
"""


def main() -> None:
    """Make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="of edgecl, from `make wheel`")
    parser.add_argument("--target", required=True, help="MACHINE-cpXY, such as aarch64-cp311")
    parser.add_argument("--key", type=Path, help="private key, made by `edgecl release keygen`, to sign it with")
    given = parser.parse_args()
    machine, python = parse(given.target)
    version = given.wheel.name.split("-")[1]
    folder = given.wheel.parent / f"edgecl-{version}-{given.target}"
    shutil.rmtree(folder, ignore_errors=True)
    (wheels := folder / "wheels").mkdir(parents=True)
    shutil.copy(given.wheel, wheels)
    download(given.wheel, machine, python, wheels)
    about = {"version": version, "machine": machine, "python": python}
    (folder / "bundle.json").write_text(json.dumps(about) + "\n", "utf-8")
    (folder / "README.txt").write_text(README.format(**about, target=given.target), "utf-8")
    (folder / "licenses.txt").write_text("".join(map(license_line, sorted(wheels.iterdir()))), "utf-8")
    for source in (PROJECT / "deploy" / "install.py", PROJECT / "LICENSE", PROJECT / "NOTICE"):
        shutil.copyfile(source, folder / source.name)
    seal(folder, given.key)
    archive = pack(folder, folder.with_name(f"{folder.name}.tar"))
    signed = "signed" if given.key else "not signed, for want of KEY="
    print(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB, {len(list(wheels.iterdir()))} wheels, {signed}")


def parse(target: str) -> tuple[str, str]:
    """`aarch64-cp311` → ('aarch64', '3.11')."""
    found = re.fullmatch(r"(\w+)-cp3(\d+)", target)
    if found is None or found[1] not in MACHINES or f"3.{found[2]}" not in PYTHONS:
        raise SystemExit(
            f"found TARGET={target}, expected MACHINE-cpXY of {' or '.join(MACHINES)} and Python {', '.join(PYTHONS)}, "
            "such as aarch64-cp311 for Raspberry Pi OS 12"
        )
    return found[1], f"3.{found[2]}"


def download(wheel: Path, machine: str, python: str, wheels: Path) -> None:
    """Put what `wheel` requires, and pip, as wheels for the target into the folder `wheels`.

    pip alone would take the conditions in requirements to be about the Python that runs it; uv resolves for the target.
    """
    wanted = f"edgecl[mqtt] @ {wheel.resolve().as_uri()}\npip\n"
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--generate-hashes", "--only-binary=:all:"]
    command += [f"--python-version={python}", f"--python-platform={machine}-manylinux_2_{GLIBC_MINOR[0]}"]
    command += ["--no-header", "--no-annotate", "--no-emit-package=edgecl"]
    pinned = subprocess.run(command, input=wanted, stdout=subprocess.PIPE, text=True, check=True).stdout
    (requirements := wheels / "requirements.txt").write_text(pinned, "utf-8")
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--require-hashes"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    command += [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINOR]
    command += [f"--platform=manylinux2014_{machine}", f"--requirement={requirements.name}", "--dest=."]
    subprocess.run(command, cwd=wheels, check=True)
    requirements.unlink()


def license_line(wheel: Path) -> str:
    """Name, version and licence as the wheel itself tells them; its texts are in it."""
    with zipfile.ZipFile(wheel) as file:
        name = next(entry for entry in file.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", entry))
        # Its headers are UTF-8, which no header of a mail is.
        metadata = email.parser.HeaderParser(policy=email.policy.compat32).parsestr(file.read(name).decode("utf-8"))
    classes = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License")]
    said = metadata.get("License-Expression") or ", ".join(classes) or metadata.get("License", "see the wheel")
    return f"{metadata['Name']} {metadata['Version']}: {said.splitlines()[0]}\n"


def seal(folder: Path, key: Path | None) -> None:
    """List the digests of all files in SHA256SUMS, and sign that list."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")
    if key is not None:
        from edgecl.errors import EdgeclError
        from edgecl.releases.signing import sign

        try:
            (folder / "SHA256SUMS.sig").write_bytes(sign((folder / "SHA256SUMS").read_bytes(), key))
        except EdgeclError as error:
            raise SystemExit(str(error)) from error


def pack(folder: Path, archive: Path) -> Path:
    """The folder as a .tar: sorted, of one owner and one time, so that the same files give the same bytes."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as file:  # add() goes through a folder sorted by name
        file.add(folder, folder.name, filter=plain)
    return archive


if __name__ == "__main__":
    main()
