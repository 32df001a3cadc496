"""Windows of a recording that is read in blocks, so that memory does not depend on its length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from operator import itemgetter

import numpy as np
from scipy.signal import resample_poly

from relcon_lightning.errors import DataError

BLOCK = 2**16  # samples per block: 11 minutes at 100 Hz
_WINDOWS = 2**11  # windows at once, at any stride: 6 MB
_RATIO_LIMIT = 1000  # maximum term of the ratio of two rates
_FILTER = 10  # half length of resample_poly's filter, per unit of the larger term


@dataclass(frozen=True)
class Block:
    """Consecutive samples in order of time.

    Attributes:
        times: Times ``(n,)`` in seconds from the first sample of the recording.
        signal: Signal ``(n, 3)`` in g; a sample that is not finite in float32 is missing.
        begins: True: the block begins a new stretch, even if it follows the previous block without a gap.
    """

    times: np.ndarray
    signal: np.ndarray
    begins: bool = False


def blocks_of(
    read: Callable[[int, int], np.ndarray], samples: int, rate: float, start_s: float = 0.0
) -> Iterator[Block]:
    """Read an uninterrupted recording in blocks; the first block begins a stretch.

    Args:
        read: Function from the indices of a first and a last sample (exclusive) to the signal ``(n, 3)`` in g.
        samples: Number of samples.
        rate: Sampling rate in Hz.
        start_s: Time of the first sample in seconds.
    """
    for first in range(0, samples, BLOCK):
        last = min(first + BLOCK, samples)
        yield Block(start_s + np.arange(first, last) / rate, read(first, last), begins=first == 0)


@dataclass(frozen=True)
class Piece:
    """Consecutive samples of a stretch without gaps, on a regular grid.

    Attributes:
        stretch: Number of the stretch in its recording.
        origin_s: Time of the stretch's first sample in seconds from the first sample of the recording.
        signal: Signal ``(m, 3)`` float32 in g.
    """

    stretch: int
    origin_s: float
    signal: np.ndarray


def pieces_of(blocks: Iterable[Block], source_rate: float, target_rate: float, max_gap_s: float) -> Iterator[Piece]:
    """Resample a recording piece by piece, in stretches that end at gaps.

    Samples are interpolated linearly on a regular grid within stretches. Each stretch is resampled with the
    band-limited filter of :func:`~relcon_lightning.data.resample.resample`. The rate of the grid is within 0.1 % of
    ``source_rate`` and has a simple ratio to ``target_rate``. Samples on the grid are not changed.

    Args:
        blocks: Blocks in order of time.
        source_rate: Sampling rate of the recording in Hz.
        target_rate: Sampling rate of the pieces in Hz.
        max_gap_s: Longest time between two samples of one stretch, in seconds.

    Raises:
        DataError: The rates are too far apart.
    """
    ratio = _ratio(source_rate, target_rate)
    grid_rate = float(Fraction(target_rate) / ratio)
    for (stretch, origin), pieces in groupby(_on_grid(blocks, grid_rate, max_gap_s), key=itemgetter(0, 1)):
        for signal in _resampled((piece for _, _, piece in pieces), ratio):
            yield Piece(stretch, origin, signal)


class WindowCutter:
    """Cuts windows out of the pieces of a recording. Windows do not span stretches.

    Args:
        rate: Sampling rate of the pieces in Hz.
        window: Number of samples per window.
        stride: Number of samples between the starts of consecutive windows of a stretch.
    """

    def __init__(self, rate: float, window: int, stride: int) -> None:
        self.rate, self.window, self.stride = rate, window, stride
        self._begin(-1)

    def _begin(self, stretch: int) -> None:
        self._stretch, self._kept = stretch, np.empty((0, 3), dtype=np.float32)
        self._dropped = self._following = 0  # dropped samples, and the start of the next window

    def cut(self, piece: Piece) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Cut the windows that end in the next piece.

        Returns:
            Starts ``(k,)`` in seconds and windows ``(k, 3, window)`` float32 in g, at most some thousand at once.
        """
        if piece.stretch != self._stretch:
            self._begin(piece.stretch)
        self._kept = np.concatenate([self._kept, piece.signal])
        firsts = np.arange(self._following, self._dropped + len(self._kept) - self.window + 1, self.stride)
        for some in np.split(firsts, range(_WINDOWS, len(firsts), _WINDOWS)):
            if len(some):
                views = np.lib.stride_tricks.sliding_window_view(self._kept, self.window, axis=0)
                yield piece.origin_s + some / self.rate, views[some - self._dropped]
        self._following += len(firsts) * self.stride
        unused = min(self._following - self._dropped, len(self._kept))
        self._kept, self._dropped = self._kept[unused:], self._dropped + unused


