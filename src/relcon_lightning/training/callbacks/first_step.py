"""An action after the first training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class FirstStep(Callback):
    """Calls a function once, after the first batch that was trained.

    Args:
        action: Function to call.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.done = False

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        """Call the function."""
        if not self.done:
            self.done = True
            self.action()
