"""Correct time stamps that record the arrival of samples, in bursts, instead of the time of measurement."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from relcon_lightning.errors import DataError


def evenly_spaced(stamps: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Estimate the times of samples that a sensor takes at a constant rate, from their arrival times.

    Between gaps, the times lie on the least-squares line through the stamps. Stamps may therefore be equal, jittered or
    slightly out of order. Gaps are kept.

    Args:
        stamps: Arrival times ``(n,)`` in seconds, in the order of the samples.
        max_gap_s: Longest time between two arrivals without lost samples, in seconds.

    Returns:
        Times ``(n,)`` in seconds.
    """
    times = np.asarray(stamps, dtype=np.float64).copy()
    edges = [0, *(np.flatnonzero(np.diff(times) > max_gap_s) + 1).tolist(), len(times)]
    for first, last in pairwise(edges):
        if last - first > 2:
            count = np.arange(last - first)
            origin = times[first]
            slope, intercept = np.polyfit(count, times[first:last] - origin, 1)
            times[first:last] = origin + intercept + slope * count
    return times


class InOrder:
    """Sorts samples that arrive a little late, block by block.

    Args:
        most_s: Maximum delay of a sample in seconds.
        where: Name of the file, for the error.
    """

    def __init__(self, most_s: float, where: str) -> None:
        self.most_s, self.where, self.late = most_s, where, 0
        self._held = np.empty(0), np.empty((0, 3))
        self.newest, self._rows = -np.inf, 0

    def put(self, times: np.ndarray, signal: np.ndarray, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return sorted times ``(m,)`` and their samples; the newest samples are held until the next block.

        Args:
            times: Times ``(n,)`` in seconds; samples without a time are dropped.
            signal: Signal ``(n, 3)``.
            last: True: this is the last block.

        Raises:
            DataError: A sample is later than ``most_s``.
        """
        found = np.isfinite(times)
        newest = np.maximum.accumulate(np.append(self.newest, np.where(found, times, -np.inf)))
        back = newest[:-1] - times  # NaN if a sample has no time
        with np.errstate(invalid="ignore"):
            if (back > self.most_s).any():
                row = int(np.flatnonzero(back > self.most_s)[0])
                raise DataError(_goes_back(self.where, self._rows + row + 1, float(back[row])))
            self.late += int((back > 0).sum())
        self.newest, self._rows = float(newest[-1]), self._rows + len(times)
        times, signal = (np.concatenate([a, b[found]]) for a, b in zip(self._held, (times, signal), strict=True))
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            times, signal = times[order], signal[order]
        ready = len(times) if last else int(np.searchsorted(times, self.newest - self.most_s))
        self._held = times[ready:], signal[ready:]
        return times[:ready], signal[:ready]


def _goes_back(where: str, sample: int, by_s: float) -> str:
    change = abs(by_s - 3600) < 60
    hint = (
        "Was a clock set back at the end of summer time? Give data.source.time_zone, such as Europe/London."
        if change
        else "Sort the rows, or split the file where the clock was reset."
    )
    return f"{where}: the time stamps decrease at sample {sample}, by {by_s:.3g} s. {hint}"


@dataclass(frozen=True)
class Bursts:
    """Samples that share a time stamp: whole seconds, or packets of a radio.

    Attributes:
        interval_s: Median time between distinct stamps in seconds.
        period_s: Mean time between samples in seconds.
    """

    interval_s: float
    period_s: float

    @classmethod
    def find(cls, times: np.ndarray, least: float) -> Bursts | None:
        """Find the bursts of a recording; None if at most a fraction ``least`` of the samples repeats the last stamp.

        Args:
            times: Non-decreasing times ``(n,)`` in seconds.
            least: Fraction between 0 and 1.
        """
        steps = np.diff(times)
        if not len(steps) or (steps == 0).mean() <= least:
            return None
        distinct, counts = np.unique(times, return_counts=True)
        steps = np.diff(distinct)
        if not len(steps):
            return None
        interval = float(np.median(steps))
        near = steps < 1.5 * interval
        whole = near & np.append(False, near[:-1])  # the first burst after a gap may be incomplete
        near = whole if whole.any() else near
        samples = counts[:-1][near].sum()
        return cls(interval, float(steps[near].sum() / samples)) if samples else None


class Spread:
    """Spreads the samples of each burst evenly up to the next stamp, block by block.

    Before a gap and at the end, samples follow their stamp at the usual period. The first burst after a gap may be
    incomplete: if it has fewer samples than usual, they end where the next burst begins.

    Args:
        bursts: Bursts of the recording.
        max_gap_s: Time beyond the usual interval above which a step is a gap, in seconds.
    """

    def __init__(self, bursts: Bursts, max_gap_s: float) -> None:
        self.bursts, self.max_gap_s = bursts, max_gap_s
        self._held = np.empty(0), np.empty((0, 3))
        self._begins = True

    def put(self, times: np.ndarray, signal: np.ndarray, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return times ``(m,)`` and samples; those of the newest stamp are held until the next block.

        Args:
            times: Non-decreasing times ``(n,)`` in seconds.
            signal: Signal ``(n, 3)``.
            last: True: this is the last block.
        """
        times, signal = (np.concatenate([a, b]) for a, b in zip(self._held, (times, signal), strict=True))
        if not len(times):
            return times, signal
        starts = np.flatnonzero(np.diff(times, prepend=-np.inf))
        counts = np.diff(starts, append=len(times))
        stamps = times[starts]
        following = np.append(stamps[1:], np.inf)
        gap = following - stamps > self.bursts.interval_s * 1.5 + self.max_gap_s
        begins = np.append(self._begins, gap[:-1])
        usual = self.bursts.interval_s / self.bursts.period_s
        interval = np.where(gap, counts * self.bursts.period_s, following - stamps)
        cut = begins & ~gap & (counts < 0.9 * usual)
        step = np.where(cut, self.bursts.period_s, interval / counts)
        first = np.where(cut, np.maximum(following - counts * step, stamps), stamps)
        within = np.arange(len(times)) - np.repeat(starts, counts)
        spread = np.repeat(first, counts) + within * np.repeat(step, counts)
        ready = len(times) if last else int(starts[-1])
        self._held = times[ready:], signal[ready:]
        self._begins = bool(begins[-1])
        return spread[:ready], signal[:ready]
