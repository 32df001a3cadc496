"""Cache of buckets' signal files on a local disk: whole files, shared by the processes of a machine.

A file that a process reads is locked and kept. When space is needed, the least recently used other files are removed.
Files without space are read from the bucket by byte ranges. Locks end with their process, so a killed process leaves at
most a truncated file, which the next process removes.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from relcon_lightning.data.store.bucket import Bucket, RangedSignals
from relcon_lightning.data.store.manifest import MANIFEST, checksum
from relcon_lightning.data.store.signals import HEADER_BYTES, Coding
from relcon_lightning.data.store.verify import Verify
from relcon_lightning.errors import NO_ROOM, ConfigError, DataError
from relcon_lightning.lock import LockedError, lock
from relcon_lightning.user_cache import cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


class ShardCache:
    """Files in a folder, up to a total size.

    Args:
        room_bytes: Maximum total size of the files in bytes.
        folder: Folder of the cache; None: ``signals`` in the user's cache folder, or in that of ``RELCON_CACHE``.

    Raises:
        ConfigError: The operating system has no locks for files.
    """

    def __init__(self, room_bytes: int, folder: Path | None = None) -> None:
        if fcntl is None:
            raise ConfigError("data.cache_gb needs file locks, which this system does not have: set data.cache_gb=0.")
        self.room_bytes = room_bytes
        self.folder = folder or cache_folder("signals")

    def take(
        self,
        key: str,
        size: int,
        fetch: Callable[[BinaryIO], None],
        intact: Callable[[Path], bool] = lambda path: True,
    ) -> BinaryIO | None:
        """Open a file, after downloading it if it is missing. It is not removed while it is open.

        Args:
            key: Name of the file.
            size: Size of the file in bytes.
            fetch: Function that writes the content.
            intact: Function that returns True if an existing file has the right content; otherwise it is fetched again.

        Returns:
            Open file; None if there is not enough space next to the files in use.
        """
        if size > self.room_bytes:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        file, partial = self.folder / f"{key}.npy", self._partial(key)
        with lock(self.folder / key, wait=True):  # others wait while one fetches
            held = _held(file, size)
            if held is not None and intact(file):
                os.utime(file)
                return held
            if held is not None:
                held.close()
                file.unlink()
            if not self._reserve(partial, size):
                return None
            target = partial.open("r+b")
            try:
                fcntl.flock(target, fcntl.LOCK_SH)
                fetch(target)
                target.flush()
                partial.replace(file)
            except BaseException as error:
                target.close()
                partial.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    self._full(error)
                    return None
                raise
            return target

    def _partial(self, key: str) -> Path:
        return self.folder / f".{key}.partial"

    def _full(self, error: OSError) -> None:
        log.warning("%s: %s. Signals are read from the bucket instead.", self.folder, error.strerror)

    def _reserve(self, partial: Path, size: int) -> bool:
        """Reserve a file of this size, removing others if necessary; False if there is no space."""
        with lock(self.folder / "room", wait=True):
            self._clear_unfinished(partial)
            files = [(item.stat(), item) for item in self.folder.iterdir() if item.suffix in (".npy", ".partial")]
            missing = sum(state.st_size for state, _ in files) + size - self.room_bytes
            unused: list[tuple[Path, BinaryIO]] = []
            try:
                for state, item in sorted(files, key=lambda found: found[0].st_mtime_ns):
                    if missing <= 0:
                        break
                    if item.suffix == ".npy" and (held := _held(item, state.st_size, alone=True)) is not None:
                        unused.append((item, held))
                        missing -= state.st_size
                if missing > 0:
                    return False
                for item, _ in unused:
                    item.unlink()
            finally:
                for _, held in unused:
                    held.close()
            try:
                with partial.open("wb") as file:
                    _allocate(file, size)
            except OSError as error:
                partial.unlink(missing_ok=True)
                if error.errno not in NO_ROOM:
                    raise
                self._full(error)
                return False
            return True

    def _clear_unfinished(self, own: Path) -> None:
        """Remove unfinished files of killed processes."""
        for partial in self.folder.glob(".*.partial"):
            if partial == own:
                partial.unlink()
                continue
            with suppress(LockedError), lock(self.folder / partial.stem.removeprefix(".")):
                partial.unlink(missing_ok=True)


def _allocate(file: BinaryIO, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _held(path: Path, size: int, alone: bool = False) -> BinaryIO | None:
    """Open and lock a file; None if it is missing, has another size, or ``alone`` is True and others hold it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        same = os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        same = False
    if same and os.fstat(file.fileno()).st_size == size:
        return file
    file.close()
    return None


