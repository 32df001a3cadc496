"""``from_run=PATH``: repeat the command line of an earlier run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from relcon_lightning.cli.recorded import key_of, read_bounded, read_overrides, taken
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.record import differences, load_record

log = logging.getLogger(__name__)


def expand(arguments: list[str], folder: Path) -> list[str]:
    """Put the arguments of the run in ``from_run=`` before the given ones, which take precedence.

    Args:
        arguments: Arguments on the command line.
        folder: Configuration folder.

    Raises:
        ConfigError: There is no run, or it has overrides that are not accepted from a file.
    """
    source = next((word.split("=", 1)[1] for word in arguments if word.startswith("from_run=")), None)
    if source in (None, "null"):
        return arguments
    run = Path(str(source))
    given = {key_of(word) for word in arguments if "=" in word or word.startswith("~")}
    own = _config_folders(arguments)
    if not own and _used_another_folder(run):
        raise ConfigError(f"{run} used its own configuration folder: add --config-dir FOLDER.")
    kept = taken(read_overrides(run / ".hydra" / "overrides.yaml"), given, [folder, *own], run)
    if "name" not in given:
        kept.append(f"name={run.name}-again")
    return [*kept, *arguments]


def report_differences(source: str, record: dict[str, Any]) -> None:
    """Log the differences between this run and the one that it repeats.

    Raises:
        ConfigError: The earlier run has no record.
    """
    try:
        found = differences(load_record(Path(source)), record)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{source} is not a run that can be repeated: its run.json is damaged.") from error
    if found:
        log.warning("This run can differ from %s:\n  %s", source, "\n  ".join(found))


def _config_folders(arguments: list[str]) -> list[Path]:
    """Folders that follow ``--config-dir`` in the arguments."""
    words = zip(arguments, [*arguments[1:], ""], strict=True)
    following = [Path(after) for word, after in words if word in ("--config-dir", "-cd")]
    return following + [Path(word.split("=", 1)[1]) for word in arguments if word.startswith("--config-dir=")]


def _used_another_folder(run: Path) -> bool:
    content = read_bounded(run / ".hydra" / "hydra.yaml")
    try:
        sources = content["hydra"]["runtime"]["config_sources"]
        return any(source["provider"] == "command-line" for source in sources)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{run} is not a run that can be repeated: its .hydra/hydra.yaml is damaged.") from error
