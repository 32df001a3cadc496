"""Find the files of a published data set: plain, compressed (``.xz``), or in ``.zip`` and ``.tar.xz`` archives.

Nothing is unpacked to disk, not even a ``.zip`` in a ``.zip``: a file is unpacked while it is read.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from relcon_lightning.errors import DataError

MAX_BYTES = 2**30  # maximum unpacked size of a compressed file or a .tar.xz; supported sets have files of up to 300 MB
MAX_RATIO = 500  # maximum compression ratio of a larger table; recordings of a resting device have up to 200


@dataclass(frozen=True)
class RawFile:
    """A file that may be in an archive.

    Attributes:
        name: Path in the data set, without ``.xz``.
        where: Path for messages, including that of the archive.
        opener: Function that opens the file.
    """

    name: str
    where: str
    opener: Callable[[], IO[bytes]]

    @contextmanager
    def open(self) -> Iterator[io.RawIOBase]:
        """Open the file, to read it piece by piece.

        Raises:
            DataError: The file is damaged, truncated, or larger than :data:`MAX_BYTES`; also raised while reading.
        """
        with _damage_named(self.where), self.opener() as file, Bounded(file, self.where) as content:
            yield content

    def read(self) -> bytes:
        """Read the whole file.

        Raises:
            DataError: The file is damaged, truncated, or larger than :data:`MAX_BYTES`.
        """
        with _damage_named(self.where), self.opener() as file:
            return bounded(file, self.where)


class Readable(Protocol):
    """An open file, compressed or not."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes."""
        ...


