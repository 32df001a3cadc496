"""The user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import pooch


def cache_folder(name: str) -> Path:
    """A folder in the user's cache folder, or in the one that ``RELCON_CACHE`` names. It may not exist yet.

    Args:
        name: Name of the folder.
    """
    return Path(os.environ.get("RELCON_CACHE") or pooch.os_cache("relcon-lightning")) / name