class CachedSignals:
    """Windows of signals in ``.npy`` objects, which are copied to a cache when a window of them is first read.

    Args:
        bucket: Bucket of the objects.
        sizes: Mapping from object to its size in bytes.
        checksums: Mapping from object to its SHA-256, if known.
        coding: Coding of the samples.
        cache: Cache of the files.
        verify: ``once``: compare the checksum of an object after its download; ``always``: also if it is cached;
            ``never``: do not compare.
    """

    def __init__(
        self,
        bucket: Bucket,
        sizes: dict[str, int],
        checksums: Mapping[str, str],
        coding: Coding,
        cache: ShardCache,
        verify: Verify = "once",
    ) -> None:
        self._bucket, self._names, self._sizes, self._checksums = bucket, list(sizes), sizes, checksums
        self._coding, self._cache, self._verify = coding, cache, verify
        self._ranged = RangedSignals(bucket, sizes, coding)
        self._local: dict[int, np.ndarray | None] = {}
        self._files: list[BinaryIO] = []  # open, and therefore locked

    def windows(self, shards: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
        """Read windows ``(k, 3, length)``, float32 in g, from the objects ``shards (k,)`` at samples ``begins (k,)``.

        Raises:
            DataError: A window is not inside its object, or the object cannot be read or was changed.
        """
        windows = np.empty((len(shards), 3, length), dtype=np.float32)
        remote = []
        for row, (shard, begin) in enumerate(zip(shards.tolist(), begins.tolist(), strict=True)):
            signal = self._signal(shard)
            if signal is None or begin + length > len(signal):
                remote.append(row)
            else:
                windows[row] = signal[begin : begin + length].T
        windows = self._coding.decode(windows)
        if remote:
            windows[remote] = self._ranged.windows(shards[remote], begins[remote], length)
        return windows

    def _signal(self, shard: int) -> np.ndarray | None:
        """Samples ``(n, 3)`` of an object; None if there is no space for it."""
        if shard not in self._local:
            file = self._take(self._names[shard])
            self._local[shard] = None
            if file is not None:
                self._files.append(file)
                samples = np.memmap(file, self._coding.dtype, "r", HEADER_BYTES).view(np.ndarray)
                self._local[shard] = samples.reshape(-1, 3)
        return self._local[shard]

    def _take(self, name: str) -> BinaryIO | None:
        size, expected = self._sizes[name], self._checksums.get(name)
        key = hashlib.sha256(f"{self._bucket.path}/{name} {size} {expected}".encode()).hexdigest()[:32]
        compared = expected if self._verify != "never" else None

        def fetch(target: BinaryIO) -> None:
            log.info("Fetching %s/%s (%.2f GB) ...", self._bucket.path, name, size / 1e9)
            digest, written = hashlib.sha256(), 0
            for chunk in self._bucket.chunks(name):
                digest.update(chunk)
                written += target.write(chunk)
            if written != size:
                raise DataError(f"{self._bucket.path}/{name} has {written} bytes, expected {size}.")
            if compared is not None and digest.hexdigest() != compared:
                raise DataError(
                    f"{self._bucket.path}/{name} was changed or damaged: its SHA-256 is not the one in {MANIFEST}; "
                    f"{self._bucket.remedy}."
                )

        def intact(path: Path) -> bool:
            return self._verify != "always" or compared is None or checksum(path) == compared

        return self._cache.take(key, size, fetch, intact)