class Bounded(io.RawIOBase):
    """An open file that raises an error when more than a maximum number of bytes is read from it.

    Args:
        file: Open file.
        where: Name of the file for messages.
        most: Maximum number of bytes; None: :data:`MAX_BYTES`.
    """

    def __init__(self, file: IO[bytes], where: str, most: int | None = None) -> None:
        self.file, self.where = file, where
        self.most = self.left = MAX_BYTES if most is None else most

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into ``buffer``."""
        content = self.file.read(len(buffer))
        self.left -= len(content)
        if self.left < 0:
            raise bomb(self.where, self.most)
        buffer[: len(content)] = content
        return len(content)


def find_files(raw_dir: str | Path | None, pattern: str, layout: str) -> dict[tuple[str, ...], RawFile]:
    """Find the files below ``raw_dir``, or in archives there, whose path in the data set ends in ``pattern``.

    Args:
        raw_dir: Folder or archive.
        pattern: Regular expression for the end of the path. A match starts at the name of a folder or of the file.
        layout: Text for errors: the expected files, and where to get them.

    Returns:
        Mapping from the values of the pattern's groups to the file, sorted by these values.

    Raises:
        DataError: There is no folder or no such file in it, an archive is unsafe or damaged, or two files have the same
            values.
    """
    if raw_dir is None:
        raise DataError(f"data.raw_dir must name the folder of the original files. {layout}")
    root = Path(raw_dir).resolve()
    if not root.exists():
        raise DataError(f"{root} does not exist. {layout}")
    found: dict[tuple[str, ...], RawFile] = {}
    for file in _files_below(root):
        match = re.search(rf"(?:^|/){pattern}$", file.name)
        if match and match.groups() in found:
            raise DataError(f"{file.where} and {found[match.groups()].where} are the same file; remove one of them.")
        if match:
            found[match.groups()] = file
    if not found:
        raise DataError(f"{root} contains none of the expected files. {layout}")
    return dict(sorted(found.items()))


def unpack(path: Path) -> bytes:
    """Unpack a ``.xz`` file.

    Raises:
        DataError: The file is damaged, truncated, or unpacks to more than :data:`MAX_BYTES`.
    """
    with _damage_named(str(path)), lzma.open(path) as file:
        return bounded(file, str(path))


def bounded(file: Readable, where: str) -> bytes:
    """Read a compressed file to its end, unless it is a decompression bomb.

    Raises:
        DataError: The file unpacks to more than :data:`MAX_BYTES`.
    """
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise bomb(where, MAX_BYTES)
    return content


def bomb(where: str, most: int) -> DataError:
    """Create the error for a compressed file that unpacks to more than ``most`` bytes."""
    return DataError(f"{where} unpacks to more than {most >> 20} MiB; if this is intended, unpack it yourself.")


def _files_below(root: Path) -> Iterator[RawFile]:
    for path in [root] if root.is_file() else sorted(root.rglob("*")):
        if path.name.endswith(".tar.xz"):
            yield from _in_tar(path)
        elif path.suffix == ".zip":
            yield from _in_zip(path)
        elif path.is_file():
            name = path.relative_to(root.parent).as_posix()
            yield RawFile(name.removesuffix(".xz"), str(path), partial(_open_file, path))


def _open_file(path: Path) -> IO[bytes]:
    return lzma.open(path) if path.suffix == ".xz" else path.open("rb")


class _Archive:
    """A .zip file that is opened once per process, and stays open while its members are in use."""

    def __init__(self, opener: Callable[[], zipfile.ZipFile]) -> None:
        self.opener = opener

    @cached_property
    def zip(self) -> zipfile.ZipFile:
        return self.opener()

    def open(self, info: zipfile.ZipInfo) -> IO[bytes]:
        return self.zip.open(info)

    def __getstate__(self) -> dict[str, Any]:
        return {"opener": self.opener}


def _in_zip(path: Path) -> Iterator[RawFile]:
    for file in _members(partial(zipfile.ZipFile, path), str(path)):
        if re.search(r"(?:^|/)[^./][^/]*\.zip$", file.name):  # not ._name.zip, which macOS adds
            yield from _members(partial(_nested, file), file.where)
        else:
            yield file


def _nested(file: RawFile) -> zipfile.ZipFile:
    # Seeking back in a compressed file starts again: slow, but it keeps an archive of 0.7 GB out of memory.
    return zipfile.ZipFile(file.opener())


def _members(opener: Callable[[], zipfile.ZipFile], where: str) -> Iterator[RawFile]:
    archive = _Archive(opener)
    with _damage_named(where):
        members = archive.zip.infolist()
    for info in members:
        yield _member(where, info.filename, partial(archive.open, info))


def _in_tar(path: Path) -> Iterator[RawFile]:
    stamp = path.stat().st_mtime_ns
    for name in _tar_content(path, stamp):
        yield _member(str(path), name, partial(_open_tarred, path, stamp, name))


def _open_tarred(path: Path, stamp: int, name: str) -> IO[bytes]:
    return io.BytesIO(_tar_content(path, stamp)[name])


@lru_cache(maxsize=1)  # files are read in sequence, and .xz has no random access
def _tar_content(path: Path, stamp: int) -> dict[str, bytes]:
    """Content of the members of an archive by name; ``stamp`` is the archive's time, so that changes are noticed."""
    content: dict[str, bytes] = {}
    with _damage_named(str(path)), tarfile.open(fileobj=io.BytesIO(unpack(path)), mode="r:") as archive:
        for member in archive:
            if member.issparse():  # a few bytes that unpack to any number of zeros
                raise DataError(f"{path} holds {member.name!r}, a sparse file: do not trust this archive.")
            file = archive.extractfile(member) if member.isreg() else None  # links are not followed
            if file is not None:
                content[member.name] = file.read()
    return content


def _member(archive: str, name: str, opener: Callable[[], IO[bytes]]) -> RawFile:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or any(":" in part for part in parts.parts[:1]):
        raise DataError(f"{archive} holds {name!r}, a path outside of it: do not trust this archive.")
    return RawFile(name, f"{archive}, {name}", opener)


@contextmanager
def _damage_named(where: str) -> Iterator[None]:
    """Convert the errors of a damaged archive to a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except (lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{where} is damaged ({error}); download or copy it again.") from error
    except EOFError as error:
        raise DataError(f"{where} is cut short; download or copy it again.") from error
    except (OSError, RuntimeError, NotImplementedError) as error:  # invalid offset, encryption, or unknown compression
        raise DataError(f"{where} cannot be unpacked ({error}).") from error
