"""What is in a file of a device, and what is done about damage."""

from __future__ import annotations

import io
import logging
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)
_UNPACKED = 2**13  # bytes at once: what is lost before a place of damage
_NAMED = 5  # places of damage in a file that are listed


@dataclass(frozen=True)
class Samples:
    """Some samples in the order of the file.

    Attributes:
        stamps: ``(n,)`` int64, nanoseconds since 1970 by the clock of the device.
        signal: ``(n, 3)`` float32 in g.
    """

    stamps: np.ndarray
    signal: np.ndarray


class Damage:
    """Refuses damage, or names it and goes on.

    Args:
        where: The file.
        lenient: Whether to go on.
    """

    def __init__(self, where: str, lenient: bool) -> None:
        self.where, self.lenient, self.count = where, lenient, 0

    def found(self, what: object) -> None:
        """Some part of the file cannot be read, and is left out.

        Raises:
            DataError: Unless lenient.
        """
        if not self.lenient:
            raise DataError(
                f"{self.where} is damaged: {what}. Copy it from the device again, or take what can be read of it with "
                "data.source.lenient=true."
            )
        self.count += 1
        if self.count <= _NAMED:
            log.warning("%s: left out: %s.", self.where, what)

    def error(self, what: object) -> DataError:
        """For damage without which nothing can be read."""
        return DataError(f"{self.where} is damaged: {what}. Copy it from the device again.")

    def note(self, what: str) -> None:
        """Something that is worth to know and does no harm."""
        log.warning("%s: %s.", self.where, what)

    def close(self) -> None:
        """Say how many places of damage were not named."""
        if self.count > _NAMED:
            log.warning("%s: left out %d more places that are damaged.", self.where, self.count - _NAMED)

    def reading(self, file: IO[bytes]) -> IO[bytes]:
        """A compressed file, up to the first place at which it cannot be unpacked."""
        return io.BufferedReader(_UpToDamage(file, self), 2**18)


@dataclass(frozen=True)
class Contents:
    """A file that is being read.

    Attributes:
        rate: Nominal, in Hz.
        utc_offset_s: Seconds by which the clock of the device is ahead of UTC; None if the file does not say it.
        samples: Some ten thousand at once.
        damage: What is done about it.
    """

    rate: float
    utc_offset_s: float | None
    samples: Iterator[Samples]
    damage: Damage


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
            self.damage.found(f"all that comes after the first place that cannot be unpacked ({error})")
            return 0
        buffer[: len(content)] = content
        return len(content)
