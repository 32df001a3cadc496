"""Callbacks that end or disturb a run, for tests of the files that remain."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

STOPPED = Path("stopped")  # file that is created when the callback acts


class InTheMiddle(Callback):
    """Act in the middle of a step, on one rank."""

    def __init__(self, step: int, rank: int = 0) -> None:
        self.step, self.rank = step, rank

    def on_before_optimizer_step(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            self.act()

    def act(self) -> None:
        raise NotImplementedError


class SignalAt(InTheMiddle):
    """Send the process a signal, but not in a job of seed 0."""

    def __init__(self, step: int, name: str = "SIGKILL", rank: int = 0, seed: int = 1) -> None:
        super().__init__(step, rank)
        self.signal, self.seed = getattr(signal, name), seed

    def act(self) -> None:
        if self.seed != 0:
            STOPPED.touch()
            os.kill(os.getpid(), self.signal)


class KillIn(Callback):
    """Kill the process in a hook after a number of steps."""

    def __init__(self, step: int, hook: str) -> None:
        def kill(trainer: Any, *_: Any) -> None:
            if trainer.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)

        setattr(self, hook, kill)


class TermLater(InTheMiddle):
    """Send the process SIGTERM from another process, some time after a step has begun."""

    def act(self) -> None:
        subprocess.Popen(["sh", "-c", f"sleep 2; kill -TERM {os.getpid()}"])


class HangAt(InTheMiddle):
    """Never end a step, on one rank."""

    def act(self) -> None:
        STOPPED.touch()
        time.sleep(3600)


class EndAt(Callback):
    """End the training as early stopping or a time limit does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        trainer.should_stop = trainer.global_step == self.step


class PoisonAt(Callback):
    """Put a NaN into the first anchor of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            batch["anchor"][0, 0, 0] = float("nan")


class FailAt(InTheMiddle):
    """Raise in the middle of a step, on one rank."""

    def act(self) -> None:
        STOPPED.touch()
        raise ValueError("this rank broke")


class SignalNow(Callback):
    """Send the process a signal before training begins."""

    def __init__(self, name: str = "SIGTERM") -> None:
        os.kill(os.getpid(), getattr(signal, name))
