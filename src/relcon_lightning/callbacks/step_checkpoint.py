"""Saving at intervals, with paths that come from the folder of the run alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class StepCheckpoint(ModelCheckpoint):
    """Lightning's, but no path goes into a checkpoint or comes from one.

    Lightning keeps the path of the checkpoint before in each checkpoint, and removes what it finds there at the next
    save: a checkpoint of somebody else could have any file removed. Here a run that goes on looks into its own folder.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing: all of it follows from the folder."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing over."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the checkpoint that the next one replaces; the one that the run goes on from is kept."""
        super().on_train_start(trainer, pl_module)
        if trainer.global_step and self.monitor is None and self.dirpath is not None:
            self.best_model_path = str(_newest(Path(self.dirpath), trainer.global_step) or "")


def _newest(folder: Path, step: int) -> Path | None:
    """The checkpoint of this run with most steps below ``step``."""
    own = [path for path in folder.glob("*.ckpt") if path.stem.isdigit() and path.is_file() and not path.is_symlink()]
    return max((path for path in own if int(path.stem) < step), key=lambda path: int(path.stem), default=None)
