"""Validation before the first step."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback


class FirstValidation(Callback):
    """Validates the untrained method, so that later values can be compared with it.

    The value is logged at step -1, because logs count steps from 0 and contain the values after a step. A run that
    resumes from a checkpoint has it already.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Validate as Lightning does between two steps."""
        loop = trainer.fit_loop.epoch_loop
        if trainer.global_step or not trainer.enable_validation:
            return
        trainer.validating = True
        loop._batches_that_stepped = -1  # the step of logged values, which Lightning gives no other access to
        try:
            loop.val_loop.run()
        finally:
            loop._batches_that_stepped = 0
            trainer.training = True
