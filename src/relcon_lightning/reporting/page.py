"""A self-contained HTML page of facts, tables and figures that loads nothing from the network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd


def write_page(
    path: str | Path,
    title: str,
    facts: Mapping[str, object],
    tables: Mapping[str, pd.DataFrame],
    images: Mapping[str, bytes],
    note: str = "",
) -> Path:
    """Write the page.

    Args:
        path: Output file; its folder is created if missing.
        title: Title of the page.
        facts: Facts that a reader needs, as a mapping from name to value.
        tables: Mapping from heading to table; the index becomes the first column.
        images: Mapping from caption to PNG.
        note: Text below the tables.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    template = jinja2.Environment(autoescape=True).from_string(
        files("relcon_lightning.reporting").joinpath("page.html.j2").read_text("utf-8")
    )
    encoded = {caption: base64.b64encode(png).decode() for caption, png in images.items()}
    page = template.render(title=title, facts=facts, tables=tables, note=note, images=encoded)
    path.write_text(page, encoding="utf-8")
    return path
