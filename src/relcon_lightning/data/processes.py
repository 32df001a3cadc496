"""Run numbered tasks in other processes, which pass messages and log records to this one and end with it.

Messages go through pipes. A process waits when its pipe is full, so that memory does not depend on the number of tasks.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, TypeVar, cast

import pyarrow as pa
from threadpoolctl import threadpool_limits

from relcon_lightning.errors import DataError

M = TypeVar("M")  # a message
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
class TaskEnd:
    """The last message of a task.

    Attributes:
        told: Log records of another process that this process must log; empty if the task ran in this one.
    """

    told: list[logging.LogRecord] = field(default_factory=list, kw_only=True)


def in_processes(
    task: Callable[[int], Iterator[M]], numbers: Iterable[int], workers: int, setting: str, ahead: int
) -> Generator[tuple[int, M]]:
    """Run tasks in other processes.

    Args:
        task: Function from the number of a task to its messages, of which the last one is a :class:`TaskEnd`.
        numbers: Numbers of the tasks.
        workers: Number of processes.
        setting: Configuration key of the number of processes, for errors.
        ahead: Number of tasks that each process is assigned at a time.

    Returns:
        Pairs of the number of a task and a message, until all tasks have ended. Those of one task are in order.

    Raises:
        DataError: A process was killed.
    """
    context = start_context()
    held, alive = context.Pipe(duplex=False)
    start, waiting = Start.of_this_process(held), iter(numbers)
    pipes: dict[Connection, int] = {}
    processes = []
    try:
        with starting(uses_program(task)):
            for _ in range(workers):
                mine, theirs = context.Pipe()
                process = context.Process(target=_work, args=(task, theirs, start))
                process.start()
                theirs.close()
                processes.append(process)
                pipes[mine] = 0
        for _ in range(ahead):
            for pipe in pipes:
                _give(pipe, waiting, pipes)
        while any(pipes.values()):
            for pipe in cast(list[Connection], wait([pipe for pipe, given in pipes.items() if given])):
                number, message = pipe.recv()
                if isinstance(message, TaskEnd):
                    pipes[pipe] -= 1
                    _give(pipe, waiting, pipes)
                yield number, message
    except (EOFError, ConnectionError) as error:
        raise DataError(
            "A process that was reading recordings was killed, probably because memory ran out: try "
            f"{setting}={max(1, workers // 2)}."
        ) from error
    finally:
        alive.close()  # a process that is still reading ends now
        held.close()
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join()


def _give(pipe: Connection, waiting: Iterator[int], pipes: dict[Connection, int]) -> None:
    """Give a process the next task, if there is one."""
    number = next(waiting, None)
    if number is not None:
        pipe.send(number)
        pipes[pipe] += 1


def _work(task: Callable[[int], Iterator[M]], pipe: Connection, start: Start) -> None:
    """Main loop of each process."""
    start.begin()
    with suppress(EOFError, ConnectionError):  # the first process has ended
        while True:
            number = pipe.recv()
            with kept_records() as told:
                for message in task(number):
                    pipe.send((number, replace(message, told=list(told)) if isinstance(message, TaskEnd) else message))


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
