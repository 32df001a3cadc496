"""PyTorch's profiler on a few steps of a run."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch.profilers import PyTorchProfiler

_WARM_UP = 1  # steps whose measurements are discarded


class StepProfiler(PyTorchProfiler):
    """Profiles some steps: a table of operations in ``fit-FILENAME.txt`` and a trace for ``ui.perfetto.dev``.

    A run that ends before these steps is not profiled, and the table says so.

    Args:
        dirpath: Folder for the table and the trace.
        filename: Part of the names of both files.
        first: First step that is profiled, 3 or more.
        steps: Number of steps that are profiled.
        row_limit: Maximum number of operations in the table.
    """

    def __init__(
        self, dirpath: str | Path, filename: str = "torch", first: int = 6, steps: int = 5, row_limit: int = 40
    ) -> None:
        schedule = torch.profiler.schedule(wait=first - _WARM_UP, warmup=_WARM_UP, active=steps, repeat=1)
        super().__init__(dirpath=dirpath, filename=filename, row_limit=row_limit, schedule=schedule)
        self.needed = first + steps + 1

    def summary(self) -> str:
        """The table, or a line that says why there is none."""
        return super().summary() or f"No step was profiled: the run ended before step {self.needed}.\n"

    def _cache_functions_events(self) -> None:  # called at the end of the run, where Lightning has no public hook
        try:
            super()._cache_functions_events()
        except AssertionError:  # torch raises it if no step was profiled
            self.function_events = None
