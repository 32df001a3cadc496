"""End a run of several ranks when one of them does not answer, and name it."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import distributed

from relcon_lightning.errors import MISTAKE, PREEMPTED
from relcon_lightning.training.answers import Answers

log = logging.getLogger(__name__)

_TICK_S = 1.0  # seconds between two messages
_SOON_S = 10.0  # seconds of silence after which a run that was asked to stop no longer waits
_FOR_THE_FIRST_S = 15.0  # seconds for the first living rank to report the cause and end the others on its machine
_ENDING = {signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGUSR2", signal.SIGTERM)}


class RankWatch(Callback):
    """Ends the run when a rank does not answer, or does not reach the step of the others. The error names the rank.

    If a process is stopped or its machine is down, the other ranks wait in a collective operation until the process
    group times out, which takes half an hour and names no rank. Python handles no signals in the meantime. Therefore, a
    thread of each rank sends one datagram per second to the others. The run ends as if it was killed, and can resume.

    While another rank is silent, SIGTERM, SIGUSR2 and Ctrl-C still end the run within seconds, with the exit code of a
    run that was stopped.

    Put it first in the list of callbacks, so that a rank is counted before it works in another callback.

    Args:
        timeout_s: Seconds without an answer, or without progress of a rank that others wait for; None: wait for ever.
    """

    def __init__(self, timeout_s: float | None = 300.0) -> None:
        self.timeout_s = timeout_s
        self._watch: _Watch | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start watching if there are several ranks."""
        if self.timeout_s is not None and trainer.world_size > 1 and distributed.is_initialized():
            self._watch = _Watch(trainer, self.timeout_s)
            self._watch.start()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop watching once all ranks have reached this point."""
        if self._watch is not None:
            trainer.strategy.barrier("rank_watch")
            self._watch.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.stop()

    def _move(self, *_: Any, **__: Any) -> None:
        """Count one more step of progress of this rank."""
        if self._watch is not None:
            self._watch.count += 1

    on_train_start = on_train_batch_start = on_before_backward = on_train_batch_end = on_train_end = _move
    on_validation_start = on_validation_batch_start = on_validation_batch_end = on_validation_end = _move


class _Watch(threading.Thread):
    """Sends and receives messages, and ends the run if a rank is silent or behind.

    Attributes:
        count: See :meth:`Answers.hear`.
    """

    def __init__(self, trainer: L.Trainer, timeout_s: float) -> None:
        super().__init__(daemon=True, name="rank-watch")
        self.count = 0
        self._rank, self._timeout_s = trainer.global_rank, timeout_s
        self._launcher = trainer.strategy.launcher
        self._answers = Answers()
        self._socket = _socket()
        places: list[Any] = [None] * trainer.world_size
        distributed.all_gather_object(places, (self._socket.getsockname(), os.getpid(), socket.gethostname()))
        self._ranks = {place[0]: rank for rank, place in enumerate(places)}
        self._processes = [place[1:] for place in places]
        self._asked, self._ended = False, threading.Event()
        self._signals, self._wakeup = socket.socketpair()  # a signal arrives here while the main thread waits
        self._wakeup.setblocking(False)
        self._before = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ, self._hear)
        self._selector.register(self._signals, selectors.EVENT_READ, self._ask)

    def stop(self) -> None:
        """End the watch."""
        if not self._ended.is_set():
            signal.set_wakeup_fd(self._before)
            self._ended.set()

    def run(self) -> None:
        """Watch until the end."""
        while not self._ended.is_set():
            for address in self._ranks:  # including this rank
                with contextlib.suppress(OSError):  # the address may be unreachable at the moment
                    self._socket.sendto(str(self.count).encode(), address)
            begun = time.monotonic()
            while (left := begun + _TICK_S - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    key.data()
            # If this process was stopped for longer, that does not count as silence of the others.
            self._answers.wait(min(time.monotonic() - begun, 2 * _TICK_S))
            if not self._ended.is_set():
                self._judge()

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            content, address = self._socket.recvfrom(64)
            if address in self._ranks and content.isdigit():
                self._answers.hear(self._ranks[address], int(content))

    def _ask(self) -> None:
        self._asked |= bool(_ENDING & set(self._signals.recv(64)))

    def _judge(self) -> None:
        if silent := self._answers.silent(self._timeout_s):
            self._end(silent, f"{self._named(silent)} did not answer for {self._timeout_s:g} s", MISTAKE)
        if behind := self._answers.behind(self._timeout_s):
            why = f"{self._named(behind)} has been behind the other ranks for {self._timeout_s:g} s"
            self._end(behind, why, MISTAKE)
        if self._asked and (silent := self._answers.silent(min(_SOON_S, self._timeout_s))):
            self._end(silent, f"Stopped by a signal, while {self._named(silent)} did not answer", PREEMPTED)

    def _named(self, ranks: list[int]) -> str:
        return ", ".join("rank {} (process {} on {})".format(rank, *self._processes[rank]) for rank in ranks)

    def _end(self, ranks: list[int], why: str, code: int) -> None:
        """Log the cause, then end this process and the silent ones among its children and its parent."""
        living = set(range(len(self._processes))) - set(ranks)
        if self._rank != min(living, default=self._rank):
            self._ended.wait(_FOR_THE_FIRST_S)
        log.error("%s%s. Continue with resume=auto.", why[:1].upper(), why[1:])
        if self._launcher is not None:
            self._launcher.kill(signal.SIGKILL)
        for rank in ranks:
            if self._processes[rank] == (os.getppid(), socket.gethostname()):
                with contextlib.suppress(OSError):
                    os.kill(os.getppid(), signal.SIGKILL)
        os._exit(code)  # the main thread may never return


def _socket() -> socket.socket:
    """A socket at the local address from which this machine reaches the first rank."""
    place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    family, kind, protocol, _, first = socket.getaddrinfo(*place, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(first)  # only selects a route, sends nothing
        own = probe.getsockname()[0]
    made = socket.socket(family, kind, protocol)
    made.bind((own, 0))
    made.setblocking(False)
    return made
