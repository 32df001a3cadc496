"""Processes that read for this one: how they start, what they say, and that they end with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from relcon_lightning.errors import DataError

_PRELOADED = ["relcon_lightning.data.workers", "relcon_lightning.data.pieces"]


def start_context() -> Any:
    """How processes start; a fork of this one is no choice, because progress bars, pyarrow and obstore have threads.

    On Linux they are forks of a process that has imported the readers and has no threads, so that any number of them
    imports these once. Elsewhere each is a new process.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    try:
        with starting(program=True):
            forkserver.ensure_running()
    except ChildProcessError:  # this process is a fork of one that has started it
        return multiprocessing.get_context("spawn")
    return context


def uses_program(sent: object) -> bool:
    """Whether something contains what the program itself defines, so that processes have to run it too."""
    return b"__main__" in pickle.dumps(sent)


@contextmanager
def starting(program: bool) -> Iterator[None]:
    """Start processes in this block. A Ctrl-C waits for its end, and does not reach them.

    Args:
        program: Whether they run the program of this process, without which they start faster: see
            :func:`uses_program`.
    """
    own = sys.modules["__main__"]
    masks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]) if masks else None
    if not program:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = own
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class Start:
    """What each process is given first.

    Attributes:
        held: End of a pipe whose other end this process holds; they end when it is closed.
        level: Level of log records.
        environment: Environment variables.
    """

    held: Connection
    level: int
    environment: dict[str, str]

    @classmethod
    def of_this_process(cls, held: Connection) -> Start:
        """With the level and the environment of this process."""
        return cls(held, logging.getLogger().getEffectiveLevel(), dict(os.environ))

    def begin(self) -> None:
        """In each process, first."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
        threading.Thread(target=_end_with, args=(self.held,), daemon=True).start()
        os.environ.update(self.environment)
        pa.set_cpu_count(1)
        threadpool_limits(1)
        logging.getLogger().setLevel(self.level)


def _end_with(held: Connection) -> None:
    """End this process when the first one has closed its end of the pipe or was killed."""
    wait([held])
    os._exit(1)


def killed(workers: int, setting: str) -> DataError:
    """Error for a process that did not end by itself.

    Args:
        workers: Number of processes.
        setting: Key of that number in the configuration.
    """
    return DataError(
        "A process that read recordings was killed, as the system does when memory runs out: try "
        f"{setting}={max(1, workers // 2)}."
    )


class _RecordKeeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.records.append(record)


@contextmanager
def kept_records() -> Iterator[list[logging.LogRecord]]:
    """The log records of this block, which can be pickled."""
    root, kept = logging.getLogger(), _RecordKeeper()
    root.addHandler(kept)
    try:
        yield kept.records
    finally:
        root.removeHandler(kept)


class Teller:
    """Logs the records of other processes. What each process says once is logged once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def tell(self, records: list[logging.LogRecord]) -> None:
        """Log records that have no ``once``, or one that is new."""
        for record in records:
            once = getattr(record, "once", None)
            if once is None or once not in self._said:
                logging.getLogger(record.name).handle(record)
            if once is not None:
                self._said.add(once)
