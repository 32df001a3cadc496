"""Read and resample recordings piece by piece, in this process or in others while this one embeds.

Pieces go through pipes. A process waits when its pipe is full, so that memory depends neither on the number of
recordings nor on their length.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import cast

from relcon_lightning.data.inputs import Input
from relcon_lightning.data.processes import Start, kept_records, killed, start_context, starting, uses_program
from relcon_lightning.data.stream import Piece, pieces_of
from relcon_lightning.errors import DataError

_AHEAD = 2  # recordings assigned to each process: the current one and the next


@dataclass(frozen=True)
class RecordingStart:
    """The first message of a recording that can be opened.

    Attributes:
        start_time: Unix time of the first sample in seconds; None if unknown.
        duration_s: Expected duration in seconds; None if unknown.
    """

    start_time: float | None
    duration_s: float | None


@dataclass(frozen=True)
class RecordingEnd:
    """The last message of a recording.

    Attributes:
        fault: Why it could not be read to its end; empty if it was.
        trace: Traceback of an unexpected error; empty if there is none.
        told: Log records of the reading process that this process must log; empty if this process read it.
    """

    fault: str = ""
    trace: str = ""
    told: list[logging.LogRecord] = field(default_factory=list)


Message = RecordingStart | Piece | RecordingEnd


@dataclass(frozen=True)
class PieceReader:
    """Reads recordings at the sampling rate of an encoder.

    Attributes:
        inputs: Recordings to read.
        rate: Sampling rate of the pieces in Hz.
        max_gap_s: See :func:`~relcon_lightning.data.stream.pieces_of`.
    """

    inputs: Sequence[Input]
    rate: float
    max_gap_s: float

    def __call__(self, number: int) -> Iterator[Message]:
        """Read the recording with a number; an error is part of its last message."""
        one, fault = self.inputs[number], RecordingEnd()
        try:
            opened = one.open()
            yield RecordingStart(opened.start_time, opened.duration_s)
            yield from pieces_of(opened.blocks, opened.rate, self.rate, self.max_gap_s)
        except Exception as error:
            fault = fault_of(one.recording_id, error)
        yield fault


def fault_of(recording_id: str, error: Exception) -> RecordingEnd:
    """Last message of a recording that has an error."""
    if isinstance(error, OSError):
        return RecordingEnd(f"{recording_id} cannot be read: {error}")
    if isinstance(error, DataError):
        return RecordingEnd(str(error))
    return RecordingEnd(f"{recording_id}: {type(error).__name__}: {error}", traceback.format_exc())


def read_pieces(reader: PieceReader, workers: int) -> Generator[tuple[int, Message]]:
    """Read all recordings.

    Args:
        reader: Reader of the recordings.
        workers: Number of processes that read; 0: this process reads. With several, messages of different recordings
            alternate. Those of one recording are in order.

    Returns:
        Pairs of the number of a recording and a message, until each recording has ended.

    Raises:
        DataError: A process was killed.
    """
    count = len(reader.inputs)
    if workers < 1 or not count:
        for number in range(count):
            for message in reader(number):
                yield number, message
        return
    yield from _in_processes(reader, min(workers, count))


def _in_processes(reader: PieceReader, workers: int) -> Iterator[tuple[int, Message]]:
    context = start_context()
    held, alive = context.Pipe(duplex=False)
    start = Start.of_this_process(held)
    pipes: dict[Connection, int] = {}
    processes = []
    try:
        with starting(uses_program(reader)):
            for _ in range(workers):
                mine, theirs = context.Pipe()
                process = context.Process(target=_work, args=(reader, theirs, start))
                process.start()
                theirs.close()
                processes.append(process)
                pipes[mine] = 0
        numbers = iter(range(len(reader.inputs)))
        for _ in range(_AHEAD):
            for pipe in pipes:
                _give(pipe, numbers, pipes)
        while any(pipes.values()):
            for pipe in cast(list[Connection], wait([pipe for pipe, given in pipes.items() if given])):
                number, message = pipe.recv()
                if isinstance(message, RecordingEnd):
                    pipes[pipe] -= 1
                    _give(pipe, numbers, pipes)
                yield number, message
    except (EOFError, ConnectionError) as error:
        raise killed(workers, "num_workers") from error
    finally:
        alive.close()  # a process that is still reading ends now
        held.close()
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join()


def _give(pipe: Connection, numbers: Iterator[int], pipes: dict[Connection, int]) -> None:
    """Give a process the next recording, if there is one."""
    number = next(numbers, None)
    if number is not None:
        pipe.send(number)
        pipes[pipe] += 1


def _work(reader: PieceReader, pipe: Connection, start: Start) -> None:
    """Main loop of each reading process."""
    start.begin()
    with suppress(EOFError, ConnectionError):  # the first process has ended
        while True:
            number = pipe.recv()
            with kept_records() as told:
                for message in reader(number):
                    if isinstance(message, RecordingEnd):
                        message = RecordingEnd(message.fault, message.trace, list(told))
                    pipe.send((number, message))
