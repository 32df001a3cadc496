"""The manifest of a cohort store: the one place for its version, its file names and their checksums."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from relcon_lightning.data.store.signals import Coding

SCHEMA = 1  # stores of float32, as since the first version
_CODED_SCHEMA = 2  # stores with coded samples, which older versions refuse
SCHEMAS = (SCHEMA, _CODED_SCHEMA)
MANIFEST = "cohort.json"
PART_FOLDER = re.compile(r"(?:part-(\d+)-of-(\d+)|added-\d+)")  # subfolders of a store that is written in parts
_DESCRIBED = ("schema", "unit", "info", "excluded", "signal", "part")
TABLES = ("participants", "recordings", "segments")


def schema_of(coding: Coding) -> int:
    """Version of a store with this coding of samples."""
    return _CODED_SCHEMA if coding.whole else SCHEMA


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def description_checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of the manifest's own description of the cohort, without its list of files."""
    described = {key: manifest[key] for key in _DESCRIBED if key in manifest}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
