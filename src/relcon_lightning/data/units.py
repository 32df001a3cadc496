"""What of a source is read on its own, by one process: as a rule a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from relcon_lightning.data.recording import Recording

if TYPE_CHECKING:
    from relcon_lightning.data.readers.raw_files import RawFile


@dataclass(frozen=True)
class Unit:
    """A piece of a source that can be read without the others.

    Attributes:
        name: Unique in the source; a file's path below the folder of the recordings.
        key: Key by which the source finds it.
        path: The one file that it is read from, None if it lies in an archive or in no file.
        said: Everything beside the file that its recordings depend on (settings, labels ...), as a text.
    """

    name: str
    key: Any
    path: Path | None = None
    said: str = ""


@runtime_checkable
class Divisible(Protocol):
    """A source that can be read in units; it can be pickled.

    ``recordings()`` gives the recordings of all units in order.
    """

    def units(self) -> Sequence[Unit]:
        """The units, in the order of the recordings."""
        ...

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """The recordings of a unit.

        Raises:
            DataError: It cannot be read.
        """
        ...


class InUnits:
    """Reads all recordings unit by unit."""

    def units(self) -> Sequence[Unit]:
        """The units, in the order of the recordings."""
        raise NotImplementedError

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """The recordings of a unit."""
        raise NotImplementedError

    def recordings(self) -> Iterator[Recording]:
        """All recordings, unit by unit; see :meth:`read_unit`."""
        for unit in self.units():
            yield from self.read_unit(unit)


class InFiles(InUnits):
    """As :class:`InUnits` for sources whose units are their ``files``."""

    files: Mapping[tuple[str, ...], RawFile]

    def units(self) -> list[Unit]:
        """A unit for each file."""
        return [Unit(file.name, key) for key, file in self.files.items()]
