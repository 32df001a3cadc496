"""Errors of this package: invalid data, invalid configuration, and failed training.

A message names the file, key or participant, and says what was expected and what to do. Commands print it without a
traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: saved, try again later
INTERRUPTED = 130  # exit code of a shell after SIGINT
MISTAKE = 2  # an error that the user can fix
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # errno of an OSError: the disk is full, or the user's quota is used up


class DataError(ValueError):
    """Data on disk or in a recording cannot be used."""


class ConfigError(ValueError):
    """A configuration value is invalid; raised before any work starts."""


class TrainingError(RuntimeError):
    """Training cannot continue, for example because a loss is not a number."""


class Preempted(RuntimeError):
    """Training was stopped by a signal before its end, after saving.

    Args:
        message: Text to print.
        first_rank: True on the process that reports for all ranks.
    """

    def __init__(self, message: str, first_rank: bool = True) -> None:
        super().__init__(message)
        self.first_rank = first_rank


class Interrupted(Preempted):
    """Training was stopped with Ctrl-C."""


def positive(name: str, value: float) -> float:
    """Return the value if it is a finite number above 0.

    Raises:
        ConfigError: It is not. The message names the key.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"{name}={value}: expected a finite number above 0.")
    return value


def whole(name: str, value: int, least: int = 1) -> int:
    """Return the value if it is a whole number and not too small.

    Raises:
        ConfigError: It is not. The message names the key.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name}={value}: expected a whole number, {least} or more.")
    return value


def taken(path: str | Path, option: str) -> ConfigError:
    """Create the error for an output that exists.

    Args:
        path: The output.
        option: Key of a command that names it, such as ``output``.
    """
    return ConfigError(f"{path} exists: choose another {option}=, or replace it with overwrite=true.")


def no_input(path: str | Path) -> DataError:
    """Create the error for recordings that do not exist."""
    return DataError(f"There is no file, folder or cohort store at {path}{nearest_path(path)}.")


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the most similar name, as text to append to an error; empty if no name is similar."""
    lower = {other.lower(): other for other in names}
    return _did_you_mean(name.lower(), lower)


def nearest_path(path: str | Path) -> str:
    """Like :func:`nearest`, for a path that does not exist: suggest an existing name for its first missing part."""
    path = Path(path)
    missing = next((part for part in (*reversed(path.parents), path) if not part.exists()), None)
    if missing is None or not missing.parent.is_dir():
        return ""
    rest = path.relative_to(missing)
    return _did_you_mean(missing.name, {other.name: str(other / rest) for other in missing.parent.iterdir()})


def _did_you_mean(word: str, meant: Mapping[str, str]) -> str:
    """Suggest the value whose key is most similar to the word; empty if no key is similar."""
    close = get_close_matches(word, meant, 1)
    return f" (did you mean {meant[close[0]]!r}?)" if close else ""
