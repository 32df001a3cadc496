"""The value of every curve before the first step."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback


class FirstValidation(Callback):
    """Validates the untrained method, which is what the later values are compared with.

    The logs have it at step -1: they count steps from 0 and hold what was so after that step. A run that goes on from a
    checkpoint has it already.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Validate as Lightning does between two steps."""
        loop = trainer.fit_loop.epoch_loop
        if trainer.global_step or not trainer.enable_validation:
            return
        trainer.validating = True
        loop._batches_that_stepped = -1
        try:
            loop.val_loop.run()
        finally:
            loop._batches_that_stepped = 0
            trainer.training = True
