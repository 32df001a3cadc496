"""Suggest the nearest existing name for a misspelt key or choice on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from relcon_lightning.cli.usage import PARTS
from relcon_lightning.runs.record import flat


def suggestions(folder: str, entry: str, overrides: Sequence[str]) -> list[str]:
    """Suggest overrides ``key=value`` for those that cannot be composed.

    Args:
        folder: Folder of the configuration.
        entry: Name of the entry file, such as ``pretrain``.
        overrides: Arguments of the command line; options (``-m``) and added keys (``+key``) are ignored.
    """
    pairs = [word.partition("=")[::2] for word in overrides if "=" in word and word[0] not in "+~-'\""]
    groups = {path.name: _choices(path) for path in Path(folder).iterdir() if path.is_dir()}
    wanted = [f"{key}={value}" for key, value in pairs if value in groups.get(key, ())]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(folder, version_base="1.3"):
            config = OmegaConf.to_container(compose(entry, wanted, return_hydra_config=True))
    except HydraException:  # Hydra has already reported the error
        return []
    assert isinstance(config, dict)
    keys = set(_with_parents(flat({str(key): value for key, value in config.items()})))
    return [meant for key, value in pairs if (meant := _nearest(key, value, groups, keys))]


def _nearest(key: str, value: str, groups: dict[str, list[str]], keys: set[str]) -> str | None:
    if key in groups:
        unknown = [choice for choice in value.split(",") if choice.isidentifier() and choice not in groups[key]]
        near = [match for choice in unknown for match in get_close_matches(choice, groups[key], n=1)]
        return f"{key}={','.join(near)}" if near else None
    if key in keys:
        return None
    near = get_close_matches(key, [*keys, *groups], n=1, cutoff=0.75)
    near = [name for name in near if name not in groups or value in groups[name]] or _same_ending(key, keys)
    return f"{near[0]}={value}" if near else None


def _same_ending(key: str, keys: set[str]) -> list[str]:
    """The only key that ends in this name, such as ``trainer.max_steps`` for ``max_steps``; empty if not unique."""
    found = [known for known in keys if known.endswith(f".{key}") and not known.startswith("hydra.")]
    return found if len(found) == 1 else []


def _choices(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.yaml") if path.stem not in PARTS]


def _with_parents(keys: dict[str, object]) -> Iterator[str]:
    for key in keys:
        parts = key.split(".")
        yield from (".".join(parts[:n]) for n in range(1, len(parts) + 1))
