"""Find and read the files of a checkpoint: one of Lightning's, an exported folder, or one on the Hugging Face Hub.

Files are read with ``weights_only=True``, so that pickled code in them is not run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.archive import load_archive
from relcon_lightning.runs.checkpoint_format import KEY, upgraded
from relcon_lightning.runs.checkpoint_paths import CONFIG, HUB, WEIGHTS, file_of, located

log = logging.getLogger(__name__)

_MAX_CONFIG_BYTES = 2**24


def read_content(path: str | Path) -> dict[str, Any]:
    """Read the file or the exported folder at a path, in the current format.

    Args:
        path: See :meth:`~relcon_lightning.runs.checkpoint.Checkpoint.read`.

    Raises:
        ConfigError: There is no such file, it is not a checkpoint, loading it would run code, or it was written by
            another program or in a newer format.
    """
    found = located(path)
    folder = found if isinstance(found, Path) else _downloaded(found)
    if (folder / CONFIG).is_file():
        content: Any = _read_exported(folder)
    else:
        folder = file_of(folder)
        content = _read_archive(folder)
    try:
        return upgraded(content, str(folder))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def checksums(entry: dict[str, Any], weights: bytes) -> dict[str, str]:
    """Checksums for ``config.json``: from file name to SHA-256. That of ``config.json`` itself covers the entry."""
    own = json.dumps(json.loads(json.dumps(entry)), sort_keys=True).encode()  # a JSON round trip turns keys into text
    return {CONFIG: hashlib.sha256(own).hexdigest(), WEIGHTS: hashlib.sha256(weights).hexdigest()}


def write_exported(folder: Path, entry: dict[str, Any], weights: bytes) -> None:
    """Write the two files of an exported encoder into a folder.

    Args:
        folder: Existing folder.
        entry: Entry of the checkpoint, in the current format.
        weights: Content of the safetensors file.
    """
    (folder / WEIGHTS).write_bytes(weights)
    described = {KEY: entry, "checksums": checksums(entry, weights)}
    (folder / CONFIG).write_text(json.dumps(described, indent=1) + "\n", "utf-8")


def _read_archive(path: Path) -> Any:
    try:
        return load_archive(path)
    except ValueError as error:
        raise ConfigError(
            f"{path} is not a checkpoint that can be read safely: {error}. Give another checkpoint of "
            "the run, or get the file again."
        ) from error


def _read_exported(folder: Path) -> dict[str, Any]:
    try:
        if (folder / CONFIG).stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError(f"{CONFIG} has more than {_MAX_CONFIG_BYTES >> 20} MiB")
        content = json.loads((folder / CONFIG).read_text("utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
        _check_sums(folder, content, weights)
        return {KEY: content[KEY], "state_dict": load(weights)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError, SafetensorError) as error:
        raise ConfigError(
            f"{folder} is not an exported encoder that can be read: {error}. Export it again, or get a new copy."
        ) from error


def _check_sums(folder: Path, content: dict[str, Any], weights: bytes) -> None:
    entry = content[KEY]
    if entry["format"] == 1:
        log.info("%s was exported without checksums: damage to it cannot be detected.", folder)
        return
    for name, found in checksums(entry, weights).items():
        if content["checksums"][name] != found:
            raise ValueError(f"{name} was changed or damaged, its SHA-256 is not that of the written file")


def _downloaded(address: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ConfigError(f"{address} needs: pip install 'relcon-lightning[hub]'.") from error
    try:
        return Path(snapshot_download(address.removeprefix(HUB), allow_patterns=[WEIGHTS, CONFIG]))
    except (OSError, ValueError) as error:  # errors of huggingface_hub are subclasses of these
        raise ConfigError(f"{address} cannot be fetched: {error}") from error
