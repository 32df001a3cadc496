"""Escape text for Markdown pages."""

from __future__ import annotations

from html import escape

import pandas as pd


def inline(value: object) -> str:
    """Escape a value for one line or one table cell, so that it cannot add HTML, links, images or lines."""
    text = escape(" ".join(str(value).split()), quote=False)
    return text.replace("|", "\\|").replace("](", "]\\(")


def markdown_table(table: pd.DataFrame) -> list[str]:
    """Lines of a table; the index is the first column."""
    rows = zip(table.index, table.to_numpy(), strict=True)
    return [
        "| " + " | ".join(["", *map(inline, table.columns)]) + " |",
        "|---" * (len(table.columns) + 1) + "|",
        *("| " + " | ".join([inline(name), *map(inline, row)]) + " |" for name, row in rows),
    ]
