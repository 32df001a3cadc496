"""The numbers that the paper prints, from ``published.yaml``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def published() -> dict[str, Any]:
    """By table, then as the file has them; each cell is text as it was printed."""
    text = files("relcon_lightning.reporting.tables").joinpath("published.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def quoted(*path: str) -> str:
    """A cell; a dash where the paper has none."""
    node: Any = published()
    for name in path:
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, str) else "-"
