"""Read the command line in the folder of a run, which may come from an untrusted source.

An override could name classes to import, folders to write to and files to read. Only choices of groups, numbers, plain
words and the paths of training data are used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from relcon_lightning.errors import ConfigError

_MOST_BYTES, _MOST_BRACKETS = 2**16, 500
_PLACES = {"name", "folder", "run_dir", "job_type", "overwrite", "resume", "from_run", "cluster", "hydra/launcher"}
_PLACED = ("paths.", "logger.", "hydra.")  # locations and logging, which the new run sets itself
_READ = {"data.root", "data.raw_dir", "data.stores", "data.split", "data.datamodule.split", "model.distance_checkpoint"}
_WRITTEN = {"folder", "dirpath", "save_dir", "dir", "default_root_dir", "path", "plugins", "url", "entity"}
_KEY = re.compile(r"\+{0,2}[A-Za-z]\w*([./]\w+)*|~\w+(\.\w+)*")
_WORD = r"(?:[A-Za-z_][\w+-]*|[+-]?\d[\w+-]*(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+)"
_VALUE = re.compile(rf"{_WORD}|\[(?:{_WORD}(?:, ?{_WORD})*)?\]|")
_PLACE = re.compile(r"[^$]*")


def read_overrides(path: Path) -> list[str]:
    """The overrides in the ``overrides.yaml`` of a run.

    Raises:
        ConfigError: The file cannot be read, or does not contain a list of words.
    """
    words = read_bounded(path)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{path} does not record a run that can be repeated: expected a list of key=value.")
    return words


def read_bounded(path: Path) -> Any:
    """Read a small YAML file. Aliases are refused, because they can expand to any size.

    Raises:
        ConfigError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES >> 10} KiB")
        if content.count(b"[") + content.count(b"{") > _MOST_BRACKETS:  # the parser's time is quadratic in their depth
            raise ValueError(f"more than {_MOST_BRACKETS} brackets")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)):
            raise ValueError("it has aliases")
        return yaml.safe_load(content)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path.parent.parent} is not a run that can be repeated: {path} cannot be read "
            f"({str(error).splitlines()[0]})."
        ) from error


def taken(words: Sequence[str], given: Collection[str], folders: Sequence[Path], where: Path) -> list[str]:
    """Select the overrides that the new run uses.

    Args:
        words: Overrides of the earlier run.
        given: Keys on the current command line, which take precedence.
        folders: Configuration folders; their sub-folders are groups.
        where: Path of the earlier run, for the error.

    Raises:
        ConfigError: Some overrides could import code or access other folders, and the current command line does not set
            these keys.
    """
    elsewhere = {*given, *_PLACES}
    own = [word for word in words if (key := key_of(word)) not in elsewhere and not key.startswith(_PLACED)]
    refused = [word for word in own if not _is_plain(word, folders)]
    if refused:
        shown = " ".join(map(repr, refused[:5]))
        raise ConfigError(
            f"{where} has overrides that could import code or access other folders. They are not taken from a file: "
            f"{shown}. If you trust them, add them to this command, or set other values for the same keys."
        )
    return own


def key_of(word: str) -> str:
    """The key of an override."""
    return word.lstrip("+~").split("=", 1)[0]


def _is_plain(word: str, folders: Sequence[Path]) -> bool:
    prefixed, equals, value = word.partition("=")
    key = key_of(word)
    if not _KEY.fullmatch(prefixed) or bool(equals) == word.startswith("~"):
        return False
    groups = [folder / key for folder in folders if (folder / key).is_dir()]
    if groups and equals:
        return bool(re.fullmatch(r"\w+", value)) and any((group / f"{value}.yaml").is_file() for group in groups)
    last = key.rsplit(".", 1)[-1]
    if last.startswith("_") or last in _WRITTEN or "/" in key:
        return False
    if key in _READ:
        return bool(_PLACE.fullmatch(value)) and "://" not in value and "_target_" not in value
    return bool(_VALUE.fullmatch(value))
