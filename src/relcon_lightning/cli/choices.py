"""Check choices on the command line for which Hydra would print a traceback."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import yaml
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig

from relcon_lightning.cli.usage import PARTS
from relcon_lightning.errors import ConfigError

_DISPENSABLE = ("callbacks", "logger")  # groups that a run does not need
_MULTIRUN = ("-m", "--multirun")
_SEARCH = "+search=optuna"
_SLURM = ("+cluster=slurm", "hydra/launcher=submitit_slurm")


_add = ConfigSource._list_add_result


def _add_choice(
    source: ConfigSource, files: list[str], file_path: str, file_name: str, results_filter: ObjectType | None
) -> None:
    if Path(file_name).stem not in PARTS:
        _add(source, files, file_path, file_name, results_filter)


def hide_parts() -> None:
    """Hide configurations that only other ones use, in Hydra's messages and in Tab completion."""
    ConfigSource._list_add_result = _add_choice  # type: ignore[method-assign, assignment]


def checked(folder: str, arguments: Sequence[str]) -> list[str]:
    """Check the arguments, and replace ``logger=null`` by ``~logger``, Hydra's syntax for it.

    Args:
        folder: Folder of the configuration.
        arguments: Arguments on the command line.

    Raises:
        ConfigError: A group has no choice, or one that only other choices use; a name or folder is none; or a sweep for
            SLURM on a machine without SLURM.
    """
    groups = {path.name for path in Path(folder).iterdir() if path.is_dir()}
    for word in arguments:
        _check_place(word)
    _check_launcher(arguments)
    _check_search(arguments)
    return [_checked(folder, word) if word.partition("=")[0] in groups else word for word in arguments]


def _check_place(word: str) -> None:
    """Check the name or the output folder of a run or evaluation, before Hydra creates the folder.

    Raises:
        ConfigError: The name is empty or leaves its folder, or the folder is the current one or contains it.
    """
    key, _, value = word.partition("=")
    value = value.strip("'\"")
    if key == "name" and (value in ("", ".", "null") or ".." in Path(value).parts or Path(value).is_absolute()):
        raise ConfigError(f"{word}: expected a name, which becomes part of the path of the output folder.")
    if key == "folder" and value != "null" and Path(value).absolute() in (Path.cwd(), *Path.cwd().parents):
        raise ConfigError(f"{word}: expected a folder for the output alone, not the current one or one above it.")


def check_flags(folder: str, entry: str, config: DictConfig) -> None:
    """Check that Boolean settings of a command are true or false.

    Args:
        folder: Folder of the configuration.
        entry: Name of the entry file.
        config: Composed configuration.

    Raises:
        ConfigError: A value is neither true nor false.
    """
    for key, default in yaml.safe_load(Path(folder, f"{entry}.yaml").read_text("utf-8")).items():
        if isinstance(default, bool) and not isinstance(config[key], bool):
            raise ConfigError(f"{key}={config[key]}: expected true or false.")


def _checked(folder: str, word: str) -> str:
    group, _, value = word.partition("=")
    if value in ("null", "") and group in _DISPENSABLE:
        return f"~{group}"
    chosen = set(value.split(","))
    if chosen & {"null", ""} or chosen & PARTS:
        names = sorted(path.stem for path in Path(folder, group).glob("*.yaml") if path.stem not in PARTS)
        raise ConfigError(f"{word} is not a choice: set {group}= to one of {', '.join(names)}.")
    return word


def _check_search(arguments: Sequence[str]) -> None:
    if _named(arguments, (_SEARCH,), "chooses the values of several jobs") is None:
        return
    if find_spec("optuna") is None:
        raise ConfigError(f"{_SEARCH} needs: pip install 'relcon-lightning[optuna]'.")


def _check_launcher(arguments: Sequence[str]) -> None:
    named = _named(arguments, _SLURM, "submits the jobs of a sweep")
    if named is not None and shutil.which("srun") is None:
        raise ConfigError(
            f"{named} needs SLURM, but this machine has no srun: start on a machine of the cluster, or leave "
            f"{named} out to train here."
        )


def _named(arguments: Sequence[str], words: Sequence[str], what: str) -> str | None:
    """The first argument that needs several jobs; None if there is none, or if only help is requested.

    Raises:
        ConfigError: The arguments do not request several jobs (``-m``).
    """
    named = next((word for word in arguments if word in words), None)
    if named is None or any(word.startswith("-") and word not in _MULTIRUN for word in arguments):
        return None
    if not set(_MULTIRUN) & set(arguments):
        raise ConfigError(f"{named} {what}: add -m (relcon-pretrain -m {named} ...).")
    return named
