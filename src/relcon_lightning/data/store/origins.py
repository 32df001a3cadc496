"""Record the source files of a store, so that new files can be added and changed files are noticed.

``sources.json`` in the store contains the size, time and checksum of each file. It does not describe the recordings, so
it is not part of the store's checksums.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from relcon_lightning.data.store.manifest import checksum
from relcon_lightning.data.units import Unit
from relcon_lightning.errors import DataError

SOURCES = "sources.json"


@dataclass(frozen=True)
class Version:
    """Version of a source file, to detect changes.

    Attributes:
        bytes: Size in bytes.
        mtime_ns: Time of the last change in ns.
        sha256: Checksum in hexadecimal.
        said: Checksum of :attr:`~relcon_lightning.data.units.Unit.said`.
    """

    bytes: int
    mtime_ns: int
    sha256: str
    said: str


@dataclass(frozen=True)
class Changes:
    """Differences between files and those that a store was made from.

    Attributes:
        new: Units that are not in the store.
        changed: Names of units whose file, labels or settings have changed.
        gone: Names of units in the store that no longer exist.
    """

    new: list[Unit]
    changed: list[str]
    gone: list[str]

    def __str__(self) -> str:
        kinds = {"new": [unit.name for unit in self.new], "changed": self.changed, "gone": self.gone}
        return ", ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names)


def version_of(unit: Unit) -> Version | None:
    """Version of a unit's file; None if it has no file."""
    if unit.path is None:
        return None
    state = unit.path.stat()
    return Version(state.st_size, state.st_mtime_ns, checksum(unit.path), _said(unit))


def write_versions(folder: Path, versions: Mapping[str, Version]) -> None:
    """Write the versions of a store's source files to its folder."""
    content = {name: asdict(version) for name, version in sorted(versions.items())}
    (folder / SOURCES).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def read_versions(folder: Path) -> dict[str, Version]:
    """Read the versions of a store's source files by name.

    Raises:
        DataError: The file is missing or damaged.
    """
    file = folder / SOURCES
    try:
        return {name: Version(**facts) for name, facts in json.loads(file.read_text("utf-8")).items()}
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} does not record its source files, so no files can be added: replace it with overwrite=true."
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is damaged ({error}): replace the store with overwrite=true.") from error


def changes(units: Sequence[Unit], known: Mapping[str, Version]) -> Changes:
    """Compare files with those that a store was made from. A file is read only if its size or time differs.

    Args:
        units: Units of the source.
        known: Versions of the store's source files.
    """
    names = {unit.name for unit in units}
    return Changes(
        [unit for unit in units if unit.name not in known],
        [unit.name for unit in units if unit.name in known and not _same(unit, known[unit.name])],
        sorted(known.keys() - names),
    )


def _same(unit: Unit, version: Version) -> bool:
    if unit.path is None or _said(unit) != version.said:
        return False
    state = unit.path.stat()
    if state.st_size != version.bytes:
        return False
    return state.st_mtime_ns == version.mtime_ns or checksum(unit.path) == version.sha256


def _said(unit: Unit) -> str:
    return hashlib.sha256(unit.said.encode()).hexdigest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
