"""Whether the signals of a store are those that were written: compared once, and again where a file has changed.

What was compared is remembered for each store in the user's cache folder (or in ``$RELCON_CACHE``), so that a store
that can only be read is remembered too, and the memory does not travel with a copy of the store.
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

import pooch

from relcon_lightning.data.manifest import MANIFEST
from relcon_lightning.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Verify = Literal["once", "always", "never"]
_LARGE = 2**30  # bytes that are worth a line before they are read
_CLOCK_NS = 50_000_000  # a file that changes twice within this may keep its time stamp


class Place(Protocol):
    """Where a store lies: see :class:`~relcon_lightning.data.folder.Folder`."""

    remedy: str

    @property
    def path(self) -> str | Path:
        """Folder or address."""
        ...

    def checksum(self, name: str) -> str:
        """SHA-256 of a file."""
        ...

    def state(self, name: str) -> list[int] | None:
        """What changes when the file does, None where that cannot be told."""
        ...


def verify_signals(place: Place, expected: Mapping[str, str], verify: Verify) -> None:
    """Compare the checksums of signal files.

    Args:
        place: Of the store. In a bucket, where comparing is fetching, files are compared with ``always`` alone.
        expected: SHA-256 by file.
        verify: ``once`` for files that have changed since they were compared, ``always`` for all, ``never`` for none.

    Raises:
        ConfigError: Another word for ``verify``.
        DataError: Names the file that is not what was written.
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
                f"{place.remedy}, or put back the file that belongs there."
            )
    if waiting:
        remember(place, expected)


def remember(place: Place, compared: Mapping[str, str]) -> None:
    """Keep in mind that files have these checksums; without a folder to write to they are compared again next time."""
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
    folder = Path(os.environ.get("RELCON_CACHE") or pooch.os_cache("relcon-lightning"))
    name = hashlib.sha256(str(Path(place.path).resolve()).encode()).hexdigest()
    return folder / "verified" / f"{name[:32]}.json"
