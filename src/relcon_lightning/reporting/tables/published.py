"""The numbers that the paper prints, from ``published.yaml``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def published() -> dict[str, Any]:
    """Numbers by table, in the structure of the file; each cell is the printed text."""
    text = files("relcon_lightning.reporting.tables").joinpath("published.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def quoted(*path: str) -> str:
    """Text of a cell; a dash if the paper has none."""
    node: Any = published()
    for name in path:
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, str) else "-"
