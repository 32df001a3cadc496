"""Find checkpoints in the folder of a run, in an exported folder, or in the package. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relcon_lightning.errors import ConfigError, nearest_path, taken

LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")  # in the folder of a run
CONFIG, WEIGHTS = "config.json", "model.safetensors"  # in an exported folder
HUB = "hf://"
_LOADERS = ("load_distance", "load_embedding_distance")  # functions of this package that read a checkpoint
_SHIPPED = Path(__file__).parents[1] / "pretrained"


def shipped() -> dict[str, Path]:
    """Encoders that come with the package: mapping from name to exported folder."""
    return {folder.name: folder for folder in sorted(_SHIPPED.iterdir()) if (folder / CONFIG).is_file()}


def located(path: str | Path) -> Path | str:
    """The path itself; if it does not exist and is a name of :func:`shipped`, the folder of that encoder.

    An address on the Hub is returned unchanged.
    """
    if str(path).startswith(HUB):
        return str(path)
    return Path(path) if Path(path).exists() else shipped().get(str(path), Path(path))


def shipped_name(path: str | Path) -> str | None:
    """Name of the encoder of :func:`shipped` that is in a folder; None if it is another folder."""
    return next((name for name, folder in shipped().items() if Path(path) == folder), None)


def file_of(found: Path) -> Path:
    """The checkpoint file of a run's folder, or the path itself if it is not a folder.

    Raises:
        ConfigError: There is no such file.
    """
    path = found / LAST if found.is_dir() else found
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"{path} is a link to {path.readlink()}, which does not exist: correct the link or the path.")
    if not path.is_file():
        raise ConfigError(
            f"There is no checkpoint at {path}{nearest_path(path)}. Train one with relcon-pretrain, or correct the "
            "path."
        )
    return path


def check_replaceable(folder: str | Path, overwrite: bool) -> None:
    """Check that an encoder can be exported to a folder.

    Args:
        folder: Output folder.
        overwrite: True: replace an exported encoder.

    Raises:
        ConfigError: The folder exists, and is not an exported encoder that may be replaced.
    """
    path = Path(folder)
    if not str(folder):
        raise ConfigError("to= is empty: give the output folder.")
    if not path.exists():
        return
    if path.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise ConfigError(f"to={folder} is the folder of the command, or contains it: choose another to=.")
    if not overwrite:
        raise taken(path, "to")
    if not path.is_dir() or (any(path.iterdir()) and not ((path / CONFIG).is_file() and (path / WEIGHTS).is_file())):
        raise ConfigError(
            f"{path} is not an exported encoder, so overwrite=true does not replace it: choose another to=."
        )


def require(path: str | Path) -> None:
    """Check that there is a checkpoint, without reading it; an address on the Hub is not looked up.

    Raises:
        ConfigError: There is none.
    """
    found = located(path)
    if isinstance(found, Path) and not (found / CONFIG).is_file():
        file_of(found)


def require_distance(path: str | Path | None) -> str | Path:
    """Return the path of the checkpoint of a distance, after the check of :func:`require`.

    Raises:
        ConfigError: No path is given, or there is no checkpoint.
    """
    if path is None:
        raise ConfigError(
            "model.distance_checkpoint must be given: the folder of a run with model=distance, or with "
            "ranking=embedding, of a run that trained an encoder."
        )
    require(path)
    return path


def reads_checkpoint(distance: Mapping[str, Any] | None) -> bool:
    """True if the configuration of a distance loads it from a checkpoint."""
    return str((distance or {}).get("_target_", "")).rsplit(".", 1)[-1] in _LOADERS
