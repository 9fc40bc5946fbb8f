"""A release on its way: a folder, or one file. Nothing in either is believed before it was checked."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

from edgecl.errors import ReleaseError, ReleaseRefused
from edgecl.files import private_folder, write_durably
from edgecl.manifest import Precision
from edgecl.releases.document import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_FILE,
    FILES_MAX,
    SIGNATURE_FILE,
    Part,
    ReleaseDocument,
)
from edgecl.releases.signing import SIGNATURE_BYTES_MAX

SUFFIX = ".edgecl"
BUNDLE_BYTES_MAX = 2**29  # of the file, and of all members together
DIRECTORY_BYTES_MAX = 65_536  # of the ZIP's list of members
MEMBERS_MAX = FILES_MAX + 2
END_BYTES = 22 + 20  # a ZIP's last record, and the one before it that says where 64-bit fields are
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    OverflowError,
    OSError,
    NotImplementedError,
    EOFError,
)
_MADE_BY_UNIX = 3


class Source(Protocol):
    """Where a release comes from.

    Attributes:
        sizes: bytes of every file in it, by name.
        title: what to call it in a message.
    """

    sizes: Mapping[str, int]
    title: str

    def read(self, name: str) -> bytes:
        """One file, whole.

        Raises:
            ReleaseRefused: it is not as long as `sizes` says, or cannot be read.
        """
        ...


def open_source(path: Path) -> Source:
    """The release at `path`: a folder, or a single file.

    Raises:
        ReleaseRefused: it is neither, or holds what no release holds.
        ReleaseError: there is nothing, or it cannot be read.
    """
    try:
        kind = path.lstat().st_mode
    except OSError as error:
        raise ReleaseError(
            f"could not read {path}: {error.strerror}; name a release's folder or file, or a number of "
            "`edgecl release list`"
        ) from error
    if stat.S_ISDIR(kind):
        return Folder(path)
    if stat.S_ISREG(kind):
        return Bundle.of_file(path)
    raise ReleaseRefused(f"found a link or device at {path}, expected a folder or a file; name what it points to")


class Folder:
    """A release as a folder: regular files alone, none of them linked from elsewhere."""

    def __init__(self, path: Path) -> None:
        """Look at every name in `path`, and read nothing.

        Raises:
            ReleaseRefused: a link, a folder, a device, or too many files.
        """
        self.title = str(path)
        self._path = path
        sizes = {}
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    sizes[entry.name] = _size_of(entry.name, entry.stat(follow_symlinks=False), path)
                    if len(sizes) > MEMBERS_MAX:
                        raise ReleaseRefused(f"found more than {MEMBERS_MAX} files in {path}, expected a release")
        except OSError as error:
            raise ReleaseError(f"could not read {path}: {error}; check the disk and its rights") from error
        self.sizes: Mapping[str, int] = sizes

    def read(self, name: str) -> bytes:
        """See `Source`."""
        path = self._path / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                size = _size_of(name, os.fstat(handle), self._path)  # of what was opened, whatever lies there by now
                data = file.read(self.sizes[name] + 1) if size == self.sizes[name] else b""
        except OSError as error:
            raise ReleaseRefused(f"could not read {path}: {error.strerror}; get the release again") from error
        return _whole(name, data, self.sizes[name])


class Bundle:
    """A release as a single file: a ZIP with exactly its files, read by name into memory and never unpacked."""

    def __init__(self, data: bytes, title: str) -> None:
        """Look at the list of members, and read none.

        Raises:
            ReleaseRefused: no ZIP, or with members that no release has.
        """
        self.title = title
        _check_end(data[-END_BYTES:], len(data), title)
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
            members = self._file.infolist()
        except UNREADABLE as error:
            raise ReleaseRefused(
                f"{title} is no release: not a whole ZIP file ({error}); get the release again"
            ) from error
        sizes: dict[str, int] = {}
        for member in members:
            _check_member(member, title)
            if member.filename in sizes:
                raise ReleaseRefused(f"found {member.filename} twice in {title}, expected each file once")
            sizes[member.filename] = member.file_size
        if sum(sizes.values()) > BUNDLE_BYTES_MAX:
            raise ReleaseRefused(
                f"found {sum(sizes.values())} bytes declared in {title}, expected at most {BUNDLE_BYTES_MAX}"
            )
        self.sizes: Mapping[str, int] = sizes

    @classmethod
    def of_file(cls, path: Path) -> Bundle:
        """The single file at `path`.

        Raises:
            ReleaseRefused: too large, no ZIP, or with members that no release has.
            ReleaseError: it cannot be read.
        """
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > BUNDLE_BYTES_MAX:
                    raise ReleaseRefused(f"found {path} of {size} bytes, expected at most {BUNDLE_BYTES_MAX}")
                file.seek(max(0, size - END_BYTES))
                _check_end(file.read(END_BYTES), size, str(path))  # before the rest is read
                file.seek(0)
                data = file.read(size)
        except OSError as error:
            raise ReleaseError(f"could not read {path}: {error}; check the disk and its rights") from error
        return cls(data, str(path))

    def read(self, name: str) -> bytes:
        """See `Source`."""
        size = self.sizes[name]
        try:
            with self._file.open(name) as member:
                data = member.read(size + 1)  # never more than was declared, whatever the stream would unfold to
        except UNREADABLE as error:
            raise ReleaseRefused(f"could not read {name} in {self.title}: {error}; get the release again") from error
        return _whole(name, data, size)


@dataclass(frozen=True)
class Packed:
    """What `pack` wrote.

    Attributes:
        path: the single file.
        bytes: its size.
        files: names of its members.
    """

    path: Path
    bytes: int
    files: tuple[str, ...]


def pack(folder: Path, out: Path, precision: Precision | None = None, whole: bool = False) -> Packed:
    """Write the release in `folder` into the single file `out`; the same release gives the same bytes.

    Args:
        folder: of the release.
        out: the file, or an existing folder in which it gets the name `release-NNNN.edgecl`.
        precision: of the devices it is for; None for all of them.
        whole: also what most devices have or never need: trunk, training state, graphs of other precisions.

    Raises:
        ReleaseError: the release cannot be read, or lacks a file that would have to go in.
        StoreUnwritable: the disk refuses; `out` is as it was.
    """
    source = Folder(folder)
    document = ReleaseDocument.from_bytes(required(source, DOCUMENT_FILE))
    data = packed(source, document, precision, whole)
    if not out.is_dir() and out.suffix != SUFFIX:
        raise ReleaseError(
            f"found no folder {out}, expected one, or a file whose name ends with {SUFFIX}; make it first"
        )
    path = out / f"release-{document.number:04d}{SUFFIX}" if out.is_dir() else out
    private_folder(path.parent)
    write_durably(path, data)
    return Packed(path, len(data), tuple(Bundle(data, str(path)).sizes))


def packed(source: Source, document: ReleaseDocument, precision: Precision | None, whole: bool) -> bytes:
    """The single file's bytes; see `pack`."""
    graphs: set[Part] = {"fp32", "int8"} if precision is None or whole else {precision}
    more: set[Part] = {"trunk", "workstation"} if whole else set()
    chosen = sorted(document.names({"device", *graphs, *more}))
    optional = document.names({"trunk", "workstation", *get_args(Precision)} - {precision})
    heads = [DOCUMENT_FILE, *([SIGNATURE_FILE] if SIGNATURE_FILE in source.sizes else [])]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in [*heads, *chosen]:
            if name in optional and name not in source.sizes:
                continue
            info = zipfile.ZipInfo(name)  # of 1980, so that no two packings differ
            info.external_attr = (stat.S_IFREG | 0o600) << 16
            info.create_system = _MADE_BY_UNIX
            file.writestr(info, required(source, name), zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def required(source: Source, name: str) -> bytes:
    """One file that has to be there.

    Raises:
        ReleaseRefused: it is not there, or longer than such a file can be.
    """
    if name not in source.sizes:
        raise ReleaseRefused(f"found no {name} in {source.title}, expected one; get the release again")
    if name == DOCUMENT_FILE and source.sizes[name] > DOCUMENT_BYTES_MAX:
        raise ReleaseRefused(f"found a {name} of {source.sizes[name]} bytes, expected at most {DOCUMENT_BYTES_MAX}")
    if name == SIGNATURE_FILE and source.sizes[name] > SIGNATURE_BYTES_MAX:
        raise ReleaseRefused(f"found a malformed {name} of {source.sizes[name]} bytes, expected a signature")
    return source.read(name)


def _size_of(name: str, found: os.stat_result, folder: Path) -> int:
    if not stat.S_ISREG(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a folder or device"
        raise ReleaseRefused(f"found {kind} {name!r} in {folder}, expected regular files alone")
    if found.st_nlink != 1:
        raise ReleaseRefused(f"found {name!r} in {folder} with {found.st_nlink} names, expected no hard link")
    return found.st_size


def _whole(name: str, data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ReleaseRefused(
            f"found another size of {name} than its {size} bytes; it is cut off, or changes while it is read; "
            "get the release again"
        )
    return data


def _check_end(last: bytes, size: int, title: str) -> None:
    """Hold the end of the file against what a release's can be, before the list of members is believed.

    No comment, one disk, no 64-bit fields, a short list that lies right before the end: then no list is hidden in it.
    """
    end = last[-22:]
    if len(end) < 22 or end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
        raise ReleaseRefused(
            f"{title} is no release: its end is no ZIP file's, it may be cut off; get the release again"
        )
    disk, start_disk, here, total = (int.from_bytes(end[k : k + 2], "little") for k in (4, 6, 8, 10))
    length, offset = (int.from_bytes(end[k : k + 4], "little") for k in (12, 16))
    if (disk, start_disk) != (0, 0) or here != total or not 0 < total <= MEMBERS_MAX:
        raise ReleaseRefused(f"found {total} members in {title}, expected 1 to {MEMBERS_MAX} in one file")
    if last[:4] == b"PK\x06\x07":
        raise ReleaseRefused(f"found 64-bit fields in {title}, expected none: no release is that large")
    if length > DIRECTORY_BYTES_MAX or offset + length != size - 22:
        raise ReleaseRefused(f"found a list of members that does not fit {title}; get the release again")


def _check_member(member: zipfile.ZipInfo, title: str) -> None:
    name, mode = member.orig_filename, member.external_attr >> 16
    if not _is_plain(name) or name != member.filename:
        raise ReleaseRefused(f"found the name {name[:60]!r} in {title}, expected plain names without folders")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or member.is_dir():
        raise ReleaseRefused(f"found a link, folder or device {name!r} in {title}, expected regular files alone")
    if member.flag_bits & ~0x0806:  # UTF-8 names, and how hard it was compressed
        raise ReleaseRefused(f"found {name!r} encrypted or in an unknown form in {title}, expected plain members")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ReleaseRefused(f"found {name!r} compressed by method {member.compress_type}, expected deflate or none")
    if member.extra:
        raise ReleaseRefused(f"found fields of an unknown kind at {name!r} in {title}, expected plain members")
    if member.file_size > BUNDLE_BYTES_MAX or member.compress_size > BUNDLE_BYTES_MAX:
        raise ReleaseRefused(
            f"found {member.file_size} bytes declared for {name!r}, expected at most {BUNDLE_BYTES_MAX}"
        )


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= 100 and name[0].isalnum() and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)
