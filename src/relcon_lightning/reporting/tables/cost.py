"""Estimate the cost of a run before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

_SPEED = "time/anchors_per_s"


def anchors(config: dict[str, Any]) -> int:
    """Number of anchors that a run trains on."""
    trainer, data = config["trainer"], config["data"]
    return int(trainer["max_steps"] * data["batch_size"] * processes(config))


def windows(config: dict[str, Any]) -> int:
    """Number of windows that a run embeds: the anchors and their drawn candidates."""
    return anchors(config) * (1 + int(config["data"]["n_candidates"]))


def processes(config: dict[str, Any]) -> int:
    """Number of devices that train together."""
    trainer = config["trainer"]
    devices = trainer.get("devices", 1)
    own = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else 1
    return own * int(trainer.get("num_nodes", 1))


def seconds(config: dict[str, Any], runs: Path) -> float | None:
    """Estimated duration of a run in seconds, from finished runs of its method on this machine; None if there are none.

    Args:
        config: Configuration of the run.
        runs: Folder of the method, which contains one folder per seed.
    """
    speeds = []
    for path in sorted(runs.glob("seed*/csv/metrics.csv")):
        table = pd.read_csv(path)
        if _SPEED in table and table[_SPEED].notna().any():
            speeds.append(float(table[_SPEED].median()))
    return anchors(config) / pd.Series(speeds).median() if speeds else None


def words(total: float) -> str:
    """Express a duration in words."""
    if total < 90:
        return f"{total:.0f} s"
    return f"{total / 60:.0f} min" if total < 5400 else f"{total / 3600:.1f} h"
