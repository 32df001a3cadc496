from __future__ import annotations

import pandas as pd
import pytest

from relcon_lightning.markdown import inline, markdown_table


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("walk | run", "walk \\| run"),
        ("anna\n\n# Heading\r\n- item", "anna # Heading - item"),
        ("![x](http://example.org/pixel.png)", "![x]\\(http://example.org/pixel.png)"),
        ("A & B, 3 < 4", "A &amp; B, 3 &lt; 4"),
        (0.5, "0.5"),
        ("**best**", "**best**"),
    ],
)
def test_a_name_is_text_on_one_line(name, expected):
    assert inline(name) == expected


def test_a_table_has_a_line_for_each_row_whatever_its_names_are():
    table = pd.DataFrame({"a|b": ["<img src=x>", "y\nz"]}, index=["one\ntwo", "three"])
    assert markdown_table(table) == [
        "|  | a\\|b |",
        "|---|---|",
        "| one two | &lt;img src=x&gt; |",
        "| three | y z |",
    ]
