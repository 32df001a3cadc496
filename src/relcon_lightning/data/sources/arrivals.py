"""Times of samples that were stamped when they arrived, in bursts, and not when they were taken."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def evenly_spaced(stamps: np.ndarray, max_gap_s: float) -> np.ndarray:
    """Times of samples that a sensor takes at a constant rate, from the times at which they arrived.

    Between gaps the times lie on the least-squares line through the stamps, so that equal, jittered and slightly
    disordered stamps do no harm. A gap stays a gap.

    Args:
        stamps: ``(n,)`` arrival times in seconds, in the order of the samples.
        max_gap_s: Seconds between arrivals above which samples were lost.

    Returns:
        ``(n,)`` seconds.
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
