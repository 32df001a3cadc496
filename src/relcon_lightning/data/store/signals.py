"""How the samples of a store are coded on disk: float32 in g, or int16 in steps of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.errors import ConfigError

HEADER_BYTES = 128  # what np.save writes before an array (N, 3); it has room for any N


@dataclass(frozen=True)
class Coding:
    """A code of samples.

    Attributes:
        dtype: Data type of the files.
        scale: g per step; 1 for float32.
    """

    dtype: str
    scale: float = 1.0

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample of three axes."""
        return 3 * np.dtype(self.dtype).itemsize

    @property
    def limit_g(self) -> float:
        """The largest size of an acceleration that is stored as it is, in g."""
        return float(np.iinfo(np.int16).max * self.scale) if self.whole else float("inf")

    @property
    def error_g(self) -> float:
        """The largest error of a sample within :attr:`limit_g`, in g: half a step, 0 for float32."""
        return self.scale / 2 if self.whole else 0.0

    @property
    def whole(self) -> bool:
        """Whether samples are stored as whole numbers."""
        return self.dtype == "int16"

    def encode(self, signal: np.ndarray) -> tuple[np.ndarray, int]:
        """Code samples.

        Args:
            signal: ``(n, 3)`` in g, finite.

        Returns:
            ``(n, 3)`` of :attr:`dtype`, and the number of samples beyond :attr:`limit_g`, which are cut to it.
        """
        if not self.whole:
            return np.ascontiguousarray(signal, dtype="<f4"), 0
        steps = np.rint(np.asarray(signal, dtype=np.float64) / self.scale)
        ends = np.iinfo(np.int16)
        beyond = (steps < ends.min) | (steps > ends.max)
        coded = np.ascontiguousarray(np.clip(steps, ends.min, ends.max), dtype="<i2")
        return coded, int(beyond.any(axis=1).sum())

    def decode(self, windows: np.ndarray) -> np.ndarray:
        """Codes in a float32 array of any shape to g, in place."""
        if self.whole:
            windows *= np.float32(self.scale)
        return windows

    def described(self) -> dict[str, Any] | None:
        """What the manifest says of it; None for float32."""
        return {"dtype": self.dtype, "scale": self.scale} if self.whole else None


FLOAT32 = Coding("float32")
INT16 = Coding("int16", 2.0**-11)  # 0.49 mg up to 16 g: a power of two, so that decoding does not round
CODINGS = {"float32": FLOAT32, "int16": INT16}


def coding_of(dtype: str) -> Coding:
    """The code of a new store.

    Raises:
        ConfigError: Another type than float32 and int16.
    """
    if dtype not in CODINGS:
        raise ConfigError(f"store.dtype={dtype}: expected one of {', '.join(CODINGS)}.")
    return CODINGS[dtype]


def described_coding(signal: Any) -> Coding:
    """The code that a manifest describes, see :meth:`Coding.described`.

    Raises:
        ValueError: It describes none that this version knows.
    """
    if signal is None:
        return FLOAT32
    scale = signal["scale"]
    if signal["dtype"] != "int16" or type(scale) is not float or not 0 < scale < 1:
        raise ValueError(f"signal: {signal} is no known code of samples")
    return Coding("int16", scale)


def begin_file(path: Path) -> None:
    """Create a signal file with room for its header."""
    path.write_bytes(bytes(HEADER_BYTES))


def finish_file(path: Path, coding: Coding) -> None:
    """Write the header of a signal file whose samples are complete: after that it is an ``.npy`` file."""
    samples = (path.stat().st_size - HEADER_BYTES) // coding.sample_bytes
    header = {"descr": np.dtype(coding.dtype).str, "fortran_order": False, "shape": (samples, 3)}
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        assert file.tell() == HEADER_BYTES
