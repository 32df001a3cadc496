"""A simulated person: body, gait, fatigue, and the position of the watch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from relcon_lightning.data.simulation.motif import factor


@dataclass(frozen=True)
class Person:
    """Parameters that are drawn once per participant.

    Attributes:
        height_m: Body height in m.
        walk_ratio: Step length divided by cadence, in m / (steps / min); nearly constant over a person's speeds (Sekiya
            and Nagasaki 1998, Gait & Posture 7).
        speed: Preferred walking speed in m/s.
        double_support: Difference between the person's double support and the usual one at the same speed, in strides.
        asymmetry: Delay of the other foot's landing after half a stride, in strides.
        swing: Size of the arm swing in walking, 1 = usual.
        bounce: Vertical motion of the body in walking, 1 = usual.
        strike: Strength of the heel strike, 1 = usual.
        fatigue: Fraction by which tempo and size of movements decrease over a workout.
        wrist: ``left`` or ``right``.
        mount: Rotation from the axes of the watch to those of the forearm (x points to the hand).
        bias_g: Bias ``(3,)`` of the accelerometer in g.
        noise_g: Standard deviation of its noise in g.
        range_g: Largest acceleration that it can measure, in g.
    """

    height_m: float
    walk_ratio: float
    speed: float
    double_support: float
    asymmetry: float
    swing: float
    bounce: float
    strike: float
    fatigue: float
    wrist: str
    mount: Rotation
    bias_g: np.ndarray
    noise_g: float
    range_g: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Person:
        """Draw a random person."""
        height = float(np.clip(rng.normal(1.70, 0.09), 1.45, 2.0))
        wrist = str(rng.choice(["left", "right"]))
        return cls(
            height_m=height,
            walk_ratio=0.0064 * height / 1.70 * factor(rng, 0.08),
            speed=float(np.clip(rng.normal(1.25, 0.2), 0.75, 1.6)),
            double_support=float(np.clip(rng.normal(0.0, 0.03), -0.07, 0.07)),
            asymmetry=float(np.clip(rng.normal(0.0, 0.015), -0.04, 0.04)),
            swing=factor(rng, 0.2),
            bounce=factor(rng, 0.15),
            strike=factor(rng, 0.3),
            fatigue=rng.uniform(0.03, 0.12),
            wrist=wrist,
            mount=_mount(wrist, rng),
            bias_g=rng.normal(0.0, 0.015, 3),
            noise_g=rng.uniform(0.002, 0.006),
            range_g=float(rng.choice([8.0, 16.0])),
        )

    @property
    def arm_m(self) -> float:
        """Shoulder to wrist in m (Winter 2009, Biomechanics and Motor Control of Human Movement, figure 4.1)."""
        return 0.332 * self.height_m

    @property
    def leg_m(self) -> float:
        """Hip to floor in m (Winter 2009)."""
        return 0.53 * self.height_m


def _mount(wrist: str, rng: np.random.Generator) -> Rotation:
    """Mount a watch: face outwards, crown towards hand or elbow, slightly rotated by the strap."""
    roll = (90.0 if wrist == "left" else -90.0) + rng.normal(0.0, 20.0)
    flip = float(rng.choice([0.0, 180.0]))  # about the normal of the face: direction of the crown
    askew = Rotation.from_rotvec(rng.normal(0.0, 8.0, 3), degrees=True)
    return Rotation.from_euler("XZ", [roll, flip], degrees=True) * askew
