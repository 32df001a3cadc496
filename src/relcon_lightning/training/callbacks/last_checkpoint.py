"""Save the last step, when a run is finished or when a scheduler or a user stops it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from relcon_lightning.errors import Interrupted, Preempted
from relcon_lightning.wording import counted

_BEFORE_THE_LIMIT: signal.Signals | None = getattr(signal, "SIGUSR2", None)  # Windows has none
_SAVING = b"\nCtrl-C: finishing and saving the current step. Press Ctrl-C again to stop at once.\n"


class LastCheckpoint(Callback):
    """Writes ``last.ckpt`` after the last step, or after the step in which a signal arrives, and then stops.

    A scheduler sends SIGTERM when it takes the machine back, or SIGUSR2 some time before the limit. An earlier handler
    of SIGUSR2, such as submitit's, which queues the job again, is called after saving. Ctrl-C has the same effect as
    SIGTERM; a second Ctrl-C ends the run at once.

    ModelCheckpoint does not save the steps since its last interval. All ranks stop at the same step, whichever of them
    received the signal. (Lightning's own handler communicates inside the signal handler, while another rank may be in
    the middle of a step.)

    A step is saved after it has been validated and logged, so that the log of a resumed run is complete.

    Args:
        folder: Folder of the checkpoints.

    Raises:
        Preempted: Training was stopped by a signal.
        Interrupted: Training was stopped by Ctrl-C.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "last.ckpt"
        self.asked, self.ends = 0, False
        self._before: dict[int, Any] = {}  # earlier handlers of the signals

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Handle SIGTERM (instead of Lightning, which restores the earlier handler at the end), SIGUSR2 and Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)
            if _BEFORE_THE_LIMIT is not None:
                self._before[_BEFORE_THE_LIMIT] = signal.signal(_BEFORE_THE_LIMIT, self._note)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not in background jobs of a script
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Decide whether to stop; with accumulated gradients, only after a step of the optimizer."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.ends = trainer.strategy.reduce_boolean_decision(bool(self.asked), all=False)

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Save and stop here, because only now the previous step has been validated and logged."""
        if self.ends:
            trainer.save_checkpoint(self.path)
            listened = self._before.get(self.asked)
            if self.asked == _BEFORE_THE_LIMIT and callable(listened):
                listened(self.asked, None)
            by_hand = self.asked == signal.SIGINT
            raise (Interrupted if by_hand else Preempted)(
                f"{'Interrupted' if by_hand else 'Stopped by a signal'}, after {counted(trainer.global_step, 'step')}. "
                f"Continue with resume=auto: {self.path}",
                trainer.is_global_zero,
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the last step, whatever ended the training, and restore the earlier handlers."""
        if trainer.global_step:
            trainer.save_checkpoint(self.path)
        self._listen_no_more()

    def on_exception(self, *_: Any) -> None:
        """Restore the earlier handlers."""
        self._listen_no_more()

    def _listen_no_more(self) -> None:
        for number, handler in self._before.items():
            if handler is not None and signal.getsignal(number) in (self._note, self._interrupt):
                signal.signal(number, handler)
        self._before = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.asked = signum

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(signum, frame)
        self.asked = signum
        if not getattr(rank_zero_only, "rank", 0):
            os.write(2, _SAVING)  # print could interrupt a write to the same stream
