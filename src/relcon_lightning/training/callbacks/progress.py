"""Progress bar of a training that shows only losses."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import BarColumn, ProgressColumn
from rich.table import Column

_FORMAT = ".5g"  # enough digits to show changes, few enough to fit


class Progress(RichProgressBar):
    """Lightning's progress bar on one line of 80 columns: steps, time, speed, training and validation loss.

    Args:
        **kwargs: Arguments of Lightning's progress bar.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(theme=RichProgressBarTheme(metrics_format=_FORMAT), **kwargs)

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Metrics next to the bar, with short names and without the version of the logger."""
        metrics: dict[str, Any] = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {{"train/loss": "loss", "val/loss": "val"}.get(name, name): value for name, value in metrics.items()}

    def _init_progress(self, trainer: L.Trainer) -> None:  # Lightning has no public hook for the bar that it creates
        super()._init_progress(trainer)
        if self.progress is None:
            return
        for column in self.progress.columns:  # the bar takes the rest of the line, so that one line is enough
            if isinstance(column, BarColumn):
                column.bar_width = None
            elif isinstance(column, ProgressColumn):
                column._table_column = Column(no_wrap=True)  # rich takes it only when a column is created

    def _get_train_description(self, current_epoch: int) -> str:  # only the description of validation has a public hook
        return "Training  "  # one endless epoch; as long as "Validation"
