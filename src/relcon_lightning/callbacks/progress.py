"""The progress bar of a training, with the losses alone beside it."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import BarColumn, ProgressColumn
from rich.table import Column

_FORMAT = ".5g"  # digits that move and fit


class Progress(RichProgressBar):
    """Lightning's, on one line of 80 columns: steps, time, speed and the losses of training and validation.

    Args:
        **kwargs: Arguments of Lightning's progress bar.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(theme=RichProgressBarTheme(metrics_format=_FORMAT), **kwargs)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """What stands beside the bar: no version of the logger (a run's name is that of its folder), short names."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {{"train/loss": "loss", "val/loss": "val"}.get(name, name): value for name, value in metrics.items()}

    def _init_progress(self, trainer: L.Trainer) -> None:
        super()._init_progress(trainer)
        if self.progress is None:
            return
        for column in self.progress.columns:  # the bar takes what is left of the line, and nothing needs a second one
            if isinstance(column, BarColumn):
                column.bar_width = None
            elif isinstance(column, ProgressColumn):
                column._table_column = Column(no_wrap=True)

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training  "  # one endless epoch; as long as "Validation"
