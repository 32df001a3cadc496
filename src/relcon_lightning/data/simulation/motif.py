"""A motif: the motion of an arm in one cycle of an activity, and the rhythm of its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

CHANNELS = ("forward", "left", "up", "reach", "pitch", "yaw", "roll")
"""Position of the shoulder in m; wrist relative to it as distance in m, pitch and yaw in degrees; roll of the forearm.

Pitch is 0 if the arm hangs down, and 90 if it points forward. Yaw turns it to the left."""
ANGLES = ("pitch", "yaw", "roll")


class Harmonic(NamedTuple):
    """``amplitude * sin(2 pi order (phase - lag))`` on a channel; phase and lag in cycles."""

    channel: str
    order: int
    amplitude: float
    lag: float = 0.0


class Impact(NamedTuple):
    """A shock to the body, with its phase in cycles and its size in g."""

    at: float
    size_g: float


@dataclass(frozen=True)
class Motif:
    """One activity, of a particular person after :meth:`personal`, and of the population before.

    Attributes:
        cycles_hz: Range of cycles per second; a cycle is a stride, a pedal turn, a stroke or a repetition.
        pose: Mean angles :data:`ANGLES` of the arm in degrees, and ``bend`` of the elbow (0 = straight).
        harmonics: Harmonics of the motion.
        impacts: Impacts in each cycle.
        irregularity: Standard deviation of the duration of cycles, relative to the mean.
        texture_g: Constant vibration in g, as from a road, a machine or water.
        bout_s: Mean duration of a bout of movement in seconds.
        rest_s: Mean duration of the rests between bouts in seconds; 0 = no rests.
        hold_s: Mean time between changes of the pose in seconds.
        wander: Standard deviation of :data:`ANGLES` between poses in degrees; 0 = one pose.
        circles: True: the arm makes a full circle in each cycle, as in front crawl.
    """

    cycles_hz: tuple[float, float]
    harmonics: tuple[Harmonic, ...] = ()
    pose: Mapping[str, float] = field(default_factory=dict)
    impacts: tuple[Impact, ...] = ()
    irregularity: float = 0.03
    texture_g: float = 0.0
    bout_s: float = 60.0
    rest_s: float = 0.0
    hold_s: float = 10.0
    wander: float = 0.0
    circles: bool = False

    def personal(self, rng: np.random.Generator) -> Motif:
        """Draw a person's version of the motif, with individual tempo, vigour, timing and posture."""
        cycles_hz = rng.uniform(*self.cycles_hz) * factor(rng, 0.06)
        vigour = factor(rng, 0.15)
        own = [
            h._replace(amplitude=h.amplitude * vigour * factor(rng, 0.2), lag=h.lag + rng.normal(0.0, 0.05))
            for h in self.harmonics
        ]
        return replace(
            self,
            cycles_hz=(cycles_hz, cycles_hz),
            harmonics=tuple(own),
            pose={name: self.pose.get(name, 0.0) + rng.normal(0.0, 12.0) for name in (*ANGLES, "bend")},
            impacts=tuple(i._replace(size_g=i.size_g * vigour * factor(rng, 0.3)) for i in self.impacts),
            irregularity=self.irregularity * factor(rng, 0.3),
            texture_g=self.texture_g * factor(rng, 0.4),
        )


def factor(rng: np.random.Generator, spread: float) -> float:
    """Draw a log-normal number around 1, without implausible tails."""
    return float(np.exp(spread * np.clip(rng.standard_normal(), -2.0, 2.0)))
