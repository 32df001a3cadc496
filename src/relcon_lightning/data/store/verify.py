"""Compare the checksums of a store's signals, once and again if a file has changed.

Results are cached in the user's cache folder (or in ``$RELCON_CACHE``), so that read-only stores are cached too, and
the cache is not copied with a store.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from relcon_lightning.data.store.manifest import MANIFEST
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.user_cache import cache_folder

log = logging.getLogger(__name__)

Verify = Literal["once", "always", "never"]
_LARGE = 2**30  # bytes; a message announces longer reads
_CLOCK_NS = 50_000_000  # ns; a file that changes twice within this time may keep its time stamp


class Place(Protocol):
    """Location of a store, see :class:`~relcon_lightning.data.store.folder.Folder`."""

    remedy: str

    @property
    def path(self) -> str | Path:
        """Folder or address."""
        ...

    def checksum(self, name: str) -> str:
        """SHA-256 of a file."""
        ...

    def state(self, name: str) -> list[int] | None:
        """A value that changes when the file changes; None if there is none."""
        ...


def verify_signals(place: Place, expected: Mapping[str, str], verify: Verify) -> None:
    """Compare the checksums of signal files.

    Args:
        place: Place of the store. In a bucket, a comparison downloads the files, so only ``always`` compares them.
        expected: Mapping from file to SHA-256.
        verify: ``once`` for files that have changed since they were compared, ``always`` for all, ``never`` for none.

    Raises:
        ConfigError: ``verify`` has another value.
        DataError: A file has changed since it was written. The message names it.
    """
    if verify not in ("once", "always", "never"):
        raise ConfigError(f"data.verify={verify}: expected once, always or never.")
    states = {name: place.state(name) for name in expected}
    if verify == "never" or (verify == "once" and None in states.values()):
        return
    known = _remembered(place) if verify == "once" else {}
    waiting = {name: state for name, state in states.items() if known.get(name) != [state, expected[name]]}
    size = sum(state[0] for state in waiting.values() if state)
    if size > _LARGE:
        log.info("Comparing the checksums of %s (%.1f GB) ...", place.path, size / 1e9)
    for name in waiting:
        if place.checksum(name) != expected[name]:
            raise DataError(
                f"{place.path}/{name} was changed or damaged: its SHA-256 is not the one in {MANIFEST}; "
                f"{place.remedy}, or restore the original file."
            )
    if waiting:
        remember(place, expected)


def remember(place: Place, compared: Mapping[str, str]) -> None:
    """Cache the checksums of files. If the cache cannot be written, they are compared again next time."""
    states = {name: place.state(name) for name in compared}
    settled = time.time_ns() - _CLOCK_NS
    known = {
        name: [state, compared[name]]
        for name, state in states.items()
        if state is not None and max(state[1:]) < settled
    }
    path = _memory(place)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(known), "utf-8")
        part.replace(path)
    except OSError as error:
        log.debug("%s cannot be written: %s", path, error)


def _remembered(place: Place) -> dict[str, Any]:
    try:
        known = json.loads(_memory(place).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _memory(place: Place) -> Path:
    name = hashlib.sha256(str(Path(place.path).resolve()).encode()).hexdigest()
    return cache_folder("verified") / f"{name[:32]}.json"
