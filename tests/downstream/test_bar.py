"""An evaluation shows how far it is, within 80 columns."""

from __future__ import annotations

import io
import re

from rich.console import Console

from relcon_lightning.downstream import bar


def test_each_system_has_a_line_of_80_columns_that_counts_seeds_and_folds():
    drawn = io.StringIO()
    names = ["relcon", "hand-crafted + forest", "relcon temperature=0.1 encoder=resnet34 seed=3"]
    with bar.Bars(4, Console(file=drawn, width=80, force_terminal=True)).of(names) as bars:
        for name in names:
            bars.begin(name)
            for seed in (0, 1):
                assert list(bars.folds("ab", f"seed {seed}")) == ["a", "b"]
                bars._display.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.getvalue())
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain)]
    assert max(map(len, lines)) <= 80
    assert sum("2/4" in line for line in lines) >= 3
    last = [line for line in lines if line][-3:]
    assert [line[:28].strip() for line in last] == ["relcon", "hand-crafted + forest", "relcon temperature=0.1 enco…"]
    assert all(" 4/4 " in line for line in last)
