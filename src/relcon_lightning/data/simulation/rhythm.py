"""Start times and sizes of cycles, and rests between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

_EASE_S = 0.35  # duration of the transition between rest and motion


@dataclass(frozen=True)
class Rhythm:
    """A sequence of cycles.

    Attributes:
        starts_s: Start times of the k cycles and end of the last one ``(k + 1,)``, in seconds.
        vigour: Sizes ``(k,)`` of the cycles, 1 = usual.
    """

    starts_s: np.ndarray
    vigour: np.ndarray

    @classmethod
    def draw(
        cls, rng: np.random.Generator, cycle_s: float, count: int, irregularity: float, fatigue: float = 0.0
    ) -> Rhythm:
        """Draw ``count`` cycles of about ``cycle_s`` s; ``fatigue`` makes them slower, smaller and less regular."""
        tired = fatigue * np.linspace(0.0, 1.0, count)
        spread = irregularity * (1 + 10 * tired)
        deviation = np.clip(rng.standard_normal((2, count)), -2.5, 2.5)
        durations = cycle_s * (1 + tired) * np.maximum(1 + spread * deviation[0], 0.6)
        vigour = (1 - tired) * np.maximum(1 + 2 * spread * deviation[1], 0.2)
        return cls(np.concatenate([[0.0], np.cumsum(durations)]), vigour)

    def phase(self, seconds: np.ndarray) -> np.ndarray:
        """Number of completed cycles at some times, a smooth increasing function."""
        return np.asarray(PchipInterpolator(self.starts_s, np.arange(len(self.starts_s)))(seconds))

    def size(self, seconds: np.ndarray) -> np.ndarray:
        """Size of the movement at some times, a smooth function."""
        middles = (self.starts_s[1:] + self.starts_s[:-1]) / 2
        return np.asarray(PchipInterpolator(middles, self.vigour)(np.clip(seconds, middles[0], middles[-1])))


def effort(rng: np.random.Generator, samples: int, rate: float, bout_s: float, rest_s: float) -> np.ndarray:
    """Effort ``(samples,)`` between 0 (rest) and 1: bouts and rests alternate, beginning with a bout."""
    if rest_s == 0:
        return np.ones(samples)
    moving = _spells(rng, samples, rate, (bout_s, rest_s)) % 2 == 0
    return np.asarray(gaussian_filter1d(moving.astype(float), _EASE_S * rate))


def wander(
    rng: np.random.Generator, samples: int, rate: float, hold_s: float, spread: float, channels: int
) -> np.ndarray:
    """Values ``(channels, samples)`` with standard deviation ``spread``, each held for about ``hold_s`` seconds."""
    spell = _spells(rng, samples, rate, (hold_s,))
    held = rng.normal(0.0, spread, (channels, spell[-1] + 1))[:, spell]
    return np.asarray(gaussian_filter1d(held, _EASE_S * rate, axis=-1))


def _spells(rng: np.random.Generator, samples: int, rate: float, means_s: tuple[float, ...]) -> np.ndarray:
    """Number ``(samples,)`` of the spell that contains each sample; spells alternate between the mean durations."""
    count = len(means_s) * (10 + int(3 * samples / rate / sum(means_s)))  # more than needed
    durations = rng.gamma(4.0, np.resize(means_s, count) / 4.0)
    return np.searchsorted(np.cumsum(durations), np.arange(samples) / rate, side="right")
