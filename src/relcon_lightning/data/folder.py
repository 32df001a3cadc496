"""The files of a cohort store on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relcon_lightning.data.manifest import checksum


class Folder:
    """A cohort store in a folder; its signals are memory-mapped."""

    remedy = "prepare the store again with overwrite=true"
    start_method = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises:
            FileNotFoundError: There is none of that name.
        """
        return (self.path / name).read_bytes()

    def sizes(self) -> dict[str, int]:
        """Bytes of every file by its name, ``signals/00000.npy`` and so on."""
        files = (file for file in self.path.rglob("*") if file.is_file())
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}

    def checksum(self, name: str) -> str:
        """SHA-256 of a file, hexadecimal."""
        return checksum(self.path / name)

    def signals(self, sizes: dict[str, int]) -> MappedSignals:
        """The signals in the files named in ``sizes``, in that order."""
        return MappedSignals([self.path / name for name in sizes])


class MappedSignals:
    """Windows of signals in memory-mapped ``.npy`` files."""

    def __init__(self, paths: list[Path]) -> None:
        # Slicing the plain view is several times faster than slicing the memmap, which makes a new memmap each time.
        self._shards = [np.load(path, mmap_mode="r").view(np.ndarray) for path in paths]

    def windows(self, shards: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
        """``(k, 3, length)`` float32 in g from the files ``shards (k,)`` at samples ``begins (k,)``."""
        windows = np.empty((len(shards), 3, length), dtype=np.float32)
        for i, (shard, begin) in enumerate(zip(shards.tolist(), begins.tolist(), strict=True)):
            windows[i] = self._shards[shard][begin : begin + length].T
        return windows
