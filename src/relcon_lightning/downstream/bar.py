"""A progress bar per system of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_FITS = 28  # characters of a system's name, so that a line fits 80 columns

T = TypeVar("T")


class Bars:
    """Progress of the system that is being evaluated. Embedding windows has a second bar below.

    Args:
        steps: Number of steps per system: seeds times folds, times targets of a regression.
        console: Console to draw on; None: the terminal.
    """

    def __init__(self, steps: int, console: Console | None = None) -> None:
        columns = (BarColumn(bar_width=14), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[now]}"))
        self._display = Progress("{task.description}", *columns, console=console)
        self._steps, self._task = steps, TaskID(0)

    @contextmanager
    def of(self, systems: Sequence[str]) -> Iterator[Bars]:
        """Draw while the block runs, with aligned names."""
        width = min(_FITS, max(map(len, systems)))
        self._names = {name: (name if len(name) <= _FITS else f"{name[: _FITS - 1]}…").ljust(width) for name in systems}
        with self._display:
            yield self

    def begin(self, system: str) -> None:
        """Start the bar of the next system."""
        self._task = self._display.add_task(self._names[system], total=self._steps, now="features")

    def folds(self, folds: Iterable[T], what: str) -> Iterator[T]:
        """Iterate over folds, one step per fold; ``what`` describes each, such as ``seed 0``."""
        for number, fold in enumerate(folds, 1):
            self._display.update(self._task, now=f"{what}, fold {number}")
            yield fold
            self._display.update(self._task, advance=1, now="")
