"""Refuse to replace the results of a different evaluation, or the pictures of a run, in the same folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint_paths import LAST
from relcon_lightning.runs.record import flat

FILE = "settings.json"
_DESCRIPTIVE = "task.dataset"  # does not change a result
_RESULTS = "scores.parquet"
_NOT_COMPARED = {"logger", "paths", "folder", "run_dir", "overwrite", "job_type", "model"}
_SHOWN = 3  # maximum number of differences in the message


def refuse_to_replace(folder: str | Path, settings: Mapping[str, Any], overwrite: bool = False) -> None:
    """Check, before any work, that the folder does not contain a different evaluation or a run of relcon-pretrain.

    Args:
        folder: Folder of the report.
        settings: Resolved configuration, as plain Python.
        overwrite: Allow replacing a different evaluation.

    Raises:
        ConfigError: The folder contains a different evaluation, and the message names the differences; or a run.
    """
    folder = Path(folder)
    if (folder / LAST).parent.exists():  # its pictures would be removed, even with overwrite=true
        raise ConfigError(f"{folder} contains a run of relcon-pretrain: choose another folder=... for the report.")
    if overwrite or not (folder / _RESULTS).exists():
        return
    before = _settings_in(folder / FILE)
    found = _compared(settings)
    keys = sorted(key for key in before.keys() | found.keys() if before.get(key) != found.get(key))
    if not keys:
        return
    changes = [f"{key}={before.get(key)} there, {found.get(key)} now" for key in keys[:_SHOWN]]
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    what = f"another evaluation ({'; '.join(changes)}{more})" if before else "an evaluation with unknown settings"
    raise ConfigError(f"{folder} contains {what}. Choose another name=..., or replace it with overwrite=true.")


def _settings_in(file: Path) -> dict[str, Any]:
    """Settings of an earlier evaluation by dotted key; empty if the file cannot be read."""
    try:
        before = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(before, dict):
        return {}
    return {key.replace(".licence", ".license"): value for key, value in before.items()}  # as earlier versions spelt it


def make_room(folder: str | Path, settings: Mapping[str, Any]) -> None:
    """Remove the figures of an earlier evaluation, and write the settings of this one to the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for picture in folder.glob("*.png"):
        picture.unlink()
    (folder / FILE).write_text(json.dumps(_compared(settings), indent=1) + "\n", "utf-8")


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that determine the result, by dotted key, as they are after a round trip through the file."""
    kept = flat({name: value for name, value in settings.items() if name not in _NOT_COMPARED})
    kept.pop(_DESCRIPTIVE, None)
    compared: dict[str, Any] = json.loads(json.dumps(kept))
    return compared
