"""Install edgecl from an unpacked bundle, without a network: `sudo python3 -I FOLDER/install.py`.

What is in the bundle is checked first. The environment is made beside the one that is there and takes its place only
after it has answered; to upgrade, run the installer of a newer bundle. What was taught is not touched.
"""

# Without -I Python looks for modules in this file's folder first, and that has not been checked yet: only what is built
# in or loaded already may be imported here. That leaves out __future__, so types that an older Python does not know are
# in quotes: it gets as far as being told which bundle it needs.
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    import os

    os.execv(sys.executable, [sys.executable, "-I", *sys.argv])  # noqa: S606, the Python that runs this

import argparse
import base64
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUMS, SIGNATURE, ABOUT = "SHA256SUMS", "SHA256SUMS.sig", "bundle.json"
LIBRARIES = ("libGL.so.1", "libgthread-2.0.so.0")  # OpenCV's own wheel leaves them to the system
PACKAGES = ("libgl1", "libglib2.0-0")
LINK = Path("/usr/local/bin/edgecl")
UNIT = Path("/usr/local/lib/systemd/system/edgecl.service")
DER_OF_ED25519 = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before the key's own 32 bytes
KEY_LINE = re.compile(r"ed25519 ([A-Za-z0-9+/]{43}=)( .*)?")


class Refused(Exception):
    """What was found, what was expected, what to do."""


