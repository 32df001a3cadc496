"""``from_run=PATH``: repeat the command line of an earlier run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from relcon_lightning.errors import ConfigError
from relcon_lightning.record import differences, load_record

log = logging.getLogger(__name__)

_OF_THAT_RUN_ALONE = {"name", "overwrite", "resume", "from_run"}


def expand(arguments: list[str]) -> list[str]:
    """The arguments, after those of the run in ``from_run=``; the given arguments take precedence.

    Raises:
        ConfigError: The folder does not contain a run.
    """
    source = next((word.split("=", 1)[1] for word in arguments if word.startswith("from_run=")), None)
    if source in (None, "null"):
        return arguments
    folder = Path(source)
    given = {_key(word) for word in arguments if "=" in word}
    recorded = [str(word) for word in _read(folder / ".hydra" / "overrides.yaml")]
    kept = [word for word in recorded if _key(word) not in given | _OF_THAT_RUN_ALONE]
    if "name" not in given:
        kept.append(f"name={folder.name}-again")
    if "--config-dir" not in arguments:
        kept = [*_config_folder(folder), *kept]
    return [*kept, *arguments]


def report_differences(source: str, record: dict[str, Any]) -> None:
    """Report the differences between this run and the one that it repeats."""
    found = differences(load_record(Path(source)), record)
    if found:
        log.warning("This run can differ from %s:\n  %s", source, "\n  ".join(found))


def _key(word: str) -> str:
    return word.lstrip("+~").split("=", 1)[0]


def _config_folder(folder: Path) -> list[str]:
    sources = _read(folder / ".hydra" / "hydra.yaml")["hydra"]["runtime"]["config_sources"]
    paths = [source["path"] for source in sources if source["provider"] == "command-line"]
    return ["--config-dir", paths[0]] if paths else []


def _read(path: Path) -> Any:
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"{path.parent.parent} is not a run that can be repeated: {path} cannot be read.") from error
