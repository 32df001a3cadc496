"""Training a run for longer than it was planned."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau


class LongerSchedule(Callback):
    """Puts the learning rate where the schedule of the new length has it after the steps that are done.

    A cosine over 100 steps has ended after 100. Going on to 200, the rate is that of step 100 of a cosine over 200.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Step each schedule from its beginning to the step of the run."""
        for config in trainer.lr_scheduler_configs:
            schedule = config.scheduler
            if isinstance(schedule, ReduceLROnPlateau):  # follows a metric, not the step
                continue
            for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
                group["lr"] = rate
            schedule.last_epoch = 0
            for _ in range(trainer.global_step):
                schedule.step()
