"""Durable files: what is written is there whole after a power cut, or not there at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgecl.errors import StoreBusy, StoreUnwritable

_GLANCES, _GLANCE_S = 5, 0.02  # at a lock, before it counts as taken


def sha256(data: bytes) -> str:
    """Digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make names that were added to, or taken from, `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a reader or a power cut sees the old file or the new one, never a part.

    Raises:
        StoreUnwritable: the disk refused; `path` is as it was.
    """
    draft = _draft_of(path)
    try:
        _write_and_sync(draft, data)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def folder_durably(folder: Path, files: Mapping[str, bytes], exchange: bool = False) -> None:
    """Make `folder`, which must not exist or be empty, with `files` by name: there whole, or not there at all.

    What an attempt that was cut off has left behind is removed; two processes must not make the same folder at once.

    Args:
        folder: to make.
        files: name → content.
        exchange: for one that is there, once the new one is whole. A power cut amid that may leave neither.

    Raises:
        StoreUnwritable: the disk refused; `folder` is as it was.
    """
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old.draft")
    try:
        for left in (draft, old):
            shutil.rmtree(left, ignore_errors=True)
        draft.mkdir(mode=0o700)
        for name, data in files.items():
            _write_and_sync(draft / name, data)
        sync_folder(draft)
        if exchange and folder.exists():
            folder.replace(old)
        draft.replace(folder)
        sync_folder(folder.parent)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.replace(folder)
        shutil.rmtree(draft, ignore_errors=True)
        raise unwritable(folder, error) from error
    shutil.rmtree(old, ignore_errors=True)


def _draft_of(path: Path) -> Path:
    """By a name that nobody can have prepared, in a folder in which others may write."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")


def _write_and_sync(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def link_durably(link: Path, target: str) -> None:
    """Let the symbolic link `link` point to `target` in one step.

    Raises:
        StoreUnwritable: the disk refused; the link is as it was.
    """
    finish_link(link, prepare_link(link, target))


def prepare_link(link: Path, target: str) -> Path:
    """Make the link that is to take the place of `link`; what can be refused for want of room is refused here.

    Raises:
        StoreUnwritable: the disk refused.
    """
    draft = _draft_of(link)
    try:
        draft.symlink_to(target)
    except OSError as error:
        raise _dropped(draft, link, error) from error
    return draft


def finish_link(link: Path, draft: Path) -> None:
    """Let what `prepare_link` made take the place of `link`, in one step.

    Raises:
        StoreUnwritable: the disk refused; the link is as it was.
    """
    try:
        draft.replace(link)
        sync_folder(link.parent)
    except OSError as error:
        raise _dropped(draft, link, error) from error


def _dropped(draft: Path, link: Path, error: OSError) -> StoreUnwritable:
    with contextlib.suppress(OSError):
        draft.unlink(missing_ok=True)
    return unwritable(link, error)


def unwritable(path: Path, error: Exception) -> StoreUnwritable:
    """The error for a disk that refused to take `path`, with what the system said."""
    return StoreUnwritable(
        f"could not write {path}: {error}; expected a folder on a disk with free space that this user may write to; "
        "free some space or choose another folder, then try again (nothing that was there is lost)"
    )


def private_folder(folder: Path) -> Path:
    """Make `folder` (and those above it) if need be; what is made is readable by its owner alone.

    Raises:
        StoreUnwritable: it cannot be made.
    """
    try:
        expect_own(next(path for path in (folder, *folder.absolute().parents) if path.exists()))
        for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)  # complains of a file in the folder's place
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def expect_own(folder: Path) -> None:
    """Root may write anywhere, but what it makes in a service's home the service could change no more.

    Nor is root to do what a service that was broken into wrote there.

    Raises:
        StoreUnwritable: this is root, and `folder` is another user's.
    """
    owner = folder.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise StoreUnwritable(
            f"found {folder} to be {name}'s, expected it to be root's, who asks; run it as: sudo -u {name} edgecl …"
        )


def holder(path: Path) -> str | None:
    """Number of the process that holds the lock file `path` at this moment, None where none does."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(handle)
    finally:
        os.close(handle)
    return None


def _told(handle: int) -> str:
    """What whoever holds a lock file wrote into it."""
    return os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"


def _lock(handle: int, wait: bool) -> None:
    """Take the lock; who only looked whether it is taken has it for a moment.

    Raises:
        BlockingIOError: another process holds it.
    """
    if wait:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    for _ in range(_GLANCES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_GLANCE_S)
        else:
            return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def exclusive(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for this process. The system drops the lock when the process ends, however it ends.

    Args:
        path: its folder must exist.
        wait: until whoever holds it lets go, for what takes moments.

    Raises:
        StoreBusy: another process holds it, and we do not wait.
        StoreUnwritable: the lock file cannot be made.
    """
    try:
        expect_own(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        try:
            _lock(handle, wait)
        except BlockingIOError as error:
            raise StoreBusy(
                f"found another process (pid {_told(handle)}) writing to {path.parent}, expected to be the only "
                "writer; stop it or wait until it is done"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(handle)
