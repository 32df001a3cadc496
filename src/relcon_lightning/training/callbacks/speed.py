"""Speed of training, and the share of time spent waiting for data."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from relcon_lightning.batch import CandidateBatch


class Speed(Callback):
    """Logs ``time/anchors_per_s`` (all ranks) and ``time/waiting_share``, the share of a step spent waiting for data.

    Both cover the time since the last logged value, without validation. The time of loggers and other callbacks between
    two steps counts as waiting, so the share is an upper bound.
    """

    def __init__(self) -> None:
        self.begun: float | None = None  # start of the time between two steps
        self.anchors, self.waited, self.total = 0, 0.0, 0.0
        self.started = 0.0
        self.logged = 0  # step of the last logged values; a step can have several batches

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: CandidateBatch, _: int
    ) -> None:
        """Note the time at which the batch arrived."""
        self.started = time.perf_counter()
        if self.begun is not None:
            self.waited += self.started - self.begun
            self.total += self.started - self.begun
            self.anchors += len(batch) * trainer.world_size

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Note the time at which the step ended, and log."""
        if self.begun is not None:  # skip the first step, which compiles and warms up
            self.total += time.perf_counter() - self.started
        step, every = trainer.global_step, trainer.log_every_n_steps  # type: ignore[attr-defined] # set by its connector
        if self.total and step != self.logged and every and (step % every == 0 or trainer.should_stop):
            share, rate = self.waited / self.total, self.anchors / self.total
            pl_module.log_dict({"time/waiting_share": share, "time/anchors_per_s": rate})
            self.anchors, self.waited, self.total = 0, 0.0, 0.0
            self.logged = step
        self.begun = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Exclude validation from the waiting time."""
        self.begun = time.perf_counter()
