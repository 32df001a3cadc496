"""Embedding many recordings into one file: what is done stays done, and one bad recording does not stop the others.

An unforeseen error of a recording, such as one of a library, is told in a line too; ``hydra.verbose=true`` adds the
traceback.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from relcon_lightning.data.inputs import Input
from relcon_lightning.embed.embedder import MAX_GAP_S, Embedder, too_short
from relcon_lightning.embed.output import EmbeddingFile
from relcon_lightning.errors import ConfigError, DataError

log = logging.getLogger(__name__)

_NAMED = 3  # recordings that failed for a reason that was told


def embed_files(
    embedder: Embedder,
    inputs: Sequence[Input],
    output: str | Path,
    stride_s: float | None = None,
    max_gap_s: float = MAX_GAP_S,
    overwrite: bool = False,
    stamped: bool | None = None,
) -> None:
    """Embed recordings into a Parquet file; see :class:`~relcon_lightning.embed.output.EmbeddingFile`.

    Recordings that an interrupted run with the same encoder, settings and files has finished are not embedded again.

    Args:
        embedder: The encoder.
        inputs: The recordings.
        output: The file.
        stride_s: Seconds from one window to the next; None for windows beside each other.
        max_gap_s: Seconds; no window lies across a longer gap.
        overwrite: Replace an existing file.
        stamped: Whether starts are time stamps and not seconds; None: if the time of day of all recordings is known.

    Raises:
        ConfigError: The file exists, or a stride of less than a sample.
        DataError: Names the recordings that could not be embedded and why; the file holds the others.
    """
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
        failed = _embed_missing(embedder, inputs, parts, file, stride_s, max_gap_s)
    finally:
        file.clear()
    done = [part for name, part in parts.items() if name not in failed]
    if done:
        file.finish(done, complete=not failed)
        log.info("Embeddings of %d recordings: %s", len(done), output)
    if failed:
        raise DataError(f"{len(failed)} of {len(inputs)} recordings could not be embedded:\n{_by_kind(failed)}")


def _embed_missing(
    embedder: Embedder,
    inputs: Sequence[Input],
    parts: Mapping[str, Path],
    file: EmbeddingFile,
    stride_s: float | None,
    max_gap_s: float,
) -> dict[str, str]:
    """Write the parts that are not there; why it failed for each recording of which it did."""
    missing = [one for one in inputs if not parts[one.recording_id].exists()]
    if len(missing) < len(inputs):
        log.info("%d of %d recordings are already embedded.", len(inputs) - len(missing), len(inputs))
    failed: dict[str, str] = {}
    with _display() as display:
        for i, one in enumerate(missing, start=1):
            task = display.add_task(escape(f"{one.recording_id} ({i} of {len(missing)})"), total=None)
            pieces = _pieces(embedder, one, stride_s, max_gap_s, partial(display.update, task))
            tables = (file.table(one.participant_id, one.recording_id, *piece) for piece in pieces)
            try:
                file.write(parts[one.recording_id], tables)
            except ConfigError:
                raise
            except Exception as error:
                expected = isinstance(error, DataError)
                reason = str(error) if expected else f"{type(error).__name__}: {error}"
                if _kind(one.recording_id, reason) not in {_kind(*before) for before in failed.items()}:
                    log.error("%s", error if expected else f"{one.recording_id}: {reason}")
                failed[one.recording_id] = reason
                log.debug("", exc_info=not expected)
            display.remove_task(task)
    return failed


def _by_kind(failed: Mapping[str, str]) -> str:
    """A line per reason, with the first recording of it and how many more there are."""
    kinds: dict[str, list[str]] = {}
    for name, reason in failed.items():
        kinds.setdefault(_kind(name, reason), []).append(name)
    lines = []
    for first, *others in kinds.values():
        names = ", ".join(others[:_NAMED]) + (" ..." if len(others) > _NAMED else "")
        lines.append(f"  {first}: {failed[first]}" + (f" The same of {len(others)} more: {names}" if others else ""))
    return "\n".join(lines)


def _kind(name: str, reason: str) -> str:
    """The reason without the recording and the numbers in it."""
    return re.sub(r"\d[\d.,]*", "#", " ".join(word for word in reason.split() if name not in word))


def _pieces(
    embedder: Embedder, one: Input, stride_s: float | None, max_gap_s: float, progress: Callable[..., None]
) -> Iterator[tuple[float | None, np.ndarray, np.ndarray]]:
    """Unix time of the first sample, starts and embeddings, piece by piece."""
    found = False
    try:
        opened = one.open()
        progress(total=None if opened.duration_s is None else opened.duration_s / 3600)
        for starts, embeddings in embedder.embed(opened.blocks, opened.rate, stride_s, max_gap_s):
            found = True
            yield opened.start_time, starts, embeddings
            progress(completed=starts[-1] / 3600)
    except OSError as error:
        raise DataError(f"{one.recording_id} cannot be read: {error}") from error
    if not found:
        raise too_short(one.recording_id, embedder.window_s, max_gap_s)


def _display() -> Progress:
    return Progress(
        "{task.description}", BarColumn(), "{task.completed:.2f} h", TimeElapsedColumn(), TimeRemainingColumn()
    )
