"""Find the checkpoints to compare, group them by method, and name them by their differences."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import CHOSEN, CONFIG, LAST, located, provenance
from relcon_lightning.runs.record import flat

log = logging.getLogger(__name__)

_CLASS = "._target_"
_SAME = {
    *("name", "folder", "run_dir", "overwrite", "resume", "from_run", "compile", "paths", "logger", "callbacks"),
    *("objective", "objective_direction", "objectives"),
}
_SAME_ANYWHERE = {"seed", "verify", "default_root_dir", "recompute", "val_check_interval"}


@dataclass(frozen=True)
class Trained:
    """Runs of one method that differ only in their seed.

    Attributes:
        name: Name of the method, with its differences from other runs of that method.
        checkpoints: Seed to checkpoint.
        origins: Provenance of each checkpoint, see :func:`~relcon_lightning.runs.checkpoint.provenance`.
    """

    name: str
    checkpoints: tuple[str, ...]
    origins: tuple[dict[str, Any], ...]


def find_checkpoints(asked: str | Sequence[str]) -> list[str]:
    """Paths of checkpoints or run folders; patterns such as ``runs/wisdm/*/seed*`` are expanded.

    Matches without an encoder (a run with ``model=distance``) are skipped with a message. Matches that are neither a
    ``.ckpt`` file nor a run (the ``multirun.yaml`` of a sweep) are skipped without a message.

    Raises:
        ConfigError: A pattern matches nothing.
    """
    found = []
    for name in [asked] if isinstance(asked, str) else asked:
        if not has_magic(name):
            found.append(name if name.startswith("hf://") else str(located(name)))
            continue
        paths = sorted(glob(name, recursive=True))  # noqa: PTH207, Path.glob takes no absolute pattern
        fitting = [p for p in paths if Path(p).suffix == ".ckpt" or _is_run(Path(p))]
        with_encoder = [p for p in fitting if "encoder" in provenance(p)["config"]["model"]["method"]]
        if not with_encoder:
            raise ConfigError(f"checkpoint={name} fits no run that has an encoder, seen from {Path.cwd()}.")
        if len(with_encoder) < len(fitting):
            log.info("%d runs without an encoder are skipped.", len(fitting) - len(with_encoder))
        found += with_encoder
    return found


def group(checkpoints: Sequence[str]) -> list[Trained]:
    """Group runs that differ only in their seed, in the order in which their methods appear.

    Raises:
        ConfigError: A checkpoint cannot be read, or two have the same configuration and seed.
    """
    origins = {path: provenance(path) for path in checkpoints}
    settings = {
        path: _learnt(origin["config"]) | _distance(origin) | _chosen(origin) for path, origin in origins.items()
    }
    groups: list[list[str]] = []
    for path in origins:
        own = next((g for g in groups if settings[g[0]] == settings[path]), None)
        if own is None:
            groups.append([path])
        else:
            own.append(path)
    trained = []
    for paths in groups:
        paths.sort(key=lambda p: int(origins[p]["config"]["seed"]))
        seeds = [origins[p]["config"]["seed"] for p in paths]
        if len(set(seeds)) < len(seeds):
            raise ConfigError(f"{', '.join(paths)} are runs with the same configuration and seed; give one of them.")
        name = _name(settings[paths[0]], [settings[g[0]] for g in groups])
        trained.append(Trained(name, tuple(paths), tuple(origins[p] for p in paths)))
    return trained


def _name(own: dict[str, Any], all_settings: Sequence[dict[str, Any]]) -> str:
    """Name of the method and, if others have the same name, the settings that differ."""
    name = str(own["model.name"])
    rivals = [other for other in all_settings if other["model.name"] == name and other != own]
    keys = sorted({key for rival in rivals for key in own.keys() | rival.keys() if own.get(key) != rival.get(key)})
    short = [key for key in keys if not key.startswith("model.method.")] or keys
    classes = [key.removesuffix(_CLASS) for key in short if key.endswith(_CLASS)]
    shown = [key for key in short if key.endswith(_CLASS) or not key.startswith(tuple(f"{c}." for c in classes))]
    return " ".join(dict.fromkeys([name, *(_shown(key, own.get(key)) for key in shown)]))


def _shown(key: str, value: object) -> str:
    if key.endswith(_CLASS):
        return f"{key.split('.')[-2]}={str(value).rsplit('.', 1)[-1]}"
    return f"{key.rsplit('.', 1)[-1]}={value}"


def _learnt(config: dict[str, Any]) -> dict[str, Any]:
    """Values of a configuration by key, without those that do not change what is learned."""
    return {name: value for name, value in flat(config).items() if not _is_same(name.split("."))}


def _distance(origin: dict[str, Any]) -> dict[str, Any]:
    """Values of the configuration of the distance that a run used, as ``distance.model...``."""
    configs = [part["config"] for part in origin.get("built_from", []) if part["role"] == "distance"]
    learnt = ((name, value) for config in configs for name, value in _learnt(config).items())
    kept = ("model.", "data.", "augmentation.", "trainer.max_steps", "trainer.precision")
    return {f"distance.{name}": value for name, value in learnt if name.startswith(kept)}


def _chosen(origin: dict[str, Any]) -> dict[str, Any]:
    """Whether it is the best checkpoint of its run, so that it can be compared with the last one."""
    return {"checkpoint": "best" if CHOSEN in origin else "last"}


def _is_same(keys: Sequence[str]) -> bool:
    return keys[0] in _SAME or any(key in _SAME_ANYWHERE or "checkpoint" in key for key in keys)


def _is_run(path: Path) -> bool:
    return (path / LAST).is_file() or (path / CONFIG).is_file()
