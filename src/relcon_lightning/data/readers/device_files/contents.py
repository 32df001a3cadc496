"""Contents of a device file, and the handling of damage."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from relcon_lightning.data.readers.suffixes import UNREADABLE
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

_UNPACKED = 2**13  # bytes that are unpacked at once, and lost before a damaged part
_NAMED = 5  # maximum number of damaged parts per file that are logged


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of a file.

    Attributes:
        stamps: Times ``(n,)`` of the device clock, int64 in ns since 1970.
        signal: Signal ``(n, 3)``, float32 in g.
    """

    stamps: np.ndarray
    signal: np.ndarray


class Damage:
    """Refuses damage, or logs and skips it.

    Args:
        where: Name of the file, for messages.
        lenient: True: skip damage. False: refuse it.
    """

    def __init__(self, where: str, lenient: bool) -> None:
        self.where, self.lenient, self.count = where, lenient, 0

    def found(self, what: object) -> None:
        """Report a part of the file that cannot be read.

        Raises:
            DataError: If ``lenient`` is false.
        """
        if not self.lenient:
            raise DataError(
                f"{self.where} is damaged: {what}. Copy it from the device again, or read the intact part with "
                "data.source.lenient=true."
            )
        self.count += 1
        if self.count <= _NAMED:
            log.warning("%s: left out: %s.", self.where, what)

    def error(self, what: object) -> DataError:
        """Error for damage that makes the whole file unreadable."""
        return DataError(f"{self.where} is damaged: {what}. Copy it from the device again.")

    def note(self, what: str) -> None:
        """Log a harmless finding."""
        log.warning("%s: %s.", self.where, what)

    def close(self) -> None:
        """Log the number of damaged parts that were not logged one by one."""
        if self.count > _NAMED:
            log.warning("%s: left out %d more damaged parts.", self.where, self.count - _NAMED)

    def reading(self, file: IO[bytes]) -> IO[bytes]:
        """Wrap a compressed file so that it ends at the first byte that cannot be unpacked."""
        return io.BufferedReader(_UpToDamage(file, self), 2**18)


@dataclass(frozen=True)
class Contents:
    """A device file that is being read.

    Attributes:
        rate: Nominal sampling rate in Hz.
        utc_offset_s: Offset of the device clock from UTC in seconds, positive east of Greenwich; None if not stated.
        samples: Iterator over samples, some ten thousand at a time.
        damage: Handler of damage.
        duration_s: Expected duration in seconds, for a progress bar; None if unknown.
    """

    rate: float
    utc_offset_s: float | None
    samples: Iterator[Samples]
    damage: Damage
    duration_s: float | None = None


class _UpToDamage(io.RawIOBase):
    def __init__(self, file: IO[bytes], damage: Damage) -> None:
        self.file, self.damage, self.ended = file, damage, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.ended:
            return 0
        try:
            content = self.file.read(min(len(buffer), _UNPACKED))
        except UNREADABLE as error:
            self.ended = True
            self.damage.found(f"everything after the first byte that cannot be unpacked ({error})")
            return 0
        buffer[: len(content)] = content
        return len(content)