def main() -> int:
    """Install; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="another unpacked bundle than the one that this file is in",
    )
    parser.add_argument("--key", metavar="LINE_OR_FILE", help="public key that has to have signed the bundle")
    parser.add_argument("--prefix", type=Path, default=Path("/opt/edgecl"), help="the environment; default %(default)s")
    parser.add_argument("--no-link", action="store_true", help=f"leave {LINK} alone")
    parser.add_argument("--service", action="store_true", help="let systemd start it with the machine")
    given = parser.parse_args()
    os.umask(0o022)  # the service has a user of its own, who has to read what root writes
    try:
        install(given.bundle, given.prefix.absolute(), given.key, not given.no_link, given.service)
    except (Refused, OSError, UnicodeDecodeError) as error:
        print(f"install.py: {error}", file=sys.stderr)
        return 1
    return 0


def install(bundle: Path, prefix: Path, key: "str | None", link: bool, service: bool) -> None:
    """Check everything, then change something.

    Raises:
        Refused: nothing has changed, but for libraries of the system and an empty folder around `prefix`; or all is
            done, and only the service refused.
    """
    check_places(prefix, LINK if link else None)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    # What is checked is what is installed, whoever may write to the bundle meanwhile.
    with alone(prefix.parent), tempfile.TemporaryDirectory(dir=prefix.parent) as name:
        copy = shutil.copytree(bundle, Path(name, "bundle"), symlinks=True)
        install_checked(copy, prefix, key, link, service)


@contextmanager
def alone(folder: Path) -> "Iterator[None]":
    """Keep other installers out of `folder`; the lock ends with this process at the latest, the file of it stays.

    Raises:
        Refused: another one is at work there.
    """
    # A file of our own: the folder itself can be locked by whoever may look into it.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / "edgecl.lock", flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            remedy = "run this again once it has ended"
            raise Refused(
                f"found another installer at work in {folder}, expected to be the only one; {remedy}"
            ) from error
        yield
    finally:
        os.close(descriptor)


def install_checked(bundle: Path, prefix: Path, key: "str | None", link: bool, service: bool) -> None:
    """See `install`; into `bundle` nobody else writes."""
    if key is None:
        print("no --key was given: checksums tell whether the bundle is whole, not who made it")
    else:
        check_signature(bundle, key)
    check_files(bundle)
    about = json.loads((bundle / ABOUT).read_text("utf-8"))
    check_machine(about["machine"], about["python"])
    ensure_libraries()
    slot = unused_slot(prefix)
    try:
        make_environment(slot, bundle / "wheels", about["version"])
    except BaseException as error:
        shutil.rmtree(slot, ignore_errors=True)
        if isinstance(error, Refused) and prefix.exists():
            raise Refused(f"{error}\nthe edgecl that was installed before stays as it was") from error
        raise
    os.sync()  # a power cut after the link has changed must find behind it all that was written, by whatever process
    point(prefix, Path(slot.name))
    if link:
        point(LINK, prefix / "bin" / "edgecl")
    command = "edgecl" if link else f"{prefix}/bin/edgecl"
    print(f"edgecl {about['version']} is installed in {prefix}")
    if service or (UNIT.is_file() and f"ExecStart={prefix}/bin/edgecl " in UNIT.read_text("utf-8")):
        run([prefix / "bin" / "edgecl", "service", "install"], "the service")
        print(f"the service runs it; next: sudo {command} teach cup csi://0")
    else:
        print(f"next: {command} teach cup csi://0")


def check_signature(bundle: Path, key: str) -> None:
    """Hold the signature of the checksums against a public key, as `edgecl release keygen` prints it.

    Raises:
        Refused: another key's signature, none, or no openssl to check it by.
    """
    text = key if key.startswith("ed25519 ") else Path(key).read_text("utf-8")
    found = KEY_LINE.fullmatch(text.strip())
    if found is None:
        raise Refused(f"found {text.strip()[:60]!r}, expected the line that `edgecl release keygen` printed, in quotes")
    if shutil.which("openssl") is None:
        raise Refused("found no openssl, expected it to check the signature by; sudo apt install openssl")
    if not (bundle / SIGNATURE).is_file():
        raise Refused(
            f"found no {SIGNATURE} in {bundle}, expected a signed bundle; make one with: make bundle KEY=FILE"
        )
    try:
        signature = base64.b64decode(json.loads((bundle / SIGNATURE).read_text("ascii"))["signature"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"found a malformed {SIGNATURE} ({error}); get the bundle again from where it was made"
        ) from error
    der = base64.b64encode(DER_OF_ED25519 + base64.b64decode(found[1])).decode()
    with tempfile.TemporaryDirectory() as name:
        public, signed = Path(name, "key.pem"), Path(name, "signature")
        public.write_text(f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n", "ascii")
        signed.write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
        command += ["-in", bundle / SUMS, "-sigfile", signed]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[:200]
        raise Refused(
            f"found a signature of {SUMS} not by this key ({said}); get the bundle, or the key, from who made it"
        )
    print(f"signed by {text.strip()}")


def check_files(bundle: Path) -> None:
    """Hold every file against SHA256SUMS.

    Raises:
        Refused: one is changed, missing, not listed, or no plain file.
    """
    if not (bundle / SUMS).is_file():
        raise Refused(f"found no {SUMS} in {bundle}, expected an unpacked bundle; make one with: make bundle")
    lines = (bundle / SUMS).read_text("utf-8").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    entries = {
        str(path.relative_to(bundle)): path for path in bundle.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    remedy = "unpack the bundle again, into a new folder"
    for name in sorted((entries.keys() - {SUMS, SIGNATURE}) ^ expected.keys()):
        found = "is missing" if name in expected else f"is not listed in {SUMS}"
        raise Refused(f"found that {name} {found}, expected exactly what is listed there; {remedy}")
    for name, digest in sorted(expected.items()):
        if entries[name].is_symlink() or not entries[name].is_file():
            raise Refused(f"found that {name} is no plain file, expected one; {remedy}")
        if hashlib.sha256(entries[name].read_bytes()).hexdigest() != digest:
            raise Refused(f"found {name} changed or cut short: its SHA-256 is not that of {SUMS}; {remedy}")
    print(f"{len(expected)} files are as {SUMS} lists them")


def check_machine(machine: str, python: str) -> None:
    """Hold this machine and this Python against what the wheels are for.

    Raises:
        Refused: they are for others.
    """
    bits, version = (64 if sys.maxsize > 2**32 else 32), f"{sys.version_info.major}.{sys.version_info.minor}"
    if (platform.machine(), bits, version) != (machine, 64, python):
        target = f"{platform.machine()}-cp{version.replace('.', '')}"
        remedy = f"make the bundle of TARGET={target}" if bits == 64 else "install a 64-bit system"
        if version != python and bits == 64:
            remedy += f", or run this with python{python}"
        found, expected = f"{version} of {bits} bits on {platform.machine()}", f"{python} of 64 bits on {machine}"
        raise Refused(f"found Python {found}, expected {expected}; {remedy}")


def check_places(prefix: Path, link: "Path | None") -> None:
    """See whether all can be put where it belongs, and would take the place of nothing but a former installation.

    Raises:
        Refused: something else is there, or this user may not write there.
    """
    for place in [prefix, *([link] if link else [])]:
        if place.exists() and not place.is_symlink():
            raise Refused(f"found something else at {place}, expected nothing or a link; move it away, or see --help")
        folder = next(parent for parent in place.parents if parent.is_dir())
        if not os.access(folder, os.W_OK):
            raise Refused(f"found {folder} closed to this user, expected to write there; run it with: sudo")


def ensure_libraries() -> None:
    """Let Debian bring the libraries that OpenCV needs of the system, where they are missing.

    Raises:
        Refused: they are missing and could not be brought.
    """
    if not missing_libraries():
        return
    print(f"installing {' and '.join(PACKAGES)}, which OpenCV needs")
    if shutil.which("apt-get") and os.geteuid() == 0:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            subprocess.run(["apt-get", "-qq", *arguments], env=environment, stdout=subprocess.DEVNULL, check=False)
    if missing := missing_libraries():
        raise Refused(f"found no {' and no '.join(missing)}, which OpenCV needs; sudo apt install {' '.join(PACKAGES)}")


def missing_libraries() -> "list[str]":
    """Those of the system that are not there."""
    missing = []
    for name in LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing


def unused_slot(prefix: Path) -> Path:
    """The folder of the two beside `prefix` that it does not point to, emptied.

    Raises:
        Refused: it holds something else than a former installation.
    """
    first, second = (prefix.with_name(f"{prefix.name}-{letter}") for letter in "ab")
    slot = second if prefix.resolve() == first.resolve() else first
    if slot.is_symlink() or (slot.is_dir() and any(slot.iterdir()) and not (slot / "pyvenv.cfg").is_file()):
        raise Refused(f"found something else at {slot}, expected nothing or a former installation; move it away")
    shutil.rmtree(slot, ignore_errors=True)
    return slot


def make_environment(slot: Path, wheels: Path, version: str) -> None:
    """Make it there, and see that it answers.

    Raises:
        Refused: it does not.
    """
    print("installing, which takes a minute or a few")
    run([sys.executable, "-I", "-m", "venv", "--without-pip", slot], "the environment")
    pip = next(wheels.glob("pip-*.whl")) / "pip"  # Debian's Python has none without python3-venv
    options = ["--no-index", "--find-links", wheels, "--no-cache-dir", "--disable-pip-version-check", "--quiet"]
    run([slot / "bin" / "python", pip, "install", *options, f"edgecl[mqtt]=={version}", "pip"], "pip")
    answer = run([slot / "bin" / "edgecl", "--version"], "the new edgecl").strip()
    if answer != f"edgecl {version}":
        raise Refused(f"found that the new edgecl answers {answer!r}, expected edgecl {version}; make the bundle again")
    # That what is compiled runs on this processor; -I, lest a folder named edgecl where this is run be taken for it.
    run([slot / "bin" / "python", "-I", "-c", "import edgecl.backbone"], "the new edgecl")


def run(command: "list[str | Path]", what: str) -> str:
    """Run a command with no setting of pip or Python from outside; returns what it printed.

    Raises:
        Refused: it failed, with its last words.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment["PIP_CONFIG_FILE"] = os.devnull
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise Refused(f"found that {what} ended with status {done.returncode}, expected 0; it said:\n{said}")
    return done.stdout


def point(link: Path, target: Path) -> None:
    """Let `link` lead to `target`, from one moment to the next; when this returns, after a power cut as well."""
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    folder = os.open(link.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
