"""Find the tables and device files in a folder, and open them whether compressed or not."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any, cast

import pyarrow as pa

from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)  # damaged files
COMPRESSIONS = ("", ".gz", ".xz", ".bz2", ".zst")
TABLE_SUFFIXES = (*(f".csv{compression}" for compression in COMPRESSIONS), ".parquet", ".zip")
TEXT_SUFFIXES = tuple(f"{kind}{compression}" for kind in (".txt", ".tsv", ".dat") for compression in COMPRESSIONS)
IN_ARCHIVES = ("ACC.csv", "TotalAcceleration.csv")  # acceleration in an E4 session and in Sensor Logger
PACKED = (*COMPRESSIONS[1:], ".zip")  # suffixes of compressed device files
DEVICE_SUFFIXES = tuple(f"{kind}{suffix}" for kind in (".cwa", ".bin", ".gt3x") for suffix in ("", *PACKED))
DEVICE_KINDS = f".cwa, .bin, .gt3x, also compressed ({', '.join(PACKED)})"  # for messages
_NAMED = 5  # maximum number of files per kind in a message


def is_table(name: str, chosen: bool = False) -> bool:
    """True if a file's name, in lower or upper case, is that of a table.

    Args:
        name: Name of the file.
        chosen: True: the user selected the file, so a text file is a table.
    """
    suffixes = (*TABLE_SUFFIXES, *TEXT_SUFFIXES) if chosen else TABLE_SUFFIXES
    return name.lower().endswith(suffixes) and not is_device_file(name)


def is_device_file(name: str) -> bool:
    """True if a file's name, in lower or upper case, is that of a device file."""
    return name.lower().endswith(DEVICE_SUFFIXES)


def is_packed(name: str) -> bool:
    """True if a file's name, in lower or upper case, is that of a compressed file."""
    return name.lower().endswith(PACKED)


def stem(name: str) -> str:
    """The name or path of a table without its suffix."""
    suffix = max((s for s in (*TABLE_SUFFIXES, *TEXT_SUFFIXES) if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)]


def unpacked(name: str) -> str:
    """The name or path of a file without the suffix of its compression."""
    return name[: name.rindex(".")] if is_packed(name) else name


def files_below(root: Path, pattern: str | None = None) -> dict[str, Path]:
    """Files by their path below a folder, sorted: all files, or those that match a pattern.

    Hidden files and files in hidden folders are skipped.

    Args:
        root: Folder to search.
        pattern: Pattern for :meth:`pathlib.Path.glob`; a name without a slash is searched in all sub-folders.

    Raises:
        ConfigError: The pattern is invalid.
    """
    try:
        found = root.rglob("*") if pattern is None else root.glob(pattern if "/" in pattern else f"**/{pattern}")
        below = {path.relative_to(root): path for path in sorted(found) if path.is_file()}
        return {text_of(name): path for name, path in below.items() if not is_hidden(name)}
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"data.source.files={pattern}: {error}.") from error


def conversion(path: PurePath) -> str:
    """How to write the samples of a file of another kind as a table."""
    if path.suffix.lower() in (".npy", ".npz"):
        return (
            "Write samples (n, 3) in g as a table with pandas.DataFrame(samples, columns=['x', 'y', 'z'])"
            f".to_parquet('{path.stem}.parquet'), and give data.source.time_column=null data.source.sampling_rate=HZ."
        )
    return "Export it as a .csv file with the columns time, x, y and z."


def refuse_none(root: Path, found: Collection[str], pattern: str | None, known: str, hint: str = "") -> None:
    """Refuse a folder without recordings.

    Args:
        root: Searched folder.
        found: Names of the recordings in it.
        pattern: Pattern for the files to read, if one is given.
        known: Suffixes that are read, for the message.
        hint: Sentence to append.

    Raises:
        DataError: Nothing was found.
    """
    if not found and pattern is not None:
        raise DataError(f"{root} has no recordings that match data.source.files={pattern}.")
    if not found:
        raise DataError(f"{root} has no recordings: expected files that end in {known}.{hint}")