def cut_windows(
    blocks: Iterable[Block], source_rate: float, target_rate: float, window: int, stride: int, max_gap_s: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Resample a recording and cut windows that do not span gaps. The result does not depend on block sizes.

    Args:
        blocks: Blocks in order of time.
        source_rate: Sampling rate of the recording in Hz.
        target_rate: Sampling rate of the windows in Hz.
        window: Number of samples per window, at the target rate.
        stride: Number of samples between the starts of consecutive windows of a stretch, at the target rate.
        max_gap_s: See :func:`pieces_of`.

    Returns:
        Starts ``(k,)`` in seconds and windows ``(k, 3, window)`` float32 in g, at most some thousand at once.

    Raises:
        DataError: The rates are too far apart.
    """
    cutter = WindowCutter(target_rate, window, stride)
    for piece in pieces_of(blocks, source_rate, target_rate, max_gap_s):
        yield from cutter.cut(piece)


def _ratio(source_rate: float, target_rate: float) -> Fraction:
    upsampling = Fraction(target_rate) / Fraction(source_rate)
    ratio = min(upsampling, 1 / upsampling).limit_denominator(_RATIO_LIMIT)
    if not ratio:
        raise DataError(f"{source_rate:g} Hz cannot be resampled to {target_rate:g} Hz: the rates are too far apart.")
    return ratio if upsampling < 1 else 1 / ratio


def _on_grid(blocks: Iterable[Block], rate: float, max_gap_s: float) -> Iterator[tuple[int, float, np.ndarray]]:
    """``regularise`` for a stream: number and start of a stretch, and its next samples ``(m, 3)``."""
    number, origin, done = -1, 0.0, 0
    last = None  # last sample before the block
    for block in blocks:
        last = None if block.begins else last
        times, signal = _present(block, last)
        edges = np.flatnonzero(np.diff(times) > max_gap_s) + 1
        for stamp, values in zip(np.split(times, edges), np.split(signal, edges), strict=True):
            if not len(stamp):
                continue
            if last is None or stamp[0] != last[0]:
                number, origin, done = number + 1, float(stamp[0]), 0
            end = int((stamp[-1] - origin) * rate + 1e-6) + 1
            grid = origin + np.arange(done, end) / rate
            yield number, origin, np.stack([np.interp(grid, stamp, axis) for axis in values.T], axis=1)
            done, last = max(done, end), (stamp[-1], values[-1])


def _present(block: Block, last: tuple[float, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
    """Samples that are not missing, preceded by ``last``; of several with one time stamp, only the first."""
    with np.errstate(over="ignore"):
        present = np.isfinite(block.times) & np.isfinite(block.signal.astype(np.float32)).all(axis=1)
    times, signal = block.times[present], np.asarray(block.signal, dtype=np.float64)[present]
    if last is not None:
        times, signal = np.append(last[0], times), np.concatenate([last[1][None], signal])
    times, first = np.unique(times, return_index=True)
    return times, signal[first]


def _resampled(pieces: Iterable[np.ndarray], ratio: Fraction) -> Iterator[np.ndarray]:
    """Resample the pieces ``(n, 3)`` of a stretch to ``(m, 3)`` float32, with the same result as for the whole stretch.

    Output is produced when all input samples under its filter have arrived. The kept input begins at a multiple of
    ``ratio.denominator``, where input and output samples coincide.
    """
    up, down = ratio.numerator, ratio.denominator
    if ratio == 1:
        yield from (np.asarray(piece, dtype=np.float32) for piece in pieces)
        return
    reach = _FILTER * max(up, down) // up + 1  # of the filter, in input samples
    kept, dropped, done = np.empty((0, 3)), 0, 0

    def upto(end: int) -> np.ndarray:
        whole = resample_poly(kept, up, down, axis=0, padtype="edge")
        offset = dropped * up // down
        return np.asarray(whole[done - offset : end - offset], dtype=np.float32)

    for piece in pieces:
        kept = np.concatenate([kept, piece])
        end = (dropped + len(kept) - 1 - reach) * up // down
        if end > done:
            yield upto(end)
            done = end
            unused = max(0, (done * down // up - reach - dropped) // down * down)
            kept, dropped = kept[unused:], dropped + unused
    if len(kept):
        yield upto(-(-(dropped + len(kept)) * up // down))
