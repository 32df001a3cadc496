"""Choose the preset of a run, which sets what is trained; ``trainer=`` sets the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

_TRAINER = "override /trainer"


def with_preset(folder: str, words: Sequence[str]) -> list[str]:
    """Add the preset that belongs to the trainer to the arguments of a pre-training.

    ``trainer=gpu`` alone implies ``preset=gpu``, and ``trainer=ddp_8xa100`` alone implies ``preset=paper``. A preset on
    the command line is kept.

    Args:
        folder: Folder of the configuration.
        words: Arguments on the command line.
    """
    trainers = [word.partition("=")[2] for word in words if word.startswith("trainer=")]
    if not trainers or any(word.startswith("preset=") for word in words):
        return list(words)
    preset = _presets(folder).get(trainers[-1])
    return [*words, f"preset={preset}"] if preset else list(words)


def _presets(folder: str) -> dict[str, str]:
    """Mapping from trainer to the preset that selects it."""
    found = {}
    for path in sorted(Path(folder, "preset").glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text("utf-8"))["defaults"]:
            if isinstance(entry, dict) and _TRAINER in entry:
                found[str(entry[_TRAINER])] = path.stem
    return found
