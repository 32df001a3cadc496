from __future__ import annotations

import pytest

from relcon_lightning.wording import counted


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1, "run"), "1 run"),
        ((0, "run"), "0 runs"),
        ((1200, "recording"), "1,200 recordings"),
        ((1, "person", "people"), "1 person"),
        ((3, "person", "people"), "3 people"),
    ],
)
def test_a_number_agrees_with_its_noun(arguments, expected):
    assert counted(*arguments) == expected
