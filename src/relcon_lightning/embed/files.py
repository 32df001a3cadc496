"""Embed many recordings into one file. Finished work survives an interruption, and bad recordings are skipped.

An unexpected error of a recording, for example in a library, is logged in one line; ``hydra.verbose=true`` adds the
traceback.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.markup import escape
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from relcon_lightning.data.inputs import Input
from relcon_lightning.data.once import Once
from relcon_lightning.data.pieces import Message, PieceReader, RecordingEnd, RecordingStart, fault_of, read_pieces
from relcon_lightning.data.stream import Piece
from relcon_lightning.embed.embedder import MAX_GAP_S, Embedder, too_short
from relcon_lightning.embed.output import AtomicParquet, EmbeddingFile
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

OnBadFile = Literal["skip", "stop"]
_NAMED = 3  # failed recordings that are named per reason


@dataclass(frozen=True)
class _How:
    """Settings of :func:`embed_files`."""

    stride_s: float | None
    max_gap_s: float
    num_workers: int
    on_bad_file: OnBadFile

    def __post_init__(self) -> None:
        if self.on_bad_file not in ("skip", "stop"):
            raise ConfigError(f"on_bad_file={self.on_bad_file}: expected skip or stop.")
        if self.num_workers < 0:
            raise ConfigError(f"num_workers={self.num_workers}: expected 0 or more.")


def embed_files(
    embedder: Embedder,
    inputs: Sequence[Input],
    output: str | Path,
    stride_s: float | None = None,
    max_gap_s: float = MAX_GAP_S,
    overwrite: bool = False,
    stamped: bool | None = None,
    num_workers: int = 0,
    on_bad_file: OnBadFile = "skip",
) -> None:
    """Embed recordings into a Parquet file; see :class:`~relcon_lightning.embed.output.EmbeddingFile`.

    Recordings that an interrupted run with the same encoder, settings and files has finished are not embedded again.

    Args:
        embedder: Encoder, with its sampling rate and window.
        inputs: Recordings to embed.
        output: Output file.
        stride_s: Seconds between the starts of consecutive windows; None: the window length.
        max_gap_s: Longest gap in seconds that is interpolated. Windows do not span longer gaps.
        overwrite: Replace an existing file.
        stamped: True: starts are time stamps. False: starts are seconds. None: time stamps if the time of day of all
            recordings is known.
        num_workers: Number of processes that read and resample recordings; 0: this process reads
            them. The output does not depend on it.
        on_bad_file: ``skip`` a recording that cannot be embedded, or ``stop`` at the first one. Finished
            recordings are kept for the next run.

    Raises:
        ConfigError: The file exists, the stride is shorter than a sample, or ``on_bad_file`` has another value.
        DataError: Some recordings could not be embedded. The message names them and the reasons; the file contains the
            others.
    """
    how = _How(stride_s, max_gap_s, num_workers, on_bad_file)
    if len(inputs) == 1:  # say the reason once, without a summary
        how = replace(how, on_bad_file="stop")
    facts = {
        "encoder": embedder.fingerprint(),
        "sampling_rate": embedder.sampling_rate,
        "window_s": embedder.window_s,
        "stride_s": embedder.stride(stride_s) / embedder.sampling_rate,
        "max_gap_s": max_gap_s,
    }
    ids = [one.recording_id for one in inputs]
    if stamped is None:
        stamped = all(one.stamped for one in inputs)
    file = EmbeddingFile(output, embedder.dim, stamped, facts, ids, overwrite)
    parts = {one.recording_id: file.part(one.recording_id, one.participant_id, one.version) for one in inputs}
    try:
        failed = _embed_missing(embedder, inputs, parts, file, how)
    finally:
        file.clear()
    done = [part for name, part in parts.items() if name not in failed]
    if done:
        file.finish(done, complete=not failed)
        log.info("Embeddings of %s: %s", counted(len(done), "recording"), output)
    if failed:
        raise DataError(
            f"{len(failed)} of {counted(len(inputs), 'recording')} could not be embedded:\n{_by_kind(failed)}"
        )


def _embed_missing(
    embedder: Embedder, inputs: Sequence[Input], parts: Mapping[str, Path], file: EmbeddingFile, how: _How
) -> dict[str, str]:
    """Embed the recordings whose parts are missing; return the failed ones, as a mapping from id to reason."""
    missing = [one for one in inputs if not file.has(parts[one.recording_id])]
    if len(missing) < len(inputs):
        log.info("%d of %d recordings are already embedded.", len(inputs) - len(missing), len(inputs))
    begun, ended = dict[int, _Embedding](), dict[int, RecordingEnd]()
    failures = _Failures(how.on_bad_file)
    reader = PieceReader(missing, embedder.sampling_rate, how.max_gap_s)
    with _display() as display, closing(read_pieces(reader, how.num_workers)) as messages:
        try:
            for number, message in messages:
                one = missing[number]
                if number not in begun:
                    progress = _Line(display, f"{one.recording_id} ({number + 1} of {len(missing)})")
                    begun[number] = _Embedding(embedder, one, file, parts[one.recording_id], how, progress)
                begun[number].take(message)
                if isinstance(message, RecordingEnd):
                    ended[number] = begun[number].end(message)
                    begun.pop(number).progress.remove()
                while failures.seen in ended:  # report in the order of the inputs; workers end in any order
                    failures.next(missing[failures.seen].recording_id, ended.pop(failures.seen))
        finally:
            for unfinished in begun.values():
                unfinished.discard()
    return failures.reasons


class _Embedding:
    """A recording that is being embedded."""

    def __init__(
        self, embedder: Embedder, one: Input, file: EmbeddingFile, part: Path, how: _How, progress: _Line
    ) -> None:
        self.embedder, self.one, self.file, self.part = embedder, one, file, part
        self.how, self.progress = how, progress
        self.cutter = embedder.cutter(how.stride_s)
        self.start_time: float | None = None
        self.fault = RecordingEnd()
        self.rows: AtomicParquet | None = None

    def take(self, message: Message) -> None:
        """Embed a piece. After an error, the remaining pieces are skipped.

        Raises:
            ConfigError: The part cannot be written.
        """
        if isinstance(message, RecordingStart):
            self.start_time = message.start_time
            self.progress.show(total=None if message.duration_s is None else message.duration_s / 3600)
        elif isinstance(message, Piece) and not self.fault.fault:
            try:
                self._embed(message)
            except ConfigError:
                raise
            except Exception as error:
                self.fault = fault_of(self.one.recording_id, error)

    def _embed(self, piece: Piece) -> None:
        for starts, embeddings in self.embedder.embed_pieces([piece], self.cutter):
            if self.rows is None:
                self.rows = self.file.begin(self.part)
            ids = (self.one.participant_id, self.one.recording_id)
            self.rows.add(self.file.table(*ids, self.start_time, starts, embeddings))
            self.progress.show(completed=starts[-1] / 3600)

    def end(self, message: RecordingEnd) -> RecordingEnd:
        """Finish the part, or remove it if there was an error."""
        if self.fault.fault:
            message = replace(self.fault, told=message.told)
        if not message.fault and self.rows is None:
            reason = too_short(self.one.recording_id, self.embedder.window_s, self.how.max_gap_s)
            message = replace(message, fault=str(reason))
        if message.fault:
            self.discard()
        elif self.rows is not None:
            self.rows.finish()
        return message

    def discard(self) -> None:
        """Remove the part."""
        if self.rows is not None:
            self.rows.discard()


class _Failures:
    """Reasons why recordings could not be embedded. Logs them in order, once per kind of reason."""

    def __init__(self, on_bad_file: OnBadFile) -> None:
        self.on_bad_file, self.seen = on_bad_file, 0
        self.reasons: dict[str, str] = {}
        self._kinds: set[str] = set()
        self._once = Once()

    def next(self, name: str, ended: RecordingEnd) -> None:
        """Handle the end of the next recording.

        Raises:
            DataError: It could not be read, and ``on_bad_file`` is ``stop``.
        """
        self.seen += 1
        self._once.repeat(ended.told)
        if not ended.fault:
            return
        if ended.trace:
            log.debug("%s", ended.trace)
        if self.on_bad_file == "stop":
            raise DataError(ended.fault)
        if (kind := _kind(name, ended.fault)) not in self._kinds:
            log.error("%s", ended.fault)
            self._kinds.add(kind)
        self.reasons[name] = ended.fault


def _by_kind(failed: Mapping[str, str]) -> str:
    """One line per reason, with the first recording that it affects and the number of others."""
    kinds: dict[str, list[str]] = {}
    for name, reason in failed.items():
        kinds.setdefault(_kind(name, reason), []).append(name)
    lines = []
    for first, *others in kinds.values():
        names = ", ".join(others[:_NAMED]) + (" ..." if len(others) > _NAMED else "")
        lines.append(
            f"  {first}: {failed[first]}" + (f" Same reason for {len(others)} more: {names}" if others else "")
        )
    return "\n".join(lines)


def _kind(name: str, reason: str) -> str:
    """The reason without the name of the recording and without numbers."""
    return re.sub(r"\d[\d.,]*", "#", " ".join(word for word in reason.split() if name not in word))


def _display() -> Progress:
    return Progress(
        "{task.description}", BarColumn(), "{task.completed:.2f} h", TimeElapsedColumn(), TimeRemainingColumn()
    )


class _Line:
    """One line of the progress display."""

    def __init__(self, display: Progress, text: str) -> None:
        self.display, self.task = display, display.add_task(escape(text), total=None)

    def show(self, **values: float | None) -> None:
        """Update the values on the line."""
        self.display.update(self.task, **values)  # type: ignore[arg-type]

    def remove(self) -> None:
        """Remove the line."""
        self.display.remove_task(self.task)
