"""The manifest of a cohort store: the one place for its version, its file names and their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

SCHEMA = 1
MANIFEST = "cohort.json"
TABLES = ("participants", "recordings", "segments")


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def description_checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of what the manifest itself says of the cohort; the files have their own."""
    described = {key: manifest[key] for key in ("schema", "unit", "info", "excluded")}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
