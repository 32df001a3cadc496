"""The device: its orientation on the forearm, and its measurement of the specific force."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from relcon_lightning.data.simulation.person import Person

_DRIFT_EVERY_S, _DRIFT = 20.0, 4.0  # seconds, degrees: slipping of the strap


def drift(rng: np.random.Generator, samples: int, rate: float) -> Rotation:
    """Small rotations that change slowly, one per sample."""
    knots = np.arange(samples // (rate * _DRIFT_EVERY_S) + 2) * _DRIFT_EVERY_S
    course = PchipInterpolator(knots, rng.normal(0.0, _DRIFT, (len(knots), 3)))
    return Rotation.from_rotvec(course(np.arange(samples) / rate), degrees=True)


def measure(rng: np.random.Generator, person: Person, felt: np.ndarray, rate: float) -> np.ndarray:
    """Measure ``felt`` along the watch's axes: ``(n, 3)`` float32 in g, with bias and noise, clipped to the range."""
    mount = person.mount * drift(rng, len(felt), rate)
    signal = mount.inv().apply(felt) + person.bias_g + person.noise_g * rng.standard_normal(felt.shape)
    return np.asarray(np.clip(signal, -person.range_g, person.range_g), dtype=np.float32)
