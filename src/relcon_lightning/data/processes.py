"""Reading processes: how they start, pass log records to this process, and end with it."""

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
    """Context that starts processes. It never forks this one, because progress bars, pyarrow and obstore have threads.

    On Linux, processes are forks of a server process without threads that has imported the readers once. Elsewhere,
    each is a new process.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    try:
        with starting(program=True):
            forkserver.ensure_running()
    except ChildProcessError:  # this process is a fork of the one that started the server
        return multiprocessing.get_context("spawn")
    return context


def uses_program(sent: object) -> bool:
    """True if an object contains something defined in ``__main__``, so that processes must import the program."""
    return b"__main__" in pickle.dumps(sent)


@contextmanager
def starting(program: bool) -> Iterator[None]:
    """Block in which processes are started. Ctrl-C is deferred to its end, and does not reach the new processes.

    Args:
        program: True: the processes import the program of this process, which takes longer; see
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
    """Settings that each process receives first.

    Attributes:
        held: End of a pipe whose other end the first process holds; a process ends when it is closed.
        level: Level of log records.
        environment: Environment variables.
    """

    held: Connection
    level: int
    environment: dict[str, str]

    @classmethod
    def of_this_process(cls, held: Connection) -> Start:
        """Settings with the log level and the environment of this process."""
        return cls(held, logging.getLogger().getEffectiveLevel(), dict(os.environ))

    def begin(self) -> None:
        """Apply the settings, at the start of each process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
        threading.Thread(target=_end_with, args=(self.held,), daemon=True).start()
        os.environ.update(self.environment)
        pa.set_cpu_count(1)
        threadpool_limits(1)
        logging.getLogger().setLevel(self.level)


def _end_with(held: Connection) -> None:
    """End this process when the first one closes its end of the pipe or is killed."""
    wait([held])
    os._exit(1)


def killed(workers: int, setting: str) -> DataError:
    """Create the error for a process that was killed.

    Args:
        workers: Number of processes.
        setting: Configuration key of the number of processes.
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
    """Collect the log records of this block in a form that can be pickled."""
    root, kept = logging.getLogger(), _RecordKeeper()
    root.addHandler(kept)
    try:
        yield kept.records
    finally:
        root.removeHandler(kept)


class Teller:
    """Logs the records of other processes. A message that each process logs once is logged only once in total."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def tell(self, records: list[logging.LogRecord]) -> None:
        """Log records without a ``once`` key, or with a new one."""
        for record in records:
            once = getattr(record, "once", None)
            if once is None or once not in self._said:
                logging.getLogger(record.name).handle(record)
            if once is not None:
                self._said.add(once)
