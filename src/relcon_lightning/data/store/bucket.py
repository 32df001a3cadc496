"""The files of a cohort store in a bucket: the same files as on disk, with signals read by byte ranges.

Copy a store to a bucket without changes (``aws s3 cp --recursive``). Access needs the extra ``object-store``, and reads
credentials from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, ... as obstore lists
them: https://developmentseed.org/obstore/latest/).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from relcon_lightning.data.store.manifest import MANIFEST, PART_FOLDER
from relcon_lightning.data.store.signals import FLOAT32, HEADER_BYTES, Coding
from relcon_lightning.errors import DataError

BLOCK_SAMPLES = 1024  # 12 kB: costs little more than the 3 kB of a window, and serves its neighbours
CACHE_BYTES = 2**28  # per process; a small cohort fits, and windows of a large one hardly ever repeat
_NEARBY_BYTES = 2**16  # closer ranges are read with one request, which is cheaper than two
_FILES_AT_ONCE = 16  # each with up to 10 requests at once

_UNREACHABLE = "error sending request"
_FOR_CREDENTIALS = ("/latest/api/token", "169.254.169.254", "metadata.google.internal")  # asked without credentials

_processes: set[int] = set()  # ids of processes that have accessed a bucket; a fork inherits them


class Bucket:
    """A cohort store in an object store.

    Args:
        address: ``s3://bucket/folder``, or another address of obstore (``gs://``, ``az://``, ``file:///folder``).

    Raises:
        DataError: obstore does not support the address.
    """

    remedy = "copy the store there again"
    start_method = "spawn"  # the threads of obstore do not survive a fork: a read would wait forever

    def __init__(self, address: str) -> None:
        self.path = address.rstrip("/")
        with _named(self.path):
            self._client = from_url(self.path)

    def read(self, name: str) -> bytes:
        """Read a whole object.

        Raises:
            FileNotFoundError: There is no such object in the bucket.
            DataError: There is no such bucket, or no access. The message names the address.
        """
        with _named(f"{self.path}/{name}"):
            return bytes(obstore.get(self._client, name).bytes())

    def sizes(self) -> dict[str, int]:
        """Size of each signal file in bytes, by its name (``signals/00000.npy`` ...), from a single listing.

        Raises:
            DataError: There is no access. The message names the address.
        """
        with _named(self.path):
            return {item["path"]: item["size"] for page in obstore.list(self._client) for item in page}

    def parts(self) -> list[str]:
        """Names of the folders with the stores of a cohort in parts.

        Raises:
            DataError: There is no access. The message names the address.
        """
        folders = (name.removesuffix(f"/{MANIFEST}") for name in self.sizes() if name.endswith(f"/{MANIFEST}"))
        return sorted(folder for folder in folders if PART_FOLDER.fullmatch(folder))

    def checksum(self, name: str) -> str:
        """SHA-256 of an object, in hexadecimal.

        Raises:
            DataError: The object cannot be read. The message names the address.
        """
        digest = hashlib.sha256()
        for chunk in self.chunks(name):
            digest.update(chunk)
        return digest.hexdigest()

    def chunks(self, name: str) -> Iterator[bytes]:
        """Read a whole object piece by piece.

        Raises:
            DataError: The object cannot be read. The message names the address.
        """
        try:
            with _named(f"{self.path}/{name}"):
                yield from map(bytes, obstore.get(self._client, name))
        except FileNotFoundError as error:
            raise DataError(f"{self.path}/{name} is missing; {self.remedy}.") from error

    def state(self, name: str) -> None:
        """None: comparing an object downloads it, so it is done only on request."""

    def samples(self, name: str, size: int, coding: Coding) -> int:
        """Number of samples in a signal file of the given size in bytes."""
        return (size - HEADER_BYTES) // coding.sample_bytes

    def signals(self, sizes: dict[str, int], coding: Coding) -> RangedSignals:
        """Signals in the objects that ``sizes`` names (name to bytes), in this order."""
        return RangedSignals(self, sizes, coding)

    def ranges(self, name: str, starts: list[int], ends: list[int]) -> list[bytes]:
        """Read several byte ranges of an object at once.

        Raises:
            DataError: The object is missing, too short, or cannot be read. The message names the address.
        """
        address = f"{self.path}/{name}"
        try:
            with _named(address):
                found = obstore.get_ranges(self._client, name, starts=starts, ends=ends, coalesce=_NEARBY_BYTES)
        except FileNotFoundError as error:
            raise DataError(f"{address} is missing; {self.remedy}.") from error
        # Copy: a range shares memory with everything in the same request.
        ranges = [bytes(content) for content in found]
        for content, start, end in zip(ranges, starts, ends, strict=True):
            if len(content) != end - start:
                raise DataError(f"{address} is truncated: it ends before byte {end}; {self.remedy}.")
        return ranges


class RangedSignals:
    """Windows of signals in ``.npy`` objects, read in blocks; recently used blocks are cached.

    Args:
        bucket: Bucket of the objects.
        sizes: Mapping from object to its size in bytes.
        coding: Coding of the samples.
        cache_bytes: Size of the cache of blocks, in bytes.
    """

    def __init__(
        self, bucket: Bucket, sizes: dict[str, int], coding: Coding = FLOAT32, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._bucket, self._names, self._bytes = bucket, list(sizes), list(sizes.values())
        self._coding, self._block_bytes = coding, BLOCK_SAMPLES * coding.sample_bytes
        self._samples = (np.array(self._bytes) - HEADER_BYTES) // coding.sample_bytes
        self._cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._room = cache_bytes // self._block_bytes

    def windows(self, shards: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
        """Read windows ``(k, 3, length)``, float32 in g, from the objects ``shards (k,)`` at samples ``begins (k,)``.

        Raises:
            DataError: A window is not inside its object, or the object cannot be read.
        """
        outside = begins + length > self._samples[shards]
        if outside.any():
            name = self._names[int(shards[outside][0])]
            raise DataError(f"{self._bucket.path}/{name} is shorter than recordings.parquet states.")
        places = list(zip(shards.tolist(), begins.tolist(), strict=True))
        blocks = self._blocks(
            {
                (shard, block)
                for shard, begin in places
                for block in range(begin // BLOCK_SAMPLES, -(-(begin + length) // BLOCK_SAMPLES))
            }
        )
        windows = np.empty((len(places), 3, length), dtype=np.float32)
        for window, (shard, begin) in zip(windows, places, strict=True):
            done = 0
            while done < length:
                block, skip = divmod(begin + done, BLOCK_SAMPLES)
                piece = blocks[shard, block][skip : skip + length - done]
                window[:, done : done + len(piece)] = piece.T
                done += len(piece)
        return self._coding.decode(windows)

    def _blocks(self, needed: set[tuple[int, int]]) -> dict[tuple[int, int], np.ndarray]:
        """Get the ``needed`` blocks from memory or the bucket."""
        blocks = {key: self._cache[key] for key in needed if key in self._cache}
        missing: dict[int, list[int]] = {}
        for shard, block in needed - blocks.keys():
            missing.setdefault(shard, []).append(block)
        if missing:
            with ThreadPoolExecutor(min(len(missing), _FILES_AT_ONCE)) as pool:
                for fetched in pool.map(self._fetch, missing, missing.values()):
                    blocks |= fetched
        self._cache |= blocks
        for key in blocks:
            self._cache.move_to_end(key)
        while len(self._cache) > self._room:
            self._cache.popitem(last=False)
        return blocks

    def _fetch(self, shard: int, numbers: list[int]) -> dict[tuple[int, int], np.ndarray]:
        starts = [HEADER_BYTES + number * self._block_bytes for number in numbers]
        ends = [min(start + self._block_bytes, self._bytes[shard]) for start in starts]
        found = self._bucket.ranges(self._names[shard], starts, ends)
        arrays = (np.frombuffer(content, dtype=self._coding.dtype).reshape(-1, 3) for content in found)
        return {(shard, number): array for number, array in zip(numbers, arrays, strict=True)}


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Convert errors of obstore to errors that name the address; raise in a forked process, which would hang."""
    _processes.add(os.getpid())
    if len(_processes) > 1:
        raise DataError(
            f"{address} was opened before this process was forked, and reading would block. Start the workers with "
            "multiprocessing_context='spawn', or set num_workers=0."
        )
    try:
        yield
    except (BaseError, OSError) as error:
        if isinstance(error, NotFoundError | FileNotFoundError) and _reason(error) != "NoSuchBucket":
            raise FileNotFoundError(f"{address}: {_reason(error)}") from error
        if _UNREACHABLE in str(error) and not any(place in str(error) for place in _FOR_CREDENTIALS):
            raise DataError(
                f"{address} cannot be read, because the server does not answer ({_reason(error)}). Check the network "
                "and the address of the server (AWS_ENDPOINT_URL, or AWS_REGION)."
            ) from error
        raise DataError(
            f"{address} cannot be read: {_reason(error)}. Check the bucket's name, the credentials and the region in "
            f"the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION). They must permit listing and "
            "reading the bucket."
        ) from error


def _reason(error: Exception) -> str:
    """Error code of the server if there is one, otherwise the first line, because obstore appends internals."""
    message = str(error)
    code = re.search(r"<Code>(\w+)</Code>", message)
    return code[1] if code else " ".join(message.partition("\n")[0].rstrip(".").split())
