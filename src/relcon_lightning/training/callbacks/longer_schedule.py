"""Resume a run with more steps than planned."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau


class LongerSchedule(Callback):
    """Sets the learning rate to that of the schedule with the new length, after the steps that are done.

    For example, a cosine over 100 steps ends after 100. To continue to 200, the rate is that of step 100 of a cosine
    over 200 steps.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Advance each schedule from its beginning to the step of the run."""
        for config in trainer.lr_scheduler_configs:
            schedule = config.scheduler
            if isinstance(schedule, ReduceLROnPlateau):  # depends on a metric, not on the step
                continue
            for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
                group["lr"] = rate
            schedule.last_epoch = 0
            for _ in range(trainer.global_step):
                schedule.step()
