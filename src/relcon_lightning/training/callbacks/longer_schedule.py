"""Resume a run with more steps than planned."""

from __future__ import annotations

import logging

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch.optim.lr_scheduler import ReduceLROnPlateau

log = logging.getLogger(__name__)


class LongerSchedule(Callback):
    """Sets the learning rate to that of the schedule with the new length, after the completed steps.

    For example, a run with a cosine schedule over 100 steps continues to step 200. Its learning rate is then that of
    step 100 of a cosine over 200 steps. A message states both rates.

    Args:
        planned: Number of steps that the run had before.
    """

    def __init__(self, planned: int) -> None:
        self.planned = planned

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Advance each schedule from its beginning to the step of the run."""
        for config in trainer.lr_scheduler_configs:
            schedule = config.scheduler
            if isinstance(schedule, ReduceLROnPlateau):  # depends on a metric, not on the step
                continue
            groups = schedule.optimizer.param_groups
            before = [float(group["lr"]) for group in groups]
            for group, rate in zip(groups, schedule.base_lrs, strict=True):
                group["lr"] = rate
            schedule.last_epoch = 0
            for _ in range(trainer.global_step):
                schedule.step()
            self._report(type(schedule).__name__, trainer, before[0], float(groups[0]["lr"]))

    @rank_zero_only
    def _report(self, schedule: str, trainer: L.Trainer, before: float, after: float) -> None:
        planned, new = (f"step {steps}" if steps >= 0 else "no step" for steps in (self.planned, trainer.max_steps))
        log.info(
            "The schedule %s now ends at %s instead of %s: the learning rate at step %d changes from %.3g to %.3g.",
            *(schedule, new, planned, trainer.global_step, before, after),
        )
