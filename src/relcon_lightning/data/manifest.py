"""The manifest of a cohort store: the one place for its version, its file names and their checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

SCHEMA = 1
MANIFEST = "cohort.json"
TABLES = ("participants", "recordings", "segments")


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
