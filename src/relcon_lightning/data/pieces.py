"""Read and resample recordings piece by piece, in this process or in others while this one embeds.

Memory depends neither on the number of recordings nor on their length.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from relcon_lightning.data.inputs import Input
from relcon_lightning.data.processes import TaskEnd, in_processes
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
class RecordingEnd(TaskEnd):
    """The last message of a recording.

    Attributes:
        fault: Why it could not be read to its end; empty if it was.
        trace: Traceback of an unexpected error; empty if there is none.
    """

    fault: str = ""
    trace: str = ""


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
    yield from in_processes(reader, range(count), min(workers, count), "num_workers", _AHEAD)
