"""Tables of an evaluation, filled while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd

from relcon_lightning.downstream.systems import System


class Tables:
    """Scores, predictions and costs of the systems of an evaluation.

    Args:
        seeds: Number of seeds of the evaluation.
    """

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._scores: list[tuple[str, str, str, int, float]] = []
        self._predictions: list[pd.DataFrame] = []
        self._costs: list[tuple[str, int, float]] = []

    @contextmanager
    def timed(self, system: System[Any]) -> Iterator[None]:
        """Measure the time that a system takes per seed."""
        begin = time.perf_counter()
        yield
        self._costs.append((system.name, system.parameters, (time.perf_counter() - begin) / self._seeds))

    def add(self, system: str, level: str, seed: int, metrics: Mapping[str, float], items: pd.DataFrame) -> None:
        """Add the results of a system with one seed.

        Args:
            system: Name of the system.
            level: Window, recording, or the name of a target.
            seed: Seed.
            metrics: Values of the metrics by name.
            items: Tested windows or recordings, with columns participant, recording, label and predicted.
        """
        self._scores += [(system, level, metric, seed, value) for metric, value in metrics.items()]
        self._predictions.append(pd.DataFrame({"system": system, "level": level, "seed": seed, **items}))

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Scores, predictions and costs, as in :class:`~relcon_lightning.downstream.evaluation.Evaluation`."""
        return (
            pd.DataFrame(self._scores, columns=["system", "level", "metric", "seed", "value"]),
            pd.concat(self._predictions, ignore_index=True),
            pd.DataFrame(self._costs, columns=["system", "parameters", "seconds"]),
        )
