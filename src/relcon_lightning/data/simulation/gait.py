"""Walking: from a person and a speed to strides, and from strides to the motif at the wrist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relcon_lightning.data.simulation.arm import GRAVITY
from relcon_lightning.data.simulation.motif import Harmonic, Impact, Motif
from relcon_lightning.data.simulation.person import Person


@dataclass(frozen=True)
class Gait:
    """Mean strides at a speed.

    Attributes:
        stride_time_s: Time between two heel strikes of the same foot, in seconds.
        stride_length_m: Distance in that time, in m.
        double_support: Fraction of the stride with both feet on the ground, over both phases.
    """

    stride_time_s: float
    stride_length_m: float
    double_support: float

    @property
    def velocity(self) -> float:
        """Stride velocity in m/s."""
        return self.stride_length_m / self.stride_time_s


def gait_at(person: Person, speed: float) -> Gait:
    """Strides of a person who walks at ``speed`` m/s.

    With the walk ratio ``W`` the speed is ``W cadence^2 / 60``, which gives the cadence. Double support decreases
    with speed relative to leg length (Froude number): about 0.22 of a stride at 1.4 m/s and 0.31 at 0.6 m/s.
    """
    cadence = np.sqrt(60.0 * speed / person.walk_ratio)  # steps per minute
    stride_time = 120.0 / float(cadence)
    froude = speed / np.sqrt(GRAVITY * person.leg_m)
    share = 0.37 - 0.32 * froude + person.double_support
    return Gait(stride_time, speed * stride_time, float(np.clip(share, 0.08, 0.45)))


def walking(person: Person, gait: Gait) -> Motif:
    """Motif of a gait: body motion at step and stride frequency, heel strikes, push-off and arm swing.

    The body rises and falls like an inverted pendulum, reduced by nearly half. Double support smooths the transition
    between the feet like an average over its duration (``sinc``). At phase 0, the heel on the side of the watch
    strikes, and the arm on this side is behind the body.
    """
    step, share, velocity = gait.stride_length_m / 2, gait.double_support, gait.velocity
    rise = (
        0.55 * person.bounce * (person.leg_m - np.sqrt(person.leg_m**2 - (step / 2) ** 2))
    )  # m, from the lowest to the highest point
    smooth = np.sinc(np.arange(7) * share / 2)  # by order of the harmonic
    later = 0.5 + person.asymmetry
    strike, swing = 0.18 * person.strike * velocity**2, person.swing * (3.0 + 12.0 * velocity)  # g, degrees
    return Motif(
        cycles_hz=(1 / gait.stride_time_s, 1 / gait.stride_time_s),
        harmonics=(
            Harmonic("up", 2, rise / 2 * smooth[2], 0.125 + share / 4),  # lowest in the middle of double support
            Harmonic("up", 4, rise / 10 * smooth[4], share / 4),
            Harmonic("up", 6, rise / 30 * smooth[6], share / 4),
            Harmonic("up", 1, 4 * person.asymmetry * rise),
            Harmonic("forward", 2, 0.016 * step * smooth[2], share / 4),
            Harmonic("left", 1, 0.015, 0.25),
            Harmonic("pitch", 1, swing, 0.25),
            Harmonic("pitch", 2, 0.1 * swing, 0.1),
            Harmonic("roll", 1, 0.25 * swing, 0.3),
        ),
        pose={"pitch": 3.0, "bend": 20.0 + 5.0 * velocity, "roll": 0.0, "yaw": 0.0},
        impacts=(
            Impact(0.0, strike),
            Impact(later, 0.9 * strike),
            Impact(share / 2, -0.4 * strike),  # the other foot leaves the ground: double support ends
            Impact(later + share / 2, -0.4 * strike),
        ),
        irregularity=0.02,
        texture_g=0.015,
        hold_s=4.0,
        wander=3.0,
    )
