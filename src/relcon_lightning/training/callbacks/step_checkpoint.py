"""Save checkpoints at intervals, with paths that depend only on the folder of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class StepCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, but without paths in checkpoints.

    Lightning stores the path of the previous checkpoint in each checkpoint, and removes that file at the next save. A
    checkpoint of unknown origin could thus remove any file. Here, a resumed run looks in its own folder.

    A step is saved after it has been validated and logged, so that the log of a resumed run is complete.
    """

    _due: tuple[Any, ...] | None = None  # the finished step, until it is saved
    _validated = False  # True after the validation of that step

    def state_dict(self) -> dict[str, Any]:
        """Store no state; all of it follows from the folder."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Ignore the state in the checkpoint."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the checkpoint that the next one replaces; the one that the run resumes from is kept."""
        super().on_train_start(trainer, pl_module)
        if trainer.global_step and self.monitor is None and self.dirpath is not None:
            self.best_model_path = str(_newest(Path(self.dirpath), trainer.global_step) or "")

    def on_train_batch_end(self, trainer: L.Trainer, *step: Any) -> None:
        """Wait for the validation of this step."""
        self._due = step

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait for the next step, because a learning rate may follow from this validation."""
        self._validated = True

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Save the previous step if it is due."""
        self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the last step if it is due."""
        self._save(trainer)
        super().on_train_end(trainer, pl_module)

    def _save(self, trainer: L.Trainer) -> None:
        if self._due is not None:
            super().on_train_batch_end(trainer, *self._due)
            if self._validated:
                super().on_validation_end(trainer, self._due[0])
            self._due, self._validated = None, False


def _newest(folder: Path, step: int) -> Path | None:
    """The latest checkpoint of this run before ``step``."""
    own = [path for path in folder.glob("*.ckpt") if path.stem.isdigit() and path.is_file() and not path.is_symlink()]
    return max((path for path in own if int(path.stem) < step), key=lambda path: int(path.stem), default=None)