def is_hidden(path: PurePath) -> bool:
    """True if the name of a file, or of one of its folders, begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def open_bytes(path: Path, member: Callable[[Path, list[str]], str] | None = None) -> IO[bytes]:
    """Open a file, or a member of a .zip archive. Compressed files are unpacked while they are read.

    Args:
        path: Path of the file.
        member: Function that chooses the member of an archive, given the path and the names of its files; None:
            :func:`only_table`.

    Raises:
        DataError: The archive does not have the member.
        OSError: The file cannot be opened, or the archive is damaged or has a password; also raised while reading.
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return io.BufferedReader(_Zipped(path, member or only_table), 2**16)
    if suffix == ".zst":
        stream: Any = pa.CompressedInputStream(path.open("rb"), "zstd")
        return io.BufferedReader(stream)
    opened: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
    return cast(IO[bytes], opened[suffix](path) if suffix in opened else path.open("rb"))


def only_table(path: Path, names: list[str]) -> str:
    """The name of the table in an archive.

    Args:
        path: Path of the archive.
        names: Names of its files.

    Raises:
        DataError: The archive has no table, or several tables of which none is known to be the acceleration.
    """
    tables = [name for name in names if is_table(name) and not PurePath(name).name.startswith(".")]
    acceleration = {name.lower() for name in IN_ARCHIVES}
    known = [name for name in tables if PurePath(name).name.lower() in acceleration]
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    if not names:
        raise DataError(f"{text_of(path)} is an empty archive.")
    if not tables:
        raise DataError(
            f"{text_of(path)} contains no .csv or .parquet file, but {some}. Unpack it; a table with another suffix is "
            "read if data.source.files names it."
        )
    if len(known or tables) != 1:
        raise DataError(
            f"{text_of(path)} contains {len(tables)} tables ({some}). Unpack it and choose the files "
            "with data.source.files, such as data.source.files=Accelerometer.csv."
        )
    return (known or tables)[0]


def only_file(path: Path, names: list[str]) -> str:
    """The name of the only file in an archive, without those that macOS adds; see :func:`only_table`."""
    names = [name for name in names if not is_hidden(PurePath(name)) and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise DataError(f"{text_of(path)} is a zip archive of {len(names)} files, not of one: unpack it.")
    return names[0]


class _Zipped(io.RawIOBase):
    """A member of a zip archive; damage raises an OSError."""

    def __init__(self, path: Path, member: Callable[[Path, list[str]], str]) -> None:
        with self._damage_named():
            self.archive = zipfile.ZipFile(path)
        try:
            name = member(path, [info.filename for info in self.archive.infolist() if not info.is_dir()])
            with self._damage_named():
                self.member = self.archive.open(name)
        except BaseException:
            self.archive.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._damage_named():
            content = self.member.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed and hasattr(self, "member"):
            self.member.close()
            self.archive.close()
        super().close()

    @staticmethod
    @contextmanager
    def _damage_named() -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise OSError(str(error)) from error  # also for an archive with a password


def name_passed_over(root: Path, files: Iterable[Path], known: str) -> None:
    """Log which files of a folder are skipped, with a count per kind.

    Args:
        root: Searched folder.
        files: Skipped files; hidden files are not named.
        known: Suffixes that are read, for the message.
    """
    left = [path.relative_to(root) for path in files]
    left = [path for path in left if not is_hidden(path)]
    if not left:
        return
    kinds = Counter("".join(path.suffixes[-2:]).lower() or "no suffix" for path in left)
    numbers = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
    some = ", ".join(map(text_of, left[:_NAMED])) + (", ..." if len(left) > _NAMED else "")
    log.warning("%s: skipped %s (%s): %s. Supported: %s.", root, counted(len(left), "file"), numbers, some, known)


def refuse_twice(root: Path, names: Iterable[str]) -> None:
    """Refuse a recording that is there twice: compressed and not, or a session and the archive that it came in.

    Args:
        root: Folder of the files.
        names: Paths of the files below the folder.

    Raises:
        DataError: The message names both files.
    """
    once: dict[str, str] = {}
    for name in names:
        key = f"{stem(name)}/ACC.csv" if is_table(name) and name.lower().endswith(".zip") else unpacked(name)
        if (other := once.setdefault(key, name)) != name:
            raise DataError(f"{root / other} and {root / name} are the same recording; remove one of them.")


def text_of(path: PurePath) -> str:
    """Path as text that terminals, tables and JSON accept; bytes that are not UTF-8 become ``\\udce9`` and similar."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")
