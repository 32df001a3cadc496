"""Files of a cohort store on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relcon_lightning.data.store.manifest import MANIFEST, PART_FOLDER, checksum
from relcon_lightning.data.store.signals import Coding


class Folder:
    """A cohort store in a folder; its signals are memory-mapped."""

    remedy = "prepare the store again with overwrite=true"
    start_method = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return (self.path / name).read_bytes()

    def parts(self) -> list[str]:
        """Names of the folders with the stores of a cohort in parts."""
        files = self.path.glob(f"*/{MANIFEST}")
        return sorted(file.parent.name for file in files if PART_FOLDER.fullmatch(file.parent.name))

    def sizes(self) -> dict[str, int]:
        """Size of each signal file in bytes, by its name (``signals/00000.npy``, ...)."""
        files = (file for file in self.path.rglob("*") if file.is_file())
        return {file.relative_to(self.path).as_posix(): file.stat().st_size for file in files}

    def checksum(self, name: str) -> str:
        """SHA-256 of a file, in hexadecimal."""
        return checksum(self.path / name)

    def state(self, name: str) -> list[int]:
        """Size and times of a file, which change when the file changes."""
        found = (self.path / name).stat()
        return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def samples(self, name: str, size: int, coding: Coding) -> int:
        """Number of samples in a signal file of the given size.

        Raises:
            ValueError: The header does not describe an array ``(N, 3)`` of the coding's type that fills the file.
        """
        with (self.path / name).open("rb") as file:
            np.lib.format.read_magic(file)
            shape, by_column, kind = np.lib.format.read_array_header_1_0(file)
            triples = len(shape) == 2 and shape[1] == 3 and kind == np.dtype(coding.dtype) and not by_column
            if not triples or file.tell() + shape[0] * coding.sample_bytes != size:
                raise ValueError(
                    f"its header describes {kind} {shape}, expected {coding.dtype} triples that fill the file"
                )
        return int(shape[0])

    def signals(self, sizes: dict[str, int], coding: Coding) -> MappedSignals:
        """Signals in the files that ``sizes`` names, in this order."""
        return MappedSignals([self.path / name for name in sizes], coding)


class MappedSignals:
    """Windows of signals in memory-mapped ``.npy`` files."""

    def __init__(self, paths: list[Path], coding: Coding) -> None:
        self._coding = coding
        # Slicing the plain view is several times faster than slicing the memmap, which makes a new memmap each time.
        self._shards = [np.load(path, mmap_mode="r").view(np.ndarray) for path in paths]

    def windows(self, shards: np.ndarray, begins: np.ndarray, length: int) -> np.ndarray:
        """Read windows ``(k, 3, length)``, float32 in g, from files ``shards (k,)`` at samples ``begins (k,)``."""
        windows = np.empty((len(shards), 3, length), dtype=np.float32)
        for i, (shard, begin) in enumerate(zip(shards.tolist(), begins.tolist(), strict=True)):
            windows[i] = self._shards[shard][begin : begin + length].T
        return self._coding.decode(windows)
