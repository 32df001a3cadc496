"""Runs of eight steps, and what is compared of them."""

from __future__ import annotations

import pandas as pd
import torch

from tests.integration.commands import TINY

STEPS = 8
EIGHT = [*TINY, f"trainer.max_steps={STEPS}", "trainer.val_check_interval=3"]
METHODS = {
    "distance": ["model=distance"],
    "relcon": ["model=relcon", "model.distance_checkpoint=runs/watch/distance/seed0"],
    "simclr": ["model=simclr"],
    "byol": ["model=byol"],
}
NOW = "+callbacks.stop._target_=tests.integration.stopping."


def metrics(made):
    """Logged values of a run, in the order of their steps; the time that something took is not one of them."""
    table = pd.read_csv(made / "csv" / "metrics.csv")
    return {
        name: table.dropna(subset=name).set_index("step")[name]
        for name in table.columns
        if name not in ("step", "epoch") and not name.startswith("time/")
    }


def content(made):
    return torch.load(made / "checkpoints" / "last.ckpt", weights_only=True)


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def values(made):
    """Each (step, metric) as often as ``metrics.csv`` has it."""
    table = pd.read_csv(made / "csv" / "metrics.csv").drop(columns="epoch").melt("step").dropna()
    table = table[~table["variable"].str.startswith("time/")]
    return sorted(zip(table["step"], table["variable"], table["value"], strict=True))
