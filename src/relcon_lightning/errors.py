"""The errors of this package: a mistake in the data, a mistake in the configuration, a training that went astray.

They name the file, key or participant at fault, say what was expected and how to mend it. The commands print
their message without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path


class DataError(ValueError):
    """Data on disk or in a recording that cannot be used as it is."""


class ConfigError(ValueError):
    """A configuration value that cannot work, found before any work starts."""


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is not a number."""


class Preempted(RuntimeError):
    """A training that was asked to end before it was done, and has saved.

    Args:
        message: Text to print.
        first_rank: True on the process that reports for all ranks.
    """

    def __init__(self, message: str, first_rank: bool = True) -> None:
        super().__init__(message)
        self.first_rank = first_rank


class Interrupted(Preempted):
    """A training that a person ended with Ctrl-C."""


def nearest(name: str, names: Iterable[str]) -> str:
    """A suggestion to append to an error, or nothing."""
    lower = {other.lower(): other for other in names}
    return _did_you_mean(name.lower(), lower)


def nearest_path(path: str | Path) -> str:
    """As :func:`nearest` for a path that does not exist: what is named like the first part of it that is missing."""
    path = Path(path)
    missing = next((part for part in (*reversed(path.parents), path) if not part.exists()), None)
    if missing is None or not missing.parent.is_dir():
        return ""
    rest = path.relative_to(missing)
    return _did_you_mean(missing.name, {other.name: str(other / rest) for other in missing.parent.iterdir()})


def _did_you_mean(word: str, meant: Mapping[str, str]) -> str:
    """What the key that is most like the word stands for."""
    close = get_close_matches(word, meant, 1)
    return f" (did you mean {meant[close[0]]!r}?)" if close else ""
