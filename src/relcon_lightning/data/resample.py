"""Bringing signals to the model's rate and checking their unit, once, before they are stored."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from relcon_lightning.errors import DataError

_REST_NORM_G = (0.5, 3.0)  # median norms seen: 1 at rest, up to 2.5 in vigorous exercise; 9.8 when the unit is m/s^2


def resample(signal: np.ndarray, source_rate: float, target_rate: float) -> np.ndarray:
    """Band-limited change of rate (polyphase), ``(n, 3)`` to ``(m, 3)`` float32.

    The signal is continued by its edge values, so that gravity does not ring at both ends.

    Args:
        signal: ``(n, 3)``.
        source_rate: Hz.
        target_rate: Hz.
    """
    ratio = Fraction(target_rate / source_rate).limit_denominator(1000)
    if ratio == 1:
        return np.asarray(signal, dtype=np.float32)
    resampled = resample_poly(signal.astype(np.float64), ratio.numerator, ratio.denominator, axis=0, padtype="edge")
    return np.asarray(resampled, dtype=np.float32)


def regularise(times: np.ndarray, signal: np.ndarray, rate: float, max_gap_s: float) -> list[tuple[float, np.ndarray]]:
    """Put irregularly stamped samples on a regular grid, in stretches without gaps.

    Samples are sorted by time; of samples with one stamp the first is kept. Stretches are parted where two samples
    are more than ``max_gap_s`` apart, so that no gap is bridged, and each is interpolated linearly at ``rate``, which
    should be about its own.

    Args:
        times: ``(n,)`` seconds, in any order.
        signal: ``(n, 3)``.
        rate: Hz of the grid.
        max_gap_s: Seconds.

    Returns:
        Start time and ``(m, 3)`` signal of each stretch of two samples or more.
    """
    times, first = np.unique(times, return_index=True)
    signal = np.asarray(signal, dtype=np.float64)[first]
    stretches = []
    edges = np.flatnonzero(np.diff(times) > max_gap_s) + 1
    for stamp, values in zip(np.split(times, edges), np.split(signal, edges), strict=True):
        if len(stamp) > 1:
            grid = stamp[0] + np.arange(int((stamp[-1] - stamp[0]) * rate + 1e-6) + 1) / rate
            stretches.append((float(stamp[0]), np.stack([np.interp(grid, stamp, axis) for axis in values.T], axis=1)))
    return stretches


def median_rate(times: np.ndarray) -> float:
    """Hz, from the median step of the distinct stamps ``(n,)`` in seconds."""
    return float(1 / np.median(np.diff(np.unique(times))))


def check_unit(signal: np.ndarray, where: str) -> None:
    """Refuse a signal ``(n, 3)`` that cannot be in g: its norm is about 1 at rest, and NaN is not looked at.

    Raises:
        DataError: With the measured norm and the likely unit.
    """
    norm = float(np.nanmedian(np.linalg.norm(signal, axis=1))) if np.isfinite(signal).any() else 1.0
    low, high = _REST_NORM_G
    if not low <= norm <= high:
        hint = "It looks like m/s^2: divide by 9.80665." if 5 < norm < 30 else "Convert it to g."
        raise DataError(f"{where}: median norm {norm:.3g}, expected {low} to {high} of a signal in g. {hint}")
