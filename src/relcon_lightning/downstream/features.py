"""Hand-crafted features of accelerometer windows: a baseline for learned embeddings.

The features are common in activity recognition: statistics, shape of the spectrum and correlations of the axes,
for each axis and for the norm.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.stats import kurtosis, skew

_BANDS_HZ = ((0.3, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 15.0))
_CHANNELS = ("x", "y", "z", "norm")
_PAIRS = ((0, 1), (0, 2), (1, 2))
_STATISTICS = (
    "mean",
    "std",
    "min",
    "q25",
    "median",
    "q75",
    "max",
    "iqr",
    "skew",
    "kurtosis",
    "mean_square",
    "crossings",
)
_SPECTRAL = ("peak_hz", "peak_power", "entropy", *(f"power_{low:g}_{high:g}hz" for low, high in _BANDS_HZ))


def feature_names() -> list[str]:
    """Names of the columns of :func:`handcrafted_features`."""
    own = [f"{channel}_{name}" for name in (*_STATISTICS, *_SPECTRAL) for channel in _CHANNELS]
    return own + [f"correlation_{_CHANNELS[i]}{_CHANNELS[j]}" for i, j in _PAIRS]


def handcrafted_features(windows: np.ndarray, sampling_rate: float) -> np.ndarray:
    """Features ``(N, F)``, float64, of windows ``(N, 3, T)`` in g; also finite for constant windows.

    Args:
        windows: Windows ``(N, 3, T)`` in g.
        sampling_rate: Sampling rate in Hz.
    """
    x = np.asarray(windows, dtype=np.float64)
    x = np.concatenate([x, np.linalg.norm(x, axis=1, keepdims=True)], axis=1)
    mean = x.mean(-1, keepdims=True)
    centred = x - mean
    q25, median, q75 = np.percentile(x, [25, 50, 75], axis=-1)
    moving = centred.std(-1) > 1e-8  # skewness and kurtosis of a constant are noise
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy warns about constants, which are masked here
        shape = [np.where(moving, moment(x, axis=-1), 0.0) for moment in (skew, kurtosis)]
    crossings = (np.diff(np.signbit(centred), axis=-1) != 0).mean(-1) * sampling_rate * moving
    statistics = [
        mean[..., 0],
        x.std(-1),
        x.min(-1),
        q25,
        median,
        q75,
        x.max(-1),
        q75 - q25,
        *shape,
        (x**2).mean(-1),
        crossings,
    ]
    return np.concatenate([*statistics, *_spectrum(centred, sampling_rate), _correlations(centred)], axis=1)


def _spectrum(centred: np.ndarray, rate: float) -> list[np.ndarray]:
    power = np.abs(np.fft.rfft(centred, axis=-1)) ** 2 / centred.shape[-1] ** 2
    frequency = np.fft.rfftfreq(centred.shape[-1], 1 / rate)
    total = power.sum(-1, keepdims=True)
    share = power / np.where(total > 1e-16, total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(-1)
    peak = frequency[power.argmax(-1)] * (total[..., 0] > 1e-16)
    bands = [power[..., (frequency >= low) & (frequency < high)].sum(-1) for low, high in _BANDS_HZ]
    return [peak, power.max(-1), entropy, *bands]


def _correlations(centred: np.ndarray) -> np.ndarray:
    """Correlations ``(N, 3)`` of the axes; 0 where an axis is constant."""
    std = centred.std(-1)
    columns = []
    for i, j in _PAIRS:
        scale = std[:, i] * std[:, j]
        columns.append((centred[:, i] * centred[:, j]).mean(-1) / np.where(scale > 1e-12, scale, np.inf))
    return np.stack(columns, axis=1)
