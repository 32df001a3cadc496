"""What ``--help`` lists of the configuration: ``${values:eval}`` and ``${choices:data}`` in the templates there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from omegaconf import OmegaConf

PARTS = {"base", "candidates"}  # what several choices of a group share; no choice of its own
_WIDTH = 118


def register(folder: str) -> None:
    """Make the lists available to the templates.

    Args:
        folder: The configuration's.
    """
    OmegaConf.register_new_resolver("values", lambda entry: _escaped(values(folder, entry)), replace=True)
    OmegaConf.register_new_resolver("choices", lambda *groups: _escaped(choices(folder, groups)), replace=True)


def values(folder: str, entry: str) -> str:
    """The values that an entry file sets itself, with their comments, as they stand there."""
    lines = Path(folder, f"{entry}.yaml").read_text("utf-8").splitlines()
    kept, section = [], ""
    for line in lines:
        if line and not line.startswith((" ", "#")):
            section = line.partition(":")[0]
        if section not in ("", "defaults", "hydra"):
            kept.append(f"  {line}".rstrip())
    return "\n".join(kept).rstrip()


def choices(folder: str, groups: Iterable[str]) -> str:
    """A line a group: its name and its choices."""
    lines = []
    for group in groups:
        names = ", ".join(sorted(path.stem for path in Path(folder, group).glob("*.yaml") if path.stem not in PARTS))
        lines += textwrap.wrap(names, _WIDTH, initial_indent=f"  {group:<14}", subsequent_indent=16 * " ")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Hydra substitutes what begins with a dollar."""
    return text.replace("$", "$$")
