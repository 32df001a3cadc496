"""A motif: what one cycle of an activity does to an arm, and how the cycles come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

CHANNELS = ("forward", "left", "up", "reach", "pitch", "yaw", "roll")
"""Shoulder in m; wrist from shoulder: distance in m and two angles in degrees; turn of the forearm in degrees.

Pitch is 0 when the arm hangs, 90 when it points forward; yaw turns it to the left."""
ANGLES = ("pitch", "yaw", "roll")


class Harmonic(NamedTuple):
    """``amplitude * sin(2 pi order (phase - lag))`` on a channel; phase and lag in cycles."""

    channel: str
    order: int
    amplitude: float
    lag: float = 0.0


class Impact(NamedTuple):
    """A shock to the body at a phase of the cycle (in cycles), of a size in g."""

    at: float
    size_g: float


@dataclass(frozen=True)
class Motif:
    """One activity of one person, or, before :meth:`personal`, of nobody in particular.

    Attributes:
        cycles_hz: Range of cycles a second; a cycle is a stride, a pedal turn, a stroke, a repetition.
        pose: Degrees of :data:`ANGLES` about which the arm moves, and ``bend`` of the elbow (0 = straight).
        harmonics: Harmonics of the motion.
        impacts: Impacts in each cycle.
        irregularity: Standard deviation of the duration of cycles, as a share of it.
        texture_g: Vibration that is there all the time: a road, a machine, water.
        bout_s: Mean seconds of moving ...
        rest_s: ... and of resting between; 0 = no rests.
        hold_s: Mean seconds until the pose changes.
        wander: Degrees, standard deviation of :data:`ANGLES` between such poses; 0 = one pose.
        circles: The arm goes around with each cycle, as in the crawl.
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
        """The same as somebody does it: own tempo, vigour, timing and posture."""
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
    """A number around 1, log-normal, without the tails that no body has."""
    return float(np.exp(spread * np.clip(rng.standard_normal(), -2.0, 2.0)))
