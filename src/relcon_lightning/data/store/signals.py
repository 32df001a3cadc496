"""Coding of a store's samples on disk: float32 in g, or int16 in steps of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.errors import ConfigError

HEADER_BYTES = 128  # size of np.save's header for an array (N, 3), for any N


@dataclass(frozen=True)
class Coding:
    """A coding of samples.

    Attributes:
        dtype: Data type of the files.
        scale: Size of a step in g; 1 for float32.
    """

    dtype: str
    scale: float = 1.0

    @property
    def sample_bytes(self) -> int:
        """Number of bytes per sample of three axes."""
        return 3 * np.dtype(self.dtype).itemsize

    @property
    def limit_g(self) -> float:
        """Largest absolute acceleration that is stored without clipping, in g."""
        return float(np.iinfo(np.int16).max * self.scale) if self.whole else float("inf")

    @property
    def error_g(self) -> float:
        """Largest error of a sample within :attr:`limit_g`, in g: half a step; 0 for float32."""
        return self.scale / 2 if self.whole else 0.0

    @property
    def whole(self) -> bool:
        """True if samples are stored as integers."""
        return self.dtype == "int16"

    def encode(self, signal: np.ndarray) -> tuple[np.ndarray, int]:
        """Encode samples.

        Args:
            signal: Signal ``(n, 3)`` in g; all values are finite.

        Returns:
            Codes ``(n, 3)`` of type :attr:`dtype`, and the number of samples beyond :attr:`limit_g`, which are clipped.
        """
        if not self.whole:
            return np.ascontiguousarray(signal, dtype="<f4"), 0
        steps = np.rint(np.asarray(signal, dtype=np.float64) / self.scale)
        ends = np.iinfo(np.int16)
        beyond = (steps < ends.min) | (steps > ends.max)
        coded = np.ascontiguousarray(np.clip(steps, ends.min, ends.max), dtype="<i2")
        return coded, int(beyond.any(axis=1).sum())

    def decode(self, windows: np.ndarray) -> np.ndarray:
        """Convert codes in a float32 array of any shape to g, in place."""
        if self.whole:
            windows *= np.float32(self.scale)
        return windows

    def described(self) -> dict[str, Any] | None:
        """Description for the manifest; None for float32."""
        return {"dtype": self.dtype, "scale": self.scale} if self.whole else None


FLOAT32 = Coding("float32")
INT16 = Coding("int16", 2.0**-11)  # 0.49 mg up to 16 g: a power of two, so that decoding does not round
CODINGS = {"float32": FLOAT32, "int16": INT16}


def coding_of(dtype: str) -> Coding:
    """Coding of a new store.

    Raises:
        ConfigError: The type is neither float32 nor int16.
    """
    if dtype not in CODINGS:
        raise ConfigError(f"store.dtype={dtype}: expected one of {', '.join(CODINGS)}.")
    return CODINGS[dtype]


def described_coding(signal: Any) -> Coding:
    """Coding that a manifest describes, see :meth:`Coding.described`.

    Raises:
        ValueError: This version does not support the coding.
    """
    if signal is None:
        return FLOAT32
    scale = signal["scale"]
    if signal["dtype"] != "int16" or type(scale) is not float or not 0 < scale < 1:
        raise ValueError(f"signal: {signal} is not a known coding of samples")
    return Coding("int16", scale)


def begin_file(path: Path) -> None:
    """Create a signal file with room for its header."""
    path.write_bytes(bytes(HEADER_BYTES))


def finish_file(path: Path, coding: Coding) -> None:
    """Write the header of a signal file with complete samples, which makes it a valid ``.npy`` file."""
    samples = (path.stat().st_size - HEADER_BYTES) // coding.sample_bytes
    header = {"descr": np.dtype(coding.dtype).str, "fortran_order": False, "shape": (samples, 3)}
    with path.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        assert file.tell() == HEADER_BYTES
