"""Find the checkpoints to compare, group them by method, and name them by their differences."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_paths import CONFIG, LAST, located, shipped_name
from relcon_lightning.runs.record import flat
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

_CLASS = "._target_"
_MOST_WORDS = 6  # of a name: the method and five settings
_SAME = {
    *("name", "folder", "run_dir", "overwrite", "resume", "from_run", "compile", "paths", "logger", "callbacks"),
    *("objective", "objective_direction", "objectives"),
}
_SAME_ANYWHERE = {"seed", "verify", "default_root_dir", "recompute", "val_check_interval"}


@dataclass(frozen=True)
class MethodRuns:
    """Runs of one method that differ only in their seed.

    Attributes:
        name: Name of the method, with its differences from other runs of that method.
        checkpoints: Checkpoint of each run, in the order of their seeds.
    """

    name: str
    checkpoints: tuple[Checkpoint, ...]


def find_checkpoints(asked: str | Sequence[str]) -> list[Checkpoint]:
    """Read checkpoints or run folders, each once; patterns such as ``runs/wisdm/*/seed*`` are expanded.

    Matches without an encoder (a run with ``model=distance``) are skipped with a message. Matches that are neither a
    ``.ckpt`` file nor a run (the ``multirun.yaml`` of a sweep) are skipped without a message.

    Raises:
        ConfigError: A pattern matches nothing, or a checkpoint cannot be read.
    """
    read: dict[str, Checkpoint] = {}
    found: list[str] = []
    for name in [asked] if isinstance(asked, str) else asked:
        paths = _matches(name) if has_magic(name) else [str(located(name))]
        read |= {path: Checkpoint.read(path) for path in paths if path not in read}
        if has_magic(name):
            paths, matches = [path for path in paths if read[path].has_encoder], len(paths)
            if not paths:
                raise ConfigError(f"checkpoint={name} matches no run with an encoder (current folder: {Path.cwd()}).")
            if len(paths) < matches:
                log.info("Skipped %s without an encoder.", counted(matches - len(paths), "run"))
        found += paths
    return [read[path] for path in dict.fromkeys(found)]


def _matches(pattern: str) -> list[str]:
    paths = sorted(glob(pattern, recursive=True))  # noqa: PTH207, Path.glob accepts no absolute pattern
    return [path for path in paths if Path(path).suffix == ".ckpt" or _is_run(Path(path))]


def group(checkpoints: Sequence[Checkpoint]) -> list[MethodRuns]:
    """Group runs that differ only in their seed, in the order in which their methods appear.

    Raises:
        ConfigError: Two runs have the same configuration and seed.
    """
    groups: list[tuple[dict[str, Any], list[Checkpoint]]] = []
    for checkpoint in checkpoints:
        settings = _learnt(checkpoint.config) | _distance(checkpoint) | _chosen(checkpoint)
        own = next((runs for other, runs in groups if other == settings), None)
        if own is None:
            groups.append((settings, [checkpoint]))
        else:
            own.append(checkpoint)
    trained = [settings for settings, runs in groups if not _is_exported(runs[0].path)]
    exported = [settings for settings, runs in groups if _is_exported(runs[0].path) and not shipped_name(runs[0].path)]
    grouped = []
    for settings, runs in groups:
        runs.sort(key=lambda run: run.seed)
        if len({run.seed for run in runs}) < len(runs):
            paths = ", ".join(run.name for run in runs)
            raise ConfigError(f"{paths} are runs with the same configuration and seed; give one of them.")
        grouped.append(MethodRuns(_group_name(settings, runs[0].path, trained, exported), tuple(runs)))
    return grouped


def _group_name(
    own: dict[str, Any], path: str, trained: Sequence[dict[str, Any]], exported: Sequence[dict[str, Any]]
) -> str:
    """Name of the runs of a group.

    - An encoder that comes with the package has its own name.
    - Runs are named by their method and the settings in which they differ from other runs.
    - Exported encoders contain only some of these settings. Next to runs of their method, they are named by their
      folder, otherwise by the settings in which they differ from each other.
    """
    if (name := shipped_name(path)) is not None:
        return name
    if not _is_exported(path):
        return _name(own, trained)
    if any(run["model.name"] == own["model.name"] for run in trained):
        return f"{own['model.name']} in {path}"
    return _name(own, exported)


def _name(own: dict[str, Any], all_settings: Sequence[dict[str, Any]]) -> str:
    """Name of the method and, if others have the same name, the settings that differ."""
    name = str(own["model.name"])
    rivals = [other for other in all_settings if other["model.name"] == name and other != own]
    keys = sorted({key for rival in rivals for key in own.keys() | rival.keys() if own.get(key) != rival.get(key)})
    short = [key for key in keys if not key.startswith("model.method.")] or keys
    classes = {key.removesuffix(_CLASS) for key in short if key.endswith(_CLASS)}
    shown = [key for key in short if not any(key.startswith(f"{c}.") for c in classes - {key.removesuffix(_CLASS)})]
    words = list(dict.fromkeys([name, *(_shown(key, own.get(key)) for key in shown)]))
    if len(words) > _MOST_WORDS:
        digest = hashlib.sha256(repr(sorted(own.items())).encode()).hexdigest()[:4]
        words = [*words[:_MOST_WORDS], f"and {counted(len(words) - _MOST_WORDS, 'more setting')} ({digest})"]
    return " ".join(words)


def _shown(key: str, value: object) -> str:
    if key.endswith(_CLASS):
        return f"{key.split('.')[-2]}={str(value).rsplit('.', 1)[-1]}"
    return f"{key.rsplit('.', 1)[-1]}={value}"


def _learnt(config: dict[str, Any]) -> dict[str, Any]:
    """Values of a configuration by key, without those that do not change what is learned."""
    return {name: value for name, value in flat(config).items() if not _is_same(name.split("."))}


def _distance(checkpoint: Checkpoint) -> dict[str, Any]:
    """Values of the configuration of the distance that a run used, as ``ranking.distance.model...``."""
    run = checkpoint.distance_run
    learnt = {} if run is None else _learnt(run.config)
    kept = ("model.", "data.", "augmentation.", "trainer.max_steps", "trainer.precision")
    return {f"ranking.distance.{name}": value for name, value in learnt.items() if name.startswith(kept)}


def _chosen(checkpoint: Checkpoint) -> dict[str, Any]:
    """A setting that says whether it is the best checkpoint of its run, to compare it with the last one."""
    return {"checkpoint": "best" if checkpoint.chosen else "last"}


def _is_same(keys: Sequence[str]) -> bool:
    return keys[0] in _SAME or any(key in _SAME_ANYWHERE or "checkpoint" in key for key in keys)


def _is_exported(path: str | Path) -> bool:
    return (Path(path) / CONFIG).is_file()


def _is_run(path: Path) -> bool:
    return (path / LAST).is_file() or _is_exported(path)
