"""Compilation of the motif distance."""

from __future__ import annotations

import logging

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from relcon_lightning.nets import MotifDistance

log = logging.getLogger(__name__)


class Compilation(Callback):
    """Compiles the motif distance before the first step, so that compilation does not halt a progress bar.

    It is needed for validation with ``model=distance``, and for each step of methods that rank by a frozen distance.

    Args:
        enabled: False: do not compile.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    @torch.no_grad()
    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute the distance of two windows, which compiles."""
        if not self.enabled:
            return
        for distance in (module for module in pl_module.modules() if isinstance(module, MotifDistance)):
            if trainer.is_global_zero:
                log.info("Compiling the motif distance. This takes up to half a minute the first time on a machine.")
            training = distance.training
            distance.fused = True
            distance.eval()
            window = trainer.datamodule.window  # type: ignore[attr-defined]
            distance.in_batch(torch.zeros(2, 3, window, device=pl_module.device))
            distance.train(training)
