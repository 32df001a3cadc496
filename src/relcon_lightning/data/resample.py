"""Resample signals to the model's rate and check their unit, before they are stored."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from relcon_lightning.errors import DataError

_RATIO_LIMITS = (10**3, 10**4, 10**5)  # of the larger term; the filter has 20 taps for each
GAP_STEPS = 10  # multiples of the usual step; longer steps are not used to estimate the rate
_WHOLE = 1e-3  # fraction of the rate; the clocks of sensors are more accurate
_REST_NORM_G = (0.5, 3.0)  # observed median norms: 1 at rest, up to 2.5 in vigorous exercise, 9.8 if the unit is m/s^2


def resample(signal: np.ndarray, source_rate: float, target_rate: float) -> np.ndarray:
    """Band-limited resampling (polyphase) of ``(n, 3)`` to ``(m, 3)`` float32.

    The signal is padded with its edge values, so that gravity does not cause ringing at the ends.

    Args:
        signal: Signal ``(n, 3)``.
        source_rate: Sampling rate of the signal in Hz.
        target_rate: New sampling rate in Hz.

    Raises:
        DataError: A rate is not a positive number, or no ratio of small integers is close enough.
    """
    return _polyphase(signal, _ratio(source_rate, target_rate, len(signal)), axis=0)


def resample_windows(windows: np.ndarray, source_rate: float, target_rate: float) -> np.ndarray:
    """Resample windows ``(N, 3, T)`` to ``(N, 3, T')`` float32, each on its own, as :func:`resample` does.

    About ten samples at each end of a window, counted at the lower rate, differ from those of the resampled recording,
    because the signal around the window is not used.

    Args:
        windows: Windows ``(N, 3, T)``.
        source_rate: Sampling rate of the windows in Hz.
        target_rate: New sampling rate in Hz.

    Raises:
        DataError: A rate is not a positive number, or no ratio of small integers is close enough.
    """
    return _polyphase(windows, _ratio(source_rate, target_rate, windows.shape[-1]), axis=-1)


def _polyphase(signal: np.ndarray, ratio: Fraction, axis: int) -> np.ndarray:
    if ratio == 1 or not signal.size:
        return np.asarray(signal, dtype=np.float32)
    resampled = resample_poly(signal.astype(np.float64), ratio.numerator, ratio.denominator, axis=axis, padtype="edge")
    return np.asarray(resampled, dtype=np.float32)


def _ratio(source_rate: float, target_rate: float, n_samples: int) -> Fraction:
    """Simplest ratio of the rates that moves the end of the recording by at most half a sample.

    A fixed limit would treat 100.03 Hz as 100 Hz, and shift the labels of a day by 26 s.
    """
    if not all(np.isfinite(rate) and rate > 0 for rate in (source_rate, target_rate)):
        raise DataError(f"Cannot resample from {source_rate} to {target_rate} Hz: rates must be above 0.")
    upsampling = Fraction(float(target_rate)) / Fraction(float(source_rate))
    exact = min(upsampling, 1 / upsampling)
    for limit in _RATIO_LIMITS:
        ratio = exact.limit_denominator(limit)
        if ratio and abs(ratio / exact - 1) * n_samples <= 0.5:
            return ratio if upsampling < 1 else 1 / ratio
    raise DataError(
        f"No simple ratio resamples {n_samples} samples from {source_rate} to {target_rate} Hz without drift; first "
        "interpolate the recording at a rounder rate with relcon_lightning.data.resample.regularise."
    )


def regularise(times: np.ndarray, signal: np.ndarray, rate: float, max_gap_s: float) -> list[tuple[float, np.ndarray]]:
    """Interpolate irregular samples on a regular grid, in stretches without gaps.

    Samples are sorted by time. Of several samples with one time stamp, the first is used. The signal is split where two
    samples are more than ``max_gap_s`` apart, so that no gap is bridged. Each stretch is interpolated linearly at
    ``rate``, which should be about the rate of the samples. Samples with a non-finite value or time stamp are missing.

    Args:
        times: Time stamps ``(n,)`` in seconds, in any order.
        signal: Signal ``(n, 3)``.
        rate: Sampling rate of the grid in Hz.
        max_gap_s: Longest time between two samples of one stretch, in seconds.

    Returns:
        Start time and signal ``(m, 3)`` of each stretch of at least two samples.
    """
    present = np.isfinite(times) & np.isfinite(signal).all(axis=1)
    times, first = np.unique(times[present], return_index=True)
    signal = np.asarray(signal, dtype=np.float64)[present][first]
    stretches = []
    edges = np.flatnonzero(np.diff(times) > max_gap_s) + 1
    for stamp, values in zip(np.split(times, edges), np.split(signal, edges), strict=True):
        if len(stamp) > 1:
            grid = stamp[0] + np.arange(int((stamp[-1] - stamp[0]) * rate + 1e-6) + 1) / rate
            stretches.append((float(stamp[0]), np.stack([np.interp(grid, stamp, axis) for axis in values.T], axis=1)))
    return stretches


def stamp_rate(times: np.ndarray) -> float:
    """Sampling rate in Hz, from the mean step between distinct time stamps ``(n,)`` in seconds, without gaps.

    The median step distinguishes usual steps from gaps and lost samples; the mean of the usual steps gives the rate.
    (In whole milliseconds, the time stamps of a sensor at 30 Hz are 33, 33 and 34 ms apart; the median would give
    30.3 Hz.) A rate within 0.1 % of a whole number is rounded to it.

    Raises:
        DataError: There are fewer than two distinct time stamps.
    """
    steps = np.diff(np.unique(times[np.isfinite(times)]))
    if not len(steps):
        found = f"all {len(times)} are equal" if len(times) > 1 else "there is only one"
        raise DataError(f"A sampling rate needs two different time stamps; {found}.")
    usual = float(np.median(steps))
    near = steps[steps < GAP_STEPS * usual]
    rate = float(np.maximum((near / usual).round(), 1).sum() / near.sum())
    whole = round(rate)
    return float(whole) if whole and abs(rate / whole - 1) < _WHOLE else rate


def check_unit(signal: np.ndarray, where: str) -> None:
    """Refuse a signal ``(n, 3)`` that cannot be in g, whose norm is about 1 at rest. NaN is ignored.

    While jumping, the sensor is in free fall about half the time. A signal may therefore have a small median norm if
    its mean is not small.

    Raises:
        DataError: The norm is too small or too large. The message gives it, with the likely unit.
    """
    norms = np.linalg.norm(signal[np.isfinite(signal).all(axis=1)], axis=1)
    if not len(norms):
        return
    low, high = _REST_NORM_G
    median, mean = float(np.median(norms)), float(norms.mean())
    if median <= high and max(median, mean) >= low:
        return
    hint = "Convert it to g." if median > high else "Was gravity removed? The signal must include it."
    if 5 < median < 30:
        hint = "It looks like m/s^2: divide by 9.80665."
    raise DataError(f"{where}: median norm {median:.3g}, expected {low} to {high} for a signal in g. {hint}")
