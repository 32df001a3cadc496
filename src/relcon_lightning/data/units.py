"""Units of a source, usually files, which processes read independently."""

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
        name: Name, unique in the source; for a file, its path below the folder of the recordings.
        key: Key with which the source finds the unit.
        path: File of the unit; None if it is in an archive or not in a single file.
        said: Text with everything else that its recordings depend on (settings, labels ...).
    """

    name: str
    key: Any
    path: Path | None = None
    said: str = ""


@runtime_checkable
class Divisible(Protocol):
    """A source that can be read in units, and pickled.

    ``recordings()`` returns the recordings of all units in order.
    """

    def units(self) -> Sequence[Unit]:
        """The units, in the order of the recordings."""
        ...

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read the recordings of a unit.

        Raises:
            DataError: The unit cannot be read.
        """
        ...


class InUnits:
    """Base class of sources that read all recordings unit by unit."""

    def units(self) -> Sequence[Unit]:
        """The units, in the order of the recordings."""
        raise NotImplementedError

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read the recordings of a unit."""
        raise NotImplementedError

    def recordings(self) -> Iterator[Recording]:
        """All recordings, unit by unit; see :meth:`read_unit`."""
        for unit in self.units():
            yield from self.read_unit(unit)


class InFiles(InUnits):
    """Base class of sources whose units are their ``files``."""

    files: Mapping[tuple[str, ...], RawFile]

    def units(self) -> list[Unit]:
        """One unit per file."""
        return [Unit(file.name, key) for key, file in self.files.items()]
