"""Kinematics: from a motif and its rhythm to what an accelerometer at the wrist feels.

The wrist's path is written down and differentiated twice, so that centripetal, tangential and body acceleration all
follow from it. What a device measures is the specific force ``(a - gravity) / g``: 1 g upwards at rest.
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
_RING_HZ, _DECAY_S = 12.0, 0.035  # of a shock, once the body has passed it on to the wrist
_SHOCK = np.array([0.3, 0.0, 1.0])  # forward, left, up
_TEXTURE_HZ = (6.0, 30.0)


@dataclass(frozen=True)
class Motion:
    """Of a wrist.

    Attributes:
        force: ``(n, 3)`` specific force in g along forward, left, up.
        forearm: n rotations from the forearm's axes (x towards the hand) to forward, left, up.
    """

    force: np.ndarray
    forearm: Rotation

    def felt(self) -> np.ndarray:
        """``(n, 3)`` specific force in g along the forearm's axes."""
        return np.asarray(self.forearm.inv().apply(self.force))


def move(rng: np.random.Generator, motif: Motif, rhythm: Rhythm, arm_m: float, samples: int, rate: float) -> Motion:
    """The motion that a motif makes at ``rate`` Hz.

    Args:
        rng: Draws bouts, poses and vibration.
        motif: Motif of a person.
        rhythm: Cycles of the motif, as many as fit into the time.
        arm_m: Shoulder to wrist, stretched.
        samples: n.
        rate: Hz.
    """
    padded = samples + 2  # a second difference is two samples shorter
    active = effort(rng, padded, rate, motif.bout_s, motif.rest_s)
    clock = np.cumsum(active) / rate - 2 / rate  # stands still at rest; the first sample that is kept has time 0
    phase = rhythm.phase(clock)
    channels = _channels(motif, phase, active * rhythm.size(clock))
    for name, course in zip(ANGLES, wander(rng, padded, rate, motif.hold_s, motif.wander, len(ANGLES)), strict=True):
        channels[name] += course
    pitch, yaw, roll = (np.deg2rad(channels[name]) for name in ANGLES)
    bend = np.deg2rad(motif.pose.get("bend", 0.0))
    reach = arm_m * np.cos(bend / 2) + channels["reach"]  # upper arm and forearm are about as long
    away = np.stack([np.sin(pitch) * np.cos(yaw), np.sin(pitch) * np.sin(yaw), -np.cos(pitch)], axis=1)
    path = np.stack([channels[name] for name in CHANNELS[:3]], axis=1) + reach[:, None] * away
    force = np.diff(path, n=2, axis=0) * rate**2 / GRAVITY + [0.0, 0.0, 1.0]
    force += _shocks(motif.impacts, phase, rate)[1:-1, None] * active[1:-1, None] * _SHOCK
    force += motif.texture_g * _vibration(rng, samples, rate)
    turns = np.stack([yaw, np.pi / 2 - pitch - bend / 2, roll], axis=1)[1:-1]
    return Motion(force, Rotation.from_euler("ZYX", turns))


def _channels(motif: Motif, phase: np.ndarray, size: np.ndarray) -> dict[str, np.ndarray]:
    """Each channel at each time, in m and degrees."""
    channels = {name: np.full(len(phase), float(motif.pose.get(name, 0.0))) for name in CHANNELS}
    for channel, order, amplitude, lag in motif.harmonics:
        channels[channel] += amplitude * size * np.sin(2 * np.pi * order * (phase - lag))
    if motif.circles:
        channels["pitch"] -= 360.0 * phase  # from in front down and back
    return channels


def _shocks(impacts: Sequence[Impact], phase: np.ndarray, rate: float) -> np.ndarray:
    """``(n,)`` g: after each impact a ringing that dies away."""
    tempo = np.maximum(np.gradient(phase) * rate, 1e-3)  # cycles per second
    total = np.zeros(len(phase))
    for at, size in impacts:
        since = ((phase - at) % 1.0) / tempo
        total += size * np.exp(-since / _DECAY_S) * np.sin(2 * np.pi * _RING_HZ * since)
    return total


def _vibration(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
    """``(n, 3)`` noise of unit size in a band."""
    band = butter(2, _TEXTURE_HZ, "bandpass", fs=rate, output="sos")
    noise = sosfilt(band, rng.standard_normal((samples, 3)), axis=0)
    return np.asarray(noise * np.sqrt(rate / 2 / (_TEXTURE_HZ[1] - _TEXTURE_HZ[0])))
