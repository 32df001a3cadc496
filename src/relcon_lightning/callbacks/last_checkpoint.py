"""Saving the last step: when a run is done, and when a scheduler takes the machine back."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from relcon_lightning.errors import Preempted

_BEFORE_THE_LIMIT: signal.Signals | None = getattr(signal, "SIGUSR2", None)  # Windows has none


class LastCheckpoint(Callback):
    """Writes ``last.ckpt`` after the last step, or after the step in which a scheduler asked to end, and stops then.

    It asks by SIGTERM when it takes the machine back, or by SIGUSR2 some time before the limit. Who listened to the
    latter before, as submitit does to queue the job again, has its turn when all is saved.

    ModelCheckpoint leaves the steps since its last interval unsaved at the end. Ranks agree on stopping, wherever the
    signal arrived; Lightning's own handler communicates inside the signal handler, which can meet another rank in the
    middle of its step.

    Args:
        folder: Of the checkpoints.

    Raises:
        Preempted: From training.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.asked, self.ends = 0, False
        self._listened: Any = None  # to SIGUSR2 before

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take SIGTERM over from Lightning, which puts the handler before it back at the end, and SIGUSR2."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)
            if _BEFORE_THE_LIMIT is not None:
                self._listened = signal.signal(_BEFORE_THE_LIMIT, self._note)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save if this is the end, for all ranks if any of them was asked to."""
        self.ends = trainer.strategy.reduce_boolean_decision(bool(self.asked), all=False)
        if self.ends or trainer.global_step == trainer.max_steps:
            trainer.save_checkpoint(self.path)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Stop; only now has the step before been logged."""
        if self.ends:
            if self.asked == _BEFORE_THE_LIMIT and callable(self._listened):
                self._listened(self.asked, None)
            raise Preempted(
                f"Asked to end, after {trainer.global_step} steps. Go on with resume=auto: {self.path}",
                trainer.is_global_zero,
            )

    def on_train_end(self, *_: Any) -> None:
        """Give SIGUSR2 back."""
        if _BEFORE_THE_LIMIT is not None and self._listened is not None:
            signal.signal(_BEFORE_THE_LIMIT, self._listened)

    def on_exception(self, *_: Any) -> None:
        """Give SIGUSR2 back."""
        self.on_train_end()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.asked = signum
