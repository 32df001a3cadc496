"""Names that others chose, as text of a Markdown page and nothing else."""

from __future__ import annotations

from html import escape

import pandas as pd


def inline(value: object) -> str:
    """A value on one line of a page or in a cell of a table: no HTML, link, picture or further line of its own."""
    text = escape(" ".join(str(value).split()), quote=False)
    return text.replace("|", "\\|").replace("](", "]\\(")


def markdown_table(table: pd.DataFrame) -> list[str]:
    """Lines; the index is the first column."""
    rows = zip(table.index, table.to_numpy(), strict=True)
    return [
        "| " + " | ".join(["", *map(inline, table.columns)]) + " |",
        "|---" * (len(table.columns) + 1) + "|",
        *("| " + " | ".join([inline(name), *map(inline, row)]) + " |" for name, row in rows),
    ]
