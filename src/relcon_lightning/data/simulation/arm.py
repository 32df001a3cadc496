"""Kinematics: from a motif and its rhythm to the specific force at the wrist.

The position of the wrist is computed and differentiated twice, which gives centripetal, tangential and body
acceleration. An accelerometer measures the specific force ``(a - gravity) / g``: 1 g upwards at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt
from scipy.spatial.transform import Rotation

from relcon_lightning.data.simulation.motif import ANGLES, CHANNELS, Impact, Motif
from relcon_lightning.data.simulation.rhythm import Rhythm, effort, wander

GRAVITY = 9.80665  # m/s^2
_RING_HZ, _DECAY_S = 12.0, 0.035  # frequency and decay time of a shock when it reaches the wrist
_SHOCK = np.array([0.3, 0.0, 1.0])  # forward, left, up
_TEXTURE_HZ = (6.0, 30.0)


@dataclass(frozen=True)
class Motion:
    """Motion of a wrist.

    Attributes:
        force: Specific force ``(n, 3)`` in g along forward, left, up.
        forearm: Rotations (n) from the forearm's axes (x points to the hand) to forward, left, up.
    """

    force: np.ndarray
    forearm: Rotation

    def felt(self) -> np.ndarray:
        """Specific force ``(n, 3)`` in g along the forearm's axes."""
        return np.asarray(self.forearm.inv().apply(self.force))


def move(rng: np.random.Generator, motif: Motif, rhythm: Rhythm, arm_m: float, samples: int, rate: float) -> Motion:
    """Compute the motion of a motif at ``rate`` Hz.

    Args:
        rng: Random generator of bouts, poses and vibration.
        motif: Motif of a person.
        rhythm: Cycles of the motif, at least as long as the motion.
        arm_m: Length of the stretched arm from shoulder to wrist in m.
        samples: Number n of samples.
        rate: Sampling rate in Hz.
    """
    padded = samples + 2  # the second difference loses two samples
    active = effort(rng, padded, rate, motif.bout_s, motif.rest_s)
    clock = np.cumsum(active) / rate - 2 / rate  # stops during rests; the first kept sample has time 0
    phase = rhythm.phase(clock)
    channels = _channels(motif, phase, active * rhythm.size(clock))
    for name, course in zip(ANGLES, wander(rng, padded, rate, motif.hold_s, motif.wander, len(ANGLES)), strict=True):
        channels[name] += course
    pitch, yaw, roll = (np.deg2rad(channels[name]) for name in ANGLES)
    bend = np.deg2rad(motif.pose.get("bend", 0.0))
    reach = arm_m * np.cos(bend / 2) + channels["reach"]  # upper arm and forearm have about the same length
    away = np.stack([np.sin(pitch) * np.cos(yaw), np.sin(pitch) * np.sin(yaw), -np.cos(pitch)], axis=1)
    path = np.stack([channels[name] for name in CHANNELS[:3]], axis=1) + reach[:, None] * away
    force = np.diff(path, n=2, axis=0) * rate**2 / GRAVITY + [0.0, 0.0, 1.0]
    force += _shocks(motif.impacts, phase, rate)[1:-1, None] * active[1:-1, None] * _SHOCK
    force += motif.texture_g * _vibration(rng, samples, rate)
    turns = np.stack([yaw, np.pi / 2 - pitch - bend / 2, roll], axis=1)[1:-1]
    return Motion(force, Rotation.from_euler("ZYX", turns))


def _channels(motif: Motif, phase: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    """Values of each channel over time, in m and degrees."""
    channels = {name: np.full(len(phase), float(motif.pose.get(name, 0.0))) for name in CHANNELS}
    for channel, order, amplitude, lag in motif.harmonics:
        channels[channel] += amplitude * size * np.sin(2 * np.pi * order * (phase - lag))
    if motif.circles:
        channels["pitch"] -= 360.0 * phase  # from the front down and back
    return channels


def _shocks(impacts: Sequence[Impact], phase: np.ndarray, rate: float) -> np.ndarray:
    """Acceleration ``(n,)`` in g: a decaying oscillation after each impact."""
    tempo = np.maximum(np.gradient(phase) * rate, 1e-3)  # cycles per second
    total = np.zeros(len(phase))
    for at, size in impacts:
        since = ((phase - at) % 1.0) / tempo
        total += size * np.exp(-since / _DECAY_S) * np.sin(2 * np.pi * _RING_HZ * since)
    return total


def _vibration(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
    """Band-limited noise ``(n, 3)`` of unit size."""
    band = butter(2, _TEXTURE_HZ, "bandpass", fs=rate, output="sos")
    noise = sosfilt(band, rng.standard_normal((samples, 3)), axis=0)
    return np.asarray(noise * np.sqrt(rate / 2 / (_TEXTURE_HZ[1] - _TEXTURE_HZ[0])))
