"""A ratio means something only if both sides compute the same."""

from __future__ import annotations

import pytest
import torch

from benchmarks.run import measure, pairs

PAIRS = {name: (ours, reference) for name, ours, reference in pairs(batch=3)}


@pytest.mark.parametrize("name", [name for name in PAIRS if "augmentations" not in name])
@torch.no_grad()
def test_the_reference_gives_what_ours_gives(name):
    ours, reference = PAIRS[name]
    torch.testing.assert_close(ours(), reference(), rtol=1e-4, atol=1e-4)


def test_both_sides_run_in_turn_after_a_warm_up():
    calls: list[str] = []
    measure(lambda: calls.append("ours"), lambda: calls.append("reference"), rounds=2)
    assert calls == ["ours", "reference"] * 3
