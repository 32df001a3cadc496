"""Keep the checkpoint with the best value on the validation participants."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_format import CHOSEN, KEY
from relcon_lightning.runs.checkpoint_paths import BEST
from relcon_lightning.training.objective import direction_of

log = logging.getLogger(__name__)

_ALWAYS_LOGGED = "val/loss"


class BestCheckpoint(Callback):
    """Writes ``best.ckpt`` after each validation with a better value of a metric than all validations before it.

    A step is saved when the next one begins, as in StepCheckpoint: the validation has then been logged. The untrained
    network of step 0 is saved too, and is replaced by the first network that is not worse. The file contains the name
    and value of the metric. A run that resumes reads them from the file in its own folder. A file there is ignored
    and replaced if it is from a later step, was chosen by another metric, or cannot be read.

    Args:
        folder: Folder of the checkpoints.
        metric: Name of a logged metric. If it is not logged, for example ``val/knn_f1`` without labels, ``val/loss``
            is used. None: no file is written.
        direction: ``minimize`` or ``maximize``; None: determined by the name, see
            :func:`~relcon_lightning.training.objective.direction_of`.
    """

    def __init__(self, folder: str | Path, metric: str | None = "val/knn_f1", direction: str | None = None) -> None:
        self.path = Path(folder) / BEST.name
        self.metric, self.direction = metric, direction
        self.value: float | None = None
        self.step = 0
        self._started, self._due, self._writes = False, False, False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the file of an earlier run that was never resumed; its folder is now that of a new run."""
        if trainer.ckpt_path is None and trainer.is_global_zero:
            self.path.unlink(missing_ok=True)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare the value with the best so far. The first rank decides for all ranks."""
        if trainer.sanity_checking:
            return
        if not self._started:
            self._start(trainer)
        found = trainer.callback_metrics.get(self.metric or "")
        value = float("nan") if found is None else float(found)
        if trainer.strategy.broadcast(self._is_better(value)):
            self.value, self.step, self._due = value, trainer.global_step, True

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Write the file if the previous step is the best."""
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file if the last step is the best."""
        self._write(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the metric and its value to the entry of ``best.ckpt`` alone; provenance is added before."""
        if self._writes:
            checkpoint[KEY][CHOSEN] = {"metric": self.metric, "value": self.value}

    def _write(self, trainer: L.Trainer) -> None:
        if not self._due:
            return
        self._due, self._writes = False, True
        try:
            trainer.save_checkpoint(self.path)
        finally:
            self._writes = False

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.value is None or (value == self.value and self.step == 0):
            return True
        return value < self.value if self.direction == "minimize" else value > self.value

    def _start(self, trainer: L.Trainer) -> None:
        """Choose the metric once the logged metrics are known, and read the best value of a run that resumes."""
        self._started = True
        if self.metric is None:
            return
        if self.metric not in trainer.callback_metrics:
            if trainer.is_global_zero:
                log.info("%s is not logged: best.ckpt is chosen by %s.", self.metric, _ALWAYS_LOGGED)
            self.metric, self.direction = _ALWAYS_LOGGED, None
        self.direction = self.direction or direction_of(self.metric)
        if self.direction is None:
            self._tell(
                trainer,
                "No best.ckpt is kept: set objective_direction=minimize or maximize, because the "
                "direction of %s is not known.",
                self.metric,
            )
            self.metric = None
        elif trainer.ckpt_path is not None and Path(trainer.ckpt_path).parent.resolve() == self.path.parent.resolve():
            self._read(trainer)

    def _read(self, trainer: L.Trainer) -> None:
        if not self.path.exists():
            return
        try:
            best = Checkpoint.read(self.path)
        except ConfigError as error:
            self._tell(trainer, "The earlier best.ckpt is ignored, and a new one is chosen: %s", error)
            return
        if best.chosen is None or best.chosen.metric != self.metric:
            return
        if best.step is not None and best.step <= trainer.global_step:
            self.value, self.step = best.chosen.value, best.step

    @staticmethod
    def _tell(trainer: L.Trainer, message: str, *values: object) -> None:
        if trainer.is_global_zero:
            log.warning(message, *values)
