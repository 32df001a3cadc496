"""Settings on the command line that the chosen method does not read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

# Groups that only some methods read. Others, such as encoder or temperature, may be set for a sweep over methods.
_CHOICES = ("augmentation", "pair", "view", "loss", "ranking")
_REFERENCE = re.compile(r"\$\{(\w+)")


def unread(config: DictConfig, given: Collection[str]) -> list[str]:
    """The keys in ``given`` that have no effect on the method, each with advice.

    The result is empty for the distance, because it is often trained with the same arguments as the run that follows.

    Args:
        config: Composed configuration, with unresolved interpolations.
        given: Keys on the command line, such as ``augmentation`` or ``augmentation.n``.
    """
    content: Any = OmegaConf.to_container(config, resolve=False)
    name = content["model"]["name"]
    if name == "distance":
        return []
    read = _read(content, content["model"]["method"])
    found = []
    for key in sorted(given):
        group = key.rsplit("@", 1)[-1].split(".")[0]  # augmentation@view=NAME sets view
        if group in _CHOICES and group not in read:
            other = " or add pair=random, which reads it" if (group, name) == ("augmentation", "simclr") else ""
            found.append(f"{key} has no effect with model={name}: leave it out{other}.")
    return found


def _read(content: dict[str, Any], part: Any) -> set[str]:
    """Top-level keys that a part of the configuration refers to, directly or through other keys."""
    names: set[str] = set()
    coming = set(_references(part))
    while coming:
        name = coming.pop()
        if name not in names:
            names.add(name)
            if name != "model":  # its own keys are read where the method refers to them
                coming |= set(_references(content.get(name)))
    return names


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
    elif isinstance(part, str):
        yield from _REFERENCE.findall(part)
